"""The user's own folder: values, colours, matching by stem, orientation, rules for splits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from data.sources import folder as source
from data.sources.files import RawPair
from data.stage.errors import UserError


def labelled(path):
    return RawPair("p", "train", path, path)


def configured(files, **changes):
    return source.Config(**(files.folder | changes))


def test_unlabelled_values_become_void(folder, files) -> None:
    config = configured(files)
    table = source.class_table(config)
    assert table.names == ("rest", "leaf", "void")
    assert table.eval_ids == (0, 1)
    assert table.classes[1].color == (0, 200, 0)
    label = source.read_label(labelled(folder / "masks" / "p00_mask.png"), config)
    assert set(np.unique(label)) == {0, 1, 2}


def test_0_and_255_masks_need_no_void(folder, files, tmp_path) -> None:
    classes = [{"value": 0, "name": "rest"}, {"value": 255, "name": "defect"}]
    config = configured(files, classes=classes)
    assert source.class_table(config).names == ("rest", "defect")
    files.save(tmp_path / "m.png", files.labels(0, [0, 255]))
    assert set(np.unique(source.read_label(labelled(tmp_path / "m.png"), config))) == {0, 1}


def test_a_void_class_of_the_user_takes_the_unlabelled(folder, files) -> None:
    own = {"value": 9, "name": "void", "eval": False}
    config = configured(files, classes=[own, *files.folder["classes"]])
    assert source.class_table(config).names == ("void", "rest", "leaf")
    label = source.read_label(labelled(folder / "masks" / "p00_mask.png"), config)
    assert set(np.unique(label)) == {0, 1, 2}


def test_rgb_masks(files, tmp_path) -> None:
    classes = [{"value": [0, 0, 0], "name": "rest"}, {"value": [250, 10, 0], "name": "roof"}]
    config = configured(files, classes=classes, unlabelled=[[1, 2, 3]])
    assert source.class_table(config).names == ("rest", "roof", "void")
    colors = np.array([[0, 0, 0], [250, 10, 0], [1, 2, 3]], np.uint8)
    label = files.labels(0, [0, 1, 2])
    files.save(tmp_path / "m.png", colors[label])
    assert (source.read_label(labelled(tmp_path / "m.png"), config) == label).all()
    files.save(tmp_path / "bad.png", np.full((4, 5, 3), (9, 8, 7), np.uint8))
    with pytest.raises(UserError, match=r"bad\.png has label values .*: rgb\(9, 8, 7\) \(20 pix"):
        source.read_label(labelled(tmp_path / "bad.png"), config)


def test_a_value_without_a_class_is_named_with_its_count(folder, files) -> None:
    path = folder / "masks" / "p03_mask.png"
    bad = np.zeros((40, 60), np.uint8)
    bad[:2, :3] = 7
    files.save(path, bad)
    with pytest.raises(UserError, match=r"p03_mask\.png has .*: 7 \(6 pixels\); add the value to"):
        source.read_label(labelled(path), configured(files))


def test_default_colours_differ(files) -> None:
    classes = [{"value": i, "name": f"c{i}"} for i in range(40)]
    table = source.class_table(configured(files, classes=classes))
    assert len({entry.color for entry in table.classes}) == 41


def test_masks_belong_to_images_by_stem(folder, files) -> None:
    pairs = source.find(folder, ["train", "val"], configured(files))
    assert len(pairs) == 10
    assert all(f"{pair.image.stem}_mask" == pair.label.stem for pair in pairs)
    assert {"photos-p00", "photos-p09"} < {pair.id for pair in pairs}
    with pytest.raises(UserError, match=r"photos/p00\.jpg has no label 'p00' in .*mask_suffix"):
        source.find(folder, ["train"], configured(files, mask_suffix=""))


def test_equal_stems_are_refused(folder, files) -> None:
    files.save(folder / "photos" / "deep" / "p00.jpg", files.picture(99))
    with pytest.raises(UserError, match="have the same stem 'p00'; rename one"):
        source.find(folder, ["train"], configured(files, images="photos/**/*.jpg"))


def test_a_glob_without_files_names_its_key(folder, files) -> None:
    with pytest.raises(UserError, match=r"no file matches 'none/\*' in .*dataset\.folder\.images"):
        source.find(folder, ["train"], configured(files, images="none/*"))


def split_of(pairs) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        found.setdefault(pair.split, []).append(pair.image.stem)
    return found


def test_split_by_share_is_seeded_and_disjoint(folder, files) -> None:
    def parts(seed: int) -> dict[str, list[str]]:
        config = configured(files, share={"train": 0.6, "val": 0.2, "test": 0.2}, seed=seed)
        return split_of(source.find(folder, ["train", "val", "test"], config))

    first = parts(0)
    assert {split: len(stems) for split, stems in first.items()} == {
        "train": 6,
        "val": 2,
        "test": 2,
    }
    assert len({stem for stems in first.values() for stem in stems}) == 10
    assert parts(0) == first
    assert parts(1) != first


def test_shares_above_one_are_refused(folder, files) -> None:
    config = configured(files, share={"train": 0.9, "val": 0.2})
    with pytest.raises(UserError, match=r"share adds up to 1\.1"):
        source.find(folder, ["train", "val"], config)


def test_split_by_list(folder, files) -> None:
    (folder / "train.txt").write_text("p00\np01\n\n")
    (folder / "val.txt").write_text("photos/p05.jpg\n")
    config = configured(files, split="list", list={"train": "train.txt", "val": "val.txt"})
    found = split_of(source.find(folder, ["train", "val"], config))
    assert found == {"train": ["p00", "p01"], "val": ["p05"]}
    (folder / "val.txt").write_text("p77\n")
    with pytest.raises(UserError, match=r"val\.txt lists 'p77', which is not an image"):
        source.find(folder, ["train", "val"], config)


def test_split_by_glob(folder, files) -> None:
    rule = {"train": "photos/p0[0-6].jpg", "val": "photos/p0[7-9].jpg"}
    config = configured(files, split="glob", glob=rule)
    found = split_of(source.find(folder, ["train", "val"], config))
    assert len(found["train"]) == 7 and found["val"] == ["p07", "p08", "p09"]


def test_a_split_without_a_rule_is_named(folder, files) -> None:
    with pytest.raises(UserError, match=r"folder\.share has train, val, not 'test'"):
        source.find(folder, ["train", "test"], configured(files))


def test_a_class_table_is_required(files) -> None:
    with pytest.raises(ValidationError):
        configured(files, classes=[])


def test_classes_mirror_each_other(files) -> None:
    classes = [
        {"value": 0, "name": "left eye", "mirror": "right eye"},
        {"value": 1, "name": "right eye", "mirror": "left eye"},
    ]
    table = source.class_table(configured(files, classes=classes))
    assert table.mirrored == (1, 0, 2)
    classes[1].pop("mirror")
    with pytest.raises(UserError, match="give both classes each other's name"):
        source.class_table(configured(files, classes=classes))


@pytest.mark.parametrize(
    ("values", "message"),
    [([1, 1], r"has 2 classes of value 1"), ([1, [0, 0, 0]], r"classes mixes ids and colours")],
)
def test_values_that_cannot_be_told_apart_are_refused(files, values, message) -> None:
    classes = [{"value": value, "name": f"c{i}"} for i, value in enumerate(values)]
    with pytest.raises(UserError, match=message):
        source.class_table(configured(files, classes=classes))


def test_colours_are_bytes(files) -> None:
    for entry in (
        {"value": [0, 0, 256], "name": "a"},
        {"value": 0, "name": "a", "color": [-1, 0, 0]},
    ):
        with pytest.raises(ValidationError):
            configured(files, classes=[entry])


def test_a_file_that_is_a_mask_is_no_image(folder, files) -> None:
    for path in [*(folder / "masks").iterdir()]:
        path.rename(folder / "photos" / path.name)
    config = configured(files, images="photos/*", masks="photos/*_mask.png")
    pairs = source.find(folder, ["train", "val"], config)
    assert len(pairs) == 10 and all(pair.image.suffix == ".jpg" for pair in pairs)
    with pytest.raises(UserError, match=r"every file that .* is a mask of .* too; correct dataset"):
        source.find(folder, ["train"], configured(files, images="photos/*.png", masks="photos/*g"))


def videos(folder: Path, files) -> dict[str, str]:
    """Lay the pairs out as frames of four videos, numbered from 0 in each; return the config."""
    for index in range(10):
        name = f"video{index // 3}/{index % 3}"
        files.save(folder / "frames" / f"{name}.png", files.picture(index))
        files.save(folder / "labels" / f"{name}.png", files.labels(index, [0, 1]))
    return {"images": "frames/*/*.png", "masks": "labels/*/*.png", "mask_suffix": ""}


def test_repeated_stems_are_told_apart_by_their_folders(folder, files) -> None:
    config = configured(files, **videos(folder, files))
    pairs = source.find(folder, ["train", "val"], config)
    assert len({pair.id for pair in pairs}) == 10
    for pair in pairs:
        assert pair.label == folder / "labels" / pair.image.relative_to(folder / "frames")


@pytest.mark.parametrize("rule", ["parent", r"(video[0-9])/"])
def test_split_by_group(folder, files, rule) -> None:
    config = configured(files, **videos(folder, files), split="group", group_by=rule)
    pairs = source.find(folder, ["train", "val"], config)
    groups = {split: {p.group for p in pairs if p.split == split} for split in ("train", "val")}
    assert len(pairs) == 10 and len(groups["train"] | groups["val"]) == 4
    assert not groups["train"] & groups["val"]
    counts = [sum(p.split == split for p in pairs) for split in ("train", "val")]
    assert counts in ([7, 3], [9, 1])
    assert source.find(folder, ["train", "val"], config) == pairs


def test_a_group_split_needs_a_rule_and_enough_groups(folder, files) -> None:
    with pytest.raises(
        UserError, match=r"split is group, but dataset\.folder\.group_by is not set"
    ):
        source.find(folder, ["train", "val"], configured(files, split="group"))
    config = configured(files, split="group", group_by="parent")
    with pytest.raises(UserError, match=r"finds 1 group \(photos\) for 2 splits"):
        source.find(folder, ["train", "val"], config)


def test_lists_name_repeated_stems_by_their_paths(folder, files) -> None:
    rule = {"split": "list", "list": {"train": "train.txt", "val": "val.txt"}}
    (folder / "train.txt").write_text("video0/1\nframes/video1/1.png\n")
    (folder / "val.txt").write_text("video2/0\n")
    config = configured(files, **videos(folder, files), **rule)
    pairs = source.find(folder, ["train", "val"], config)
    assert [pair.id for pair in pairs] == ["frames-video0-1", "frames-video1-1", "frames-video2-0"]
    (folder / "val.txt").write_text("1\n")
    with pytest.raises(UserError, match=r"val\.txt lists '1', which is not an image"):
        source.find(folder, ["train", "val"], config)


def turned(path: Path, stored: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(path, exif=exif)


def pair_of(folder: Path) -> RawPair:
    return RawPair("p", "train", folder / "photos" / "p00.jpg", folder / "masks" / "p00_mask.png")


def test_a_turned_photograph_wants_the_mask_that_was_drawn_on_it(folder, files) -> None:
    turned(folder / "photos" / "p00.jpg", files.picture(0, (60, 40)), 6)
    source.read_label(pair_of(folder), configured(files))
    files.save(folder / "masks" / "p00_mask.png", files.labels(0, [0, 1], (60, 40)))
    message = r"p00\.jpg is 60x40 once turned .* \(6\), but .*p00_mask\.png is 40x60, drawn on the "
    with pytest.raises(UserError, match=message):
        source.read_label(pair_of(folder), configured(files))


@pytest.mark.parametrize(
    ("orientation", "shape"), [(2, (40, 60)), (3, (40, 60)), (4, (40, 60)), (6, (50, 50))]
)
def test_a_turn_that_leaves_the_size_is_refused(folder, files, orientation, shape) -> None:
    turned(folder / "photos" / "p00.jpg", files.picture(0, shape), orientation)
    files.save(folder / "masks" / "p00_mask.png", files.labels(0, [0, 1], shape))
    with pytest.raises(
        UserError, match=r"its size does not tell whether .*p00_mask\.png was drawn"
    ):
        source.read_label(pair_of(folder), configured(files))


def test_a_mask_that_is_turned_itself_lies_as_its_image(folder, files) -> None:
    stored = files.labels(0, [0, 1], (50, 50))
    turned(folder / "photos" / "p00.jpg", files.picture(0, (50, 50)), 6)
    turned(folder / "masks" / "p00_mask.png", stored, 6)
    label = source.read_label(pair_of(folder), configured(files))
    assert (label == np.rot90(stored, -1)).all()


def test_a_class_called_void_that_counts_cannot_take_unlabelled_pixels(files) -> None:
    classes = [{"value": 0, "name": "rest"}, {"value": 7, "name": "void"}]
    with pytest.raises(UserError, match="become the class 'void', which counts in mIoU here"):
        source.class_table(configured(files, classes=classes))
    classes[1]["eval"] = False
    assert source.class_table(configured(files, classes=classes)).eval_ids == (0,)


def test_a_listed_path_is_not_matched_by_its_stem_alone(folder, files) -> None:
    (folder / "train.txt").write_text("wrongdir/p03.tiff\n")
    (folder / "val.txt").write_text("p01\n")
    config = configured(files, split="list", list={"train": "train.txt", "val": "val.txt"})
    with pytest.raises(UserError, match=r"lists 'wrongdir/p03\.tiff', which is not an image"):
        source.find(folder, ["train", "val"], config)
