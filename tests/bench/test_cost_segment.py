"""Hours of segmenters: an iteration and AdvEnt's critic against counts by hand."""

import logging

import pytest
import torch
from torch import nn

from bench.cost import segment as cost
from data.stage.errors import UserError
from data.tools import preset
from segment import adapt


def test_advent_costs_three_passes_of_its_critic_over_real_and_synthetic_maps():
    """Frozen: forward, and back to the maps of the real half; then learning from both halves."""
    config = adapt.Config(weight=0.01, width=2, lr=1e-4)
    forward = first = 0
    inputs, places = 3, 32 * 64
    for outputs in (2, 4, 8, 16, 1):
        places //= 4
        forward += 16 * inputs * outputs * places
        first = first or forward
        inputs = outputs
    # learning: forward, back to weights and, but for the first layer, to features
    wanted = 2 * 2 * forward + 4 * (3 * forward - first)
    assert cost.adversary(config, (4, 3, 32, 64), num_real=2) == wanted


def test_an_iteration_goes_through_every_head():
    class Model(nn.Module):
        with_auxiliary_head = True

        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Conv2d(3, 4, 1, bias=False)
            self.decode_head = nn.Conv2d(4, 5, 1, bias=False)
            self.auxiliary_head = nn.Conv2d(4, 2, 1, bias=False)

        def extract_feat(self, images: torch.Tensor) -> torch.Tensor:
            return self.body(images)

    with torch.device("meta"):
        model = Model()
    # images take no gradient
    assert cost.iteration(model, 2, (8, 8)) == 2 * 64 * (2 * 3 * 4 + 3 * 4 * (5 + 2))


def test_the_command_prints_every_cell_and_the_formula(root, tmp_path, monkeypatch, caplog):
    text = preset.merged(
        (root / "params.yaml").read_text(),
        "rows: {palette: {adapt: advent}, half: {with: [palette], adapt: advent, until: 0.5},"
        " alone: {with: [palette], real: 0}}\n"
        "report: {rows: [real, real_more, semi, palette, half], once: [alone]}\n"
        "train: {folds: [0, 1]}\n"
        "trust: {palette: {method: cross_fitted, num_folds: 3, quantile: 0.1}}",
        "test",
    )
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)
    cost.main()
    cells = [line.split() for line in caplog.messages if " of " in line and " seed" in line]
    assert [cell[4] for cell in cells] == ["real", "real_more", "semi", "palette", "half", "alone"]
    real, more, semi, palette, half, alone = (float(cell[6]) for cell in cells)
    assert alone == real < semi == more, "an iteration costs what its pairs cost"
    assert semi < half < palette, "only a row that adapts has a critic, and only while it does"
    (folds,) = [line.split() for line in caplog.messages if line.startswith("fold ")][:1]
    assert folds[1:3] == ["2", "folds"] and float(folds[4]) == real
    (judges,) = [line.split() for line in caplog.messages if line.startswith("trust palette ")][:1]
    assert judges[2:4] == ["3", "folds"] and float(judges[5]) == real
    assert caplog.messages[-1].startswith("hours = ")


def test_impossible_speeds_are_refused_before_the_count():
    with pytest.raises(UserError, match="--tflops is above 0"):
        cost.main(tflops=-1.0)
