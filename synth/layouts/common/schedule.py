"""Schedules of progressive growing: spans from a list of levels."""

from collections.abc import Sequence

from pydantic import NonNegativeInt, PositiveInt

from data.stage.errors import UserError
from synth.training.method import Span

Level = tuple[NonNegativeInt, NonNegativeInt, PositiveInt]
"""Images shown while a level fades in, images shown while it is stable, batch size."""


def spans_of(levels: Sequence[Level], num_levels: int) -> tuple[Span, ...]:
    """Turn a list of levels, coarsest first, into spans; the base grid does not fade.

    Fewer entries than a layout size has levels stop growing early. Raises `UserError` for more
    entries, or for a last one without stable images.
    """
    if not 1 <= len(levels) <= num_levels:
        raise UserError(
            f"`levels` has {len(levels)} entries, this layout size has {num_levels} levels (both "
            "sides halved down to the base grid); list 1 to that many, from the coarsest"
        )
    if not levels[-1][1]:
        raise UserError("the last entry of `levels` has no stable images; give it some")
    spans = []
    for number, (fade, stable, batch_size) in enumerate(levels):
        if fade and number:
            spans.append(Span(fade, batch_size, number, fade=True))
        if stable:
            spans.append(Span(stable, batch_size, number))
    return tuple(spans)
