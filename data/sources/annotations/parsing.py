"""Read annotation files that may be broken or hostile: what is wrong is said in one line."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from xml.etree import ElementTree
from xml.parsers import expat

from data.sources.reading.walk import permitted
from data.stage.errors import UserError

T = TypeVar("T")

MAX_BYTES = 1 << 30
AGAIN = "export it again, or take it out of dataset.annotations.files"


def read_text(path: Path) -> str:
    """Return the text of an annotation file of at most `MAX_BYTES`."""
    with permitted():
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} has more than {MAX_BYTES >> 20} MiB; export it in parts")
        content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; {AGAIN}") from None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; numbers that are none (NaN) are refused."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is not a number")

    try:
        return json.loads(read_text(path), parse_constant=refuse)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not valid JSON ({reason}); {AGAIN}") from None


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root of an XML file; one that declares types or entities is refused."""
    text = read_text(path)

    def refuse(*args: object) -> NoReturn:
        raise UserError(
            f"{path} declares a document type (<!DOCTYPE>), which may hide entities; remove it"
        )

    scan = expat.ParserCreate()
    scan.StartDoctypeDeclHandler = refuse
    scan.EntityDeclHandler = refuse
    try:
        scan.Parse(text, True)
        return ElementTree.fromstring(text)
    except (expat.ExpatError, ElementTree.ParseError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid XML ({error}); {AGAIN}") from None


def need(entry: Any, key: str, kinds: type[T] | tuple[type[T], ...], where: str) -> T:
    """Return an entry's value of some types; a missing one, or another type, is a `UserError`."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, kinds):
        names = [kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,))]
        what = "has none" if value is None else f"has {_short(value)}"
        raise UserError(f"{where} needs `{key}` ({' or '.join(names)}) and {what}; {AGAIN}")
    return value


def size_of(entry: Any, keys: tuple[str, str], where: str) -> tuple[int, int] | None:
    """Return (width, height) of an entry by its keys, None where it has neither."""
    if not isinstance(entry, dict) or all(entry.get(key) is None for key in keys):
        return None
    width, height = (need(entry, key, int, where) for key in keys)
    if min(width, height) < 1:
        raise UserError(f"{where} is of {width}x{height} pixels; {AGAIN}")
    return width, height


def points_of(value: Any, where: str) -> list[tuple[float, float]]:
    """Return a list of pairs of finite numbers."""
    if not isinstance(value, list):
        raise UserError(f"{where} has points that are no list; {AGAIN}")
    found = []
    for point in value:
        if not isinstance(point, (list, tuple)) or len(point) != 2:
            raise UserError(f"{where} has a point {_short(point)} that is no pair; {AGAIN}")
        found.append((number(point[0], where), number(point[1], where)))
    return found


def paired(values: Sequence[Any], where: str) -> list[tuple[float, float]]:
    """Return points of a flat list x, y, x, y."""
    if len(values) % 2:
        raise UserError(f"{where} has an odd number of coordinates; {AGAIN}")
    every = [number(value, where) for value in values]
    return list(zip(every[::2], every[1::2], strict=True))


def number(value: Any, where: str) -> float:
    """Return a finite number, of a number or its text."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise UserError(f"{where} has {_short(value)} where a number is due; {AGAIN}")
    return found


def whole(value: Any, where: str) -> int:
    """Return a whole number, of a number or its text."""
    found = number(value, where)
    if found != int(found):
        raise UserError(f"{where} has {_short(value)} where a whole number is due; {AGAIN}")
    return int(found)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
