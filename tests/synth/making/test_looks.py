"""Pairs are painted in the looks that their set asks for."""

import numpy as np
import pytest
import torch

from synth.making.looks import StyleLaw
from tests.synth import small
from tests.synth.making.helpers import load, styled


@pytest.mark.parametrize("style", [None, "own", "one", "mixed", "sampled"])
def test_a_pair_is_painted_in_the_look_that_its_set_asks_for(folder, style, monkeypatch):
    ready, asked = load(folder, "semi", styled(style)), []
    sample = type(ready.painter).sample
    monkeypatch.setattr(
        type(ready.painter),
        "sample",
        lambda self, nets, request, rngs: (
            asked.append(request.style) or sample(self, nets, request, rngs)
        ),
    )
    pairs = small.make_pairs(ready, range(8), seed=5)
    again = small.make_pairs(ready, range(8), seed=5, again=1)
    ids = [f"scene-{index}" for index in range(10)]
    if style in (None, "own", "one"):
        assert [pair.style for pair in pairs] == [ids[row] for row in asked[0]]
        own = [pair.style == pair.parent for pair in pairs]
        assert all(own) if style == "own" else not any(own)
        assert style == "own" or len({pair.style for pair in pairs}) > 3
    else:
        assert {pair.style for pair in pairs} == {None}
        assert asked[0].shape == {"mixed": (8, 4), "sampled": (8, 4, 9)}[style]
        assert len(asked[0].flatten(1).unique(dim=0)) == 8
        assert len(asked[0].unique(dim=1)[0]) > 1, "each class is drawn by itself"
    same_look = torch.equal(asked[0], asked[1])
    assert same_look == (style == "own"), "it is painted again in another look"
    alone = small.make_pairs(load(folder, "semi", styled(style)), [3], seed=5)[0]
    assert alone.style == pairs[3].style and torch.equal(asked[2][0], asked[0][3])
    assert (alone.image.astype(int) - pairs[3].image).max() <= 1
    assert [pair.parent for pair in again] == [pair.parent for pair in pairs]


def test_new_layouts_are_painted_in_any_look_and_have_no_parent(folder):
    ready = load(folder, "palette", styled("one", "semantic_palette"))
    pairs = small.make_pairs(ready, range(8), seed=5)
    assert {pair.parent for pair in pairs} == {None}
    assert len({pair.style for pair in pairs}) > 3


@pytest.mark.parametrize("count", [0, 1, 2, 250])
def test_sampled_styles_have_the_law_of_those_that_there_are(count):
    rng = np.random.default_rng(0)
    sides = rng.integers(0, 2, (count, 1))
    styles = (sides * 6 + rng.normal(0, 0.5, (count, 5))).astype(np.float32)
    law = StyleLaw.fit(styles)
    drawn = np.stack([law.draw(np.random.default_rng(seed)) for seed in range(400)])
    if count < 2:
        assert np.array_equal(drawn, np.repeat(styles if count else np.zeros((1, 5)), 400, 0))
        return
    assert (drawn >= styles.min(0)).all() and (drawn <= styles.max(0)).all()
    if count == 250:
        np.testing.assert_allclose(drawn.mean(0), styles.mean(0), atol=0.6)
        np.testing.assert_allclose(drawn.std(0), styles.std(0), rtol=0.15)
        assert len(law.weights) == 3
        assert ((drawn[:, 0] > 3) == (drawn[:, 4] > 3)).all(), "one side at a time"
