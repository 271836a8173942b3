"""Kept pairs are those of production; sets can be added to, cleared, opened and exported."""

import json

import numpy as np
import pytest

from data.pairs.pairset import PairSet
from data.pairs.schema import PICTURES
from data.stage.errors import UserError
from data.tools import verify
from studio.acts import gallery, keep
from studio.acts.gallery import Filter
from studio.state import parse
from studio.web import answers
from synth.stages import produce
from tests.studio.conftest import PRODUCE

EXACTLY = {"car": 0.25}


@pytest.fixture
def produced(artifacts, tmp_path, monkeypatch):
    """A set that the stage makes, of layouts, painter and controls."""
    monkeypatch.chdir(tmp_path)
    params = {
        "produce": PRODUCE,
        "compute": {"precision": "fp32", "channels_last": False, "threads": 1},
        "sets": {
            name: {
                "layouts": layouts,
                "painter": "regions",
                "num_pairs": 7,
                "keep": stays,
                "style": "one",
                "controls": {"exactly": EXACTLY},
            }
            for name, layouts, stays in (
                ("whole", "semantic_palette", False),
                ("moved", "transplant", "objects"),
            )
        },
    }
    (tmp_path / "params.yaml").write_text(json.dumps(params))

    def make(name, layouts):
        produce.main(
            set=name,
            train=artifacts / "real" / "train",
            palette=artifacts / "palette",
            layout=artifacts / "layouts" / layouts,
            painter=artifacts / "painters" / "regions",
            out=tmp_path / name,
            repainted=tmp_path / f"{name}-repainted",
        )
        return PairSet(tmp_path / name)

    return make


def scene_of(state, layouts="semantic_palette", index=5, **update):
    content = state.model_dump()
    dice = dict.fromkeys(content["scene"]["dice"], index)
    content["scene"] |= {"layouts": layouts, "exactly": EXACTLY, "dice": dice, **update}
    return parse(content)


@pytest.mark.parametrize(
    ("name", "layouts"), [("whole", "semantic_palette"), ("moved", "transplant")]
)
def test_a_kept_pair_is_the_one_that_production_makes_with_that_seed(
    name, layouts, produced, shelf, state
):
    made = produced(name, layouts)
    keep.keep(shelf, "mine", scene_of(state, layouts))
    kept = PairSet(shelf.artifacts / "kept" / "mine")
    assert kept.encoded(0, PICTURES) == made.encoded(5, PICTURES)
    for column in ("seed", "parent", "style", "donors", "sha256"):
        assert kept.column(column)[0] == made.column(column)[5]
    for column in ("palette", "target"):
        assert np.array_equal(kept.column(column)[0], made.column(column)[5])
    assert kept.column("source") == ["mine"]


def test_pairs_come_and_go_and_their_states_with_them(shelf, state):
    first = keep.keep(shelf, "mine", scene_of(state))
    second = keep.keep(shelf, "mine", scene_of(state, index=2))
    content = state.model_dump() | {"shown": "edit"}
    content["edit"]["steps"] = [{"kind": "hole", "left": 4, "top": 0, "width": 9, "height": 32}]
    third = keep.keep(shelf, "mine", parse(content))
    folder = shelf.artifacts / "kept" / "mine"
    assert PairSet(folder).ids() == [first, second, third]
    assert list(verify.faults(folder)) == []
    edited = PairSet(folder)[2]
    assert edited.parent == state.edit.pair and edited.edited is not None
    assert keep.state_of(shelf, "kept/mine", third) == parse(content)
    with pytest.raises(UserError, match="is in mine already"):
        keep.keep(shelf, "mine", scene_of(state))
    assert keep.drop(shelf, "mine", [first, third]) == 1
    assert PairSet(folder).ids() == [second]
    assert keep.state_of(shelf, "kept/mine", third) is None
    with pytest.raises(UserError, match="has no pair"):
        keep.drop(shelf, "mine", [first])
    assert keep.drop(shelf, "mine", [second]) == 0
    assert keep.sets_of(shelf.artifacts) == ["real/train"]
    assert [path.name for path in folder.parent.iterdir()] == [".lock"]


def test_what_another_studio_kept_stays(shelf, state):
    keep.keep(shelf, "mine", scene_of(state))
    other = type(shelf)(shelf.artifacts, shelf.compute, shelf.numbers)
    keep.keep(other, "mine", scene_of(state, index=1))
    keep.keep(shelf, "mine", scene_of(state, index=2))
    assert len(PairSet(shelf.artifacts / "kept" / "mine")) == 3


@pytest.mark.parametrize("name", ["Mine", "../mine", "", "a b", "real", "x" * 300])
def test_names_that_are_no_names_are_refused(name, shelf, state):
    with pytest.raises(UserError):
        keep.keep(shelf, name, scene_of(state))
    assert not list(shelf.artifacts.glob("kept/[!.]*"))


def test_a_gallery_shows_what_passes(shelf, state):
    for index in range(3):
        keep.keep(shelf, "mine", scene_of(state, index=index))
    items, total, sources = gallery.show(shelf, Filter(set="kept/mine", name="car", least=0.2))
    assert total == len(items) == 3 and sources == ["mine"]
    assert gallery.show(shelf, Filter(set="kept/mine", name="car", least=0.9))[1] == 0
    assert gallery.show(shelf, Filter(set="kept/mine", name="hat"))[1] == 0
    scored, _, _ = gallery.show(shelf, Filter(set="kept/mine", cell="real/0"))
    assert all(0 <= (item.score or 0) <= 1 for item in scored)
    best = max(item.score or 0 for item in scored)
    wanted = Filter(set="kept/mine", cell="real/0", score=best)
    assert [item.score for item in gallery.show(shelf, wanted)[0]].count(best) >= 1
    with pytest.raises(UserError, match=r"no set 'kept/\.\./real/train'"):
        gallery.show(shelf, Filter(set="kept/../real/train"))


def test_a_kept_set_is_exported(shelf, state):
    keep.keep(shelf, "mine", scene_of(state))
    said = answers.export_set(shelf, {"set": "kept/mine", "to": "mmseg"})["said"]
    out = shelf.artifacts / "exports" / "kept-mine-mmseg"
    assert said == f"written to {out}" and (out / "README.md").is_file()
    with pytest.raises(UserError, match="is not empty"):
        answers.export_set(shelf, {"set": "kept/mine", "to": "mmseg"})
    with pytest.raises(UserError, match="unknown format"):
        answers.export_set(shelf, {"set": "kept/mine", "to": "zip"})
