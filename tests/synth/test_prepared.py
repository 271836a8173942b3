"""Prepared painters paint what the trained ones do; the neighbourhoods of a layout are exact."""

import numpy as np
import pytest
import torch
from torch import nn

from data.pairs.batches import onehot
from synth.painters import PAINTERS
from synth.painters.common.neighbourhoods import Neighbourhoods, find_neighbourhoods
from synth.training import ema
from synth.training.method import Given, PaintRequest, generator
from tests.synth import small
from tests.synth.small import PAINTERS_TRAINED

SIZE, CLASSES = (64, 128), 7
SETTINGS = {"width": 8, "hidden": 16, "noise_channels": 6}
SETTINGS |= {"max_channels": 1024, "num_blocks": 2}
CASES = {name: (name, {}) for name in PAINTERS_TRAINED} | {
    "noise a region": ("oasis", {"noise": "region", "noise_produced": "region"}),
    "noise a pixel": ("oasis", {"noise": "pixel", "noise_produced": "pixel"}),
    "codes": ("spade", small.CODES),
}


def trained(key):
    """A painter whose weights and statistics are far from their start, and its networks."""
    name, changes = CASES[key]
    torch.manual_seed(0)
    given, settings = Given(CLASSES, SIZE), small.known(name, **SETTINGS)
    method = small.build(name, given, **{**settings, **changes})
    has_statistics = ema.has_statistics(method.nets["G"])
    for layer in method.nets["G"].modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.2, 3)
    for weight in method.nets["G"].parameters():
        weight.data.mul_(8 if weight.dim() > 1 and has_statistics else 1)
        if weight.dim() == 1:
            weight.data.normal_(0, 0.1)
    for layer in method.nets["G"].modules():
        if isinstance(layer, nn.GroupNorm):
            layer.weight.data.uniform_(0.5, 2)
    return method, nn.ModuleDict(
        {name: method.nets[name] for name in method.kept}
    ).eval().requires_grad_(False)


def entry_of(key):
    return PAINTERS[CASES[key][0]]


def streets(count):
    label = torch.zeros(count, *SIZE, dtype=torch.long)
    rng = np.random.default_rng(0)
    for each in label:
        each[: rng.integers(20, 40)] = 1
        for class_id in range(2, CLASSES - 1):
            top, left = rng.integers(0, 44), rng.integers(0, 90)
            each[top : top + rng.integers(4, 20), left : left + rng.integers(4, 38)] = class_id
    return label


def paint(method, nets, layout):
    rngs = [generator(5, index) for index in range(len(layout))]
    with torch.no_grad():
        return method.sample(nets, PaintRequest(layout), rngs)


DRAWN = torch.Generator().manual_seed(0)
ROUNDING = {"sims": 10}  # of float32, for twice as many norms one after the other as CRN has
LAYOUTS = {
    "regions": onehot(streets(3), CLASSES),
    "every pixel its own": onehot(torch.randint(0, CLASSES, (2, *SIZE), generator=DRAWN), CLASSES),
    "soft": torch.randn(2, CLASSES, *SIZE, generator=DRAWN).softmax(1),
}


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("key", CASES)
def test_a_prepared_painter_paints_the_same(key, kind):
    method, nets = trained(key)
    wanted = paint(method, nets, LAYOUTS[kind])
    assert wanted.std() > 0.05
    # Rounding is compared with the contrast: norms of small maps amplify it in a few pixels.
    rounding = 1e-5 * ROUNDING.get(key, 1)
    for dtype, most, noise in ((torch.float32, rounding, rounding), (torch.bfloat16, 0.12, 0.04)):
        ready = entry_of(key).prepare(method, nets, dtype)
        differing = (paint(method, ready, LAYOUTS[kind]) - wanted).abs()
        assert differing.max() < most and differing.square().mean().sqrt() < noise * wanted.std()
    torch.testing.assert_close(paint(method, nets, LAYOUTS[kind]), wanted, msg="nets were changed")


def test_neighbourhoods_are_used_where_pixels_share_them(monkeypatch):
    method, nets = trained("spade")
    ready = entry_of("spade").prepare(method, nets, torch.float32)
    used = []
    at = Neighbourhoods.at
    monkeypatch.setattr(
        Neighbourhoods, "at", lambda self, size: used.append(at(self, size)) or used[-1]
    )
    paint(method, ready, LAYOUTS["regions"])
    assert used[0] is None, "two by four pixels are all different"
    assert used[-1] is not None
    assert find_neighbourhoods(LAYOUTS["soft"], CLASSES) is None


@pytest.mark.parametrize("num_classes", [3, 200])
def test_patterns_are_the_neighbourhoods_of_their_pixels(num_classes):
    label = torch.randint(0, num_classes, (2, 3, 4))
    label = label.repeat_interleave(12, 1).repeat_interleave(12, 2)
    label[0, 5, 7] = num_classes - 1
    (found,) = find_neighbourhoods(onehot(label, num_classes), num_classes).at(label.shape[1:])
    assert len(found.large) < label.numel() / 2
    assert len(torch.unique(found.small, dim=0)) == len(found.small)
    assert len(torch.unique(found.large, dim=0)) == len(found.large)
    padded = nn.functional.pad(label, (2, 2, 2, 2), value=num_classes)
    for pixel, row in enumerate(found.where.tolist()):
        image, y, x = np.unravel_index(pixel, label.shape)
        block = padded[image, y : y + 5, x : x + 5]
        for position, place in enumerate(found.large[row].tolist()):
            top, left = divmod(position, 3)
            seen = found.small[place]
            assert torch.equal(seen.view(3, 3), block[top : top + 3, left : left + 3])
            assert found.inside[place] == (block[top + 1, left + 1] < num_classes)
