"""Every source reads its published layout into class ids that its table knows."""

from pathlib import Path

import numpy as np
import pytest

from data.pairs.shards import PairSet
from data.sources import SOURCES
from data.sources import camvid as camvid_source
from data.sources import cityscapes as cityscapes_source
from data.sources.files import RawPair, read_values
from data.sources.ingest import Dataset
from data.sources.streets.source import render
from data.stage.errors import UserError

OWN = {"streets", "folder", "annotations"}
EVAL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def section(name, request, files):
    """Return the `dataset` section of a source's fixture: a source without one fails here."""
    if name == "streets":
        config = {"num_train": 3, "num_val": 2, "num_test": 1, "seed": 5}
        return {"root": "data/sources/streets", "streets": config}
    root = request.getfixturevalue(name)
    own = {"folder": files.folder, "annotations": files.annotations}
    return {"root": root} | ({name: own[name]} if name in own else {})


def test_no_source_is_called_like_a_key_that_all_have() -> None:
    assert not set(SOURCES) & set(Dataset.model_fields)


@pytest.mark.parametrize("name", sorted(set(SOURCES) - OWN))
def test_a_public_dataset_lists_its_traps_and_its_licence(name) -> None:
    assert "\nKnown traps:\n\n* " in SOURCES[name].__doc__
    assert len(SOURCES[name].LICENCE) > 20


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"streets", "annotations"}))
def test_finding_decodes_nothing(name, request, files) -> None:
    dataset = section(name, request, files)
    config = SOURCES[name].Config(**dataset.get(name, {}))

    def found():
        return SOURCES[name].find(dataset["root"], ["val", "train"], config)

    before = found()
    emptied = [p for p in dataset["root"].rglob("*") if p.suffix in (".png", ".jpg")]
    for path in emptied:
        path.write_bytes(b"")
    assert emptied and found() == before and {p.split for p in before} == {"train", "val"}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_becomes_pair_sets(name, request, files, run_ingest) -> None:
    out = run_ingest(source=name, **section(name, request, files))
    sets = {split: PairSet(out / split) for split in ("train", "val")}
    assert sorted(path.name for path in out.iterdir()) == ["detail", "train", "val"]
    ids = [i for pairs in sets.values() for i in pairs.ids()]
    assert len(set(ids)) == len(ids)
    for pairs in sets.values():
        assert pairs.size == (20, 30)
        assert pairs.origin["real"]["dataset"] == name
        assert set(pairs.column("source")) == {"real"}
        for pair in pairs.pairs():
            assert pair.image.shape == (20, 30, 3) and pair.label.shape == (20, 30)
            assert pair.label.max() < pairs.classes.num_classes
        assert np.allclose(pairs.column("palette").sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("name", SOURCES)
def test_ingest_again_gives_the_same_bytes(name, request, files, run_ingest) -> None:
    dataset = section(name, request, files)
    first, second = (run_ingest(out, source=name, **dataset) for out in ("one", "two"))
    for path in sorted(first.rglob("*.*")):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path


def test_cityscapes_table_is_the_official_one() -> None:
    table = cityscapes_source.class_table(cityscapes_source.Config())
    assert table.num_classes == 35
    assert table.eval_ids == EVAL_IDS
    assert table.classes[26].name == "car" and table.classes[26].color == (0, 0, 142)
    assert table.names[34] == "license plate"


def test_cityscapes_licence_plates_become_34(cityscapes) -> None:
    config = cityscapes_source.Config()
    pair = cityscapes_source.find(cityscapes, ["train"], config)[0]
    raw = read_values(pair.label)
    label = cityscapes_source.read_label(pair, config)
    assert (raw == 255).any()
    assert (label[raw == 255] == 34).all()
    assert (label[raw != 255] == raw[raw != 255]).all()


def test_cityscapes_ids_are_the_official_stems(cityscapes) -> None:
    pairs = cityscapes_source.find(cityscapes, ["val", "train"], cityscapes_source.Config())
    assert [pair.id for pair in pairs][:3] == [
        "munster_000000_000019",
        "munster_000001_000019",
        "aachen_000000_000019",
    ]
    assert {pair.split for pair in pairs[:2]} == {"val"}


def test_camvid_void_is_a_class_that_does_not_count(camvid) -> None:
    table = camvid_source.class_table(camvid_source.Config())
    assert table.num_classes == 12 and table.eval_ids == tuple(range(11))
    pair = camvid_source.find(camvid, ["train"], camvid_source.Config())[0]
    label = camvid_source.read_label(pair, camvid_source.Config())
    assert set(np.unique(label)) == set(range(12)) and table.names[11] == "void"


def test_camvid_takes_the_splits_that_are_asked_for(camvid) -> None:
    find, config = camvid_source.find, camvid_source.Config()
    assert len(find(camvid, ["train", "val"], config)) == 5
    assert len(find(camvid, ["val"], config)) == 2
    with pytest.raises(UserError, match=r"test is missing; .*camvid has train, trainannot, val, "):
        find(camvid, ["train", "test"], config)


def test_a_root_that_is_not_there_is_named(tmp_path) -> None:
    for source in (camvid_source, cityscapes_source):
        with pytest.raises(UserError, match=r"nowhere.* is missing; set `dataset\.root`"):
            source.find(tmp_path / "nowhere" / "deep", ["train"], source.Config())


def test_cityscapes_without_annotations_says_what_is_there(cityscapes) -> None:
    (cityscapes / "gtFine").rename(cityscapes / "gtCoarse")
    with pytest.raises(UserError, match=r"gtFine is missing; .* has gtCoarse, leftImg8bit"):
        cityscapes_source.find(cityscapes, ["train"], cityscapes_source.Config())


def test_colour_labels_are_refused_where_ids_are_due(cityscapes) -> None:
    color = next(cityscapes.rglob("*_color.png"))
    with pytest.raises(UserError, match="is a colour image, but labels are single-channel"):
        cityscapes_source.read_label(
            RawPair("p", "train", color, color), cityscapes_source.Config()
        )


def test_streets_are_read_by_the_cityscapes_parser(tmp_path: Path) -> None:
    render(tmp_path, {"train": 2, "val": 1}, height=32, width=64, seed=1)
    pairs = cityscapes_source.find(tmp_path, ["train", "val"], cityscapes_source.Config())
    assert [pair.split for pair in pairs] == ["train", "train", "val"]
    label = cityscapes_source.read_label(pairs[0], cityscapes_source.Config())
    assert label.shape == (32, 64)


def test_hidden_files_are_no_images(camvid) -> None:
    (camvid / "train" / "._0001TP_006690.jpg").write_bytes(b"x")
    assert len(camvid_source.find(camvid, ["train"], camvid_source.Config())) == 3


def test_frames_of_one_drive_or_video_are_a_group(cityscapes, camvid) -> None:
    pairs = cityscapes_source.find(cityscapes, ["train", "val"], cityscapes_source.Config())
    assert [pair.group for pair in pairs] == ["aachen", "aachen", "bochum", "munster", "munster"]
    pairs = camvid_source.find(camvid, ["train", "val"], camvid_source.Config())
    assert [pair.group for pair in pairs] == ["0001TP", "0001TP", "0006R0", "0016E5", "0016E5"]


def test_the_withheld_labels_of_cityscapes_test_are_no_labels(
    cityscapes, files, run_ingest
) -> None:
    stem = "berlin_000000_000019"
    folder = cityscapes / "gtFine" / "test" / "berlin"
    files.save(folder / f"{stem}_gtFine_labelIds.png", files.labels(0, [1, 2, 3]))
    image = cityscapes / "leftImg8bit" / "test" / "berlin" / f"{stem}_leftImg8bit.png"
    files.save(image, files.picture(900))
    with pytest.raises(UserError, match=r"split 'test' has no pixel of a class .*withheld"):
        run_ingest(source="cityscapes", root=cityscapes, splits=["train", "val", "test"])
