"""Run lengths as COCO writes them: column by column, in printable characters.

The format is that of `rleToString` in cocoapi, common/maskApi.c.
"""

import numpy as np

_SHIFTS = 5 * np.arange(8)


def encode_mask(mask: np.ndarray) -> dict[str, object]:
    """Return a bool mask `[H, W]` as COCO's compressed RLE, `{"size": [H, W], "counts": text}`."""
    flat = np.concatenate([[False], mask.ravel(order="F")])  # the first run is background
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {"size": list(mask.shape), "counts": _compress(counts)}


def _compress(counts: np.ndarray) -> str:
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]  # from the fourth on: the difference to the last run of its kind
    # 5 bits a character, lowest first, until what is left is the sign of the last character
    shifted = values[:, None] >> _SHIFTS
    is_last = (shifted >= -16) & (shifted < 16)
    length = is_last.argmax(axis=1)
    place = np.arange(len(_SHIFTS))
    codes = (shifted & 31) + 32 * (place < length[:, None]) + 48
    return codes[place <= length[:, None]].astype(np.uint8).tobytes().decode("ascii")
