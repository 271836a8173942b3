"""Schedules of progressive growing: spans from a list of levels, and the paper's own table."""

from collections.abc import Sequence

from pydantic import NonNegativeInt, PositiveInt

from data.errors import UserError
from synth.method import Span

Level = tuple[NonNegativeInt, NonNegativeInt, PositiveInt]
"""Images shown while a level fades in, images shown while it is stable, batch size."""

# Batch, multiplier and resolution of the released schedule (street scenes, full generator).
PAPER_LEVELS = (
    (4, 1024, 4),
    (8, 512, 3),
    (16, 256, 3),
    (32, 64, 2),
    (64, 16, 2),
    (128, 8, 1),
    (256, 16, 1),
    (512, 8, 1),
    (1024, 4, 1),
)


def spans_of(levels: Sequence[Level], num_levels: int) -> tuple[Span, ...]:
    """Turn a list of levels, coarsest first, into spans; the base grid does not fade.

    Raises `UserError` when the list does not have one entry per level of the layout size.
    """
    if len(levels) != num_levels:
        raise UserError(
            f"the schedule has {len(levels)} levels, this layout size has {num_levels} (both sides "
            "halved down to the base grid); list `levels` from the coarsest to the full size"
        )
    spans = []
    for number, (fade, stable, batch_size) in enumerate(levels):
        if fade and number:
            spans.append(Span(fade, batch_size, number, fade=True))
        if stable:
            spans.append(Span(stable, batch_size, number))
    if not spans or spans[-1].level != num_levels - 1:
        raise UserError("the last level of the schedule shows no images; give it `stable` images")
    return tuple(spans)


def paper_steps(num_pairs: int) -> list[tuple[int, int, int]]:
    """Return (resolution, steps per phase, cumulative iterations) of the released schedule.

    steps = multiplier * int(150 num_pairs / batch); 4 pixels is only stabilised, every other
    resolution fades and then stabilises, each for that many steps.
    """
    table, total = [], 0
    for resolution, batch_size, multiplier in PAPER_LEVELS:
        steps = multiplier * int(150 * num_pairs / batch_size)
        total += steps * (1 if resolution == PAPER_LEVELS[0][0] else 2)
        table.append((resolution, steps, total))
    return table
