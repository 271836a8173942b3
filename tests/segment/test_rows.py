"""Rows: contradictions in the user's words, and files that change with what a row uses alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from segment import folds
from segment.batches.masks import MASKS
from segment.config import PerBatch
from segment.rows import RowParams, completed, manifest_of, plain, read_row
from segment.stages import filters
from segment.stages.rows import main

PER_BATCH = PerBatch(real=4, synthetic=4)
FILTER = {"method": "cross_fitted", "num_folds": 2, "quantile": 0.1}

Workspace = Callable[..., Path]


def row(per_batch: PerBatch = PER_BATCH, **keys: Any) -> RowParams:
    keys = {key.removesuffix("_"): value for key, value in keys.items()}
    return completed("one", RowParams.model_validate(keys), per_batch, ["semi"])


def test_counts_are_those_of_per_batch_unless_the_row_says_others() -> None:
    def counts(**keys: Any) -> tuple[int | None, int | None]:
        found = row(**keys)
        return found.real, found.synthetic

    assert counts() == (4, 0)
    assert counts(real=8) == (8, 0)
    assert counts(with_=["semi"]) == (4, 4)
    assert counts(with_=["semi"], real=0) == (0, 4)
    assert counts(with_=["semi"], real=3, synthetic=1) == (3, 1)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"real": 0}, "shows no pairs: it has `real: 0` and no sets"),
        ({"synthetic": 2}, "has `synthetic: 2` and no sets"),
        ({"with_": ["semi"], "synthetic": 0}, "shows none of their pairs"),
        ({"with_": ["semi", "semi"]}, "names a set twice"),
        ({"real": 1}, "one pair in a batch"),
        ({"adapt": "advent"}, "a batch has 4 real and 0 synthetic ones; both must be above 0"),
        ({"adapt": "advent", "with_": ["semi"], "real": 0}, "has 0 real and 4 synthetic"),
        ({"with_": ["semi"], "real": 0, "until": 0.5}, "`until: 0.5`, after which only real"),
        ({"until": 0.5}, "no synthetic pairs that could end there"),
        ({"with_": ["more"], "trust": True}, "has a label filter; add one .*, which has semi$"),
        ({"trust": True}, "none of its sets has a label filter"),
    ],
)
def test_contradictions_are_named(keys: dict[str, Any], fault: str) -> None:
    with pytest.raises(UserError, match=rf"params\.yaml: rows\.one .*{fault}"):
        row(**keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"adapt": "daformer"},
        {"augment": "heavy"},
        {"real": -1},
        {"sets": ["semi"]},
        {"share": 0.5},
        {"trust": "cross_fitted"},
        {"until": 0},
        {"until": 1.5},
    ],
)
def test_unknown_keys_and_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RowParams.model_validate(keys)


def write(artifacts: Path, out: Path, root: Path | None = None) -> dict[str, bytes]:
    root = artifacts if root is None else root
    main(pairs=root / "pairs", real=root / "real", trust=root / "trust", out=out)
    return {path.stem: path.read_bytes() for path in out.iterdir()}


def test_a_file_holds_the_numbers_of_its_row_and_the_hashes_of_its_sets(
    artifacts: Path, workspace: Workspace
) -> None:
    files = write(artifacts, workspace() / "rows")
    both = json.loads(files["both"])
    semi, more = artifacts / "pairs/semi", artifacts / "pairs/more"
    assert both == {
        "row": "both",
        "real": 2,
        "synthetic": 2,
        "adapt": "none",
        "advent": None,
        "trust": False,
        "until": 1.0,
        "augment": "standard",
        "sets": [
            {"name": "semi", "manifest": manifest_of(semi), "num_pairs": 9},
            {"name": "more", "manifest": manifest_of(more), "num_pairs": 18},
        ],
        "masks": [],
        "real_pairs": manifest_of(artifacts / "real/train"),
    }
    assert json.loads(files["adapted"])["advent"] == {"weight": 0.01, "width": 4, "lr": 1e-3}
    assert write(artifacts, workspace() / "again") == files
    assert read_row(Path("again/both.json")).model_dump(mode="json") == both


def test_a_file_changes_only_if_what_its_row_uses_changes(
    artifacts: Path, workspace: Workspace
) -> None:
    rows: dict[str, Any] = {
        "real": {},
        "own": {"real": 4},
        "semi": {"with": ["semi"]},
        "more": {"with": ["more"]},
        "adapted": {"with": ["semi"], "adapt": "advent"},
        "trusted": {"with": ["semi", "more"], "trust": True},
    }
    trust = {"semi": FILTER}
    root = workspace(rows, trust)
    shutil.copytree(artifacts, root / "copy")
    masks = root / "copy/trust/semi" / MASKS
    masks.parent.mkdir(parents=True)
    masks.write_bytes(b"masks")

    def now(out: str) -> dict[str, bytes]:
        return write(artifacts, root / out, root / "copy")

    before = now("before")

    def stale(out: str) -> set[str]:
        after = now(out)
        return {name for name in before if before[name] != after[name]}

    assert stale("same") == set()
    masks.write_bytes(b"others")
    assert stale("masks") == {"trusted"}
    masks.write_bytes(b"masks")
    manifest = root / "copy/pairs/more/manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert stale("set") == {"more", "trusted"}
    manifest.write_text(manifest.read_text().rstrip("\n") + "\n")
    assert stale("back") == set()
    workspace(rows | {"semi": {"with": ["semi"], "until": 0.5}}, trust)
    assert stale("row") == {"semi"}
    workspace(rows, trust, per_batch={"real": 3, "synthetic": 2})
    assert stale("per_batch") == set(before) - {"own"}


def test_sets_that_are_not_there_are_named(artifacts: Path, workspace: Workspace) -> None:
    root = workspace({"real": {}, "odd": {"with": ["palete"]}})
    with pytest.raises(UserError, match=r"rows\.odd names the set 'palete', .* of more, semi"):
        write(artifacts, root / "rows")
    assert not (root / "rows").exists()
    with pytest.raises(UserError, match=r"`rows` is empty"):
        write(artifacts, workspace({}) / "rows")
    with pytest.raises(UserError, match=r"`rows\.one\.wiht` is not a known key"):
        write(artifacts, workspace({"one": {"wiht": ["semi"]}}) / "rows")


def test_masks_that_are_not_there_are_named(artifacts: Path, workspace: Workspace) -> None:
    root = workspace({"one": {"with": ["semi"], "trust": True}}, {"semi": FILTER})
    with pytest.raises(UserError, match=r"semi/masks\.npz is missing; run the stage"):
        write(artifacts, root / "rows")


def test_filters_are_checked_and_listed(workspace: Workspace) -> None:
    out = workspace() / "trust/filters.json"
    filters.main(out=out)
    assert json.loads(out.read_text()) == {}
    workspace(trust={"semi": FILTER})
    filters.main(out=out)
    assert json.loads(out.read_text()) == {"semi": FILTER}
    for wrong, fault in (
        ({}, "trust.semi needs a `method`: cross_fitted"),
        ({"method": "freemask"}, "unknown trust.semi.method 'freemask'; there is cross_fitted"),
        (FILTER | {"quantile": 2}, r"`trust\.semi\.quantile` = 2"),
    ):
        workspace(trust={"semi": wrong})
        with pytest.raises(UserError, match=fault):
            filters.main(out=out)


def test_folds_learn_as_the_baseline_does(artifacts: Path) -> None:
    real = PairSet(artifacts / "real/train")
    found = plain(PER_BATCH, real.path)
    assert (found.real, found.synthetic, found.sets, found.until) == (4, 0, (), 1)
    assert len(folds.divide(real, 3, "n")) == 3
