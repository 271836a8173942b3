"""Do regions have the sizes and places of real ones? Distances between their distributions."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from data.pairs.components import components
from evaluate.metrics.metric import Found, Metric, Reference, Scored
from evaluate.statistics import evenly

FEWEST = 2  # layouts that show a class, below which nothing is said of it


def pieces(labels: Iterable[np.ndarray], num_classes: int) -> np.ndarray:
    """Return the connected components of labels `[H, W]`, float32 `[K, 4]`.

    Columns: which label, which class, the area as a fraction of the image, the lower edge as a
    fraction of the height.
    """
    found = []
    for number, label in enumerate(labels):
        numbered, classes = components(label, num_classes)
        areas = np.bincount(numbered.ravel(), minlength=len(classes) + 1)[1:] / label.size
        ends = [place[0].stop for place in ndimage.find_objects(numbered)]
        edges = np.asarray(ends, np.float64) / label.shape[0]
        found.append(np.column_stack([np.full(len(classes), number), classes, areas, edges]))
    return np.concatenate([np.empty((0, 4)), *found]).astype(np.float32)


def distances(made: np.ndarray, real: np.ndarray) -> dict[int, tuple[float, float]]:
    """Compare pieces `[K, 4]` class by class: 1-Wasserstein distances of sizes and of lower edges.

    Sizes are binary logarithms of areas, so that 1 is a factor of 2; edges are in percent of the
    height. A pixel counts, not a piece: what is compared is the piece that a pixel of the class
    lies in, for real labels have many specks of little area. Classes that fewer than two labels of
    either show are left out.
    """
    from scipy.stats import wasserstein_distance

    found = {}
    for entry in np.unique(real[:, 1]).tolist():
        ours, theirs = (part[part[:, 1] == entry].astype(np.float64) for part in (made, real))
        if min(len(np.unique(part[:, 0])) for part in (ours, theirs)) < FEWEST:
            continue
        weights = ours[:, 2], theirs[:, 2]
        sizes = wasserstein_distance(np.log2(ours[:, 2]), np.log2(theirs[:, 2]), *weights)
        edges = wasserstein_distance(ours[:, 3], theirs[:, 3], *weights)
        found[int(entry)] = float(sizes), 100 * float(edges)
    return found


def of_set(scored: Scored) -> Found | None:
    """Return the mean distance of sizes over the classes; part `edges`: that of lower edges."""
    labels = scored.pairs.labels(scored.rows)
    names = scored.pairs.classes.names
    found = distances(pieces(labels, len(names)), scored.reference.train.pieces)
    if not found:
        return None
    sizes = {names[entry]: size for entry, (size, _) in found.items()}
    edges = float(np.mean([edge for _, edge in found.values()]))
    return Found(float(np.mean([*sizes.values()])), parts={"edges": edges}, classes=sizes)


def yardstick(reference: Reference, count: int) -> float | None:
    """Return the distance of real training layouts to those of other groups, a mean over groups."""
    train = reference.train.pieces
    found = []
    for mine in reference.train.by_group():
        inside = np.isin(train[:, 0], mine[evenly(range(len(mine)), count)])
        others = ~np.isin(train[:, 0], mine)
        sizes = [size for size, _ in distances(train[inside], train[others]).values()]
        found += [float(np.mean(sizes))] if sizes else []
    return float(np.mean(found)) if found else None


METRIC = Metric(
    "components",
    header="sizes, octaves",
    digits=2,
    better="lower",
    in_words="How far the sizes of regions are from those of the real training layouts: the "
    "1-Wasserstein distance of the binary logarithm of the area of the region that a pixel lies "
    "in, a mean over classes; 1 is a factor of 2. The yardstick is the distance of real layouts "
    "of one group (video, scene) to those of the others.",
    compute=of_set,
    yardstick=yardstick,
)
