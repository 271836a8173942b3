"""Datasets in their published layouts, written small, and a way to ingest them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from data import ingest


def save(path: Path, array: np.ndarray) -> None:
    """Write an array as an image file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def picture(key: int, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    """Return an image that no other key has."""
    return np.random.default_rng(key).integers(0, 256, (*shape, 3), np.uint8)


def labels(key: int, values: list[int], shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    """Return a label map in which every value occurs."""
    label = np.random.default_rng(key).choice(np.array(values, np.uint8), shape)
    label.ravel()[: len(values)] = values
    return label


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """CamVid: 3 train, 2 val pairs in the SegNet layout, .png and .jpg images."""
    root = tmp_path / "camvid"
    for split, names in {
        "train": ["0001TP_006690.jpg", "0001TP_006720.png", "0006R0_f00930.jpg"],
        "val": ["0016E5_07959.png", "0016E5_07961.png"],
    }.items():
        for index, name in enumerate(names):
            key = hash_of(split, index)
            save(root / split / name, picture(key))
            save(root / f"{split}annot" / f"{Path(name).stem}.png", labels(key, list(range(12))))
    return root


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    """Cityscapes fine: 3 train pairs of two cities, 2 val pairs, with licence plates as 255."""
    root = tmp_path / "cityscapes"
    for split, stems in {
        "train": ["aachen_000000_000019", "aachen_000001_000019", "bochum_000000_000313"],
        "val": ["munster_000000_000019", "munster_000001_000019"],
    }.items():
        for index, stem in enumerate(stems):
            city, key = stem.split("_")[0], hash_of(split, index)
            save(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", picture(key))
            label = labels(key, [0, 1, 7, 11, 23, 26, 33, 255])
            folder = root / "gtFine" / split / city
            save(folder / f"{stem}_gtFine_labelIds.png", label)
            # The release has these beside the ids; they must not be taken for labels.
            save(folder / f"{stem}_gtFine_instanceIds.png", label)
            save(folder / f"{stem}_gtFine_color.png", picture(key))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: 10 photographs and masks of 0 and 1, with unlabelled pixels of 255."""
    root = tmp_path / "mine"
    for index in range(10):
        save(root / "photos" / f"p{index:02d}.jpg", picture(index))
        save(root / "masks" / f"p{index:02d}_mask.png", labels(index, [0, 1, 255]))
    return root


FOLDER = {
    "images": "photos/*.jpg",
    "masks": "masks/*.png",
    "mask_suffix": "_mask",
    "classes": [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf", "color": [0, 200, 0]}],
}


def hash_of(split: str, index: int) -> int:
    """Return a number that differs for every pair."""
    return {"train": 0, "val": 100, "test": 200}[split] + index


@pytest.fixture
def files() -> Any:
    """The helpers above, for tests that spoil or extend a dataset."""
    return type("Files", (), {"save": save, "picture": picture, "labels": labels, "folder": FOLDER})


@pytest.fixture
def run_ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run the stage on a `dataset` section, in a folder of its own; returns what it wrote."""
    monkeypatch.chdir(tmp_path)

    def run(out: str = "real", **dataset: Any) -> Path:
        base = {"height": 20, "width": 30, "splits": ["train", "val"]}
        section = {"dataset": base | {k: plain(v) for k, v in dataset.items()}}
        with Path("params.yaml").open("w") as file:
            YAML(typ="safe").dump(section, file)
        ingest.main(out=Path(out))
        return tmp_path / out

    return run


def plain(value: Any) -> Any:
    """Return a value that YAML can hold."""
    return str(value) if isinstance(value, Path) else value
