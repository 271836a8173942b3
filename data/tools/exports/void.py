"""What an export makes of void classes, those out of mIoU: classes like the others, or 255."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from data.pairs.classes import IGNORE, ClassTable
from data.pairs.manifest import VOID
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.stage.progress import Advance, log

Void = Literal["class", "ignore"]
CHOICES: dict[str, Void] = {"class": "class", "ignore": "ignore"}

_AS_CLASS = (
    "Void classes, those out of mIoU ({names}), are classes like the others here, and a trainer "
    "learns them; exported with `--void ignore` they are 255."
)
_AS_255 = (
    "Void classes, those out of mIoU ({names}), are 255 here, which trainers leave out: "
    "`ignore_index` of MMSegmentation and `semantic_loss_ignore_index` of transformers are 255 "
    "unless set. The other classes count from 0 without them, so `reduce_zero_label` and "
    "`do_reduce_labels` stay false."
)


def names_of(classes: ClassTable) -> list[str]:
    """Return the names of the void classes."""
    return [entry.name for entry in classes.classes if not entry.eval]


def words(classes: ClassTable, void: Void) -> str:
    """Return the card's words on void classes, nothing where there are none."""
    names = ", ".join(names_of(classes))
    return (_AS_CLASS if void == "class" else _AS_255).format(names=names) if names else ""


def ignoring(splits: Mapping[str, PairSet], scratch: Path, advance: Advance) -> dict[str, PairSet]:
    """Return the splits with void as 255 and without void classes, written below a folder.

    Palettes and targets are shares of what is left. Raises `UserError` when nothing is.
    """
    first = next(iter(splits.values())).classes
    if not first.eval_ids:
        raise UserError("every class is out of mIoU, and --void ignore leaves none; leave it out")
    if not names_of(first):
        log.info("no class is out of mIoU, so that none is 255; give void classes `eval: false`")
        return dict(splits)
    table, ids = without_void(first)
    for split, pairs in splits.items():
        origin = pairs.origin
        if "real" in pairs.manifest["sources"]:
            origin = origin | {"real": origin.get("real", {}) | {VOID: str(IGNORE)}}
        with ShardWriter(
            scratch / split,
            classes=table,
            size=pairs.size,
            fingerprint=pairs.manifest["fingerprint"],
            prefix="pairs",
            origin=origin,
        ) as writer:
            for pair in pairs.pairs():
                target = _shares(pair.target, first)
                writer.write(replace(pair, label=ids[pair.label], target=target))
                advance()
    return {split: PairSet(scratch / split) for split in splits}


def without_void(classes: ClassTable) -> tuple[ClassTable, np.ndarray]:
    """Return the table without void classes, and the new id of each old one, uint8 `[256]`."""
    kept = [classes.classes[index] for index in classes.eval_ids]
    names = {entry.name for entry in kept}
    ids = np.full(256, IGNORE, np.uint8)
    ids[list(classes.eval_ids)] = np.arange(len(kept))
    table = (replace(e, mirror=e.mirror if e.mirror in names else None) for e in kept)
    return ClassTable(tuple(table)), ids


def _shares(target: np.ndarray | None, classes: ClassTable) -> np.ndarray | None:
    """Return the shares asked for of what is left, None where nothing was."""
    kept = None if target is None else target[list(classes.eval_ids)]
    return None if kept is None or not kept.any() else kept / kept.sum()
