"""The pretrained backbone: its weights are there, it sees [-1, 1], learns, and at its own rate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data import pretrained
from data.pairs.shards import PairSet
from data.stage.errors import UserError
from segment import archs, mm

ARCH = "efficientnet_lite0_mlp"
PAIRS = {"real": 4, "synthetic": 0}
Options = dict[str, Any]
Cell = Callable[..., dict[str, torch.Tensor]]


def options(**changes: Any) -> Options:
    return {"pretrained": "efficientnet_lite0", "backbone_lr": 0.1, "channels": 16} | changes


def build(**changes: Any) -> torch.nn.Module:
    config = archs.find(ARCH).build(3, **options(**changes))
    return mm.start(archs.complete(config, (32, 48)), None, seed=0)


@pytest.fixture
def cell(workspace: Callable[..., Path], train: Callable[..., Path]) -> Cell:
    def make(name: str = "cell", numbers: Options | None = None, **changes: Any) -> dict:
        archs = {ARCH: options(**changes)}
        root = workspace(
            **({"arch": ARCH, "archs": archs, "iterations": 2, "val_every": 2} | (numbers or {}))
        )
        return load_file(train(root / name) / "model.safetensors")

    return make


def backbone(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what the optimizer moves of a backbone: no running statistics of batch norms."""
    known = dict(pretrained.EfficientNetLite0().named_parameters())
    return {name: tensors[f"backbone.{name}"] for name in known}


def test_a_training_starts_from_the_published_weights(artifacts: Path) -> None:
    model = build()
    model.init_weights()
    images = np.stack([pair.image for pair in PairSet(artifacts / "real/val").pairs()])
    published = pretrained.load().eval()
    inputs = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        seen = model.data_preprocessor({"inputs": list(inputs.add(1).mul(127.5))}, False)["inputs"]
        torch.testing.assert_close(seen, inputs, rtol=0, atol=1e-5)
        found, expected = model.eval().backbone(seen), published(seen)
    assert [features.shape[1] for features in found] == list(pretrained.CHANNELS)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)


def test_a_saved_segmenter_is_built_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    config = archs.complete(archs.find(ARCH).build(3, **options()), (32, 48))
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package")
    mm.build_model(config)
    archs.find(ARCH).build(3, **options(pretrained=None))
    with pytest.raises(UserError, match="or set pretrained to null"):
        archs.find(ARCH).build(3, **options())


def test_the_backbone_learns_at_its_own_rate(cell: Cell) -> None:
    start = dict(pretrained.load().named_parameters())

    def moved(tensors: dict[str, torch.Tensor]) -> float:
        far = [(t - start[name]).abs().mean().item() for name, t in backbone(tensors).items()]
        assert min(far) > 0, "every layer learns"
        return float(np.mean(far))

    slow, fast = cell("slow", backbone_lr=0.01), cell("fast", backbone_lr=1.0)
    # AdamW moves a weight by its rate, whatever the gradient is
    assert moved(fast) / moved(slow) == pytest.approx(100, rel=0.3)
    heads = [tensors["decode_head.conv_seg.weight"] for tensors in (slow, fast)]
    drawn = build().decode_head.conv_seg.weight
    near, far = ((head - drawn).abs().mean().item() for head in heads)
    assert near == pytest.approx(far, rel=0.3)


def test_equal_seeds_give_equal_weights(cell: Cell) -> None:
    one, two = cell("one"), cell("two")
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


@pytest.mark.parametrize("name", ["efficientnet_lite0", None])
def test_it_learns(
    workspace: Callable[..., Path], train: Callable[..., Path], name: str | None
) -> None:
    numbers = {"iterations": 40, "val_every": 40, "lr": 1e-2, "per_batch": PAIRS}
    root = workspace(
        {"real": {}}, arch=ARCH, archs={ARCH: options(pretrained=name, backbone_lr=0.3)}, **numbers
    )
    about = json.loads((train(root / "cell", "real") / "cell.json").read_text())
    (_, first), *_, (_, last) = about["loss_curve"]
    assert last < 0.6 * first
    assert about["val_curve"][-1][1] > 60
