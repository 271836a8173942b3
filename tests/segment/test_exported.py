"""MMSegmentation loads an exported folder with the config that lies in it, and trains on it."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.tools import export
from segment import mm  # first: it silences what mm* says when it is imported

from mmengine.config import Config  # isort: skip
from mmseg.registry import DATASETS  # isort: skip

TRAINING = """
_base_ = [
    "{configs}/_base_/models/segformer_mit-b0.py",
    "{folder}/dataset.py",
    "{configs}/_base_/default_runtime.py",
    "{configs}/_base_/schedules/schedule_40k.py",
]
model = dict(
    data_preprocessor=dict(size={{{{_base_.crop_size}}}}),
    decode_head=dict(num_classes={{{{_base_.num_classes}}}}),
)
train_cfg = dict(max_iters=2, val_interval=2)
"""


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    """A set of pairs and real val and test pairs, exported, then moved elsewhere."""
    real = artifacts / "real"
    out = tmp_path / "out"
    export.main([artifacts / "pairs/semi"], out, to="mmseg", val=real / "val", test=real / "test")
    return Path(shutil.move(out, tmp_path / "moved"))


def test_the_config_loads_every_pair(folder: Path, artifacts: Path) -> None:
    config = Config.fromfile(folder / "dataset.py")
    pairs = PairSet(artifacts / "pairs/semi")
    dataset = DATASETS.build(config.train_dataloader.dataset)
    assert len(dataset) == len(pairs) == 9
    assert dataset.metainfo["classes"] == pairs.classes.names
    assert dataset.metainfo["palette"] == [list(c.color) for c in pairs.classes.classes]
    item = dataset[0]
    # drawn at random: crops that were scaled down are padded later, by the model
    assert item["inputs"].shape[0] == 3
    assert item["inputs"].shape[1] <= 32 and item["inputs"].shape[2] <= 48
    assert item["inputs"].shape[1:] == item["data_samples"].gt_sem_seg.data.shape[1:]
    assert set(np.unique(item["data_samples"].gt_sem_seg.data)) <= {0, 1, 2, 255}
    for role in ("val", "test"):
        dataset = DATASETS.build(config[f"{role}_dataloader"].dataset)
        for item, pair in zip(dataset, PairSet(artifacts / "real" / role).pairs(), strict=True):
            np.testing.assert_array_equal(
                item["inputs"].numpy(), pair.image[..., ::-1].transpose(2, 0, 1)
            )
            np.testing.assert_array_equal(
                item["data_samples"].gt_sem_seg.data[0].numpy(), pair.label
            )


@pytest.mark.slow
def test_mmsegmentation_trains_and_scores_on_the_folder(folder: Path, tmp_path: Path) -> None:
    """The config of the card, two iterations, in a process of its own as a user would."""
    (tmp_path / "training.py").write_text(TRAINING.format(configs=mm.CONFIGS, folder=folder))
    program = (
        "from mmengine.config import Config; from mmengine.runner import Runner\n"
        "config = Config.fromfile('training.py'); config.work_dir = 'work'\n"
        "Runner.from_cfg(config).train()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "work/iter_2.pth").is_file()
    assert "mIoU" in done.stdout + done.stderr
