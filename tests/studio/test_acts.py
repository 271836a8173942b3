"""Scenes are those of production; edits leave alone what is outside them; walks keep one mode."""

import shutil

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from data.stage.errors import UserError
from studio.acts import canvas, edit, judge, scene, walk
from studio.state import Brush, Edit, Hole, Put, Remove, Resize, Scene, Thrown, parse
from synth.training.artifact import WEIGHTS
from tests.studio.conftest import CLASSES
from tests.synth import small
from tests.synth.scenes import STREET

CAR = 2


def edited(shelf, state, *steps, **update):
    content = {**state.edit.model_dump(), "steps": [one.model_dump() for one in steps], **update}
    return edit.show(shelf, Edit.model_validate(content))


def test_a_scene_is_asked_for_what_is_locked_and_others_give_way(shelf, state):
    free = scene.show(shelf, state.scene)
    locked = state.scene.model_copy(update={"exactly": {"car": 0.3}, "absent": ("hat",)})
    made = scene.show(shelf, locked)
    assert made.asked[CAR] == pytest.approx(0.3) and made.asked[3] == 0
    assert made.asked.sum() == pytest.approx(1, abs=1e-6)
    assert made.asked[0] / made.asked[1] == pytest.approx(free.asked[0] / free.asked[1], rel=1e-4)
    assert scene.shares_of(shelf.real, made.pair.label)[CAR] == pytest.approx(0.3, abs=0.01)


def test_dice_change_one_thing_each(shelf, state):
    def shown(**dice):
        return scene.show(shelf, state.scene.model_copy(update={"dice": Thrown(**dice)}))

    first, palette, layout = shown(), shown(palette=3), shown(layout=3)
    painter, style = shown(painter=3), shown(style=3)
    assert not np.array_equal(first.asked, palette.asked)
    assert np.array_equal(first.asked, layout.asked)
    assert not np.array_equal(first.pair.label, layout.pair.label)
    for other in (painter, style):
        assert np.array_equal(first.pair.label, other.pair.label)
        assert not np.array_equal(first.pair.image, other.pair.image)


def test_a_look_is_that_of_the_pair_that_was_chosen(shelf, state):
    made = scene.show(shelf, state.scene.model_copy(update={"look": "scene-4"}))
    assert made.pair.style == "scene-4"
    with pytest.raises(UserError, match="has no pair 'nobody'"):
        scene.show(shelf, state.scene.model_copy(update={"look": "nobody"}))


def test_palettes_that_no_real_pair_has_are_named(shelf, state):
    def said(exactly):
        found = scene.show(shelf, state.scene.model_copy(update={"exactly": exactly}))
        return " ".join(found.warnings)

    assert not said({})
    assert "unlike real ones (more car" in said({"car": 0.8})
    assert "no real pair shows hat" in said({"hat": 0.2})


def test_twelve_variants_keep_the_palette_and_can_be_shown_alone(shelf, state):
    found = scene.variants(shelf, state.scene)
    assert len(found) == len({pair.image.tobytes() for _, pair in found}) == 12
    one, pair = found[5]
    alone = scene.show(shelf, one).pair
    assert (alone.label != pair.label).mean() < 0.01
    assert np.array_equal(scene.show(shelf, state.scene).asked, scene.show(shelf, one).asked)


STEPS = {
    "band": Hole(left=8, top=0, width=16, height=32),
    "box": Hole(left=8, top=8, width=12, height=12),
    "brush": Brush(name="hat", size=5, points=((3, 3), (20, 20))),
    "remove": Remove(x=0, y=0),
    "grow": Resize(name="car", share=0.3),
    "shrink": Resize(name="road", share=0.2),
    "gone": Resize(name="car", share=0),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
@pytest.mark.parametrize("editor", [True, False], ids=["editor", "no editor"])
def test_real_pixels_outside_an_edit_stay(step, editor, shelf, state, monkeypatch):
    if not editor:
        monkeypatch.setattr(type(shelf), "editor", lambda self: None)
    made = edited(shelf, state, step)
    mask = made.pair.edited
    assert mask is not None and 0 < mask.mean() < 1
    assert np.array_equal(made.pair.image[~mask], made.before.image[~mask])
    assert np.array_equal(made.pair.label[~mask], made.before.label[~mask])
    again = edited(shelf, state, step)
    assert np.array_equal(again.pair.image, made.pair.image)


def test_steps_do_what_they_say(shelf, state):
    def share(name, *steps):
        label = edited(shelf, state, *steps).pair.label
        return (label == shelf.real.classes.index(name)).mean()

    assert share("car", STEPS["gone"]) == 0
    assert share("car", STEPS["grow"]) == pytest.approx(0.3, abs=0.02)
    assert share("road", STEPS["shrink"]) == pytest.approx(0.2, abs=0.01)
    assert share("hat", STEPS["brush"]) > 0.02
    assert share("hat", STEPS["brush"], Resize(name="hat", share=0)) == 0
    box = edited(shelf, state, STEPS["box"]).pair.edited
    assert box is not None and box.sum() == 144 and box[8:20, 8:20].all()


def test_an_object_keeps_its_pixels_and_its_size_follows_the_row(shelf, state):
    bank = shelf.objects()
    assert bank is not None
    number = int(np.flatnonzero(bank.bank.kind == CAR)[0])
    made = edited(shelf, state, Put(object=number, x=30, y=28))
    assert made.pair.donors == (shelf.real.ids()[int(bank.bank.donor[number])],)
    assert made.pair.style is None, "nothing was painted"
    assert made.pair.edited is not None and made.pair.label[made.pair.edited].tolist().count(CAR)
    high, low = (
        canvas.place_of((32, 64), bank, Put(object=number, x=30, y=y)).scale for y in (14, 31)
    )
    assert low >= high
    undone = edited(shelf, state)
    assert np.array_equal(undone.pair.image, made.before.image)


def test_a_class_can_have_the_look_of_another_pair(shelf, state):
    own = edited(shelf, state, STEPS["grow"])
    other = edited(shelf, state, STEPS["grow"], looks={"car": "scene-7"})
    assert own.pair.style == state.edit.pair and other.pair.style is None
    assert np.array_equal(own.pair.label, other.pair.label)
    assert not np.array_equal(own.pair.image, other.pair.image)
    alone = edited(shelf, state, looks={"car": "scene-7"}).pair
    assert np.array_equal(alone.edited, alone.label == CAR), "the class as it is, in that look"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Hole(left=500, top=0, width=4, height=4), "step 1: the box lies outside"),
        (Remove(x=900, y=2), "outside the image of 64x32"),
        (Put(object=9999, x=1, y=1), "there is no object 9999"),
        (Brush(name="dog", size=2, points=((1, 1),)), "unknown class 'dog'"),
        (Resize(name="hat", share=0.1), "no other training pair shows hat"),
    ],
)
def test_steps_that_cannot_be_done_are_refused(step, message, shelf, state, monkeypatch):
    monkeypatch.setattr(type(shelf), "editor", lambda self: None)
    with pytest.raises(UserError, match=message) as error:
        edited(shelf, state, step)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["palette", "noise", "style"])
def test_a_walk_begins_at_its_scene_and_keeps_one_mode(what, shelf, state):
    content = state.model_dump() | {"walk": {"what": what, "to": 5, "frames": 4}}
    walked = walk.show(shelf, parse(content))
    first = scene.show(shelf, state.scene).pair
    assert np.array_equal(walked.labels[0], first.label)
    assert np.abs(walked.images[0].astype(int) - first.image).max() <= 1
    last = Thrown(**{{"palette": "palette", "noise": "layout", "style": "style"}[what]: 5})
    end = scene.show(shelf, state.scene.model_copy(update={"dice": last})).pair
    assert (walked.labels[-1] != end.label).mean() < 0.02
    assert walked.differences["one mode kept"] < walked.differences["a mode for each frame"]
    assert any("without codes" in name for name in walked.differences)


@pytest.fixture
def patches(artifacts, run):
    """Layouts that are put together of patches, beside those of the run."""
    layouts = artifacts / "layouts"
    layouts.unlink()
    shutil.copytree(run / "layouts", layouts)
    train = run / "real" / "train"
    small.write_artifact(layouts / "gpnn", "gpnn", CLASSES, STREET, train=train)


@pytest.mark.parametrize("what", ["palette", "style"])
def test_layouts_of_patches_walk_to_another_palette_and_look(what, patches, shelf, state):
    content = state.model_dump() | {"walk": {"what": what, "to": 5, "frames": 4}}
    content["scene"]["layouts"] = "gpnn"
    walking = parse(content)
    walked = walk.show(shelf, walking)
    first = scene.show(shelf, walking.scene).pair
    assert np.array_equal(walked.labels[0], first.label)
    moved = (walked.labels[-1] != walked.labels[0]).any()
    assert moved == (what == "palette")


def test_layouts_of_patches_walk_to_no_other_noise(patches, shelf, state):
    content = state.model_dump() | {"walk": {"what": "noise", "to": 5, "frames": 4}}
    content["scene"]["layouts"] = "gpnn"
    with pytest.raises(UserError, match="of patches, which lie nowhere between"):
        walk.show(shelf, parse(content))


def test_an_object_comes_nearer(shelf, state):
    content = state.model_dump() | {"walk": {"what": "nearer", "frames": 5}}
    with pytest.raises(UserError, match="put an object into the picture first"):
        walk.show(shelf, parse(content))
    content["edit"]["steps"] = [{"kind": "put", "object": 0, "x": 40, "y": 30}]
    walked = walk.show(shelf, parse(content))
    assert 2 <= len(walked.images) <= 5
    content["scene"]["seed"] += 1
    assert np.array_equal(walk.show(shelf, parse(content)).images, walked.images)
    content["edit"]["seed"] += 1
    assert not np.array_equal(walk.show(shelf, parse(content)).images, walked.images)
    assert not np.array_equal(walked.labels[0], walked.labels[-1])


def test_an_object_of_another_bank_is_named(shelf, state):
    content = state.model_dump() | {"walk": {"what": "nearer", "frames": 5}}
    content["edit"]["steps"] = [{"kind": "put", "object": 9999, "x": 40, "y": 30}]
    with pytest.raises(UserError, match="there is no object 9999"):
        walk.show(shelf, parse(content))


def test_a_painter_with_one_look_for_a_picture_has_none_by_class(shelf, state, artifacts, run):
    painters = artifacts / "painters"
    painters.unlink()
    shutil.copytree(run / "painters", painters)
    changed = painters / "spade"
    shutil.rmtree(changed)
    small.write_artifact(changed, "spade", CLASSES, STREET, **small.known("spade", **small.CODES))
    fill = load_file(changed / WEIGHTS)
    rows = len(shelf.real)
    shapes = {"styles": (rows, 1, 3), "shown": (rows, 1)}
    for name, shape in shapes.items():
        kind = torch.bool if name == "shown" else torch.float32
        fill[f"bank.{name}"] = torch.ones(shape, dtype=kind)
    save_file(fill, changed / WEIGHTS)
    made = edited(shelf, state, STEPS["grow"], painter="spade")
    assert made.pair.edited.any()
    with pytest.raises(UserError, match="one look for the whole picture, none by class"):
        edited(shelf, state, STEPS["grow"], painter="spade", looks={"car": "scene-7"})


def test_frames_differ_only_where_the_class_stays():
    images = np.zeros((2, 2, 2, 3), np.uint8)
    images[1, 0] = 100
    labels = torch.tensor([[[0, 0], [1, 1]], [[2, 0], [1, 1]]])
    assert walk.difference(images, labels) == pytest.approx(100 / 3, abs=1e-3)


def test_an_image_is_read_and_its_nearest_pair_found(shelf):
    image, label = shelf.real.arrays(3)
    found = judge.show(shelf, "real/0", image, label, None)
    assert found.nearest == "scene-3" and found.copy
    assert found.agree == pytest.approx((found.read == label).mean())
    assert found.sure.min() >= 0.25 and found.sure.max() <= 1
    beside = judge.show(shelf, "real/0", image, label, "scene-3")
    assert beside.nearest != "scene-3" and "beside its parent scene-3" in beside.said
    with pytest.raises(UserError, match=r"no segmenter 'x/0' is trained .*there is real/0"):
        judge.show(shelf, "x/0", image, None, None)


def test_states_are_typed(state):
    assert parse(state.model_dump(mode="json")) == state
    content = state.model_dump() | {"scene": {"layouts": "a", "painter": "b", "seed": -1}}
    with pytest.raises(UserError, match=r"not a state of the studio: scene\.seed"):
        parse(content)
    with pytest.raises(ValidationError):
        Scene.model_validate({"layouts": "a", "painter": "b", "unknown": 1})


def test_a_real_set_is_enough_to_say_what_is_missing(shelf, tmp_path):
    assert shelf.missing() == []
    empty = type(shelf)(tmp_path / "nothing", shelf.compute, shelf.numbers)
    assert len(empty.missing()) == 4 and "holds no real pairs" in empty.missing()[0]


def test_what_is_trained_anew_is_loaded_anew(shelf, artifacts, run):
    first = shelf.ready("semantic_palette", "regions", "one")
    assert shelf.ready("semantic_palette", "regions", "one") is first
    (artifacts / "painters").unlink()
    shutil.copytree(run / "painters", artifacts / "painters")
    assert shelf.ready("semantic_palette", "regions", "one") is not first
