"""Ingest checks everything before it writes anything, and says what to mend."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.pairs.shards import PairSet
from data.sources import SOURCES
from data.sources.ingest import DatasetParams
from data.stage.errors import UserError
from data.tools import verify

STREETS = Path("data/sources/streets")


def refused(run_ingest, message: str, **dataset) -> None:
    """Check that a dataset is refused in one line and that an older output stays."""
    out = Path("real")
    out.mkdir()
    (out / "older").mkdir()
    (out / "older" / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match=message) as caught:
        run_ingest(**dataset)
    assert "\n" not in str(caught.value)
    assert [path.name for path in out.iterdir()] == ["older"]
    assert not list(Path().glob(".real*"))


def test_an_image_without_a_label(camvid, run_ingest) -> None:
    (camvid / "trainannot" / "0001TP_006720.png").unlink()
    message = r"0001TP_006720\.png has no label '0001TP_006720' in .*trainannot.*; add the label"
    refused(run_ingest, message, source="camvid", root=camvid)


def test_a_label_without_an_image(cityscapes, run_ingest) -> None:
    next(cityscapes.rglob("munster_000001*leftImg8bit.png")).unlink()
    message = r"munster_000001.*_labelIds\.png has no image of stem 'munster_000001_000019'"
    refused(run_ingest, message, source="cityscapes", root=cityscapes)


def test_image_and_label_of_different_size(camvid, files, run_ingest) -> None:
    files.save(camvid / "valannot" / "0016E5_07961.png", files.labels(0, [0, 3], (40, 50)))
    message = r"0016E5_07961\.png is 60x40, its label .*0016E5_07961\.png is 50x40"
    refused(run_ingest, message, source="camvid", root=camvid)


def test_label_values_out_of_the_table(camvid, files, run_ingest) -> None:
    label = np.zeros((40, 60), np.uint8)
    label[0, :5], label[1, :2] = 12, 200
    files.save(camvid / "valannot" / "0016E5_07961.png", label)
    message = r"0016E5_07961\.png has label values .*: 12 \(5 pixels\), 200 \(2 pixels\); CamVid"
    refused(run_ingest, message, source="camvid", root=camvid)


def test_an_unreadable_image(camvid, run_ingest) -> None:
    path = camvid / "train" / "0001TP_006690.jpg"
    path.write_bytes(path.read_bytes()[:300])
    message = r"0001TP_006690\.jpg is not readable \(.*\); replace or remove it"
    refused(run_ingest, message, source="camvid", root=camvid)


def test_a_file_that_is_no_image(camvid, run_ingest) -> None:
    (camvid / "trainannot" / "0001TP_006690.png").write_text("not a picture")
    refused(run_ingest, r"0001TP_006690\.png is not readable", source="camvid", root=camvid)


def test_a_split_without_images(camvid, run_ingest) -> None:
    for path in [*(camvid / "val").iterdir(), *(camvid / "valannot").iterdir()]:
        path.unlink()
    refused(run_ingest, r"val has no image \(.*; unpack CamVid", source="camvid", root=camvid)


def test_a_split_whose_rule_finds_nothing(folder, files, run_ingest) -> None:
    rule = {"train": "photos/*.jpg", "val": "masks/*.png"}
    config = files.folder | {"split": "glob", "glob": rule}
    message = r"split 'val' is empty; give it images$"
    refused(run_ingest, message, source="folder", root=folder, folder=config)


def test_the_same_image_in_two_splits_under_other_names(camvid, run_ingest) -> None:
    # Another file format of the same pixels has other bytes: what is compared is the picture.
    Image.open(camvid / "train" / "0001TP_006720.png").save(
        camvid / "val" / "0016E5_07961.png", compress_level=1
    )
    message = r"train/0001TP_006720\.png \(train\) and .*0016E5_07961\.png \(val\) are the same im"
    refused(run_ingest, message, source="camvid", root=camvid)


def test_the_same_id_in_two_splits(camvid, files, run_ingest) -> None:
    files.save(camvid / "val" / "0001TP_006720.png", files.picture(77))
    files.save(camvid / "valannot" / "0001TP_006720.png", files.labels(77, [1]))
    refused(
        run_ingest,
        r"train/0001TP_006720\.png and .*val/.* get the same id",
        source="camvid",
        root=camvid,
    )


@pytest.mark.parametrize(
    ("split", "advice"), [("val", "`eval: true`"), ("test", "withheld.* take it out of")]
)
def test_a_split_without_scored_pixels(cityscapes, files, run_ingest, split, advice) -> None:
    stem = f"{split}_000000_000019"
    image = cityscapes / "leftImg8bit" / split / split / f"{stem}_leftImg8bit.png"
    files.save(image, files.picture(900))
    label = cityscapes / "gtFine" / split / split / f"{stem}_gtFine_labelIds.png"
    files.save(label, files.labels(0, [0, 1, 3]))
    for path in (cityscapes / "gtFine" / split).rglob("*_labelIds.png"):
        files.save(path, files.labels(0, [0, 1, 3]))
    splits = ["train", "val", *({split} - {"val"})]
    message = rf"split '{split}' has no pixel of a class that counts .*{advice}"
    refused(run_ingest, message, source="cityscapes", root=cityscapes, splits=splits)


def test_an_unknown_source_lists_the_known(camvid, run_ingest) -> None:
    message = r"unknown dataset source .kitti.; there is streets, cityscapes, .*ade20k, .*folder"
    refused(run_ingest, message, source="kitti", root=camvid)


def test_a_folder_needs_its_section(folder, run_ingest) -> None:
    refused(run_ingest, r"needs a section dataset\.folder", source="folder", root=folder)


@pytest.mark.parametrize("splits", [["train"], ["train", "val", "val"], ["val", "test"]])
def test_train_and_val_are_required_once(camvid, run_ingest, splits) -> None:
    message = r"dataset\.splits must be train, val and"
    refused(run_ingest, message, source="camvid", root=camvid, splits=splits)


def test_wrong_keys_are_all_listed(camvid, run_ingest) -> None:
    message = r"`dataset\.height` = 3: .*`dataset\.camvid\.sed` is not a known key"
    refused(run_ingest, message, source="camvid", root=camvid, height=3, camvid={"sed": 1})


def test_defaults_suit_every_source_but_those_of_ones_own() -> None:
    shared = {"root": "x", "height": 64, "width": 128}
    for name in set(SOURCES) - {"folder", "annotations"}:
        _, config = DatasetParams(source=name, **shared).chosen()
        assert config == SOURCES[name].Config()
    with pytest.raises(UserError, match=r"'folder' needs a section dataset\.folder"):
        DatasetParams(source="folder", **shared).chosen()


def test_labels_stay_crisp_and_images_are_averaged(camvid, files, run_ingest) -> None:
    checks = np.indices((40, 60)).sum(0) % 2
    for path in (camvid / "train").glob("*.png"):
        files.save(path, np.repeat((checks * 255).astype(np.uint8)[..., None], 3, 2))
        files.save(camvid / "trainannot" / path.name, (checks * 9).astype(np.uint8))
    out = run_ingest(source="camvid", root=camvid)
    pair = PairSet(out / "train")[1]
    assert set(np.unique(pair.label)) <= {0, 9}
    # A checkerboard at half its size is grey when neighbours are averaged, not black or white.
    assert abs(float(pair.image[2:-2, 2:-2].mean()) - 127.5) < 3
    assert pair.image[2:-2, 2:-2].std() < 10


def test_pairs_of_the_right_size_are_kept_as_they_are(camvid, run_ingest) -> None:
    out = run_ingest(source="camvid", root=camvid, height=40, width=60)
    pair = PairSet(out / "train")[1]
    with Image.open(camvid / "train" / "0001TP_006720.png") as image:
        assert (np.asarray(image) == pair.image).all()
    with Image.open(camvid / "trainannot" / "0001TP_006720.png") as label:
        assert (np.asarray(label) == pair.label).all()


@pytest.mark.parametrize(
    ("detail", "size"), [(1.5, (30, 45)), (4.0, (40, 60)), (1.0, None), (1.0001, None)]
)
def test_training_pairs_are_kept_finer_as_far_as_their_files_go(
    camvid, run_ingest, detail, size
) -> None:
    plain = run_ingest("plain", source="camvid", root=camvid)
    out = run_ingest("fine", source="camvid", root=camvid, detail=detail)
    for split in ("train", "val"):
        files = sorted(path.name for path in (plain / split).iterdir())
        assert files == sorted(path.name for path in (out / split).iterdir())
        for name in files:
            assert (plain / split / name).read_bytes() == (out / split / name).read_bytes()
    train, fine = PairSet(out / "train"), PairSet(out / "detail")
    assert list(verify.faults(out / "detail")) == []
    if size is None:
        assert len(fine) == 0 and fine.size == train.size
        return
    assert fine.size == size and fine.ids() == train.ids()
    assert fine.column("group") == train.column("group")
    if size == (40, 60):
        with Image.open(camvid / "train" / "0001TP_006720.png") as image:
            assert (np.asarray(image) == fine[1].image).all()


def test_photographs_lie_upright(folder, files, run_ingest) -> None:
    path = folder / "photos" / "p00.jpg"
    with Image.open(path) as image:
        turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # a camera held upright: rotate by 270 degrees to show
    turned.save(path, exif=exif)
    run_ingest(source="folder", root=folder, folder=files.folder)


def fingerprint(out: Path) -> str:
    return PairSet(out / "train").manifest["fingerprint"]


def test_the_fingerprint_follows_content_and_size_not_place(camvid, files, run_ingest) -> None:
    first = fingerprint(run_ingest("a", source="camvid", root=camvid))
    moved = camvid.rename(camvid.parent / "moved")
    assert fingerprint(run_ingest("b", source="camvid", root=moved)) == first
    assert fingerprint(run_ingest("c", source="camvid", root=moved, height=24)) != first
    files.save(moved / "val" / "0016E5_07959.png", files.picture(55))
    assert fingerprint(run_ingest("d", source="camvid", root=moved)) != first


def test_pairs_know_their_video_or_city_and_streets_have_none(
    camvid, cityscapes, run_ingest
) -> None:
    def groups(split: str, source: str, root: Path, **config: Any) -> dict[str, str | None]:
        pairs = PairSet(run_ingest(f"{source}-sets", source=source, root=root, **config) / split)
        return dict(zip(pairs.ids(), pairs.column("group"), strict=True))

    videos = {"0001TP_006690": "0001TP", "0001TP_006720": "0001TP", "0006R0_f00930": "0006R0"}
    assert groups("train", "camvid", camvid) == videos
    assert set(groups("val", "cityscapes", cityscapes).values()) == {"munster"}
    numbers = {"num_train": 2, "num_val": 1, "num_test": 1, "seed": 1}
    assert {None} == set(groups("train", "streets", STREETS, streets=numbers).values())


def test_the_stage_reports_its_images(camvid, run_ingest) -> None:
    run_ingest(source="camvid", root=camvid)
    assert '"images": 5' in Path("artifacts/timings.jsonl").read_text()


def test_a_dataset_is_not_written_over_itself(camvid, run_ingest) -> None:
    before = sorted(camvid.rglob("*"))
    with pytest.raises(UserError, match=r"holds 'train', which no run of this stage wrote"):
        run_ingest(str(camvid), source="camvid", root=camvid)
    with pytest.raises(UserError, match=r"lies in the dataset .*camvid; write somewhere else"):
        run_ingest(str(camvid / "pairs"), source="camvid", root=camvid)
    assert sorted(camvid.rglob("*")) == before


def test_two_files_of_one_id_are_both_named(folder, files, run_ingest) -> None:
    for index, name in enumerate(("s/b", "s-b")):
        files.save(folder / "photos" / f"{name}.png", files.picture(50 + index))
        files.save(folder / "masks" / f"{name}_mask.png", files.labels(50 + index, [0, 1]))
    config = files.folder | {"images": "photos/**/*.png", "masks": "masks/**/*.png"}
    for mask in (folder / "masks").glob("p*.png"):
        mask.unlink()
    message = r"photos/s/b\.png and .*photos/s-b\.png get the same id 'photos-s-b'; rename one"
    refused(run_ingest, message, source="folder", root=folder, folder=config)


def test_an_image_on_two_lists_is_named_with_both(folder, files, run_ingest) -> None:
    (folder / "train.txt").write_text("p00\np01\n")
    (folder / "val.txt").write_text("p01\np02\n")
    rule = {"split": "list", "list": {"train": "train.txt", "val": "val.txt"}}
    message = r"p01\.jpg is in the splits 'train' and 'val'; take it out of one"
    refused(run_ingest, message, source="folder", root=folder, folder=files.folder | rule)


def test_a_name_that_is_not_utf8_is_refused(folder, files, run_ingest) -> None:
    for kind, name in (("photos", b"\xe9t\xe9.jpg"), ("masks", b"\xe9t\xe9_mask.png")):
        (folder / kind / "p00.x").write_bytes(b"")
        (folder / kind / "p00.x").rename(folder / kind / os.fsdecode(name))
    message = r"has a name that is not UTF-8; rename it"
    refused(run_ingest, message, source="folder", root=folder, folder=files.folder)
