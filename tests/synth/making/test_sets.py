"""What a set says, and what cannot be made is refused."""

from dataclasses import replace

import pytest

from data.pairs.classes import ClassTable
from data.stage.errors import UserError
from synth.layouts.common.edits import Edits
from synth.palettes.controls import Controls
from synth.training import artifact
from tests.synth import small
from tests.synth.making.helpers import CLASSES, ROWS, load, styled
from tests.synth.scenes import STREET


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"painter": "none"}, "draw no images; name a painter, or use transplant .* are a row"),
        ({"painter": "oasiss"}, "unknown painter 'oasiss'; there is"),
        ({"layouts": "semanticpalette"}, "unknown layout method"),
    ],
)
def test_a_set_that_cannot_be_made_is_refused(folder, row, message):
    wrong = ROWS["semi"].model_copy(update=row)
    with pytest.raises(UserError, match=message):
        load(folder, "semi", wrong)


def test_an_artifact_of_other_classes_is_refused(folder, tmp_path):
    ready = artifact.describe(folder / "oasis")
    other = replace(ready, classes=ClassTable(CLASSES.classes[:3]))
    artifact.write(tmp_path, other, None)
    with pytest.raises(UserError, match="other classes or at another size"):
        load(folder, "semi", painter=tmp_path)


@pytest.mark.parametrize("name", ["semi", "partial"])
def test_controls_are_refused_where_layouts_follow_no_palette(folder, name):
    row = ROWS[name].model_copy(update={"controls": Controls(absent=["void"])})
    with pytest.raises(UserError, match=r"follow no palette; use .*semantic_palette"):
        load(folder, name, row)


def test_edits_are_refused_where_layouts_are_no_edits(folder):
    row = ROWS["semi"].model_copy(update={"edits": Edits(remove=["car"])})
    with pytest.raises(UserError, match=r"are not edits of real ones; use partial_palette"):
        load(folder, "semi", row)
    row = ROWS["partial"].model_copy(update={"edits": Edits(remove=["car"])})
    with pytest.raises(UserError, match=r"trained without.*masks\.classes"):
        load(folder, "partial", row)


def test_styles_that_cannot_be_had_are_refused(folder):
    with pytest.raises(
        UserError,
        match=r"'oasis' takes none; use spade with an.*, regions, .* or remove",
    ):
        load(folder, "semi", ROWS["semi"].model_copy(update={"style": "one"}))
    with pytest.raises(UserError, match="no real ones with a look of their own; use one, mixed"):
        load(folder, "palette", styled("own", "semantic_palette"))


def test_a_bank_of_another_set_is_refused(folder, tmp_path):
    small.write_artifact(tmp_path, "regions", CLASSES, STREET, num_looks=3)
    with pytest.raises(UserError, match="looks of 3 pairs, the real set has 10; train the painter"):
        load(folder, "semi", styled("one"), painter=tmp_path)


@pytest.mark.parametrize("layouts", ["real", "semantic_palette", "gpnn"])
def test_nothing_is_kept_where_layouts_are_no_edits(folder, layouts):
    row = ROWS["semi"].model_copy(update={"layouts": layouts, "keep": True})
    with pytest.raises(
        UserError, match=r"keeps real pixels, but .* use partial_palette, transplant or remove"
    ):
        load(folder, "semi", row)


@pytest.mark.parametrize("keep", ["donors", "objects"])
def test_no_object_is_kept_where_layouts_put_none_into_real_pairs(folder, keep):
    row = ROWS["semi"].model_copy(update={"layouts": "gpnn", "keep": keep})
    with pytest.raises(UserError, match=r"'gpnn' put none into real pairs; use transplant, or"):
        load(folder, "semi", row)


def test_a_set_says_in_words_what_makes_it():
    row = ROWS["partial"]
    assert row.describe() == {"layouts": "partial_palette", "painter": "oasis"}
    row = row.model_copy(update={"keep": True, "edits": Edits(remove=["car"])})
    assert row.describe() == {
        **{"layouts": "partial_palette", "painter": "oasis"},
        **{"keep": "true", "edits": "without car"},
    }


def test_a_style_is_asked_for_in_words_and_only_then_part_of_what_a_set_is_made_of():
    assert styled("mixed").describe()["style"] == "mixed"
    assert styled("mixed").made_of()["style"] == "mixed"
    assert "style" not in {**styled(None).describe(), **styled(None).made_of()}
