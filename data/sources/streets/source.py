"""The source `streets`: render a data set in the Cityscapes layout, then read it as such."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field

from data.pairs.classes import ClassTable
from data.sources import cityscapes
from data.sources.files import RawPair
from data.sources.streets.rendering import render_street
from data.stage.params import Params
from data.stage.progress import progress

LICENCE = "rendered by scene-palette, no third party's rights"
_CITIES = {"train": "aldmoor", "val": "brennick", "test": "cawdale"}
_NUMBERS = {"train": 0, "val": 1, "test": 2}


class Config(Params):
    """How many streets to render per split, without which classes, and the seed of them all."""

    num_train: int = Field(default=200, ge=1)
    num_val: int = Field(default=100, ge=1)
    num_test: int = Field(default=100, ge=1)
    without: tuple[Literal["wall", "fence", "train", "truck", "motorcycle"], ...] = ()
    seed: int = Field(default=0, ge=0)


def class_table(config: Config) -> ClassTable:
    """Return the Cityscapes classes."""
    return cityscapes.class_table(cityscapes.Config())


def prepare(
    root: Path, splits: Sequence[str], config: Config, size: tuple[int, int], scratch: Path
) -> Path:
    """Render the splits at size (height, width) under `scratch` and return that folder.

    `root` is where the renderer itself lies, so that a changed renderer is a changed input.
    """
    counts = {"train": config.num_train, "val": config.num_val, "test": config.num_test}
    render(
        scratch,
        {split: counts[split] for split in splits},
        height=size[0],
        width=size[1],
        seed=config.seed,
        without=config.without,
    )
    return scratch


def find(root: Path, splits: Sequence[str], config: Config) -> list[RawPair]:
    """Find rendered pairs as those of Cityscapes are found; no two streets belong together."""
    return [replace(pair, group="") for pair in cityscapes.find(root, splits, cityscapes.Config())]


def read_label(pair: RawPair, config: Config) -> np.ndarray:
    """Read a label as those of Cityscapes are read."""
    return cityscapes.read_label(pair, cityscapes.Config())


def render(
    root: Path,
    counts: dict[str, int],
    *,
    height: int,
    width: int,
    seed: int,
    without: Collection[str] = (),
) -> None:
    """Write leftImg8bit/ and gtFine/ with the given number of pairs per split under root.

    Street i of a split follows from SeedSequence([seed, split number, i]) and the size alone, so
    more streets never change the first ones.
    """
    with progress(sum(counts.values()), "rendering streets", "images") as advance:
        for split, count in counts.items():
            city = _CITIES[split]
            images = root / "leftImg8bit" / split / city
            labels = root / "gtFine" / split / city
            images.mkdir(parents=True, exist_ok=True)
            labels.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                sequence = np.random.SeedSequence([seed, _NUMBERS[split], index])
                rng = np.random.default_rng(sequence)
                image, label = render_street(rng, height, width, without)
                stem = f"{city}_{index:06d}_000019"
                Image.fromarray(image).save(images / f"{stem}_leftImg8bit.png", compress_level=1)
                Image.fromarray(label).save(labels / f"{stem}_gtFine_labelIds.png")
                advance()
