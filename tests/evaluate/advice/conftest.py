"""Contests whose trials are written by hand: accuracies by row, no training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from evaluate.advice.contest import Contest, read_contest
from evaluate.advice.search import Entry, Run
from evaluate.advice.trials import Trial
from evaluate.cells import sums_of
from tests.segment import conftest as segment

GROUPS, EVAL_IDS = 8, (0, 1, 2)
ADVISE: dict[str, Any] = {
    "minutes": 60,
    "candidates": {
        "good": {"with": ["semi"], "sampling": "rare_classes"},
        "poor": {"with": ["semi"], "until": 0.8},
        "mixture": {"with": ["semi", "moved"], "real": 2, "synthetic": 6},
        "absent": {"with": ["palette"]},
    },
    "augment": ["photometric", "scale"],
    "share_augment": True,
    "rungs": [0.25, 0.5, 1.0],
    "keep": 0.5,
    "shortest": 0.25,
    "seeds": {"search": [5], "confirm": [0, 1, 2, 3, 4]},
    "at_least": 3,
    "split_seed": 0,
    "rare": 0.5,
    "num_named": 2,
    "unlabelled": None,
    "export": "mmseg",
}
SEGMENT = segment.SEGMENT | {
    "iterations": 80,
    "per_batch": {"real": 4, "synthetic": 4},
    "val_every": 10,
}
MADE = {"painter": "regions", "num_pairs": 12}
PARAMS: dict[str, Any] = {
    "sets": {"semi": {"layouts": "real"} | MADE, "moved": {"layouts": "transplant"} | MADE},
    "rows": {"real": {}, "real_more": {"real": 8}},
    "trust": {},
    "segment": SEGMENT,
    "advise": ADVISE,
}

Write = Callable[..., Path]


@pytest.fixture
def write_params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Change into a folder whose params.yaml has keys of `advise` and whole sections changed."""

    def write(sections: Mapping[str, Any] | None = None, **changes: Any) -> Path:
        params = PARAMS | {"advise": ADVISE | changes} | dict(sections or {})
        YAML(typ="safe", pure=True).dump(params, tmp_path / "params.yaml")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return write


@pytest.fixture
def contest(write_params: Write) -> Callable[..., Contest]:
    """Return a function that reads the contest of changed parameters."""

    def read(minutes: float | None = None, **changes: Any) -> Contest:
        write_params(**changes)
        return read_contest(minutes)

    return read


@pytest.fixture
def run() -> Callable[..., Run]:
    """Return a function that makes trials out of accuracies by row; what was asked is noted."""

    def made(
        accuracy: Mapping[str, float], asked: list[Entry], *, second: float = 0.01, noise: float = 0
    ) -> Run:
        def train(entry: Entry, label: str) -> Trial:
            asked.append(entry)
            kind = list(accuracy).index(entry.name)
            rng = np.random.default_rng([kind, entry.iterations, entry.seed])
            level = accuracy[entry.name] + noise * rng.normal()
            sums = np.stack([hits(level, rng) for _ in range(GROUPS)])
            miou = float((sums[:, 0, :3].sum(0) / sums[:, 2, :3].sum(0)).mean() * 100)
            curve = [[10 * n, miou - 20 / n, 0.0] for n in range(1, 9)]
            about = {
                "row": entry.name,
                "iterations": entry.iterations,
                "seed": entry.seed,
                "confirms": entry.confirms,
                "miou": miou,
                "val_curve": curve,
            }
            return Trial(about, sums, second * entry.iterations)

        return train

    return made


def hits(accuracy: float, rng: np.random.Generator) -> np.ndarray:
    """Return the sums of one group of images, `[4, C]`, so many of its pixels right."""
    truth = np.array([400, 200, 100, 50])
    right = rng.binomial(truth, accuracy)
    wrong = rng.multinomial(truth - right, np.full(4, 0.25))
    return sums_of(np.diag(right) + wrong, EVAL_IDS)


@pytest.fixture
def images(classes) -> Any:
    """Images that choose and others that confirm, in groups; their pixels are never read."""

    def some(name: str, words: str) -> Any:
        split = SimpleNamespace(
            name=name,
            pairs=SimpleNamespace(classes=classes),
            groups=tuple(map(str, range(GROUPS))),
            eval_ids=EVAL_IDS,
            named=True,
        )
        return SimpleNamespace(words=words, split=split, ids=[str(n) for n in range(GROUPS)])

    return SimpleNamespace(choose=some("val", "val"), confirm=some("test", "test"))
