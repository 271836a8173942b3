"""Cityscapes: leftImg8bit/ and gtFine/ by split and city, in the naming of the release."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.pairs.classes import IGNORE
from data.pairs.pair import decode_label, encode_png
from data.sources import cityscapes
from data.stage.errors import UserError
from data.stage.progress import Advance
from data.tools.exports.files import encoded, write_table
from data.tools.exports.union import Union

LICENSE_PLATE = 34
_NAME = re.compile(r"[a-zA-Z-]+_\d{6}_\d{6}")

_CARD = """\
The naming of the Cityscapes release: `leftImg8bit/SPLIT/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png`
and, under `gtFine/`, `..._gtFine_labelIds.png` (the ids of the table above) and
`..._gtFine_labelTrainIds.png` (0 to 18 for the classes that count in mIoU, 255 for the others).
Pairs of Cityscapes keep their name. Others have their source as city, the split as sequence and a
number as frame; `pairs.csv` says which pair each is. Licence plates, -1 in the release's table, are
255 in `labelIds`, which is how 8 bits hold -1. There are no polygons and no instances."""


def check(splits: Mapping[str, Union]) -> None:
    """Refuse other class tables: every tool for Cityscapes would take their ids for others."""
    table = cityscapes.class_table(cityscapes.Config())
    for pairs in splits.values():
        if pairs.classes.names != table.names:
            differing = next(
                (
                    n
                    for n, known in zip(pairs.classes.names, table.names, strict=False)
                    if n != known
                ),
                "one too few or too many",
            )
            raise UserError(
                f"{pairs.path} has other classes than Cityscapes ({differing}), and tools for "
                "Cityscapes would mistake its ids; export --to mmseg, coco or hf"
            )


def write(splits: Mapping[str, Union], out: Path, advance: Advance) -> str:
    """Write images and labels under `out`; return the card's words on them."""
    names = city_names(splits)
    train_ids = _train_ids(next(iter(splits.values())))
    for split, pairs in splits.items():
        for pair in encoded(pairs):
            name = names[pair.id]
            city = name.split("_")[0]
            label = decode_label(pair.label)
            if (label == IGNORE).any():
                raise UserError(
                    f"{pairs.path}: the label of {pair.id!r} has ignored pixels (255), which "
                    "Cityscapes cannot express; export --to mmseg, coco or hf"
                )
            ids = np.where(label == LICENSE_PLATE, np.uint8(255), label)
            ground = out / "gtFine" / split / city
            image = out / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
            for folder in (ground, image.parent):
                folder.mkdir(parents=True, exist_ok=True)
            image.write_bytes(pair.image)
            (ground / f"{name}_gtFine_labelIds.png").write_bytes(encode_png(ids))
            (ground / f"{name}_gtFine_labelTrainIds.png").write_bytes(encode_png(train_ids[label]))
            advance()
    write_table(out, splits, names)
    return _CARD


def city_names(splits: Mapping[str, Union]) -> dict[str, str]:
    """Return a name CITY_SEQUENCE_FRAME for every pair id; different in all splits."""
    sources = {
        pair: (split, source)
        for split, pairs in splits.items()
        for pair, source in zip(pairs.ids(), pairs.column("source"), strict=True)
    }
    kept: dict[str, str] = {}
    for pair in sources:
        if _NAME.fullmatch(pair) and pair.lower() not in kept:
            kept[pair.lower()] = pair
    names = {pair: pair for pair in kept.values()}
    cities = {pair.split("_")[0] for pair in kept}
    order = list(splits)
    frames: dict[tuple[str, str], int] = {}
    for pair, (split, source) in sources.items():
        if pair in names:
            continue
        city = re.sub(r"[^a-z]+", "-", source.lower()).strip("-") or "pairs"
        while city in cities:
            city += "-more"
        frame = frames[split, city] = frames.get((split, city), -1) + 1
        names[pair] = f"{city}_{order.index(split):06d}_{frame:06d}"
    return names


def _train_ids(pairs: Union) -> np.ndarray:
    table = np.full(256, IGNORE, np.uint8)
    table[list(pairs.classes.eval_ids)] = np.arange(len(pairs.classes.eval_ids))
    return table
