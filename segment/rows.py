"""A row of the table: how one kind of segmenter learns, from which sets, in which batches.

`RowParams` is what params.yaml says, `Row` what follows from it: a file that holds every number and
the hash of every set that a cell of the row depends on, and nothing else.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from data.pairs.manifest import MANIFEST
from data.pairs.sampling import Sampling
from data.pairs.spread import POOL, TRAIN
from data.stage.errors import UserError
from data.stage.params import PARAMS_FILE, Params, check_name, read, read_raw
from segment.adapt import Config as AdventConfig
from segment.batches.blends import ClassMix, CutMix
from segment.config import PerBatch

Adapt = Literal["none", "advent"]
Control = Literal["none", "shuffled_labels"]
Passes = Literal["together", "separate"]
Augment = Literal["photometric", "scale", "cutmix", "classmix"]
Pairs = Annotated[int, Field(ge=1)] | Literal["all"]
UNSAID = {"sampling"}  # keys of a row's file that are left out where they change nothing


def _several(value: Any) -> Any:
    """Take one word for a list of one."""
    return (value,) if isinstance(value, str) else value


class AugmentParams(Params):
    """Section `augment` of params.yaml: the numbers of what rows may do to their pairs."""

    scale: tuple[float, float]
    cutmix: CutMix
    classmix: ClassMix

    @field_validator("scale")
    @classmethod
    def _range(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError("scale is [smallest, largest] share of the side, above 0")
        return scale


class RowParams(Params):
    """An entry of `rows` in params.yaml; counts that are null are those of `segment.per_batch`."""

    sets: tuple[str, ...] = Field(default=(), alias="with")
    pairs: Pairs | None = None
    real: int | None = Field(default=None, ge=0)
    synthetic: int | None = Field(default=None, ge=0)
    mix: Passes = "together"
    adapt: Adapt = "none"
    control: Control = "none"
    trust: bool = False
    until: float = Field(default=1.0, gt=0, le=1)
    augment: Annotated[tuple[Augment, ...], BeforeValidator(_several)] = ()
    sampling: Sampling = "uniform"


class UsedSet(Params):
    """A set as a row knows it: `manifest` is the sha256 of its manifest file."""

    name: str
    manifest: str
    num_pairs: int


class UsedMasks(Params):
    """The masks of a set that a row applies: `sha256` is that of their file."""

    set: str
    sha256: str


class Row(Params):
    """The file of a row: pairs per batch, how it learns, and hashes of all that it learns from.

    `pairs` is the number of real pairs of `POOL` that it learns from, or `all` of them; None for
    those of `TRAIN`. Numbers that the row has no use for are None.
    """

    row: str
    pairs: Pairs | None
    real: int
    synthetic: int
    mix: Passes
    adapt: Adapt
    advent: AdventConfig | None = None
    control: Control
    trust: bool
    until: float
    augment: tuple[Augment, ...]
    scale: tuple[float, float] | None = None
    cutmix: CutMix | None = None
    classmix: ClassMix | None = None
    sampling: Sampling = "uniform"
    sets: tuple[UsedSet, ...]
    masks: tuple[UsedMasks, ...]
    real_pairs: str

    def content(self) -> dict[str, Any]:
        """Return what its file holds; a sampling that says nothing is left out."""
        return self.model_dump(mode="json", exclude=UNSAID if self.sampling == "uniform" else None)


def read_rows(path: Path = PARAMS_FILE) -> dict[str, RowParams]:
    """Read all rows of params.yaml, counts filled in; raise `UserError` for one that cannot be."""
    per_batch = read("segment.per_batch", PerBatch, path)
    filters = read_raw("trust", path) or {}
    found = {}
    for name in read_raw("rows", path) or {}:
        check_name(name)
        found[name] = completed(name, read(f"rows.{name}", RowParams, path), per_batch, filters)
    if not found:
        raise UserError(f"{path}: `rows` is empty; name at least the baseline, `real: {{}}`")
    return found


def completed(
    name: str,
    params: RowParams,
    per_batch: PerBatch,
    filters: Collection[str],
    section: str = "rows",
) -> RowParams:
    """Return a row with its counts; raise `UserError` where its keys contradict each other.

    `filters` are the sets that have a label filter, `section` is where the row stands.
    """
    real = per_batch.real if params.real is None else params.real
    default = per_batch.synthetic if params.sets else 0
    synthetic = default if params.synthetic is None else params.synthetic
    row = params.model_copy(update={"real": real, "synthetic": synthetic})
    for found, fault in _faults(row, real, synthetic, filters):
        if found:
            raise UserError(f"{PARAMS_FILE}: {section}.{name} {fault}")
    return row


def _faults(
    row: RowParams, real: int, synthetic: int, filters: Collection[str]
) -> Iterator[tuple[bool, str]]:
    """Yield whether a row has each fault, and the fault in words."""
    sets = row.sets
    yield from _faults_of_real_pairs(row, real)
    yield from _faults_of_both_kinds(row, real, synthetic)
    yield (
        not real and not sets,
        "shows no pairs: it has `real: 0` and no sets; name sets in `with`, or set `real`",
    )
    yield (
        synthetic > 0 and not sets,
        f"has `synthetic: {synthetic}` and no sets; name sets in `with`",
    )
    yield (
        bool(sets) and not synthetic,
        "names sets in `with` and shows none of their pairs; set `synthetic` above 0",
    )
    yield (
        len(set(sets)) < len(sets),
        "names a set twice in `with`; pairs are shown in proportion to the size of their set",
    )
    yield (
        real + synthetic < 2,
        "has one pair in a batch, and batch norm needs two; set `real` or `synthetic` higher",
    )
    yield (
        row.until < 1 and not real,
        f"has `until: {row.until:g}`, after which only real pairs are shown, and `real: 0`; "
        "remove `until`, or set `real` above 0",
    )
    yield (
        row.until < 1 and not sets,
        f"has `until: {row.until:g}` and no synthetic pairs that could end there; remove it",
    )
    yield (
        row.trust and not set(filters) & set(sets),
        "has `trust: true`, and none of its sets has a label filter; add one of them to `trust`, "
        f"which has {', '.join(filters) or 'none'}",
    )


def _faults_of_real_pairs(row: RowParams, real: int) -> Iterator[tuple[bool, str]]:
    yield (
        row.pairs is not None and bool(row.sets),
        f"has `pairs: {row.pairs}` and sets, whose generators saw other real pairs; remove one of "
        "the two, and set dataset.limit for both",
    )
    yield (
        row.pairs is not None and not real,
        f"has `pairs: {row.pairs}` and `real: 0`, which shows none of them; remove one of the two",
    )
    yield (
        len(set(row.augment)) < len(row.augment),
        "names a word twice in `augment`",
    )


def _faults_of_both_kinds(row: RowParams, real: int, synthetic: int) -> Iterator[tuple[bool, str]]:
    both = f"and a batch has {real} real and {synthetic} synthetic ones"
    yield (
        row.adapt == "advent" and not (real and synthetic),
        f"has `adapt: advent`, which compares real and synthetic pairs, {both}; both must be "
        "above 0",
    )
    yield (
        "classmix" in row.augment and not (real and synthetic),
        f"has `augment: classmix`, which pastes real pixels on synthetic pairs, {both}; both must "
        "be above 0",
    )
    yield (
        row.mix == "separate" and min(real, synthetic) < 2,
        f"has `mix: separate`, a pass for real and one for synthetic pairs, {both}; batch norm "
        "needs two of each",
    )
    yield (
        row.control != "none" and not row.sets,
        f"has `control: {row.control}` and no sets that it could spoil; name sets in `with`",
    )


def plain(per_batch: PerBatch, real_pairs: Path) -> Row:
    """Return the row of a segmenter that learns from real pairs alone, as the baseline does."""
    params = completed("real", RowParams(), per_batch, ())
    keys = params.model_dump(exclude={"sets"})
    return Row(row="real", sets=(), masks=(), real_pairs=manifest_of(real_pairs), **keys)


def real_set(real: Path, row: RowParams | Row) -> Path:
    """Return the folder of the real pairs of which a row learns from all or from `row.pairs`."""
    pool = real / POOL
    return pool if row.pairs is not None and pool.is_dir() else real / TRAIN


def read_row(file: Path) -> Row:
    """Read the file of a row; a missing or foreign one is a `UserError`."""
    try:
        return Row.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file} is missing; run the stage `rows`, or add the row to it") from None
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file} is not the file of a row ({reason}); run the stage `rows`") from (
            None
        )


def manifest_of(pairs: Path) -> str:
    """Return the sha256 of a set's manifest file, which holds the hash of every shard."""
    return hash_of(pairs / MANIFEST)


def hash_of(file: Path) -> str:
    """Return the sha256 of a file; a missing one is a `UserError`."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{file} is missing; run the stage that makes {file.parent}") from None


def as_json(row: Row) -> str:
    """Return the text of a row's file; equal rows are equal bytes."""
    return json.dumps(row.content(), indent=1, sort_keys=True) + "\n"
