"""What must hold of one stored pair; nothing here trusts the writer."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from data.pairs.classes import IGNORE
from data.pairs.pair import content_hash, decode_image, decode_label, palette_of
from data.pairs.schema import REQUIRED
from data.stage.errors import UserError

# Targets come out of a projection in float32.
SUM_TOLERANCE = 1e-3


def row_faults(
    row: Mapping[str, Any], num_classes: int, size: tuple[int, int], *, ignores: bool = False
) -> Iterator[str]:
    """Yield what is wrong with a row of a shard, taken for itself; `size` is (height, width).

    A picture is decoded only when its header has the size of the set, so that a small file cannot
    claim a large memory. `IGNORE` may occur in synthetic labels, where a filter writes it, and in
    real ones of an export without void classes (`ignores`).
    """
    absent = [name for name in REQUIRED if _is_absent(row[name])]
    if absent:
        yield f"{', '.join(absent)} is null"
        return
    image, encoded = row["image"]["bytes"], row["label"]["bytes"]
    if row["sha256"] != content_hash(image, encoded):
        yield "sha256 is not that of its image and label bytes"
    try:
        decode_image(image, size)
    except UserError as error:
        yield f"image {error}"
    try:
        label = decode_label(encoded, size)
    except UserError as error:
        yield f"label {error}"
        return
    yield from _label_faults(label, row, num_classes, ignores)


def edit_faults(
    row: Mapping[str, Any],
    parent: bytes | None,
    size: tuple[int, int],
    image: bytes | None = None,
) -> Iterator[str]:
    """Yield what is wrong with the `edited` mask, given the parent's label bytes if it has any.

    Outside the mask the label is the parent's, except where a filter wrote `IGNORE`, and so are the
    pixels where the bytes of the parent's `image` are given.
    """
    try:
        edited = decode_label(row["edited"]["bytes"] or b"", size)
    except UserError as error:
        yield f"edited {error}"
        return
    if not np.isin(edited, (0, 255)).all():
        yield "edited has values other than 0 and 255"
    if row["parent"] is None:
        yield "is edited but has no parent"
    if parent is None:
        return
    try:
        before, after = decode_label(parent, size), decode_label(row["label"]["bytes"], size)
    except UserError:
        return  # said of the row that it belongs to
    changed = int(((before != after) & (edited == 0) & (after != IGNORE)).sum())
    if changed:
        yield f"differs from its parent {row['parent']!r} in {changed} pixels outside `edited`"
    if image is not None:
        yield from _kept_faults(row, image, edited, size)


def _kept_faults(
    row: Mapping[str, Any], parent: bytes, edited: np.ndarray, size: tuple[int, int]
) -> Iterator[str]:
    try:
        before, after = decode_image(parent, size), decode_image(row["image"]["bytes"], size)
    except UserError:
        return  # said of the row that it belongs to
    changed = int(((before != after).any(2) & (edited == 0)).sum())
    if changed:
        yield (
            f"should keep the image of its parent {row['parent']!r} outside `edited`, and differs "
            f"in {changed} pixels"
        )


def _label_faults(
    label: np.ndarray, row: Mapping[str, Any], num_classes: int, ignores: bool
) -> Iterator[str]:
    allowed = label < num_classes
    if ignores or row["source"] != "real":
        allowed |= label == IGNORE
    if not allowed.all():
        wrong = ", ".join(str(value) for value in np.unique(label[~allowed])[:8])
        yield f"label has ids that are not classes ({wrong}); there are {num_classes} classes"
    palette = np.asarray(row["palette"], np.float32)
    if palette.tobytes() != palette_of(label, num_classes).tobytes():
        yield "palette is not the class shares of its label"
    if row["target"] is not None:
        yield from _target_faults(np.asarray(row["target"], np.float32), num_classes)


def _target_faults(target: np.ndarray, num_classes: int) -> Iterator[str]:
    if len(target) != num_classes:
        yield f"target has {len(target)} shares, there are {num_classes} classes"
    # written so that NaN fails
    elif not ((target >= 0).all() and abs(float(target.sum()) - 1) <= SUM_TOLERANCE):
        yield f"target is not a palette: its shares add up to {float(target.sum()):.4f}, not 1"


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and value["bytes"] is None)
