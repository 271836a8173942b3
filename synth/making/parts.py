"""Production in parts: units of work that any process can make, again and with the same bytes.

A part is a small pair set of its own, one shard and its manifest, in a folder that appears under
its name when it is complete. A run that was killed keeps its finished parts.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from pydantic import Field

from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from data.stage.outputs import name_once, remove
from data.stage.params import Params
from synth.layouts.common import edits
from synth.making import recipes
from synth.palettes import controls

Precision = Literal["fp32", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}

Kind = Literal["pairs", "repainted"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class RepaintParams(Params):
    """`produce.repaint`: how many layouts are painted several times, and how often each."""

    num_layouts: int = Field(ge=1)
    num_images: int = Field(ge=2)


class ProduceParams(Params):
    """Section `produce`: how many synthetic pairs, what their bytes depend on, and who makes them.

    `pairs_per_shard` and below change no byte of any pair.
    """

    num_pairs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**31)
    threads: int = Field(ge=1)
    repaint: RepaintParams
    precision: Precision = "fp32"
    pairs_per_shard: int = Field(256, ge=1)
    engine: str = "inline"
    workers: int | None = Field(None, ge=1)
    encoders: int = Field(2, ge=1)

    def made_of(self) -> dict[str, Any]:
        """Return what the bytes of a set depend on."""
        return self.model_dump(include={"num_pairs", "batch_size", "seed", "threads", "precision"})


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
    """All that a worker needs to make parts of one recipe, in any process on any machine.

    `folder` is where finished parts are; all paths are absolute and seen by every worker.
    """

    recipe: str
    row: recipes.RecipeParams
    numbers: ProduceParams
    train: Path
    palette: Path
    layout: Path
    painter: Path
    fingerprint: str
    folder: Path

    def load(self, device: torch.device) -> recipes.Recipe:
        """Load the recipe onto a device, and set the number of threads its bytes depend on."""
        torch.set_num_threads(self.numbers.threads)
        recipe = recipes.load(
            self.recipe,
            self.row,
            real=PairSet(self.train),
            palette=self.palette,
            layout=self.layout,
            painter=self.painter,
            device=device,
            dtype=DTYPES[self.numbers.precision],
        )
        assert recipe is not None, "a recipe of real pairs has no parts"
        return recipe

    def origin(self) -> dict[str, dict[str, str]]:
        """Say in words what makes its pairs."""
        words = {"layouts": self.row.layouts, "painter": self.row.painter}
        asked = {
            "controls": controls.describe(self.row.controls),
            "edits": edits.describe(self.row.edits),
        }
        return {self.recipe: words | {key: said for key, said in asked.items() if said}}


def plan(numbers: ProduceParams) -> list[Part]:
    """Cut the work into parts of whole batches, whose pairs depend on no other part.

    A shard has `pairs_per_shard`, rounded up to whole batches. The last batch is full too and its
    first pairs are kept, so that no pair depends on `num_pairs`.
    """
    size, total = numbers.batch_size, numbers.num_pairs
    batches = [
        Batch(range(first, first + size), 0, min(size, total - first))
        for first in range(0, total, size)
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
        real = PairSet(job.train)
        self._writer = ShardWriter(
            self._folder,
            classes=real.classes,
            size=real.size,
            fingerprint=job.fingerprint,
            prefix=job.recipe,
            first_shard=part.number,
            rows_per_shard=part.num_pairs,
            max_shard_bytes=2**63,
            origin=job.origin(),
        )
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
