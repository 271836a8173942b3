"""Trials: one segmenter trained on one row for some iterations, kept with what it scored."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.confusion import scores
from data.stage.fingerprint import fingerprint
from data.stage.outputs import read_json, replacing, write_json
from evaluate.advice.images import Images, Shared
from evaluate.cells import sums_of
from segment.batches.sets import Sets, open_sets
from segment.config import Setup
from segment.rows import Row
from segment.stages.rows import Sources

TRIAL, SUMS = "trial.json", "sums.npy"


@dataclass(frozen=True)
class Trial:
    """What one training came to: `sums` float64 `[G, 4, C]` of the images that it was scored on.

    `about` is what is told of it; `seconds` is its wall time, which nothing but the plan follows.
    """

    about: dict[str, Any]
    sums: np.ndarray
    seconds: float

    @property
    def miou(self) -> float:
        """MIoU in percent; NaN where the images show no class that counts."""
        return float("nan") if self.about["miou"] is None else self.about["miou"]


@dataclass(frozen=True)
class Asked:
    """A training that is asked for; `confirms` says which images it is scored on."""

    row: Row
    iterations: int
    seed: int
    confirms: bool

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.row.row}-{self.iterations}-{self.seed}{'-confirms' * self.confirms}"


@dataclass(frozen=True)
class Bench:
    """Where trials run: each once, and found again by the fingerprint of its inputs."""

    folder: Path
    setup: Setup
    sources: Sources
    images: Shared

    def trial(self, asked: Asked, label: str) -> Trial:
        """Train what is asked for, or find the trial that did; `label` names it in the log.

        Only a trial that confirms ever sees the images that confirm. On a CPU, equal arguments
        give equal scores.
        """
        scored = self.images.confirm if asked.confirms else self.images.choose
        setup, sets = self._setup(asked), self._sets(asked)
        told = {"row": asked.row.content(), "seed": asked.seed, "on": scored.ids}
        made_of = fingerprint({"of": setup.made_of(told, sets.paths())}, [])
        folder = self.folder / asked.name
        found = read_trial(folder)
        if found is None or found.about["fingerprint"] != made_of:
            with replacing(folder) as partial:
                about = _train(sets, asked, setup, (scored, label), partial)
                write_json(partial / TRIAL, about | {"fingerprint": made_of})
            found = read_trial(folder)
            assert found is not None, "it was written just now"
        return found

    def _setup(self, asked: Asked) -> Setup:
        config = self.setup.config
        # the curve says whether training still rose; a search looks at its end alone
        every = min(config.val_every, asked.iterations) if asked.confirms else asked.iterations
        lengths = {"iterations": asked.iterations, "val_every": every}
        return replace(self.setup, config=config.model_copy(update=lengths))

    def _sets(self, asked: Asked) -> Sets:
        folders = {name: getattr(self.sources, name) for name in ("pairs", "real", "trust")}
        sets = open_sets(asked.row, **folders, seam=self.setup.config.seam)
        splits = {"val": self.images.choose.part}
        if asked.confirms:
            splits["test"] = self.images.confirm.part
        return replace(sets, splits=splits)


def _train(
    sets: Sets, asked: Asked, setup: Setup, on: tuple[Images, str], folder: Path
) -> dict[str, Any]:
    """Train, write the sums of the images that count, return what is told of the trial."""
    from segment.cell import train_cell

    scored, label = on
    began = time.monotonic()
    work = folder / "work"
    cell = train_cell(sets, asked.row, setup, seed=asked.seed, label=label, work_dir=work)
    seconds = time.monotonic() - began
    matrices = cell.matrices["test" if asked.confirms else "val"]
    split = scored.split
    sums = np.zeros((len(split.groups), 4, matrices.shape[-1]))
    np.add.at(sums, split.group, sums_of(matrices, split.eval_ids))
    np.save(folder / SUMS, sums, allow_pickle=False)
    result = scores(matrices.sum(axis=0, dtype=np.int64), split.eval_ids)
    return {
        "row": asked.row.row,
        "iterations": asked.iterations,
        "seed": asked.seed,
        "confirms": asked.confirms,
        "images": len(scored.ids),
        "miou": _number(result.miou),
        "loss": cell.curves.loss[-1][1],
        "val_curve": cell.curves.val,
        "seconds": round(seconds, 3),
    }


def read_trial(folder: Path) -> Trial | None:
    """Return a finished trial; None where there is none."""
    if not (folder / TRIAL).is_file():
        return None
    about = read_json(folder / TRIAL)
    seconds = about.pop("seconds")
    return Trial(about, np.load(folder / SUMS, allow_pickle=False), seconds)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
