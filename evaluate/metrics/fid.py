"""Genuine FID (Heusel et al., NeurIPS 2017), where the weights that define it are at hand."""

from evaluate.metrics.frechet import frechet
from evaluate.metrics.judge import features
from evaluate.metrics.metric import Found, Metric, Reference, Scored
from evaluate.statistics import evenly


def of_set(scored: Scored) -> Found | None:
    """Return the FID of the images against the real val images; None without the network."""
    val = scored.reference.val.inception
    if scored.inception is None or val is None or min(len(scored.rows), len(val)) < 2:
        return None
    describe = scored.inception.describe
    own = features(scored.pairs, scored.rows, describe, batch_size=scored.batch_size)
    return Found(frechet(own, val), facts={"sha256": scored.inception.sha256})


def yardstick(reference: Reference, count: int) -> float | None:
    """Return the FID of as many real training images against the val images."""
    train, val = reference.train.inception, reference.val.inception
    if train is None or val is None or min(len(train), len(val)) < 2:
        return None
    return frechet(train[evenly(range(len(train)), count)], val)


METRIC = Metric(
    "fid",
    header="FID",
    digits=1,
    better="lower",
    in_words="The same distance on the 2,048 pooled features of the Inception network of "
    "2015-12-05, images enlarged to 299x299. It compares with that of other reports only at equal "
    "counts and sizes; Semantic Palette's code feeds another network images outside its range, so "
    "the poster's FID is not this one.",
    compute=of_set,
    yardstick=yardstick,
)
