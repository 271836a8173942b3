"""Rows: contradictions in the user's words, and files that change with what a row uses alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from data.pairs.pairset import PairSet
from data.pairs.spread import spread
from data.stage.errors import UserError
from segment import folds
from segment.batches.masks import MASKS
from segment.batches.sets import open_sets
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
        ({"pairs": 9, "with_": ["semi"]}, "has `pairs: 9` and sets, whose generators saw other"),
        ({"pairs": "all", "real": 0}, "`real: 0`, which shows none of them"),
        ({"augment": ["scale", "scale"]}, "names a word twice in `augment`"),
        ({"augment": "classmix"}, "a batch has 4 real and 0 synthetic ones; both must be above 0"),
        ({"mix": "separate"}, "has 4 real and 0 synthetic ones; batch norm needs two of each"),
        ({"mix": "separate", "with_": ["semi"], "synthetic": 1}, "batch norm needs two of each"),
        ({"control": "shuffled_labels"}, "no sets that it could spoil"),
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
        {"augment": ["scale", "heavy"]},
        {"pairs": 0},
        {"pairs": "most"},
        {"mix": "apart"},
        {"sampling": "rare"},
        {"control": "noise"},
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
        "pairs": None,
        "real": 2,
        "synthetic": 2,
        "mix": "together",
        "adapt": "none",
        "advent": None,
        "control": "none",
        "trust": False,
        "until": 1.0,
        "augment": [],
        "scale": None,
        "cutmix": None,
        "classmix": None,
        "sets": [
            {"name": "semi", "manifest": manifest_of(semi), "num_pairs": 9},
            {"name": "more", "manifest": manifest_of(more), "num_pairs": 18},
        ],
        "masks": [],
        "real_pairs": manifest_of(artifacts / "real/train"),
    }
    assert json.loads(files["adapted"])["advent"] == {"weight": 0.01, "width": 4, "lr": 1e-3}
    assert write(artifacts, workspace() / "again") == files
    assert read_row(Path("again/both.json")).content() == both


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


def test_numbers_of_an_augmentation_are_in_the_files_of_rows_that_use_it(
    artifacts: Path, workspace: Workspace
) -> None:
    rows = {"real": {}, "one": {"augment": "scale"}, "two": {"augment": ["photometric", "cutmix"]}}
    root = workspace(rows)
    files = {name: json.loads(text) for name, text in write(artifacts, root / "rows").items()}
    found = {name: [file[key] for key in ("scale", "cutmix")] for name, file in files.items()}
    cutmix = {"probability": 0.5, "area": [0.1, 0.5]}
    assert found == {"real": [None, None], "one": [[0.4, 1.2], None], "two": [None, cutmix]}
    assert files["two"]["augment"] == ["photometric", "cutmix"]


def test_a_sampling_is_in_the_file_of_a_row_that_has_one(
    artifacts: Path, workspace: Workspace
) -> None:
    """Without it files are what they were before there was the key."""
    rows = {"real": {}, "alike": {"sampling": "uniform"}, "rare": {"sampling": "rare_classes"}}
    files = write(artifacts, workspace(rows) / "rows")
    assert json.loads(files["rare"])["sampling"] == "rare_classes"
    assert files["alike"].replace(b"alike", b"real") == files["real"]
    assert b"sampling" not in files["real"]
    for name, wanted in (("alike", "uniform"), ("rare", "rare_classes")):
        assert read_row(workspace(rows) / "rows" / f"{name}.json").sampling == wanted


def test_a_row_may_learn_from_other_numbers_of_real_pairs(
    artifacts: Path, workspace: Workspace, write_set: Callable[..., PairSet]
) -> None:
    rows = {"real": {}, "few": {"pairs": 4}, "more": {"pairs": 9}, "every": {"pairs": "all"}}
    root = workspace(rows)
    shutil.copytree(artifacts, root / "copy")
    whole = PairSet(root / "copy/real/train")
    limited = np.sort(spread(whole.column("group"))[:6])
    (root / "copy/real/train").rename(root / "copy/real/pool")
    write_set(root / "copy/real/train", "real", limited.tolist())
    folders = {name: root / "copy" / name for name in ("pairs", "real", "trust")}
    main(**folders, out=root / "rows")

    def ids(name: str) -> list[str]:
        file = read_row(root / f"rows/{name}.json")
        found = open_sets(file, **folders, seam=0).real
        return [found.pairs.ids()[row] for row in found.rows]

    every = [f"real-{number:04d}" for number in range(12)]
    assert ids("every") == every and len(ids("real")) == 6
    assert len(ids("few")) == 4 and len(ids("more")) == 9
    assert set(ids("few")) < set(ids("real")) < set(ids("more")) < set(every)
    workspace(rows | {"most": {"pairs": 13}})
    with pytest.raises(UserError, match=r"rows\.most has `pairs: 13`, and there are 12 real pairs"):
        main(**folders, out=root / "again")


@pytest.mark.parametrize("seeds", [(0, 1, 2, 3), (0, 3)])
def test_seeds_that_share_slices_are_refused_before_anything_is_made(
    workspace: Workspace, seeds: tuple[int, ...]
) -> None:
    out = workspace(seeds=seeds) / "trust/filters.json"
    with pytest.raises(UserError, match=r"share slices .*num_slices is 3; raise it \(and"):
        filters.main(out=out)
    assert not out.exists()
    workspace(seeds=seeds, num_slices=0)
    with pytest.raises(UserError, match=r"num_slices is 0; raise it"):
        filters.main(out=out)


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
