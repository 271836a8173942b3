"""Every export gives back the same images and labels, to the program that it is for and to us."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from data.pairs.pair import Pair
from data.pairs.shards import PairSet
from data.sources import SOURCES
from data.stage.errors import UserError
from data.tools import export, verify
from data.tools.exports import EXPORTS
from data.tools.exports.names import safe_names
from tests.data.exports.helpers import (
    CITYSCAPES,
    CLASSES,
    IDS,
    SIZE,
    by_content,
    pair_of,
    picture,
    sets_of,
    table_of,
    write_set,
)


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
        "annotations": files.annotations,
    }
    root = Path("data/sources/streets")
    if source != "streets":
        root = request.getfixturevalue(source)
    sets = run_ingest(source=source, root=root, **{source: config.get(source, {})})
    assert [list(verify.faults(path)) for path in sets.iterdir()] == [[], [], []]
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
