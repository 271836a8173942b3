"""Every class has masks of its own: endings of names, painting in order, Label Studio's names."""

import re

import numpy as np
import pytest
from PIL import Image

from data.stage.errors import UserError

SHAPE = (64, 64)


def draw(key: int, *, overlap: bool = False) -> dict[str, np.ndarray]:
    """Return masks of a large road and a small tree, bool [H, W]."""
    top = int(np.random.default_rng(key).integers(0, 10))
    road, tree = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    road[top + 20 : top + 50] = True
    tree[top : top + (30 if overlap else 15), 10:20] = True
    return {"road": road, "tree": tree}


def label_of(parts: dict[str, np.ndarray]) -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    for index, name in enumerate(("road", "tree"), 1):
        label[parts[name]] = index
    return label


NAMES = ("background", "road", "tree")
WAYS = {
    "0/255": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255),
    "0/1": lambda mask: Image.fromarray(mask.astype(np.uint8)),
    "one bit": Image.fromarray,
    "16 bits": lambda mask: Image.fromarray(mask.astype(np.uint16) * 65535),
    "its colour": lambda mask: Image.fromarray(mask[..., None] * np.array([9, 200, 3], np.uint8)),
    "palette in reverse": lambda mask: white_first(mask),
}


def white_first(mask: np.ndarray) -> Image.Image:
    picture = Image.fromarray((~mask).astype(np.uint8))
    picture.putpalette([255, 255, 255, 0, 0, 0])
    return picture


def write(own, name: str, way: str = "0/255", count: int = 6, **options) -> list[np.ndarray]:
    """Write photographs p0, p1, ... and two masks of each, named by a pattern."""
    truth = []
    own.write(*(np.zeros(SHAPE, np.uint8) for _ in range(count)))
    for key in range(count):
        (own.masks / f"p{key}.png").unlink()
        parts = draw(key, **options)
        for part, mask in parts.items():
            own.put(WAYS[way](mask), name.format(key=key, task=key + 1, part=part) + ".png")
        truth.append(label_of(parts))
    return truth


@pytest.mark.parametrize("way", WAYS)
def test_endings_of_names_are_classes(own, way) -> None:
    truth = write(own, "p{key}_{part}", way)
    assert own.suggest() == ()
    folder = own.section()
    assert [entry.get("suffix") for entry in folder["classes"]] == [None, "_road", "_tree"]
    own.check(truth, NAMES)


@pytest.mark.parametrize("name", ["p{key}-{part}", "p{key}.{part}", "p{key}_mask {part}"])
def test_separators_and_longer_endings(own, name) -> None:
    truth = write(own, name)
    own.suggest()
    names = [entry["name"] for entry in own.section()["classes"]]
    assert [name.removeprefix("mask ") for name in names] == list(NAMES)
    own.check(truth, names)


def test_masks_that_differ_in_their_encoding_and_in_number(own) -> None:
    truth = write(own, "p{key}_{part}")
    for key, way in enumerate(WAYS):
        own.put(WAYS[way](draw(key)["tree"]), f"p{key}_tree.png")
    (own.masks / "p3_tree.png").unlink()
    truth[3][truth[3] == 2] = 0
    own.suggest()
    own.check(truth, NAMES)


def test_of_two_that_overlap_the_later_class_is_seen(own) -> None:
    truth = write(own, "p{key}_{part}", overlap=True)
    (note,) = own.suggest()
    assert re.match(
        r"\d+ pixels are in masks of several classes, first in .*_tree\.png; the cl", note
    )
    own.check(truth, NAMES)


def test_the_rest_is_added_where_no_class_is_it(own, run_ingest) -> None:
    truth = write(own, "p{key}_{part}", overlap=True)
    classes = [{"suffix": "_tree", "name": "tree"}, {"suffix": "_road", "name": "road"}]
    folder = {"images": "photos/*", "masks": "masks/*", "classes": classes}
    dataset = {"source": "folder", "root": "own", "folder": folder, "height": 64, "width": 64}
    run_ingest("read", **dataset)
    found = own.read()
    for key, label in enumerate(truth):
        road = draw(key, overlap=True)["road"]
        expected = np.where(road, "road", np.array(NAMES)[label])
        assert (found[f"p{key}"] == expected).all()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([{"suffix": "_a", "name": "a"}, {"value": 1, "name": "b"}], "'b' has a value, and others"),
        ([{"suffix": "_a", "name": "a"}, {"suffix": "_a", "name": "b"}], "2 classes of the suffix"),
        ([{"suffix": "_a", "name": "a"}, {"name": "b"}, {"name": "c"}], "2 classes of no suffix"),
        ([{"value": 1, "name": "a"}, {"name": "b"}], "a class without `value`; give each its"),
    ],
)
def test_suffixes_that_tell_nothing_are_refused(own, run_ingest, classes, message) -> None:
    write(own, "p{key}_{part}")
    folder = {"images": "photos/*", "masks": "masks/*", "classes": classes}
    with pytest.raises(UserError, match=message):
        run_ingest("read", source="folder", root="own", folder=folder)


def test_a_mask_of_no_class_or_with_smooth_edges_is_refused(own) -> None:
    write(own, "p{key}_{part}")
    own.suggest()
    own.put(WAYS["0/255"](draw(0)["tree"]), "p0_lake.png")
    with pytest.raises(
        UserError, match=r"p0_lake\.png is the mask of no image and class: .*'_road' o"
    ):
        own.read()
    (own.masks / "p0_lake.png").unlink()
    smooth = WAYS["0/255"](draw(0)["tree"]).resize((128, 128), Image.Resampling.BILINEAR)
    own.put(smooth.resize((64, 64), Image.Resampling.BILINEAR), "p0_tree.png")
    for step in (own.read, own.suggest):
        with pytest.raises(
            UserError, match=r"p0_tree\.png has \d+ values besides black; a mask of"
        ):
            step()
    own.put(np.zeros((60, 64), np.uint8), "p0_tree.png")
    for step in (own.read, own.suggest):
        with pytest.raises(UserError, match=r"p0_tree\.png and .*p0_road\.png differ in size"):
            step()


def test_numbered_masks_are_no_classes(own) -> None:
    write(own, "p{key}_{part}")
    for path in list(own.masks.iterdir()):
        path.rename(path.with_name(path.name.replace("road", "1").replace("tree", "2")))
    with pytest.raises(UserError):
        own.suggest()


TASK = "task-{task}-annotation-{task}-by-1-tag-{part}-0"


def test_tasks_belong_to_images_numbered_alike(own) -> None:
    truth = write(own, TASK, count=12)
    (note,) = own.suggest()
    assert "task-1-annotation-1-by-1-tag-road-0.png is taken for p0.png" in note
    own.check(truth, NAMES)


def test_several_masks_of_a_tag_are_one_class(own) -> None:
    truth = write(own, TASK)
    more = np.zeros(SHAPE, bool)
    more[60:, 60:] = True
    own.put(WAYS["0/255"](more), "task-3-annotation-3-by-1-tag-tree-1.png")
    truth[2][more] = 2
    own.suggest()
    own.check(truth, NAMES)


def test_tasks_that_may_be_any_image_are_refused(own) -> None:
    write(own, TASK, count=4)
    photos = sorted(own.masks.parent.glob("photos/*"))
    message = r"tag-road-0\.png is named by the number of a task, .*rename each mask like its image"
    photos[1].rename(photos[1].with_name("p7.png"))  # 0, 2, 3, 7 are not 1, 2, 3, 4
    with pytest.raises(UserError, match=message):
        own.suggest()
    photos[1].with_name("p7.png").rename(photos[1].with_name("q1.png"))
    with pytest.raises(UserError, match=message):
        own.suggest()
    photos[1].with_name("q1.png").unlink()
    with pytest.raises(UserError, match=r"\(4 tasks, 3 images\)"):
        own.suggest()


def test_two_annotations_of_a_task_are_refused(own) -> None:
    write(own, TASK, count=4)
    own.put(WAYS["0/255"](draw(0)["tree"]), "task-2-annotation-9-by-3-tag-tree-0.png")
    with pytest.raises(UserError, match=r"are two annotations of task 2; remove one"):
        own.suggest()
