"""Wall time per stage, kept outside the outputs because it differs from run to run."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

TIMINGS_FILE = Path("artifacts/timings.jsonl")


@dataclass
class Timing:
    """What a stage reports of itself; `images` is the number of images shown or made."""

    images: int | None = None


@contextmanager
def timed(stage: str, path: Path = TIMINGS_FILE) -> Iterator[Timing]:
    """Time a stage and append one line to the timings when it succeeds.

    A line shorter than a disk block is appended in one write, so parallel stages do not mix.
    """
    timing, began = Timing(), time.monotonic()
    yield timing
    entry = {
        "stage": stage,
        "seconds": round(time.monotonic() - began, 1),
        "images": timing.images,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
