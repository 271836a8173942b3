"""IDD: AutoNUE's id labels, names that repeat, and 16:9 frames cut to 2:1."""

import numpy as np
import pytest
from PIL import Image

from data.pairs.shards import PairSet
from data.sources import idd as source
from data.sources.files import RawPair
from data.sources.ingest import kept
from data.stage.errors import UserError

CONFIG = source.Config()


def test_the_table_is_that_of_autonue() -> None:
    table = source.class_table(CONFIG)
    assert table.num_classes == 40 and len(table.eval_ids) == 31
    assert set(range(40)) - set(table.eval_ids) == {7, 15, 16, 17, 35, 36, 37, 38, 39}
    assert [table.names[i] for i in (0, 11, 29, 33, 35, 39)] == [
        "road",
        "autorickshaw",
        "building",
        "sky",
        "unlabeled",
        "license plate",
    ]


def test_frames_of_one_name_in_two_drives_are_two_pairs(idd) -> None:
    pairs = source.find(idd, ["train"], CONFIG)
    assert [pair.id for pair in pairs] == [
        "0_024541",
        "0_frame0029",
        "201_frame0029",
        "201_frame0119",
    ]
    assert [pair.group for pair in pairs] == ["0", "0", "201", "201"]
    for pair in pairs:
        assert pair.image.parent.name == pair.label.parent.name == pair.group
        assert pair.label.name.endswith("_gtFine_labelids.png")


def test_255_is_unlabeled(idd, files) -> None:
    pair = source.find(idd, ["val"], CONFIG)[0]
    files.save(pair.label, files.labels(0, [0, 39, 255], (72, 128)))
    assert set(np.unique(source.read_label(pair, CONFIG))) == {0, 35, 39}
    files.save(pair.label, files.labels(0, [0, 40], (72, 128)))
    with pytest.raises(UserError, match=r"40 \(\d+ pixels\); AutoNUE ids are .*--id-type id"):
        source.read_label(pair, CONFIG)


@pytest.mark.parametrize(
    ("remove", "there"),
    [
        (["*_labelids.png"], r"has \*_labellevel3Ids\.png, another numbering"),
        (["*_labelids.png", "*_labellevel3Ids.png"], "has polygons, as released"),
        (["*"], "has none either"),
    ],
)
def test_labels_that_were_not_drawn(idd, remove, there) -> None:
    for pattern in remove:
        for path in (idd / "gtFine" / "train").glob(f"*/{pattern}"):
            path.unlink()
    with pytest.raises(UserError, match=rf"gtFine/train has no DRIVE/.*; it {there}; draw them"):
        source.find(idd, ["train"], CONFIG)


def test_one_label_that_was_not_drawn(idd) -> None:
    (idd / "gtFine" / "train" / "201" / "frame0029_gtFine_labelids.png").unlink()
    with pytest.raises(UserError, match=r"201/frame0029.*jpg has no label .*createLabels\.py"):
        source.find(idd, ["train"], CONFIG)


def test_frames_are_cut_at_the_top_in_val_and_anywhere_in_train(idd) -> None:
    train, val = (source.find(idd, [split], CONFIG) for split in ("train", "val"))
    assert {pair.aspect for pair in train + val} == {2.0}
    assert [pair.place for pair in val] == [0.0, 0.0]
    places = [pair.place for pair in train]
    assert all(0 <= place < 1 for place in places) and len(set(places)) == 4
    assert [pair.place for pair in source.find(idd, ["train"], CONFIG)] == places
    other = source.find(idd, ["train"], source.Config(seed=1))
    assert not set(places) & {pair.place for pair in other}


def test_the_cut_of_a_pair_does_not_depend_on_the_others(idd) -> None:
    before = {pair.id: pair.place for pair in source.find(idd, ["train"], CONFIG)}
    for path in idd.glob("*/train/0/024541*"):
        path.unlink()
    for pair in source.find(idd, ["train"], CONFIG):
        assert pair.place == before[pair.id]


@pytest.mark.parametrize(
    ("size", "place", "box"),
    [
        ((1280, 720), 0.0, (0, 0, 1280, 640)),
        ((1280, 720), 0.5, (0, 40, 1280, 680)),
        ((1920, 1080), 1.0, (0, 120, 1920, 1080)),
        ((1280, 964), 0.0, (0, 0, 1280, 640)),
        ((1000, 500), 0.7, (0, 0, 1000, 500)),
        ((1200, 500), 0.5, (100, 0, 1100, 500)),
    ],
)
def test_the_box_is_the_largest_of_its_aspect(tmp_path, size, place, box) -> None:
    pair = RawPair("p", "train", tmp_path, tmp_path, aspect=2.0, place=place)
    assert kept(pair, size) == box


def test_image_and_label_are_cut_to_the_same_box(idd, files, run_ingest) -> None:
    # Every row has a colour and a class of its own, so that a shift by one row shows.
    rows = np.arange(72) % 40
    for split, stem in (("train", "0/024541"), ("val", "119/903127")):
        label = np.repeat(rows[:, None], 128, 1).astype(np.uint8)
        files.save(idd / "gtFine" / split / f"{stem}_gtFine_labelids.png", label)
        image = np.repeat((np.arange(72, dtype=np.uint8) * 3)[:, None], 128, 1)
        image[:, -1] = len(split)  # two pictures
        path = idd / "leftImg8bit" / split / f"{stem}_leftImg8bit.png"
        files.save(path, np.repeat(image[..., None], 3, 2))
    out = run_ingest(source="idd", root=idd, height=64, width=128)
    place = {pair.id: pair.place for pair in source.find(idd, ["train"], CONFIG)}["0_024541"]
    top = round(8 * place)
    assert 0 < top <= 8, "the fixture must be cut below the top"
    for split, name, start in (("train", "0_024541", top), ("val", "119_903127", 0)):
        pairs = PairSet(out / split)
        pair = pairs[pairs.ids().index(name)]
        assert (pair.label[:, 0] == rows[start : start + 64]).all()
        assert (pair.image[:, 0, 0] == np.arange(start, start + 64) * 3).all()


def test_without_an_aspect_frames_stay_whole(idd, run_ingest) -> None:
    out = run_ingest(source="idd", root=idd, height=72, width=128, idd={"aspect": None})
    pairs = PairSet(out / "train")
    with Image.open(idd / "gtFine" / "train" / "0" / "024541_gtFine_labelids.png") as label:
        assert (pairs[0].label == np.asarray(label)).all()


def test_one_frame_cut_at_two_places_is_still_one_frame(idd, run_ingest) -> None:
    train = idd / "leftImg8bit" / "train" / "0" / "frame0029_leftImg8bit.png"
    val = idd / "leftImg8bit" / "val" / "119" / "903127_leftImg8bit.png"
    val.write_bytes(train.read_bytes())
    with pytest.raises(UserError, match=r"are the same image; remove one"):
        run_ingest(source="idd", root=idd)


def test_the_seed_of_the_cuts_is_in_the_fingerprint(idd, run_ingest) -> None:
    prints = [
        PairSet(run_ingest(f"out{seed}", source="idd", root=idd, idd={"seed": seed}) / "train")
        for seed in (0, 1)
    ]
    assert prints[0].manifest["fingerprint"] != prints[1].manifest["fingerprint"]
