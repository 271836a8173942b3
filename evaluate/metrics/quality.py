"""How good synthetic pairs are, before any segmenter is trained on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data.pairs.shards import PairSet
from evaluate.cells import score_matrix
from evaluate.metrics.copies import copies
from evaluate.metrics.diversity import diversity
from evaluate.metrics.fid import NAMED, Inception
from evaluate.metrics.frechet import effective_rank, frechet
from evaluate.metrics.images import Judge, features, obedience
from evaluate.metrics.layouts import fsd
from evaluate.statistics import spread

Json = dict[str, Any]


def quality(
    pairs: PairSet,
    rows: Sequence[int],
    held_out: PairSet,
    judge: Judge,
    *,
    batch_size: int,
    repainted: PairSet | None = None,
    inception: Inception | None = None,
) -> Json:
    """Return obedience, fsd, frechet, fid, copies and diversity of the images of some rows.

    `rows` are synthetic ones, or real training ones for the yardstick, which has neither copies
    nor diversity. `repainted` are images of few layouts, each painted several times. Without
    `inception` there is no FID.
    """
    matrix = obedience(pairs, rows, judge.predict, batch_size=batch_size)
    own = features(pairs, rows, judge.describe, batch_size=batch_size)
    val = features(held_out, range(len(held_out)), judge.describe, batch_size=batch_size)
    found = {
        "obedience": {"num_pairs": len(rows)} | score_matrix(matrix, pairs.classes),
        "fsd": _fsd(pairs.column("palette")[list(rows)], held_out.column("palette")),
        "frechet": frechet_of(own, val, judge.features),
        "fid": None if inception is None else _fid(pairs, rows, held_out, inception, batch_size),
        "copies": None,
        "diversity": None,
    }
    real = pairs.select("real")
    if set(rows) <= set(real.tolist()) or min(len(real), len(val)) < 2:
        return found
    train = features(pairs, real, judge.describe, batch_size=batch_size)
    ids, parents = pairs.ids(), pairs.column("parent")
    found["copies"] = copies(
        own,
        train,
        val,
        ids=[ids[row] for row in rows],
        train_ids=[ids[row] for row in real],
        parents=[parents[row] for row in rows],
    )
    if repainted is not None and len(repainted):
        every = range(len(repainted))
        images = features(repainted, every, judge.describe, batch_size=batch_size)
        layouts = [pair.label.tobytes() for pair in repainted.pairs()]
        found["diversity"] = diversity(images, layouts, train[spread(range(len(train)), len(rows))])
    return found


def _fid(
    pairs: PairSet, rows: Sequence[int], held_out: PairSet, inception: Inception, batch_size: int
) -> Json | None:
    own = features(pairs, rows, inception.describe, batch_size=batch_size)
    val = features(held_out, range(len(held_out)), inception.describe, batch_size=batch_size)
    found = frechet_of(own, val, NAMED)
    return found and found | {"sha256": inception.sha256}


def _fsd(palettes: np.ndarray, held_out: np.ndarray) -> Json | None:
    if min(len(palettes), len(held_out)) < 2:
        return None
    return {
        "fsd": fsd(palettes, held_out),
        "num_layouts": len(palettes),
        "num_held_out": len(held_out),
    }


def frechet_of(images: np.ndarray, held_out: np.ndarray, name: str) -> Json | None:
    """Return the Frechet distance of two sets of features `[N, D]`, with what it rests on.

    None for sets of fewer than two images, which have no covariance.
    """
    if min(len(images), len(held_out)) < 2:
        return None
    return {
        "value": frechet(images, held_out),
        "features": name,
        "num_features": images.shape[1],
        "effective_rank": effective_rank(held_out),
        "num_pairs": len(images),
        "num_held_out": len(held_out),
    }
