"""What is said of a set of pairs, by a judge that reads colours."""

import numpy as np
import pytest

from data.pairs.shards import PairSet
from evaluate.metrics.frechet import effective_rank, frechet
from evaluate.metrics.images import Judge
from evaluate.metrics.quality import quality

JUDGE = Judge(
    predict=lambda images: np.zeros(images.shape[:3], np.uint8),
    describe=lambda images: images.mean(axis=(1, 2)),
    features="mean colour",
    sha256="0",
)


@pytest.fixture(scope="module")
def artifacts(make_project, tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project")) / "artifacts"


def quality_of(artifacts, recipe, rows):
    return quality(
        PairSet(artifacts / "pairs" / recipe),
        rows,
        PairSet(artifacts / "real/val"),
        JUDGE,
        batch_size=4,
        repainted=PairSet(artifacts / "repainted" / recipe),
    )


def colours(pairs, rows=None):
    return np.stack([pair.image.mean(axis=(0, 1)) for pair in pairs.pairs(rows)])


def test_synthetic_pairs_by_hand(artifacts):
    """Rows 6 to 17 are synthetic: layouts of rows 0 to 5, twice, in the same colours."""
    found = quality_of(artifacts, "semi", [6, 8, 13])
    pairs, val = PairSet(artifacts / "pairs/semi"), PairSet(artifacts / "real/val")
    own, held_out, train = colours(pairs, [6, 8, 13]), colours(val), colours(pairs, range(6))
    assert found["obedience"]["num_pairs"] == 3
    assert found["frechet"] == {
        "value": pytest.approx(frechet(own, held_out)),
        "features": "mean colour",
        "num_features": 3,
        "effective_rank": pytest.approx(effective_rank(held_out)),
        "num_pairs": 3,
        "num_held_out": 6,
    }
    shares = [pairs.column("palette")[[6, 8, 13]] * 100.0, val.column("palette") * 100.0]
    assert found["fsd"]["fsd"] == pytest.approx(frechet(*shares))
    assert (found["fsd"]["num_layouts"], found["fsd"]["num_held_out"]) == (3, 6)

    distance = np.linalg.norm(own[:, None] - train, axis=2)
    distance[[0, 1, 2], [0, 2, 1]] = np.inf  # their parents, whose colours they share
    assert found["copies"]["median"] == pytest.approx(np.median(distance.min(axis=1)))
    assert found["copies"]["closest"][0]["distance"] == pytest.approx(distance.min())

    brighter = 10 * np.sqrt(3)
    assert found["diversity"]["distance"] == pytest.approx(brighter)
    assert (found["diversity"]["num_layouts"], found["diversity"]["num_images"]) == (3, 6)
    scale = [np.linalg.norm(train[i] - train[j]) for i, j in ((0, 2), (0, 4), (2, 4))]
    assert found["diversity"]["percent"] == pytest.approx(100 * brighter / np.mean(scale))


def test_real_pairs_are_the_yardstick_of_distances_alone(artifacts):
    found = quality_of(artifacts, "real", [0, 2, 4])
    assert found["copies"] is None and found["diversity"] is None
    own = colours(PairSet(artifacts / "real/train"), [0, 2, 4])
    assert found["frechet"]["value"] == pytest.approx(
        frechet(own, colours(PairSet(artifacts / "real/val")))
    )


def test_one_image_has_no_distribution(artifacts):
    found = quality_of(artifacts, "palette", [7])
    assert found["fsd"] is None and found["frechet"] is None
    assert found["copies"]["num_pairs"] == 1
