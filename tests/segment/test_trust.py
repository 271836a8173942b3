"""Label filters: components, who judges whom, thresholds of held-out real pairs, and the stage."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.pairs.components import components
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from segment.batches.masks import MASKS, Masks, read_masks
from segment.folds import divide
from segment.stages.trust import main
from segment.trust import TRUST, cross_fitted
from segment.trust.judging import Judging, Posteriors, means

FILTER = {"method": "cross_fitted", "num_folds": 3, "quantile": 0.25}

Workspace = Callable[..., Path]


def test_components_are_those_of_each_class_and_ignored_pixels_have_none() -> None:
    label = np.array([[0, 0, 1, 0], [1, 2, 1, 0], [1, 255, 1, 1]], np.uint8)
    numbered, classes = components(label, 3)
    assert classes.tolist() == [0, 0, 1, 1, 2]
    assert numbered.tolist() == [[1, 1, 3, 2], [4, 5, 3, 2], [4, 0, 3, 3]]
    values = np.arange(12.0).reshape(3, 4)
    assert means(numbered, 5, values).tolist() == [0.5, 5, (2 + 6 + 10 + 11) / 4, 6, 5]
    assert means(np.zeros((3, 4), np.int32), 0, values).tolist() == []


def test_thresholds_are_quantiles_of_the_class_itself() -> None:
    found = cross_fitted.thresholds({0: [0.2, 0.4, 0.6], 2: [0.9]}, 3, 0.5)
    assert found.tolist() == [0.4, 0.0, 0.9]


def test_a_pair_is_judged_by_the_segmenter_that_did_not_see_its_parent(artifacts: Path) -> None:
    real, pairs = PairSet(artifacts / "real/train"), PairSet(artifacts / "pairs/more")
    folds = divide(real, 3, "n")
    judges = cross_fitted.judges_of(pairs, real, folds)
    assert len(judges) == len(pairs)
    ids = real.ids()
    for row, parent in enumerate(pairs.column("parent")):
        if parent is None:
            assert judges[row] == [0, 1, 2]
        else:
            (judge,) = judges[row]
            assert ids.index(parent) in folds[judge]


def test_only_components_that_look_worse_than_real_ones_are_dropped(artifacts: Path) -> None:
    """Segmenters that know colours find boxes in another colour; of the rest, they drop a tail."""
    real, pairs = PairSet(artifacts / "real/train"), PairSet(artifacts / "pairs/more")
    colors = np.asarray([entry.color for entry in real.classes.classes], float)
    asked: list[tuple[int, set[int]]] = []

    def fit(held_out: np.ndarray, number: int) -> Posteriors:
        asked.append((number, set(held_out.tolist())))

        def posteriors(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
            distance = ((images[..., None, :] - colors) ** 2).sum(axis=-1)
            scores = np.exp(-distance / 2000)
            own = np.take_along_axis(scores, labels[..., None].astype(int), axis=-1)[..., 0]
            return own / scores.sum(axis=-1)

        return posteriors

    wrong = Painted(pairs, wrong_rows={2, 7})
    config = cross_fitted.Config(**FILTER | {"quantile": 0.01})
    found = cross_fitted.trusted(Judging(wrong, real, fit), config)
    assert [number for number, _ in asked] == [0, 1, 2]
    assert set.union(*(rows for _, rows in asked)) == set(range(12))
    masks = Masks(pairs.ids(), found.bits, pairs.size)
    for row in wrong.wrong_rows:
        assert not masks[pairs.ids()[row]][pairs[row].label == 2].any()
    boxes = np.stack([pair.label == 2 for pair in pairs.pairs()])
    swapped = np.isin(np.arange(len(pairs)), [*wrong.wrong_rows])[:, None, None] & boxes
    kept = np.stack([masks[name] for name in pairs.ids()])
    assert kept[~swapped].mean() > 0.8
    facts = found.facts["classes"]
    assert facts["void"]["kept"] <= 1 - swapped.sum() / boxes.sum() + 1e-4
    assert facts["void"]["real_components"] == 12


class Painted:
    """A set in which the box of some pairs was painted like sky."""

    def __init__(self, pairs: PairSet, wrong_rows: set[int]) -> None:
        self._pairs, self.wrong_rows = pairs, wrong_rows
        self.classes, self.size = pairs.classes, pairs.size
        self.ids, self.column = pairs.ids, pairs.column

    def __len__(self) -> int:
        return len(self._pairs)

    def arrays(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        image, label = self._pairs.arrays(row)
        if row in self.wrong_rows:
            color = np.asarray(self.classes.classes[0].color, np.uint8)
            image = np.where((label == 2)[..., None], color, image)
        return image, label


def run(artifacts: Path, out: Path, pairs: Path | None = None) -> dict:
    pairs = artifacts / "pairs/more" if pairs is None else pairs
    main(set="more", pairs=pairs, train=artifacts / "real/train", out=out)
    return json.loads((out / "trust.json").read_text())


def test_the_stage_writes_masks_and_what_they_were_made_of(
    artifacts: Path, workspace: Workspace
) -> None:
    root = workspace(trust={"more": FILTER}, iterations=10)
    content = run(artifacts, root / "trust/more")
    assert {path.name for path in (root / "trust/more").iterdir()} == {MASKS, "trust.json"}
    assert {key: content[key] for key in ("set", *FILTER)} == {"set": "more"} | FILTER
    pairs = PairSet(artifacts / "pairs/more")
    masks = read_masks(root / "trust/more")
    assert len(masks) == len(pairs)
    kept = np.stack([masks[name] for name in pairs.ids()])
    labels = np.stack([pair.label for pair in pairs.pairs()])
    for c, name in enumerate(pairs.classes.names):
        assert content["classes"][name]["kept"] == round(kept[labels == c].mean(), 4)
    assert content["kept"] == round(kept.mean(), 4)
    assert 0 < content["kept"] <= 1
    assert run(artifacts, root / "again") == content
    assert (root / "again" / MASKS).read_bytes() == (root / "trust/more" / MASKS).read_bytes()


def test_a_row_that_trusts_learns_from_trusted_pixels_alone(
    artifacts: Path, workspace: Workspace, train: Callable[..., Path]
) -> None:
    rows = {
        "plain": {"with": ["more"]},
        "trusted": {"with": ["more"], "trust": True},
    }
    root = workspace(rows, {"more": FILTER}, iterations=10, num_slices=1)
    (root / "copy").mkdir()
    for name in ("real", "pairs"):
        (root / "copy" / name).symlink_to(artifacts / name)
    content = run(artifacts, root / "copy/trust/more")
    assert content["kept"] < 1
    cells = {name: train(root / name, name, root=root / "copy") for name in rows}
    about = {name: json.loads((cell / "cell.json").read_text()) for name, cell in cells.items()}
    assert (about["plain"]["trusted"], about["trusted"]["trusted"]) == ([], ["more"])
    assert about["plain"]["loss_curve"] != about["trusted"]["loss_curve"]
    masks = root / "copy/trust/more" / MASKS
    masks.write_bytes(masks.read_bytes() + b" ")
    with pytest.raises(UserError, match="has not the masks that the file of row 'trusted' names"):
        stage_again(root)


def stage_again(root: Path) -> None:
    from segment.stages import train as train_stage

    folders = {name: root / "copy" / name for name in ("pairs", "real", "trust")}
    train_stage.main(row=root / "rows/trusted.json", seed=0, **folders, out=root / "no")


def test_mistakes_are_named_before_work_starts(artifacts: Path, workspace: Workspace) -> None:
    root = workspace(trust={"semi": FILTER})
    with pytest.raises(UserError, match="unknown set in `trust` 'more'; there is semi"):
        run(artifacts, root / "no")
    workspace(trust={"more": FILTER | {"num_folds": 13}})
    with pytest.raises(UserError, match=r"from 12 videos, .*, too few for 13 folds"):
        run(artifacts, root / "no")
    workspace(trust={"more": FILTER})
    pairs = PairSet(artifacts / "pairs/more")
    with ShardWriter(root / "mixed", classes=pairs.classes, size=pairs.size, fingerprint="f") as w:
        w.write(replace(pairs[0], source="real"))
    with pytest.raises(UserError, match="holds real pairs"):
        run(artifacts, root / "no", root / "mixed")
    assert not (root / "no").exists()


@pytest.mark.parametrize("name", TRUST)
def test_every_filter_has_its_numbers(name: str) -> None:
    assert set(TRUST[name].Config.model_fields) > {"method"}
