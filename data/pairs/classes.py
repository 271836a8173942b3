"""The class table of a dataset: names, colours, and which classes count in mIoU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from data.stage.errors import UserError

IGNORE = 255
"""Label value that is left out of losses and scores; never a class."""


@dataclass(frozen=True)
class ClassInfo:
    """One class; `eval` says whether it counts in mIoU (void-like classes do not).

    `mirror` is the class that a picture mirrored left to right shows instead (a left eye becomes a
    right one); None for the many that stay what they are.
    """

    name: str
    color: tuple[int, int, int]
    eval: bool = True
    mirror: str | None = None


@dataclass(frozen=True)
class ClassTable:
    """The C classes of a dataset in the order of their ids 0..C-1; at most 255."""

    classes: tuple[ClassInfo, ...]

    def __post_init__(self) -> None:
        """Refuse tables that an 8-bit label map cannot carry, or that are ambiguous."""
        if not 1 <= len(self.classes) <= IGNORE:
            raise UserError(f"{len(self.classes)} classes; an 8-bit label map holds 1 to {IGNORE}")
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise UserError(f"class names occur twice: {', '.join(sorted(repeated))}")
        for entry in self.classes:
            if entry.mirror is not None and self._named(entry.mirror).mirror != entry.name:
                raise UserError(
                    f"class {entry.name!r} mirrors {entry.mirror!r}, which does not mirror "
                    f"{entry.name!r}; give both classes each other's name"
                )

    @property
    def num_classes(self) -> int:
        """Number of classes C, void-like ones included."""
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in id order."""
        return tuple(entry.name for entry in self.classes)

    @cached_property
    def eval_ids(self) -> tuple[int, ...]:
        """Ids of the classes that count in mIoU."""
        return tuple(index for index, entry in enumerate(self.classes) if entry.eval)

    @cached_property
    def mirrored(self) -> tuple[int, ...]:
        """Id that each class has in a picture mirrored left to right, C of them."""
        return tuple(
            index if entry.mirror is None else self.index(entry.mirror)
            for index, entry in enumerate(self.classes)
        )

    def index(self, name: str) -> int:
        """Return the id of a class; an unknown name lists what there is."""
        if name not in self.names:
            raise UserError(f"unknown class {name!r}; there is {', '.join(self.names)}")
        return self.names.index(name)

    def colorize(self, label: np.ndarray) -> np.ndarray:
        """Paint a label map `[..., H, W]` with the class colours, uint8 `[..., H, W, 3]`.

        Values without a class (`IGNORE`) are white.
        """
        table = np.full((256, 3), 255, np.uint8)
        table[: self.num_classes] = [entry.color for entry in self.classes]
        return table[label]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the table as plain JSON data."""
        return [
            {"name": c.name, "color": list(c.color), "eval": c.eval}
            | ({} if c.mirror is None else {"mirror": c.mirror})
            for c in self.classes
        ]

    @staticmethod
    def from_json(entries: Sequence[Mapping[str, Any]]) -> "ClassTable":
        """Build a table from what `to_json` returned."""
        return ClassTable(
            tuple(
                ClassInfo(e["name"], tuple(e["color"]), bool(e["eval"]), e.get("mirror"))
                for e in entries
            )
        )

    def _named(self, name: str) -> ClassInfo:
        return self.classes[self.index(name)]
