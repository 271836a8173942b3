"""The one exception that is meant for the user, and how it names several things."""

from collections.abc import Iterable

MOST_NAMED = 5


class UserError(ValueError):
    """Say in one line what is wrong, what is allowed and how to mend it.

    Stages print the message without a traceback and exit with status 2. Everything else that is
    raised is a fault of the project and keeps its traceback.
    """


def some(names: Iterable[str]) -> str:
    """Return the first five of some names as words, and how many others there are."""
    every = list(names)
    left = len(every) - MOST_NAMED
    more = f" and {left} other{'s' * (left > 1)}" if left > 0 else ""
    return ", ".join(every[:MOST_NAMED]) + more
