"""The user's own folder: values, colours, matching by stem, and the three rules for splits."""

import numpy as np
import pytest
from pydantic import ValidationError

from data.errors import UserError
from data.sources import folder as source
from data.sources.files import RawPair


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
    with pytest.raises(UserError, match=r"val\.txt lists 'p77', which is no image"):
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
