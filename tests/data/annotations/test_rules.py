"""What is drawn over what, how pictures are found and lie, and what is said of the rest."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.sources.annotations.formats.label_studio import unpacked
from data.sources.annotations.naming import Finder, as_uploaded, without_address
from data.stage.errors import UserError
from tests.data.annotations.writers import (
    HEIGHT,
    WIDTH,
    corners,
    flat,
    labelme_of,
    mask,
    packed,
    png64,
    put,
)

A, B = (10, 10, 30, 30), (20, 20, 40, 36)  # B is smaller


@pytest.fixture
def edit(scene, tmp_path):
    """Write the scene of a format, let a function change its JSON, return the section."""

    def run(kind, change, name, **more):
        section = scene(kind, range(2)) | more
        path = tmp_path / "own" / name
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        return section

    return run


def objects(*entries):
    """Replace the objects of image 7 (p0) of a COCO file by (class, segmentation, more)."""

    def change(content):
        content["annotations"] = [
            {"image_id": 7, "category_id": 3 * c, "segmentation": s} | more
            for c, s, more in entries
        ]

    return change


COCO = "annotations/all.json"


def test_of_two_objects_the_smaller_is_seen(edit, drawn, caplog) -> None:
    caplog.set_level(logging.INFO)
    change = objects((2, [flat(B)], {}), (1, [flat(A)], {}))
    label = drawn(**edit("coco", change, COCO))["p0"]
    assert (label[20:30, 20:30] == 2).all() and label[12, 12] == 1
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "overlap in 1 of 2 images (p0.png), by 16.1% of what is labelled" in said
    assert "1 of 2 images have no object (p1.png)" in said
    label = drawn(**edit("coco", change, COCO, on_top="later"))["p0"]
    assert (label[20:30, 20:30] == 1).all()


def test_a_crowd_lies_below_and_is_counted(edit, drawn, caplog) -> None:
    caplog.set_level(logging.INFO)
    change = objects((2, [flat((0, 0, 60, 40))], {}), (1, [flat(A)], {"iscrowd": 1}))
    label = drawn(**edit("coco", change, COCO))["p0"]
    assert (label == 2).all()
    assert any("1 crowds are drawn" in record.getMessage() for record in caplog.records)


def test_objects_that_are_a_box_alone_are_counted(edit, drawn, caplog) -> None:
    caplog.set_level(logging.INFO)
    change = objects((2, [], {"bbox": [1, 2, 3, 4]}), (1, [flat(A)], {}))
    assert set(np.unique(drawn(**edit("coco", change, COCO))["p0"])) == {0, 1}
    said = [record.getMessage() for record in caplog.records]
    assert "note: objects with a box and no outline: 1 in 1 images (p0.png), left out" in said


def test_void_is_the_rest_unless_a_class_is(edit, drawn) -> None:
    section = edit("coco", objects((1, [flat(A)], {})), COCO, rest="void")
    label = drawn(**section)["p0"]
    assert label[0, 0] == 3 and label[15, 15] == 1
    with pytest.raises(UserError, match=r"rest is 'grass', which is no class; there is rest, road"):
        drawn(**section | {"rest": "grass"})


def test_unknown_classes_are_counted_and_five_are_named(edit, drawn) -> None:
    def change(content):
        content["categories"] = [{"id": 3 * i, "name": f"kind{i}"} for i in range(3)]

    section = edit("coco", change, COCO)
    message = (
        r"all\.json has objects of classes that dataset\.annotations\.classes has not: "
        r"'kind2' \(2 objects\), 'kind1' \(2 objects\); add them.*known: rest, road, car"
    )
    with pytest.raises(UserError, match=message):
        drawn(**section)
    assert not drawn(**section | {"ignored": ["kind1", "kind2"]})["p0"].any()
    classes = [{"name": "rest"}, {"name": "thing", "labels": ["kind1", "kind2"]}]
    assert (drawn(**section | {"classes": classes})["p0"] == 1).any()
    with pytest.raises(UserError, match="gives the label 'kind1' to two classes"):
        drawn(**section | {"classes": classes, "ignored": ["kind1"]})


def test_images_that_are_not_there_are_counted(scene, drawn, tmp_path, caplog) -> None:
    caplog.set_level(logging.INFO)
    section = scene("coco")
    (tmp_path / "own/images/p2.png").unlink()
    with pytest.raises(UserError, match=r"all\.json annotates 1 images that 'images/\*' does not"):
        drawn(**section)
    (tmp_path / "own/few.txt").write_text("p0\np1\n")
    assert sorted(drawn(**section | {"only": "few.txt"})) == ["p0", "p1"]


def test_images_that_nobody_annotated_are_left_out_or_rest(scene, drawn, files, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    section = scene("labelme", range(2))
    files.save(tmp_path / "own/images/p9.png", files.picture(9, (HEIGHT, WIDTH)))
    assert sorted(drawn(**section)) == ["p0", "p1"]
    assert "1 images are in no annotation and left out" in caplog.text and "p9.png" in caplog.text
    assert not drawn(**section | {"unannotated": "rest"})["p9"].any()


def test_an_image_that_is_annotated_twice_is_refused(scene, drawn, tmp_path) -> None:
    section = scene("labelme", range(2))
    own = tmp_path / "own/labels"
    (own / "copy.json").write_text((own / "p1.json").read_text())
    with pytest.raises(UserError, match=r"p1\.png is annotated twice, by .*copy\.json and .*p1"):
        drawn(**section)


def test_shapes_that_reach_out_are_cut_and_counted(edit, drawn, caplog) -> None:
    caplog.set_level(logging.INFO)
    change = objects((1, [flat((40, 10, 95, 30))], {}), (2, [flat((70, 0, 90, 9))], {}))
    label = drawn(**edit("coco", change, COCO))["p0"]
    assert (label[10:30, 40:] == 1).all() and label.max() == 1
    assert "2 objects in 1 of 2 images reach out of the picture" in caplog.text


def test_objects_that_cover_no_pixel_are_counted_and_not_called_cut(edit, drawn, caplog) -> None:
    caplog.set_level(logging.INFO)
    thin, point = [flat((10, 10.2, 55, 10.4))], [[10.0, 10.0, 12.0, 12.0]]
    change = objects((1, thin, {}), (1, point, {}), (2, [flat(A)], {}))
    label = drawn(**edit("coco", change, COCO))["p0"]
    assert set(np.unique(label)) == {0, 2}
    assert "2 objects in 1 of 2 images are too thin to cover a pixel" in caplog.text
    assert "reach out" not in caplog.text


def test_a_category_id_has_one_name(edit, drawn) -> None:
    def again(content):
        content["categories"].append(content["categories"][1] | {"name": "other"})

    with pytest.raises(UserError, match=r"two categories of id \d+, .* and other"):
        drawn(**edit("coco", again, COCO))
    same = edit("coco", lambda content: content["categories"].extend(content["categories"]), COCO)
    assert drawn(**same)["p0"].any()


def test_parquet_files_may_have_one_name_in_two_folders(scene, drawn, tmp_path) -> None:
    section = scene("parquet", range(2)) | {"files": "data/**/*.parquet"}
    own = tmp_path / "own/data"
    (file,) = own.glob("*.parquet")
    for split in ("train", "validation"):
        (own / split).mkdir()
        (own / split / "0000.parquet").write_bytes(file.read_bytes())
    file.unlink()
    assert len(drawn(**section)) > 0


SHAPES = {
    "rectangle": (corners(A)[::2], {}, A),
    "polygon": (corners(A), {}, A),
    "": (corners(A), {}, A),
    "circle": ([[20, 20], [30, 20]], {}, A),
    "linestrip": ([[10, 20], [20, 20], [30, 20]], {}, (10, 18, 30, 22)),
    "line": ([[10, 20], [30, 20]], {}, (10, 18, 30, 22)),
    "point": ([[20.5, 20.5]], {}, (18, 18, 23, 23)),
    "points": ([[20.5, 20.5], [21.5, 20.5]], {}, (18, 18, 24, 23)),
    "mask": ([[10, 10], [29, 29]], {"mask": png64(np.full((20, 20), 255, np.uint8))}, A),
    "oriented_rectangle": (corners(A), {}, A),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_labelme_draws_every_kind_of_shape(kind, scene, drawn, tmp_path) -> None:
    section = scene("labelme", range(2))
    points, more, box = SHAPES[kind]
    shape = {"label": "car", "points": points, "shape_type": kind or None} | more
    put(tmp_path / "own", "labels/p0.json", labelme_of(0, [shape]))
    found, there = drawn(**section)["p0"] == 2, mask(box).astype(bool)
    if kind in ("rectangle", "polygon", "", "mask", "oriented_rectangle"):
        np.testing.assert_array_equal(found, there)
    else:
        both = (found & there).sum() / (found | there).sum()
        assert both > 0.6, "circles and strokes lie in their box"


def photograph(path: Path, orientation: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(orientation)
    picture = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)


@pytest.mark.parametrize("orientation", [6, 8])
def test_the_size_tells_on_which_picture_somebody_outlined(
    orientation, scene, drawn, tmp_path
) -> None:
    section = scene("coco", range(2)) | {"images": "images/*"}
    photograph(tmp_path / "own/images/p0.png", orientation, (WIDTH, HEIGHT))
    stored = drawn(**section)["p0"]
    assert stored.shape == (WIDTH, HEIGHT), "upright, as the image is read"
    turn = {6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}[orientation]
    photograph(tmp_path / "own/images/p0.png", 1, (WIDTH, HEIGHT))
    plain = Image.fromarray(drawn(**section)["p0"])
    np.testing.assert_array_equal(stored, np.asarray(plain.transpose(turn)))


def test_labelme_outlines_turned_pictures_and_coco_does_not_say(scene, drawn, tmp_path) -> None:
    section = scene("labelme", range(2))
    plain = drawn(**section)["p0"]
    photograph(tmp_path / "own/images/p0.png", 3, (WIDTH, HEIGHT))
    np.testing.assert_array_equal(drawn(**section)["p0"], plain)
    section = scene("coco", range(2))
    photograph(tmp_path / "own/images/p0.png", 3, (WIDTH, HEIGHT))
    with pytest.raises(UserError, match=r"EXIF orientation \(3\), and its size does not tell"):
        drawn(**section)


def test_other_sizes_are_counted(scene, drawn, files, tmp_path) -> None:
    section = scene("coco")
    files.save(tmp_path / "own/images/p1.png", files.picture(1, (20, 30)))
    with pytest.raises(UserError, match=r"1 of 4 images have another size .*p1\.png is 30x20, and"):
        drawn(**section)


def test_pictures_are_found_by_the_end_of_their_path(tmp_path) -> None:
    files = [tmp_path / name for name in ("a/x.jpg", "b/x.jpg", "b/Y.JPG", "c/é.png")]
    finder = Finder(tmp_path, files)
    assert finder.find("C:\\work\\b\\x.jpg") == files[1]
    assert finder.find("../b/y.jpg") == files[2] and finder.find("z.jpg") is None
    assert finder.find("é.png") == files[3], "one form of Unicode"
    assert finder.find_stem("labels/a/x") == files[0]
    with pytest.raises(UserError, match=r"'x\.jpg' may be .*a/x\.jpg or .*b/x\.jpg"):
        finder.find("x.jpg")
    assert without_address("/data/local-files/?d=a/b%20c.jpg") == "a/b c.jpg"
    assert without_address("s3://bucket/a/b%20c.jpg") == "/a/b c.jpg"
    assert as_uploaded("/data/upload/1/0123abcd-a.jpg") == "/data/upload/1/a.jpg"


def test_groups_and_globs_divide_as_those_of_folder(scene, drawn) -> None:
    section = scene("coco") | {"split": "group", "group_by": "p([0-9])$"}
    assert len(drawn(**section)) == 4
    with pytest.raises(UserError, match=r"dataset\.annotations\.group_by finds 1 group"):
        drawn(**section | {"group_by": "(p)[0-9]$"})


def bomb(root: Path) -> None:
    lol = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    put(root, "annotations.xml", f'<!DOCTYPE a [<!ENTITY l0 "lol">{lol}]><a>&l9;</a>')


def replaced(old: str, new: str):
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


HOSTILE = {
    "a cut JSON": ("coco", COCO, lambda t: t[: len(t) // 2], "is not valid JSON"),
    "NaN": ("coco", COCO, replaced("[[20, ", "[[NaN, "), "NaN is not a number"),
    "infinity": ("coco", COCO, replaced("[[20, ", "[[1e999, "), "has inf where a number is due"),
    "text": ("coco", COCO, replaced("[[20, ", '[["x", '), "has 'x' where a number is due"),
    "deep": ("coco", COCO, lambda t: "[" * 100_000, "is not valid JSON"),
    "no list": ("coco", COCO, lambda t: '{"images": 3}', r"needs `images` \(list\) and has 3"),
    "sizes": ("coco", COCO, replaced('"width": 60', '"width": 6000000'), "6000000x40 for"),
    "no size": ("coco", COCO, replaced('"width": 60', '"width": -60'), "-60x40 pixels"),
    "a run": ("coco", COCO, replaced('"counts": [', '"counts": [4294967296, '), "is broken"),
    "bytes": ("coco", COCO, lambda t: "\udcff", "is not UTF-8"),
    "a bomb": ("cvat", "annotations.xml", None, "declares a document type"),
    "a cut XML": ("cvat", "annotations.xml", lambda t: t[:-30], "is not valid XML"),
    "a huge mask": (
        "cvat",
        "annotations.xml",
        replaced('width="10" h', 'width="999999999" h'),
        "has a mask of 999999999x",
    ),
    "a short mask": ("cvat", "annotations.xml", replaced('rle="0, 70"', 'rle="0, 7"'), "broken"),
    "pixels": ("yolo", "labels/p0.txt", lambda t: "1 10 20 30 40 50 60", "fractions of the"),
    "odd": ("yolo", "labels/p0.txt", lambda t: "1 0.1 0.2 0.3 0.4 0.5 0.6 0.7", "odd number"),
    "a class": ("yolo", "labels/p0.txt", lambda t: "car 0.1 0.2 0.3 0.4 0.5 0.6", "has 'car' whe"),
    "a brush": (
        "label_studio",
        "project.json",
        replaced('"rle": [0, 0, 37', '"rle": [255, 0, 37'),
        "brush is of another size",
    ),
    "percent": (
        "label_studio",
        "project.json",
        replaced('"original_width": 60', '"x": 1'),
        "needs `original_width`",
    ),
    "a kind": ("labelme", "labels/p0.json", replaced("polygon", "cube"), "is a 'cube'; there is"),
    "a picture": ("labelme", "labels/p0.json", None, "a mask that is no PNG in base64"),
    "no parquet": ("parquet", "data/train-00000-of-00001.parquet", lambda t: "PAR1", "as Parquet"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_annotations_end_in_one_line(case, scene, drawn, tmp_path) -> None:
    kind, name, change, message = HOSTILE[case]
    section = scene(kind)
    path = tmp_path / "own" / name
    if case == "a bomb":
        bomb(tmp_path / "own")
    elif case == "a picture":
        shape = {"label": "car", "points": [[1, 1], [5, 5]], "shape_type": "mask", "mask": "!x"}
        put(tmp_path / "own", name, labelme_of(0, [shape]))
    else:
        text = path.read_text() if kind != "parquet" else ""
        path.write_text(change(text), errors="surrogateescape")
    with pytest.raises(UserError, match=message) as caught:
        drawn(**section)
    assert "\n" not in str(caught.value)


def test_brushes_that_lie_are_refused() -> None:
    right = packed(np.zeros(40, np.uint8))
    for wrong in (right[:5], [], [0, 0, 0, 40, 57], right[:-3]):
        with pytest.raises(UserError, match="brush is"):
            unpacked(bytes(wrong), 40)
