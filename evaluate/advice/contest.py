"""Who competes: baselines of real pairs alone, each with several augmentations, and candidates."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from data.stage.params import PARAMS_FILE, read, read_raw
from data.stage.progress import log
from evaluate.advice.config import SECTION, AdviseParams
from evaluate.config import BASELINE, BASELINES
from segment.config import Config
from segment.rows import RowParams, completed


@dataclass(frozen=True)
class Contest:
    """The competitions, rows as they are written in params.yaml: `baselines` by name, `candidates`.

    `left_out` says of candidates that do not compete why, `sets` are the entries of params.yaml,
    `filters` those of them that have a label filter.
    """

    params: AdviseParams
    segment: Config
    baselines: Mapping[str, Mapping[str, RowParams]]
    candidates: Mapping[str, RowParams]
    left_out: tuple[str, ...]
    sets: Mapping[str, Any]
    filters: Collection[str]

    def completed(self, name: str, row: RowParams) -> RowParams:
        """Return a row with its counts; one whose keys contradict each other is a `UserError`."""
        where = f"{SECTION}.candidates" if name in self.candidates else "rows"
        return completed(name, row, self.segment.per_batch, self.filters, where)

    def batch(self, name: str, row: RowParams) -> int:
        """Return how many pairs a batch of a row holds."""
        counted = self.completed(name, row)
        return (counted.real or 0) + (counted.synthetic or 0)


def read_contest(minutes: float | None = None) -> Contest:
    """Read from params.yaml who competes; what cannot be is a `UserError`, before any work.

    `minutes` stands for those of params.yaml.
    """
    params = read(SECTION, AdviseParams)
    if minutes is not None:
        if minutes <= 0:
            raise UserError(f"--minutes is {minutes:g}; give the search a minute or more")
        params = params.model_copy(update={"minutes": minutes})
    sets, rows = read_raw("sets") or {}, read_raw("rows") or {}
    left_out = {
        name: [entry for entry in row.sets if entry not in sets]
        for name, row in params.candidates.items()
    }
    candidates = {n: row for n, row in params.candidates.items() if not left_out[n]}
    if not candidates:
        there = ", ".join(sets) or "none"
        raise UserError(
            f"{PARAMS_FILE}: no entry of {SECTION}.candidates has all of its sets; `sets` has "
            f"{there}: add a candidate of these, or a set"
        )
    if BASELINE not in rows:
        raise UserError(f"{PARAMS_FILE}: `rows` lacks the baseline; add `{BASELINE}: {{}}`")
    baselines = {
        base: variants(base, read(f"rows.{base}", RowParams), params.augment)
        for base in BASELINES
        if base in rows
    }
    said = tuple(f"`{n}` (no set {', '.join(lack)})" for n, lack in left_out.items() if lack)
    segment, filters = read("segment", Config), tuple(read_raw("trust") or ())
    contest = Contest(params, segment, baselines, candidates, said, sets, filters)
    _check(contest)
    return contest


def variants(base: str, row: RowParams, words: Sequence[Any]) -> dict[str, RowParams]:
    """Return a baseline as it is, and once with each augmentation in place of its own."""
    if row.sets or row.pairs is not None:
        raise UserError(
            f"{PARAMS_FILE}: rows.{base} is a baseline, which learns from the real pairs alone, "
            "all of them; remove `with` and `pairs`"
        )
    others = {f"{base}_{w}": row.model_copy(update={"augment": (w,)}) for w in words}
    return {base: row} | {n: it for n, it in others.items() if it.augment != row.augment}


def augmented(row: RowParams, best: RowParams) -> RowParams:
    """Return a candidate with the augmentation of a baseline beside its own."""
    words = dict.fromkeys((*best.augment, *row.augment))
    return row.model_copy(update={"augment": tuple(words)})


def with_objects(contest: Contest, pairs: Path) -> Contest:
    """Return the contest without candidates whose sets were to move objects, and found none.

    Such a set repeats its parents: what it would win is not that of the objects. `pairs` is the
    folder of the sets. Raises `UserError` where no candidate is left.
    """
    used = dict.fromkeys(entry for row in contest.candidates.values() for entry in row.sets)
    empty = {name for name in used if _moved_nothing(PairSet(pairs / name))}
    lack = {n: sorted(empty & {*row.sets}) for n, row in contest.candidates.items()}
    candidates = {n: row for n, row in contest.candidates.items() if not lack[n]}
    if not candidates:
        raise UserError(
            f"no set of {SECTION}.candidates has a pair with an object in it ({', '.join(empty)}); "
            f"name `classes` in layouts.transplant, or add a candidate without these sets"
        )
    said = tuple(f"`{n}` (no object in {', '.join(found)})" for n, found in lack.items() if found)
    return replace(contest, candidates=candidates, left_out=contest.left_out + said)


def _moved_nothing(pairs: PairSet) -> bool:
    donors = [found for found in pairs.column("donors") if found is not None]
    return bool(donors) and not any(map(len, donors))


def _check(contest: Contest) -> None:
    every = [row for rows in contest.baselines.values() for row in rows.items()]
    for name, row in [*every, *contest.candidates.items()]:
        contest.completed(name, row)
    num_slices = contest.params.seeds.num_slices
    used = [entry for row in contest.candidates.values() for entry in row.sets]
    for name in dict.fromkeys(used):
        if (found := contest.sets[name].get("num_pairs", num_slices)) < num_slices:
            raise UserError(
                f"{PARAMS_FILE}: sets.{name} has {found} pairs, and {SECTION}.seeds has "
                f"{num_slices} seeds that read a slice each; raise its num_pairs"
            )


def say_left_out(contest: Contest) -> None:
    """Say in a line which candidates do not compete."""
    if contest.left_out:
        log.info(f"left out: {', '.join(contest.left_out)}")
