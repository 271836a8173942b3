"""Which rows of a set are looked at."""

from collections.abc import Sequence


def spread(rows: Sequence[int], count: int) -> list[int]:
    """Return `count` of the rows, or all if there are fewer, evenly spaced over the set."""
    count = min(count, len(rows))
    return [int(rows[index * len(rows) // count]) for index in range(count)]
