"""Every export gives back the same images and labels, to the program that it is for and to us."""

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from data.pairs.classes import IGNORE, ClassInfo, ClassTable
from data.pairs.manifest import StartsFrom
from data.pairs.pair import Pair
from data.pairs.shards import Cut, PairSet, ShardWriter
from data.sources import SOURCES
from data.sources import cityscapes as cityscapes_source
from data.stage.errors import UserError
from data.tools import export, verify
from data.tools.exports import EXPORTS
from data.tools.exports.cityscapes import city_names
from data.tools.exports.coco import encode_mask
from data.tools.exports.names import safe_names
from data.tools.exports.union import Union

SIZE = (20, 32)
CLASSES = ClassTable(
    (
        ClassInfo("rest", (1, 2, 3)),
        ClassInfo("left eye", (70, 130, 180), mirror="right eye"),
        ClassInfo("right eye", (71, 130, 180), mirror="left eye"),
        ClassInfo("Stra\u00dfe", (0, 255, 0)),
        ClassInfo("void", (0, 0, 0), eval=False),
    )
)
CITYSCAPES = cityscapes_source.class_table(cityscapes_source.Config())
# Ids may hold anything: folders, ways out, names that are equal where case is ignored.
IDS = ["a/b", "../../x", "Street", "street", "\u00fcber \u8857", "con", ".hidden", "x" * 300, "a-b"]


def pair_of(key: int, name: str, source: str, classes: ClassTable, **extra: Any) -> Pair:
    rng = np.random.default_rng(key)
    image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    blocks = rng.integers(0, classes.num_classes, (5, 8), np.uint8)
    return Pair(name, image, np.repeat(np.repeat(blocks, 4, 0), 4, 1), source, **extra)


def write_set(out: Path, classes: ClassTable, pairs: list[Pair], **options: Any) -> Path:
    origin = {
        source: {"dataset": "mine", "licence": "CC0"} if source == "real" else {"painter": "spade"}
        for source in {pair.source for pair in pairs}
    }
    options |= {"classes": classes, "size": SIZE, "fingerprint": "f", "cut": Cut(rows=6)}
    with ShardWriter(out, **options, origin=origin) as writer:
        for pair in pairs:
            writer.write(pair)
    return out


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Write `root/train`, with synthetic pairs, and `root/val`; return the root."""

    def write(classes: ClassTable = CLASSES, ids: list[str] = IDS) -> Path:
        pairs = [pair_of(key, name, "real", classes) for key, name in enumerate(ids)]
        for key in range(3):
            pairs.append(
                pair_of(50 + key, f"semi_da-{key:07d}", "semi_da", classes, parent=ids[key])
            )
        write_set(tmp_path / "sets/train", classes, pairs)
        others = [pair_of(90 + key, f"v{key}", "real", classes) for key in range(2)]
        write_set(tmp_path / "sets/val", classes, others)
        return tmp_path / "sets"

    return write


def table_of(out: Path) -> dict[str, dict[str, str]]:
    """Return the rows of pairs.csv by pair id."""
    with (out / "pairs.csv").open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def sets_of(root: Path) -> dict[str, PairSet]:
    return {split: PairSet(root / split) for split in ("train", "val")}


def unions_of(root: Path) -> dict[str, Union]:
    return {split: Union([pairs]) for split, pairs in sets_of(root).items()}


def by_content(pairs: PairSet) -> dict[bytes, bytes]:
    """Return labels by image."""
    return {pair.image.tobytes(): pair.label.tobytes() for pair in pairs.pairs()}


def test_mmseg_folders_hold_the_pairs_and_come_back_as_a_folder(make, tmp_path, run_ingest) -> None:
    root, out = make(), tmp_path / "out"
    export.main([root], out, to="mmseg")
    rows = table_of(out)
    for split, pairs in sets_of(root).items():
        for pair in pairs.pairs():
            name = f"{split}/{rows[pair.id]['name']}.png"
            np.testing.assert_array_equal(picture(out / "img_dir" / name), pair.image)
            np.testing.assert_array_equal(picture(out / "ann_dir" / name), pair.label)
            assert rows[pair.id]["split"] == split and rows[pair.id]["source"] == pair.source
    assert rows["semi_da-0000001"]["parent"] == "../../x"
    config = {
        "images": "img_dir/*/*.png",
        "masks": "ann_dir/*/*.png",
        "classes": [
            {"value": index, "name": entry.name, "eval": entry.eval}
            for index, entry in enumerate(CLASSES.classes)
        ],
        "split": "glob",
        "glob": {"train": "img_dir/train/*.png", "val": "img_dir/val/*.png"},
    }
    again = run_ingest(
        "again", source="folder", root=out, folder=config, height=SIZE[0], width=SIZE[1]
    )
    for split, pairs in sets_of(root).items():
        assert by_content(PairSet(again / split)) == by_content(pairs)


def test_cityscapes_comes_back_through_its_parser(make, tmp_path, run_ingest) -> None:
    ids = ["aachen_000000_000019", "real_000000_000000", "Aachen_000000_000019", "x/y"]
    root, out = make(CITYSCAPES, ids), tmp_path / "out"
    assert any(34 in pair.label for pair in PairSet(root / "train").pairs()), "licence plates"
    export.main([root], out, to="cityscapes")
    again = run_ingest("again", source="cityscapes", root=out, height=SIZE[0], width=SIZE[1])
    for split, pairs in sets_of(root).items():
        read = PairSet(again / split)
        assert read.classes == pairs.classes
        assert by_content(read) == by_content(pairs)
    rows = table_of(out)
    names = {pair: row["name"] for pair, row in rows.items()}
    assert sorted(PairSet(again / "train").ids() + PairSet(again / "val").ids()) == sorted(
        names.values()
    )
    assert names["aachen_000000_000019"] == "aachen_000000_000019"
    assert names["semi_da-0000002"] == "semi-da_000000_000002"
    assert names["x/y"] == "real-more_000000_000001" and names["v1"] == "real-more_000001_000001"


def test_cityscapes_train_ids_are_those_of_the_release(make, tmp_path) -> None:
    export.main([make(CITYSCAPES, ["a", "b", "c"])], tmp_path / "out", to="cityscapes")
    # cityscapesScripts, helpers/labels.py: id -> trainId
    known = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11}
    known |= {25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    files = sorted((tmp_path / "out/gtFine").rglob("*_labelIds.png"))
    assert len(files) == 8
    for file in files:
        ids = picture(file)
        train_ids = picture(file.with_name(file.name.replace("labelIds", "labelTrainIds")))
        expected = np.vectorize(lambda value: known.get(value, IGNORE))(ids)
        np.testing.assert_array_equal(train_ids, expected)


def test_city_names_are_different_in_all_splits(make) -> None:
    splits = unions_of(make(CITYSCAPES, [f"id {key}" for key in range(9)]))
    names = city_names(splits)
    assert len({name.lower() for name in names.values()}) == len(names) == 14


def test_other_classes_are_not_passed_off_as_cityscapes(make, tmp_path) -> None:
    with pytest.raises(UserError, match=r"other classes than Cityscapes \(rest\).*--to mmseg"):
        export.main([make()], tmp_path / "out", to="cityscapes")
    longer = ClassTable((*CITYSCAPES.classes, ClassInfo("kiosk", (1, 1, 1))))
    with pytest.raises(UserError, match="other classes than Cityscapes"):
        write_set(tmp_path / "longer", longer, [pair_of(0, "a", "real", longer)])
        export.main([tmp_path / "longer"], tmp_path / "out", to="cityscapes")


def ignoring(out: Path, classes: ClassTable) -> Path:
    """A set with a synthetic pair in which a filter has ignored some pixels."""
    pair = pair_of(1, "s", "semi", classes)
    pair.label[:4] = IGNORE
    return write_set(out, classes, [pair_of(0, "r", "real", classes), pair])


def test_ignored_pixels_are_no_licence_plates(tmp_path) -> None:
    pairs = ignoring(tmp_path / "set", CITYSCAPES)
    with pytest.raises(UserError, match=r"the label of 's' has ignored pixels"):
        export.main([pairs], tmp_path / "out", to="cityscapes")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def runs(counts: str) -> list[int]:
    """Read COCO's string as `rleFrString` of cocoapi's maskApi.c does, line by line."""
    found: list[int] = []
    position = 0
    while position < len(counts):
        x, k, more = 0, 0, True
        while more:
            c = ord(counts[position]) - 48
            x |= (c & 0x1F) << 5 * k
            more = bool(c & 0x20)
            position, k = position + 1, k + 1
            if not more and c & 0x10:
                x |= -1 << 5 * k
        if len(found) > 2:
            x += found[-2]
        found.append(x)
    return found


def decoded(segment: dict[str, Any]) -> np.ndarray:
    values = np.arange(len(counts := runs(segment["counts"]))) % 2 == 1
    return np.repeat(values, counts).reshape(segment["size"], order="F")


def test_run_lengths_are_those_of_cocoapi() -> None:
    # strings that pycocotools 2.0.11 made of the same masks
    assert encode_mask(np.zeros((2, 3), bool)) == {"size": [2, 3], "counts": "6"}
    assert encode_mask(np.ones((2, 3), bool)) == {"size": [2, 3], "counts": "06"}
    corner = np.array([[0, 1, 0], [1, 1, 0]], bool)
    assert encode_mask(corner) == {"size": [2, 3], "counts": "132"}
    rng = np.random.default_rng(3)
    wide = np.zeros((700, 900), bool)
    wide[:, 300:] = True
    wide[3, 5] = True
    masks = [wide, ~wide, *(rng.random(rng.integers(1, 40, 2)) < rng.random() for _ in range(200))]
    for mask in masks:
        np.testing.assert_array_equal(decoded(encode_mask(mask)), mask)


@pytest.mark.parametrize("with_ignored", [False, True])
def test_coco_segments_give_the_labels_back(make, tmp_path, with_ignored) -> None:
    root = ignoring(tmp_path / "set", CLASSES) if with_ignored else make() / "train"
    export.main([root], tmp_path / "out", to="coco")
    content = json.loads((tmp_path / "out/annotations/train.json").read_text())
    colors = {c["id"]: (c["name"], tuple(c["color"])) for c in content["categories"]}
    assert colors == {i: (c.name, c.color) for i, c in enumerate(CLASSES.classes, 1)}
    assert [c["supercategory"] for c in content["categories"]] == ["evaluated"] * 4 + ["void"]
    assert len({a["id"] for a in content["annotations"]}) == len(content["annotations"])
    for image, pair in zip(content["images"], PairSet(root).pairs(), strict=True):
        assert image["pair"] == pair.id and (image["height"], image["width"]) == SIZE
        shown = picture(tmp_path / "out/images/train" / image["file_name"])
        np.testing.assert_array_equal(shown, pair.image)
        label = np.full(SIZE, IGNORE, np.uint8)
        found = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        assert len({a["category_id"] for a in found}) == len(found), "one segment a class"
        for annotation in found:
            mask = decoded(annotation["segmentation"])
            assert (label[mask] == IGNORE).all(), "segments do not overlap"
            label[mask] = annotation["category_id"] - 1
            left, top, width, height = annotation["bbox"]
            assert annotation["area"] == mask.sum() == mask[top:, left:][:height, :width].sum()
            assert mask[:, left].any() and mask[top + height - 1].any()
        np.testing.assert_array_equal(label, pair.label)


def test_hugging_face_loads_the_folder_offline(make, tmp_path) -> None:
    root, out = make(), tmp_path / "out"
    export.main([root], out, to="hf")
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 12, "validation": 2}
    for split, name in (("train", "train"), ("val", "validation")):
        read = loaded[name]
        assert isinstance(read.features["image"], datasets.Image)
        for row, pair in zip(read, PairSet(root / split).pairs(), strict=True):
            np.testing.assert_array_equal(np.asarray(row["image"]), pair.image)
            np.testing.assert_array_equal(np.asarray(row["label"]), pair.label)
            assert (row["id"], row["source"], row["parent"]) == (pair.id, pair.source, pair.parent)
        assert list(verify.faults(out / "data" / split)) == []
        for shard in PairSet(root / split).shards:
            assert (out / "data" / split / shard.name).read_bytes() == shard.read_bytes()


VOID = ClassTable(
    (
        ClassInfo("other", (0, 0, 0), eval=False),
        ClassInfo("wall", (9, 0, 0)),
        ClassInfo("left", (0, 9, 0), mirror="right"),
        ClassInfo("right", (0, 0, 9), mirror="left"),
    )
)


@pytest.mark.parametrize("void", ["class", "ignore"])
def test_void_is_a_class_or_255_and_the_trainers_names_follow(make, tmp_path, void) -> None:
    root = make(VOID, ["a", "b", "c", "d", "e"])
    kept = ["other", "wall", "left", "right"] if void == "class" else ["wall", "left", "right"]
    for to in ("hf", "mmseg", "coco"):
        export.main([root], tmp_path / to, to=to, void=void)
        page = (tmp_path / to / "README.md").read_text()
        assert ("are 255 here" in page) == (void == "ignore")
        assert ("`--void ignore` they are 255" in page) == (void == "class")
    names = json.loads((tmp_path / "hf/id2label.json").read_text())
    assert names == {str(index): name for index, name in enumerate(kept)}
    ids = json.loads((tmp_path / "hf/label2id.json").read_text())
    assert ids == {name: index for index, name in enumerate(kept)}
    rows = table_of(tmp_path / "mmseg")
    config = (tmp_path / "mmseg/dataset.py").read_text()
    assert f"num_classes = {len(kept)}\n" in config
    assert ("swap_seg_labels=[(1, 2)]" in config) == (void == "ignore")
    for split, pairs in sets_of(root).items():
        written = tmp_path / "hf/data" / split
        assert list(verify.faults(written)) == []
        for pair, copy in zip(pairs.pairs(), PairSet(written).pairs(), strict=True):
            assert 0 in pair.label
            expected = pair.label if void == "class" else pair.label - np.uint8(1)
            assert IGNORE in expected or void == "class"
            np.testing.assert_array_equal(copy.label, expected)
            np.testing.assert_array_equal(copy.image, pair.image)
            label = picture(tmp_path / "mmseg/ann_dir" / split / f"{rows[pair.id]['name']}.png")
            np.testing.assert_array_equal(label, expected)
    content = json.loads((tmp_path / "coco/annotations/train.json").read_text())
    assert [entry["name"] for entry in content["categories"]] == kept
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_void_may_be_asked_for_where_there_is_a_choice(make, tmp_path) -> None:
    with pytest.raises(UserError, match=r"unknown --void 'white'; there is class, ignore"):
        export.main([make()], tmp_path / "out", to="hf", void="white")
    with pytest.raises(UserError, match=r"labelTrainIds .* leave out --void"):
        export.main([tmp_path / "sets"], tmp_path / "out", to="cityscapes", void="ignore")


def test_blank_tiles_are_in_any_split(tmp_path) -> None:
    blank = np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8)
    for split in ("train", "val"):
        pairs = [pair_of(len(split), split, "real", CLASSES)]
        pairs += [Pair(f"{split}-{key}", *blank, "real") for key in range(3)]
        write_set(tmp_path / "sets" / split, CLASSES, pairs)
    export.main([tmp_path / "sets"], tmp_path / "out", to="mmseg")
    assert len(table_of(tmp_path / "out")) == 8


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_verifies_and_exports(source, request, files, run_ingest, tmp_path) -> None:
    config = {
        "streets": {"num_train": 2, "num_val": 1, "num_test": 1, "seed": 1},
        "folder": files.folder,
    }
    root = Path("data/sources/streets")
    if source != "streets":
        root = request.getfixturevalue(source)
    sets = run_ingest(source=source, root=root, **{source: config.get(source, {})})
    assert [list(verify.faults(path)) for path in sets.iterdir()] == [[], []]
    export.main([sets], tmp_path / "mmseg", to="mmseg")
    export.main([sets], tmp_path / "hf", to="hf")
    names = {pair: row["name"] for pair, row in table_of(tmp_path / "mmseg").items()}
    for split, pairs in sets_of(sets).items():
        copied = PairSet(tmp_path / "hf/data" / split)
        for pair, copy in zip(pairs.pairs(), copied.pairs(), strict=True):
            label = picture(tmp_path / "mmseg/ann_dir" / split / f"{names[pair.id]}.png")
            np.testing.assert_array_equal(label, pair.label)
            np.testing.assert_array_equal(copy.image, pair.image)
    page = (tmp_path / "hf/README.md").read_text()
    assert f"dataset `{source}`): {SOURCES[source].LICENCE}." in page
    assert ("license: unknown" if source == "folder" else "license: other") in page.splitlines()


def test_names_are_safe_short_and_different() -> None:
    odd = [*IDS, "STREET", "", "/", "-rf", "con.txt", "a\n", "x" * 301, "NUL", "a b", "a-b-c"]
    names = safe_names(odd)
    assert list(names) == odd
    for name in names.values():
        assert name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        assert 0 < len(name) <= 100 and name[0] != "-" and name.lower() not in ("con", "nul")
    assert len({name.lower() for name in names.values()}) == len(odd)
    assert names["Street"] == "Street" and names["a-b"] == "a-b" and names["street"] != "street"


def test_a_name_that_another_id_was_given_is_not_given_twice() -> None:
    first = safe_names(["a b"])["a b"]
    names = safe_names(["a b", first, first.upper()])
    assert len({name.lower() for name in names.values()}) == 3


@pytest.mark.parametrize("to", EXPORTS)
def test_equal_sets_give_equal_bytes(make, tmp_path, to) -> None:
    root = make(CITYSCAPES, ["a", "b", "c/d"])
    contents = []
    for parent in ("one", "two"):
        out = tmp_path / parent / "out"
        export.main([root], out, to=to)
        files = sorted(file for file in out.rglob("*") if file.is_file())
        contents.append({file.relative_to(out): file.read_bytes() for file in files})
    assert contents[0] == contents[1] and Path("README.md") in contents[0]


@pytest.mark.parametrize("to", EXPORTS)
def test_nothing_is_left_of_an_export_that_fails(make, tmp_path, to, monkeypatch) -> None:
    root = make(CITYSCAPES, ["a", "b", "c"])
    # the last thing written: everything else is there by then
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(export, "card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export.main([root], tmp_path / "work/out", to=to)
    assert list((tmp_path / "work").iterdir()) == []


def test_pairs_are_exported_beside_real_ones_to_validate_on(make, tmp_path) -> None:
    root, out = make(), tmp_path / "out"
    flags = ["--val", root / "val", "--to", "mmseg"]
    done = subprocess.run(
        [sys.executable, "-m", "data.tools.export", root / "train", *flags, out],
        cwd=Path(export.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"{out}: 14 pairs" in done.stdout
    assert len(list((out / "img_dir/train").iterdir())) == 12
    assert len(list((out / "ann_dir/val").iterdir())) == 2


def test_what_cannot_be_exported_is_refused_before_anything_is_written(make, tmp_path) -> None:
    root, out = make(), tmp_path / "out"
    train, val = root / "train", root / "val"

    def refused(message: str, *args: Path, **options: Any) -> None:
        with pytest.raises(UserError, match=message) as caught:
            export.main([*args[:-1]], args[-1], **{"to": "mmseg"} | options)
        assert "\n" not in str(caught.value)
        assert not out.exists() and not list(tmp_path.glob(".*"))

    refused("unknown format 'voc'; there is mmseg, cityscapes, coco, hf", root, out, to="voc")
    refused("is not empty", root, root)
    refused("lies inside .*; write somewhere else", root, train / "out")
    refused("lies inside .*; write somewhere else", root, root / "out")
    refused("neither a pair set .* nor a folder", tmp_path, out)
    refused("has a split val of its own", root, out, val=val)
    refused(r"^id 'v0' is in train and in val", val, out, val=val)
    refused("is not a folder", train, out, test=tmp_path / "absent")
    other = write_set(tmp_path / "other", CITYSCAPES, [pair_of(5, "o", "real", CITYSCAPES)])
    refused("has other classes or another size than", train, out, val=other)
    same = write_set(tmp_path / "same", CLASSES, [pair_of(0, "renamed", "real", CLASSES)])
    refused("^sha256 .* is in train and in val", train, out, val=same)
    shard = next(train.glob("*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    refused(rf"train has faults \({shard.name}: .*\); python -m data\.tools\.verify", root, out)


# == several sets as one split ==


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """A folder with `real/train`, `real/val`, and `semi` and `more`, which start from `train`."""
    named = [pair_of(key, f"r{key}", "real", CITYSCAPES, group="v") for key in range(8)]
    write_set(tmp_path / "real/train", CITYSCAPES, named)
    others = [pair_of(90 + key, f"v{key}", "real", CITYSCAPES) for key in range(2)]
    write_set(tmp_path / "real/val", CITYSCAPES, others)
    for start, name in ((50, "semi"), (70, "more")):
        made = []
        for key in range(3):
            facts = {"parent": f"r{key}", "donors": ("r1",)}
            made.append(pair_of(start + key, f"{name}-{key}", name, CITYSCAPES, **facts))
        starts_from = StartsFrom.of(tmp_path / "real/train")
        write_set(tmp_path / name, CITYSCAPES, made, prefix=name, starts_from=starts_from)
    return tmp_path


@pytest.mark.parametrize("to", EXPORTS)
def test_the_union_of_several_sets_is_written_with_every_parent(apart, tmp_path, to) -> None:
    train, val, out = apart / "real/train", apart / "real/val", tmp_path / "out"
    export.main([train, apart / "semi", apart / "more"], out, to=to, val=val)
    page = (out / "README.md").read_text()
    assert "**10 pairs are real, 6 synthetic.**" in page
    assert all(f"`{PairSet(path).manifest['sha256']}`" in page for path in (train, apart / "semi"))
    if to == "hf":
        union = PairSet(out / "data/train")
        assert union.manifest["sources"] == {"more": 3, "real": 8, "semi": 3}
        assert [list(verify.faults(out / "data" / split)) for split in ("train", "val")] == [[], []]
        loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
        donors = {row["id"]: row["donors"] for row in loaded["train"]}
        assert len(donors) == 14 and (donors["semi-0"], donors["r0"]) == (["r1"], None)
    elif to == "mmseg":
        rows = table_of(out)
        parents = {row["parent"] for row in rows.values() if row["split"] == "train"} - {""}
        assert parents <= rows.keys() and rows["more-2"]["donors"] == "r1"
        assert rows["r0"]["group"] == "v"
        for path in (train, apart / "semi", apart / "more"):
            for pair in PairSet(path).pairs():
                name = f"train/{rows[pair.id]['name']}.png"
                np.testing.assert_array_equal(picture(out / "img_dir" / name), pair.image)


def test_sets_are_added_to_the_train_split_of_a_folder(apart, tmp_path) -> None:
    flags = [apart / "real", apart / "semi", tmp_path / "out", "--to", "mmseg"]
    done = subprocess.run(
        [sys.executable, "-m", "data.tools.export", *flags],
        cwd=Path(export.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = table_of(tmp_path / "out").values()
    assert Counter(row["split"] for row in rows) == {"train": 11, "val": 2}


def test_synthetic_pairs_alone_and_a_real_set_that_was_moved(apart, tmp_path) -> None:
    export.main([apart / "semi"], tmp_path / "alone", to="hf")
    assert list(verify.faults(tmp_path / "alone/data/train")) == []
    assert "No real pairs are here" in (tmp_path / "alone/README.md").read_text()
    (apart / "real").rename(apart / "moved")
    export.main([apart / "moved", apart / "semi"], tmp_path / "out", to="coco")
    with pytest.raises(UserError, match=r"semi has faults \(manifest\.json: .* is not there"):
        export.main([apart / "semi"], tmp_path / "again", to="coco")


def test_void_is_left_out_of_real_and_synthetic_pairs_alike(apart, tmp_path) -> None:
    train, out = apart / "real/train", tmp_path / "out"
    export.main([train, apart / "semi"], out, to="hf", void="ignore")
    assert list(verify.faults(out / "data/train")) == []
    assert PairSet(out / "data/train").manifest["sources"] == {"real": 8, "semi": 3}
    with pytest.raises(UserError, match=r"synthetic pairs alone.*export .*train with it"):
        export.main([apart / "semi"], tmp_path / "alone", to="hf", void="ignore")


def test_sets_that_do_not_belong_together_are_refused(apart, tmp_path) -> None:
    def refused(message: str, *paths: Path) -> None:
        with pytest.raises(UserError, match=message) as caught:
            export.main(list(paths), tmp_path / "out", to="mmseg")
        assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()

    train, semi = apart / "real/train", apart / "semi"
    refused("id 'r0' is in .*/train and in .*/copy", train, shutil.copytree(train, apart / "copy"))
    refused("starts from another real set .*; name that one", apart / "real/val", semi)
    other = write_set(apart / "other", CLASSES, [pair_of(5, "o", "real", CLASSES)])
    refused("has other classes or another size than", train, other)
    refused("is a folder of pair sets; name them", train, apart / "real")
