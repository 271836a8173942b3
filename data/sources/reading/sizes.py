"""Images and labels of different size: all of them are counted, and the fix follows the factor."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.stage.errors import UserError, some


@dataclass(frozen=True)
class Misfit:
    """An image and a label of other (width, height)."""

    image: Path
    size: tuple[int, int]
    label: Path
    label_size: tuple[int, int]

    def __str__(self) -> str:
        """Name both with their sizes."""
        sizes = ["x".join(map(str, size)) for size in (self.size, self.label_size)]
        return f"{self.image} is {sizes[0]}, its label {self.label} is {sizes[1]}"


def require_one_size(misfits: Sequence[Misfit], num_pairs: int) -> None:
    """Raise `UserError` when there are misfits among so many pairs."""
    if not misfits:
        return
    fact = f"{misfits[0]}; both must have one size"
    if len(misfits) > 1:
        fact = (
            f"{len(misfits)} of {num_pairs} labels have another size than their image: "
            f"{some(map(str, misfits))}"
        )
    raise UserError(f"{fact}; {_fix(misfits)}")


def _fix(misfits: Sequence[Misfit]) -> str:
    factors = {_factor(misfit.size, misfit.label_size) for misfit in misfits}
    if None not in factors:
        by = str(factors.pop()) if len(factors) == 1 else "a whole number"
        return (
            f"the labels are smaller by {by} in both directions: scale the images down to their "
            "labels, or the labels up to the nearest pixel (never smoothed)"
        )
    if all(m.size[0] * m.label_size[1] == m.size[1] * m.label_size[0] for m in misfits):
        return (
            "the aspect is the same: scale the images to the size of their labels, or the labels "
            "to the nearest pixel (never smoothed)"
        )
    return (
        "how label and image lie on each other cannot be told from here: export both again at "
        "one size, or crop what is too large"
    )


def _factor(size: tuple[int, int], label_size: tuple[int, int]) -> int | None:
    """Return how many times wider and higher an image is, None where that is not a whole number."""
    factor = size[0] // label_size[0]
    return (
        factor if factor > 1 and size == (factor * label_size[0], factor * label_size[1]) else None
    )
