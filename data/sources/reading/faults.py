"""What is wrong with many pairs, said once: one line for each kind, its count, five names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from data.sources.files import RawPair
from data.sources.reading.alpha import Transparency
from data.sources.reading.sizes import Misfit, require_one_size
from data.stage.errors import UserError, some

MOST_KINDS = 3


class Faults:
    """The faults of single pairs, collected while the others are read."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[tuple[RawPair, str]]] = {}

    def add(self, pair: RawPair, error: UserError) -> None:
        """Note what is wrong with a pair."""
        self._kinds.setdefault(_kind(pair, str(error)), []).append((pair, str(error)))

    def require_none(self) -> None:
        """Raise `UserError` when anything was noted."""
        if not self._kinds:
            return
        lines = [_line(found) for found in list(self._kinds.values())[:MOST_KINDS]]
        more = len(self._kinds) - MOST_KINDS
        if more > 0:
            lines.append(f"{more} other kinds of fault")
        raise UserError("; also: ".join(lines))


@dataclass
class Noted:
    """What is said of all pairs at once: faults, other sizes, images that are not opaque."""

    faults: Faults = field(default_factory=Faults)
    misfits: list[Misfit] = field(default_factory=list)
    clear: list[tuple[str, Transparency]] = field(default_factory=list)

    def require_none(self, num_pairs: int) -> None:
        """Raise `UserError` when any of so many pairs has a fault or a label of another size."""
        self.faults.require_none()
        require_one_size(self.misfits, num_pairs)


def _kind(pair: RawPair, message: str) -> str:
    """Return a message without what differs from file to file: names, numbers, values."""
    for path in (pair.image, pair.label, *pair.parts):
        message = message.replace(str(path), "")
    return re.sub(r"\d+", "", message.partition(":")[0])


def _line(found: Sequence[tuple[RawPair, str]]) -> str:
    first = found[0][1]
    others = [_named(pair, said) for pair, said in found[1:]]
    return f"{first} ({len(found)} such pairs, also {some(others)})" if others else first


def _named(pair: RawPair, message: str) -> str:
    """Return the file of a pair that a message names first, of image, label and its parts."""
    files = (str(path) for path in (pair.image, *pair.parts) if str(path) in message)
    return min(files, key=message.index, default=str(pair.label))
