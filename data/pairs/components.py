"""Connected components of the classes of a label map."""

import numpy as np
from scipy import ndimage


def components(
    label: np.ndarray, num_classes: int, *, corners: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Number the connected components of each class in a label `[H, W]`.

    Returns the number of each pixel's component, int32 `[H, W]`, 0 where it is ignored, and the
    class of each component, int64 `[K]`, of which component k is entry k - 1. Pixels are connected
    along their sides, and with `corners` there too.
    """
    shape = np.ones((3, 3), np.int8) if corners else None
    numbered = np.zeros(label.shape, np.int32)
    classes: list[int] = []
    for entry in np.unique(label[label < num_classes]).tolist():
        found, count = ndimage.label(label == entry, shape)  # pyright: ignore[reportGeneralTypeIssues]  # untyped: a pair unless given `output`
        numbered[found > 0] = found[found > 0] + len(classes)
        classes += [entry] * count
    return numbered, np.asarray(classes, np.int64)
