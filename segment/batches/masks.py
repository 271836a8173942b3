"""Masks of trusted pixels of a set, one for each pair, bit by bit in one file.

A set is never rewritten: what a label filter says of it lies beside it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.stage.errors import UserError

MASKS = "masks.npz"


class Masks:
    """The masks of a set: `masks[id]` is bool `[H, W]`, true where the label is trusted."""

    def __init__(self, ids: Sequence[str], bits: np.ndarray, size: tuple[int, int]) -> None:
        self._bits, self._size = bits, size
        self._rows = {name: row for row, name in enumerate(ids)}

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._rows)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the mask of a pair; a pair without one is a `UserError`."""
        if name not in self._rows:
            raise UserError(f"no mask for pair {name!r}; run the stage `trust` of its set again")
        height, width = self._size
        flat = np.unpackbits(self._bits[self._rows[name]], count=height * width)
        return flat.reshape(height, width).astype(bool)


def packed(mask: np.ndarray) -> np.ndarray:
    """Return a mask bool `[H, W]` as bits, uint8 `[ceil(H * W / 8)]`."""
    return np.packbits(mask.ravel())


def write_masks(folder: Path, ids: Sequence[str], bits: np.ndarray, size: tuple[int, int]) -> None:
    """Write the masks of a set, `bits` uint8 `[N, ceil(H * W / 8)]`, into a folder."""
    np.savez_compressed(folder / MASKS, ids=np.asarray(ids), bits=bits, size=np.asarray(size))


def read_masks(folder: Path) -> Masks:
    """Read the masks in a folder; raise `UserError` for none, or for a damaged file."""
    file = folder / MASKS
    try:
        with np.load(file, allow_pickle=False) as content:
            ids, bits, size = (content[name] for name in ("ids", "bits", "size"))
        height, width = size.tolist()
        if bits.dtype != np.uint8 or bits.shape != (len(ids), -(-height * width // 8)):
            raise ValueError("its masks have another size than it says")
    except FileNotFoundError:
        raise UserError(f"{file} is missing; run the stage `trust` of this set") from None
    except Exception as error:  # zip, npy and sizes: each fails in its own way
        reason = " ".join(str(error).split())[:100]
        raise UserError(f"{file} is damaged ({reason}); run its stage again") from None
    return Masks(ids.tolist(), bits, (height, width))
