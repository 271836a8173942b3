"""What must hold of the splits of a dataset: none is empty, no pair is in two of them."""

from collections.abc import Sequence

import numpy as np

from data.pairs.classes import ClassTable
from data.sources.files import RawPair
from data.stage.errors import UserError, some


def not_empty(raw: Sequence[RawPair], splits: Sequence[str]) -> None:
    """Raise `UserError` for a split without pairs."""
    for split in splits:
        if not any(pair.split == split for pair in raw):
            advice = " or take it out of dataset.splits" if split == "test" else ""
            raise UserError(f"split {split!r} is empty; give it images{advice}")


def unique(raw: Sequence[RawPair]) -> None:
    """Raise `UserError` for an image in two splits and for two images of one id."""
    named: dict[str, RawPair] = {}
    twice = [(first, p) for p in raw if (first := named.setdefault(p.id, p)) is not p]
    both = [pair for first, pair in twice if first.image == pair.image]
    for pair in both:
        first = named[pair.id]
        more = f" ({len(both)} such: {some(str(p.image) for p in both)})" if len(both) > 1 else ""
        raise UserError(
            f"{pair.image} is in the splits {first.split!r} and {pair.split!r}{more}; take it out "
            "of one, or scores will be of pairs that were trained on"
        )
    for first, pair in twice:
        more = f" ({len(twice)} such: {some(p.id for _, p in twice)})" if len(twice) > 1 else ""
        raise UserError(
            f"{first.image} and {pair.image} get the same id {pair.id!r}{more}; rename one of them"
        )


def in_one_split(twice: Sequence[tuple[RawPair, RawPair]]) -> None:
    """Raise `UserError` for images that are in two splits under two names."""
    named = [f"{a.image} ({a.split}) and {b.image} ({b.split})" for a, b in twice]
    if named:
        more = f" ({len(named)} such: {some(named)})" if len(named) > 1 else ""
        raise UserError(
            f"{named[0]} are the same image{more}; remove one, or scores will be of pairs that "
            "were trained on"
        )


def scorable(totals: dict[str, np.ndarray], classes: ClassTable) -> None:
    """Raise `UserError` for a split whose pixels, counted by class, none of mIoU's classes has."""
    for split, counts in totals.items():
        if not counts[list(classes.eval_ids)].any():
            advice = (
                "its labels may be withheld, as those of Cityscapes test: take it out of "
                "dataset.splits"
                if split == "test"
                else "give classes that occur in it `eval: true`, or give it other images"
            )
            raise UserError(
                f"split {split!r} has no pixel of a class that counts in mIoU; {advice}"
            )
