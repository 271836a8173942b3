"""STAGE: check a dataset on disk and write it as pair sets, one per split."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from PIL import Image
from pydantic import Field, ValidationError, create_model

from data.pairs.shards import MANIFEST
from data.pairs.spread import POOL, TRAIN
from data.sources import SOURCES, duplicates
from data.sources.files import RawPair, read_alpha, read_image, read_size
from data.sources.folder import Config as Folder
from data.sources.masks.palettes import Palettes
from data.sources.reading.alpha import note
from data.sources.reading.disjoint import in_one_split, not_empty, scorable, unique
from data.sources.reading.faults import Noted
from data.sources.reading.how import How, reading
from data.sources.reading.looked import Looked
from data.sources.reading.sizes import Misfit
from data.sources.reading.tiles import (
    Levels,
    Tile,
    enlarged,
    in_bands,
    levelled,
    paged,
    said,
    tiled,
)
from data.sources.reading.walk import Tally, permitted, tallied
from data.sources.splits import HeldOut, held_out, parts_of
from data.sources.writing import DETAIL, kept, write
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import replacing, require_ours
from data.stage.params import Params, choose, read
from data.stage.progress import log, progress
from data.stage.timings import timed

Split = Literal["train", "val", "test"]


class Dataset(Params):
    """Section `dataset`: where real pairs come from, which of them, and at which size."""

    source: str
    root: Path
    height: int = Field(ge=16, le=4096)
    width: int = Field(ge=16, le=4096)
    splits: tuple[Split, ...] = ("train", "val", "test")
    detail: float = Field(default=1.0, ge=1)
    limit: int | None = Field(default=None, ge=1)
    hold_out: dict[HeldOut, tuple[str, ...]] = Field(default={})
    tile: Tile | None = None
    levels: Levels | None = None

    def chosen(self) -> tuple[ModuleType, Any]:
        """Return the source and its numbers; `UserError` where they are needed and missing."""
        source = choose(self.source, SOURCES, "dataset source")
        try:
            return source, getattr(self, self.source) or source.Config()
        except ValidationError:
            raise UserError(
                f"the source {self.source!r} needs a section dataset.{self.source}: files and "
                "classes; docs/own-data.md shows one"
            ) from None


# every source has a section of its own, which it may do without if its numbers have defaults
_OWN: dict[str, Any] = {name: (source.Config | None, None) for name, source in SOURCES.items()}
DatasetParams = create_model("DatasetParams", __base__=Dataset, **_OWN)


def main(*, out: Path) -> None:
    """Read the dataset of params.yaml, check all of it, and write its splits as pair sets."""
    dataset = read("dataset", DatasetParams)
    source, config = dataset.chosen()
    missing = {"train", "val"}.difference(dataset.splits)
    if missing or len(set(dataset.splits)) < len(dataset.splits):
        raise UserError("dataset.splits must be train, val and, if there is one, test, each once")
    require_ours(out, MANIFEST)
    here, there = out.resolve(), dataset.root.resolve()
    if here.is_relative_to(there) and dataset.source != "streets":
        raise UserError(f"{out} lies in the dataset {dataset.root}; write somewhere else")
    size = (dataset.height, dataset.width)
    with timed("ingest") as timing, tempfile.TemporaryDirectory() as scratch:
        with permitted(), tallied() as tally:
            with reading(How(is_large=dataset.tile is not None)):
                root = source.prepare(dataset.root, dataset.splits, config, size, Path(scratch))
            raw = read_as(source.find(root, dataset.splits, config), dataset)
            content = check(source, config, raw, dataset.splits)
        raw = raw if dataset.tile is None else tiled(raw, dataset.tile)
        parts = parts_of(raw, dataset.limit)
        made_by = fingerprints(dataset, config, content, parts)
        origin = {"dataset": dataset.source, "licence": source.LICENCE}
        if raw[0].how.levels is not None:
            origin["levels"] = said(raw[0].how.levels)
            log.info(f"levels {origin['levels']} become 0 to 255 in all images of more than 8 bits")
        with replacing(out) as partial:
            write(
                source,
                config,
                parts,
                size=size,
                detail=dataset.detail,
                made_by=made_by,
                origin=origin,
                out=partial,
            )
        timing.images = len(raw)
    if tally.hidden:
        log.info(tally.left_out())
    log.info(f"{out}: {_counted(raw, tally)}")
    if POOL in parts:
        log.info(f"training sees {len(parts[TRAIN])} of {len(parts[POOL])} pairs (dataset.limit)")


def read_as(raw: Sequence[RawPair], dataset: Dataset) -> list[RawPair]:
    """Return the pairs of a dataset page by page, with its groups held out and its levels."""
    raw = raw if dataset.tile is None else enlarged(raw)
    raw = held_out(paged(raw), dataset.hold_out, dataset.splits)
    return raw if dataset.levels is None else levelled(raw, dataset.levels)


def fingerprints(
    dataset: Dataset, config: Params, content: Sequence[str], parts: Mapping[str, object]
) -> dict[str, str]:
    """Return the fingerprint of every part; the limit made none of them but a limited train."""
    asked = {
        "source": dataset.source,
        "config": config.model_dump(mode="json"),
        "size": (dataset.height, dataset.width),
        "content": content,
    }
    if dataset.hold_out:  # content does not say which split a pair is in
        asked["hold_out"] = dataset.model_dump(mode="json", include={"hold_out"})
    if dataset.tile is not None:
        asked["tile"] = dataset.tile.model_dump()
    limited = {TRAIN: {"limit": dataset.limit}} if POOL in parts else {}
    finer = {"detail": dataset.detail} | limited.get(TRAIN, {})
    made = {name: fingerprint(asked | limited.get(name, {}), []) for name in parts}
    return made | {DETAIL: fingerprint(asked | finer, [])}


def _counted(raw: Sequence[RawPair], tally: Tally) -> str:
    """Say how many pairs there are by split, and of how many images and labels."""
    splits = Counter(pair.split for pair in raw)
    by_split = ", ".join(f"{split} {number}" for split, number in splits.items())
    listed = f" of {tally.images} images and {tally.labels} masks" if tally.images else ""
    return f"{len(raw)} pairs ({by_split}){listed}"


def check(
    source: ModuleType, config: Params, raw: Sequence[RawPair], splits: Sequence[str]
) -> list[str]:
    """Decode every pair and return the hash of each; raise `UserError` with every fault of a kind.

    Faults are an empty split, an unreadable file, an image and a label of different size, label
    values without a class, palettes that differ, the same image or id in two splits, and a split
    with no pixel to score.
    """
    classes = source.class_table(config)
    unique(raw)
    not_empty(raw, splits)
    seen: dict[str, RawPair] = {}
    palettes = Palettes(classes.classes, not isinstance(config, Folder))
    noted, twice = Noted(), []
    totals = {split: np.zeros(classes.num_classes, np.int64) for split in splits}
    content, looks = [], []
    with progress(len(raw), "checking", "pairs") as advance:
        for pair in raw:
            advance()
            looked = _look(source, config, pair, palettes, noted)
            if looked is None:
                continue
            # of the whole picture: one image cut at two places is the same image
            digest = looked.digest
            # blank tiles look alike, and nothing can be learned from one by heart
            if looked.look is not None and seen.setdefault(digest, pair).split != pair.split:
                twice.append((seen[digest], pair))
            content += [pair.id, digest, looked.label_digest]
            if pair.aspect is not None:
                content.append(repr(kept(pair, looked.size)))
            totals[pair.split] += looked.counts
            looks.append((pair.split, pair.id, looked.look))
    noted.require_none(len(raw))
    in_one_split(twice)
    scorable(totals, classes)
    duplicates.warn(looks)
    if noted.clear:
        log.info("note: " + note(noted.clear, len(raw), raw[0].alpha))
    return content


def _look(
    source: ModuleType, config: Params, pair: RawPair, palettes: Palettes, noted: Noted
) -> Looked | None:
    """Look at all of a pair; return None and note what is wrong with it."""
    looked: Looked | None = None
    for part in in_bands(pair):
        with reading(part.how):
            both = _read(source, config, part, noted)
            if both is None:
                return None
            image, label = both
            if not pair.by_color:
                palettes.add(pair.label, label)
            if looked is None:
                size = image.size if part.how.window is None else read_size(pair.image)
                looked = Looked(size, source.class_table(config).num_classes)
        left, top, right, bottom = kept(pair, image.size)
        looked.add(image, label, label[top:bottom, left:right])
        del both, image, label  # before the next is decoded: both may be large
    return looked


def _read(
    source: ModuleType, config: Params, pair: RawPair, noted: Noted
) -> tuple[Image.Image, np.ndarray] | None:
    """Return image and label of a pair, or None and note what is wrong with it."""
    try:
        image, label = read_image(pair.image, pair.alpha), source.read_label(pair, config)
        alpha = read_alpha(pair.image)
    except UserError as error:
        noted.faults.add(pair, error)
        return None
    if alpha is not None:
        noted.clear.append((str(pair.image), alpha))
    if image.size != label.shape[::-1]:
        noted.misfits.append(Misfit(pair.image, image.size, pair.label, label.shape[::-1]))
        return None
    return image, label


if __name__ == "__main__":
    run(main)
