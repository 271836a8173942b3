"""Palette controls: what a user asks of the palettes that a set draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from data.pairs.classes import ClassTable
from data.stage.errors import UserError
from data.stage.params import Params
from synth.palettes.adaptive import Law

NUM_TRIES = 256
"""Palettes drawn for one pair before giving up: the law of real palettes has none like it."""


class Controls(Params):
    """Key `controls` of a set: shares by class name, 0 to 1 of the image.

    `absent` classes get no pixel, `exactly` fixes a share, `at_least` raises smaller ones, `boost`
    multiplies what was drawn (0 stays 0). The other classes give or take in proportion. `realism`
    is a quantile of the real training palettes: palettes less likely than that are drawn again;
    null accepts all.
    """

    absent: tuple[str, ...] = ()
    exactly: dict[str, float] = Field(default_factory=dict)
    at_least: dict[str, float] = Field(default_factory=dict)
    boost: dict[str, float] = Field(default_factory=dict)
    realism: float | None = Field(default=None, ge=0, lt=1)


@dataclass(frozen=True)
class Control:
    """Controls as arrays over the C classes: NaN in `exactly` leaves a class free.

    `lowest` is the log density that a palette needs, None for any.
    """

    palettes: Law
    exactly: np.ndarray
    at_least: np.ndarray
    boost: np.ndarray
    lowest: float | None

    def sample(self, seed: int) -> np.ndarray:
        """Draw one palette, float32 `[C]`, that keeps every control.

        Raises `UserError` when none of `NUM_TRIES` draws is as likely as asked.
        """
        drawn = self.palettes.sample(NUM_TRIES, seed).astype(np.float64)
        kept = np.stack([self.apply(shares) for shares in drawn])
        good = np.isfinite(kept).all(1)
        if self.lowest is not None:
            density = np.full(len(kept), -np.inf)
            density[good] = self.palettes.log_density(kept[good])
            good &= density >= self.lowest
        if not good.any():
            raise UserError(
                f"none of {NUM_TRIES} palettes keeps the controls and is as likely as asked; "
                "lower `realism`, or ask for shares nearer to real ones"
            )
        return kept[int(good.argmax())].astype(np.float32)

    def apply(self, shares: np.ndarray) -> np.ndarray:
        """Return a palette `[C]` changed as little as the controls allow, NaN where impossible."""
        asked = np.where(np.isnan(self.exactly), shares * self.boost, self.exactly)
        held = ~np.isnan(self.exactly)
        while True:
            free = asked[~held].sum()
            room = 1 - np.where(held, asked, 0).sum()
            if free <= 0:
                return np.full(len(shares), np.nan) if room > 1e-9 else asked
            scaled = np.where(held, asked, asked * room / free)
            low = ~held & (scaled < self.at_least)
            if not low.any():
                return scaled
            # raised classes are held, the rest shrinks once more; at most C rounds
            asked = np.where(low, self.at_least, scaled)
            held |= low


def control(controls: Controls, classes: ClassTable, palettes: Law, real: np.ndarray) -> Control:
    """Check controls against a class table and real palettes `[N, C]`.

    Raises `UserError` for an unknown class, a class that is controlled twice, shares out of (0, 1)
    or that leave no room for the other classes.
    """
    _check_names(controls)
    exactly = _by_class(controls.exactly, classes, np.nan)
    at_least = _by_class(controls.at_least, classes, 0.0)
    _check_shares("exactly", controls.exactly)
    _check_shares("at_least", controls.at_least)
    asked = np.nansum(exactly) + at_least.sum()
    if asked >= 1:
        raise UserError(f"controls ask for {asked:.3g} of the image; leave room for the others")
    wrong = [f"{name}: {factor:g}" for name, factor in controls.boost.items() if factor <= 0]
    if wrong:
        raise UserError(f"boost {', '.join(wrong)} is not above 0; use `absent` to drop a class")
    exactly[[classes.index(name) for name in controls.absent]] = 0
    lowest = None
    if controls.realism is not None:
        lowest = float(np.quantile(palettes.log_density(real), controls.realism))
    return Control(palettes, exactly, at_least, _by_class(controls.boost, classes, 1.0), lowest)


def describe(controls: Controls) -> str:
    """Say in words what was asked for, empty for nothing."""
    parts = [f"no {name}" for name in controls.absent]
    parts += [f"{name} {share:.3g}" for name, share in controls.exactly.items()]
    parts += [f"{name} at least {share:.3g}" for name, share in controls.at_least.items()]
    parts += [f"{name} times {factor:.3g}" for name, factor in controls.boost.items()]
    if controls.realism is not None:
        parts.append(f"as likely as all but {100 * controls.realism:.3g} % of real palettes")
    return ", ".join(parts)


def _by_class(values: dict[str, float], classes: ClassTable, default: float) -> np.ndarray:
    array = np.full(classes.num_classes, default)
    for name, value in values.items():
        array[classes.index(name)] = value
    return array


def _check_names(controls: Controls) -> None:
    fixed = [*controls.absent, *controls.exactly]
    twice = [n for n in {*fixed} if fixed.count(n) > 1 or n in controls.at_least | controls.boost]
    if twice:
        raise UserError(
            f"controls name {', '.join(sorted(twice))} twice; an absent or exact share is neither "
            "raised nor boosted"
        )


def _check_shares(key: str, shares: dict[str, float]) -> None:
    wrong: Sequence[str] = [f"{k}: {v:g}" for k, v in shares.items() if not 0 < v < 1]
    if wrong:
        raise UserError(f"{key} {', '.join(wrong)} must be above 0 and below 1")
