"""Production in parts: units of work that any process can make, again and with the same bytes.

A part is a small pair set of its own, one shard and its manifest, in a folder that appears under
its name when it is complete. A run that was killed keeps its finished parts.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from data.pairs.manifest import StartsFrom
from data.pairs.shards import WHOLE, Cut, PairSet, ShardWriter
from data.stage.compute import Compute
from data.stage.errors import UserError
from data.stage.outputs import name_once, remove
from data.stage.params import Params
from synth.making import sets

Kind = Literal["pairs", "repainted"]


class RepaintParams(Params):
    """`produce.repaint`: how many layouts are painted several times, and how often each."""

    num_layouts: int = Field(ge=1)
    num_images: int = Field(ge=2)


@dataclass(frozen=True)
class Free:
    """Marks a number of `produce` that no pair depends on; `files` says whether files do."""

    files: bool


class ProduceParams(Params):
    """Section `produce`: what the bytes of all sets depend on, and who makes them."""

    batch_size: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**31)
    repaint: Annotated[RepaintParams, Free(files=True)]
    pairs_per_shard: Annotated[int, Free(files=True)] = Field(default=256, ge=1)
    engine: Annotated[str, Free(files=False)] = "inline"
    workers: Annotated[int | None, Free(files=False)] = Field(default=None, ge=1)
    encoders: Annotated[int, Free(files=False)] = Field(default=2, ge=1)

    @classmethod
    def free(cls) -> dict[str, Free]:
        """Return the numbers that no pair depends on."""
        marks = {name: field.metadata for name, field in cls.model_fields.items()}
        return {name: m for name, found in marks.items() for m in found if isinstance(m, Free)}

    def made_of(self) -> dict[str, Any]:
        """Return what pairs depend on."""
        return self.model_dump(mode="json", exclude=set(self.free()))


@dataclass(frozen=True)
class Batch:
    """Pairs that are made at once; the first `kept` of them belong to the part."""

    indices: range
    again: int
    kept: int


@dataclass(frozen=True)
class Part:
    """One unit of work: shard `number` of the pairs, or all that is painted several times."""

    kind: Kind
    number: int
    batches: tuple[Batch, ...]

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return f"{self.kind}-{self.number:05d}"

    @property
    def num_pairs(self) -> int:
        """Return how many pairs it has."""
        return sum(batch.kept for batch in self.batches)


@dataclass(frozen=True)
class Job:
    """All that a worker needs to make parts of one set, in any process on any machine.

    `folder` is where finished parts are; all paths are absolute and seen by every worker.
    `starts_from` names the real set of `train` as the user did.
    """

    name: str
    row: sets.SetParams
    numbers: ProduceParams
    compute: Compute
    train: Path
    artifacts: sets.Artifacts
    starts_from: StartsFrom
    fingerprint: str
    folder: Path

    def load(self, device: torch.device) -> sets.ReadySet:
        """Load the set onto a device, and set the number of threads its bytes depend on."""
        torch.set_num_threads(self.compute.threads)
        real, dtype = PairSet(self.train), self.compute.dtype
        return sets.load(self.name, self.row, real, self.artifacts, device=device, dtype=dtype)

    def writer(self, out: Path, cut: Cut = WHOLE) -> ShardWriter:
        """Return a writer of pairs of this set."""
        real = PairSet(self.train)
        return ShardWriter(
            out,
            classes=real.classes,
            size=real.size,
            fingerprint=self.fingerprint,
            prefix=self.name,
            cut=cut,
            origin={self.name: self.row.describe()},
            starts_from=self.starts_from,
        )


def plan(numbers: ProduceParams, num_pairs: int) -> list[Part]:
    """Cut the work into parts of whole batches, whose pairs depend on no other part.

    A shard has `pairs_per_shard`, rounded up to whole batches. The last batch is full too and its
    first pairs are kept, so that no pair depends on `num_pairs`.
    """
    size = numbers.batch_size
    batches = [
        Batch(range(first, first + size), 0, min(size, num_pairs - first))
        for first in range(0, num_pairs, size)
    ]
    per_shard = -(-numbers.pairs_per_shard // size)
    cuts = range(0, len(batches), per_shard)
    pairs = [
        Part("pairs", number, tuple(batches[first : first + per_shard]))
        for number, first in enumerate(cuts)
    ]
    count = numbers.repaint.num_layouts
    again = [
        Batch(range(first, min(first + size, count)), again, min(size, count - first))
        for again in range(numbers.repaint.num_images)
        for first in range(0, count, size)
    ]
    return [*pairs, Part("repainted", 0, tuple(again))]


def is_finished(job: Job, part: Part) -> bool:
    """Say whether an earlier run has made a part, to the last byte; one with a fault is removed."""
    folder = job.folder / part.name
    if not folder.exists():
        return False
    try:
        made = PairSet(folder)
        whole = len(made) == part.num_pairs and made.manifest["fingerprint"] == job.fingerprint
        for entry in made.manifest["shards"]:
            with (folder / entry["name"]).open("rb") as file:
                whole &= hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"]
    except (UserError, OSError):
        whole = False
    if not whole:
        remove(folder)
    return whole


def remove_unfinished(job: Job) -> None:
    """Remove what killed workers have left."""
    if job.folder.is_dir():
        for left in job.folder.glob(".*"):
            remove(left)


class OpenPart:
    """A part that is being written, under a name that no other worker uses.

    Two workers may make the same part, one of them believed dead: whoever finishes first wins, and
    the bytes are equal.
    """

    def __init__(self, job: Job, part: Part) -> None:
        """Make its folder and its empty shard."""
        self._target = job.folder / part.name
        job.folder.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=job.folder, prefix=f".{part.name}-"))
        self._writer = job.writer(self._folder, Cut(part.number, part.num_pairs, 2**63))
        self.encode, self.write = self._writer.encode, self._writer.write_encoded

    def finish(self) -> None:
        """Write its manifest, flush, and give it its name."""
        self._writer.__exit__(None, None, None)
        name_once(self._folder, self._target)

    def abandon(self) -> None:
        """Remove what there is."""
        stopped = InterruptedError("abandoned")
        self._writer.__exit__(type(stopped), stopped, None)
        remove(self._folder)
