"""LIP is read through `folder` by its preset: folders of images and of masks have other names."""

from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from data.pairs.shards import PairSet

SHAPE = (48, 24)


@pytest.fixture
def lip(tmp_path, files) -> Path:
    """LIP as it is unpacked, with few persons and all 20 classes."""
    root = tmp_path / "lip"
    for split, count in {"train": 4, "val": 2}.items():
        for index in range(count):
            stem, key = f"{index}_{split}483681", 10 * len(split) + index
            image, label = files.picture(key, SHAPE), files.labels(key, range(20), SHAPE)
            files.save(root / f"TrainVal_images/{split}_images/{stem}.jpg", image)
            masks = root / f"TrainVal_parsing_annotations/{split}_segmentations"
            files.save(masks / f"{stem}.png", label)
    return root


def test_the_preset_reads_persons_whose_sides_trade_places(lip, root, run_ingest) -> None:
    preset = YAML(typ="safe", pure=True).load((root / "presets/lip.yaml").read_text())
    section = preset["dataset"]["folder"]
    size = {"height": SHAPE[0], "width": SHAPE[1]}
    out = run_ingest(source="folder", root=lip, folder=section, splits=["train", "val"], **size)
    train, val = PairSet(out / "train"), PairSet(out / "val")
    assert (len(train), len(val)) == (4, 2)
    classes = train.classes
    assert classes.num_classes == 20 and classes.eval_ids == tuple(range(20))
    assert set(np.unique(train.labels(range(4)))) == set(range(20))
    swapped = {one: other for one, other in enumerate(classes.mirrored) if one != other}
    assert swapped == {14: 15, 15: 14, 16: 17, 17: 16, 18: 19, 19: 18}
