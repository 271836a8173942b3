"""File names for pair ids, which may hold anything."""

import hashlib
import re
from collections.abc import Iterable

LONGEST = 100
_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]+")
# Windows keeps these for devices, whatever the extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def safe_names(ids: Iterable[str]) -> dict[str, str]:
    """Return a file name without extension for every id, in the order of the ids.

    Names are ASCII letters, digits, `_` and `-`, at most `LONGEST` long and different even where
    a file system ignores case. An id that is such a name stays as it is; one that is not, or that
    differs from an earlier one by case only, ends with digits of its hash.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for pair in ids:
        name = _UNSAFE.sub("-", pair).strip("-")[:LONGEST]
        digits = 0
        while not name or (digits == 0 and _is_changed(name, pair)) or name.lower() in taken:
            digits += 10
            tail = hashlib.sha256(pair.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
            stem = _UNSAFE.sub("-", pair).strip("-")[: LONGEST - 1 - digits]
            name = f"{stem}-{tail}" if stem else tail
        taken.add(name.lower())
        names[pair] = name
    return names


def _is_changed(name: str, pair: str) -> bool:
    return name != pair or _RESERVED.fullmatch(name) is not None
