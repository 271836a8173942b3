"""Keep secrets out of logs: what a stage prints passes through here."""

import re
from collections.abc import Callable, Mapping

HIDDEN = "***"
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|AUTH|(ACCESS|API|PRIVATE)_?KEY")
_IN_URL = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_MIN_LENGTH = 6  # shorter values are words such as `true`


def redactor(env: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that hides the secrets of an environment, and those of any URL, in a line.

    A variable is a secret by its name: AWS_SECRET_ACCESS_KEY, PREFECT_API_KEY, a token, a password.
    """
    values = {
        value
        for name, value in env.items()
        if _SECRET_NAME.search(name.upper()) and len(value) >= _MIN_LENGTH
    }
    longest_first = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    known = re.compile(longest_first) if values else None

    def redact(line: str) -> str:
        line = _IN_URL.sub(HIDDEN, line)
        return known.sub(HIDDEN, line) if known else line

    return redact
