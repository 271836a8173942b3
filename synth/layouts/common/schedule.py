"""Schedules of progressive growing: spans from a list of levels, and the paper's own table."""

from collections.abc import Sequence

from pydantic import NonNegativeInt, PositiveInt

from data.stage.errors import UserError
from synth.training.method import Span

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
