"""Folders of one's own as people have them: what is read, what is counted, what is said once."""

import logging
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.tools.suggest import suggest

CLASSES = [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf"}]
SHAPE = (40, 60)


@pytest.fixture
def own(tmp_path, files):
    """Write pairs at paths of images and masks, below own/; a picture of every key."""
    root = tmp_path / "own"

    def write(image: str, mask: str | None, key: int, shape=SHAPE) -> Path:
        files.save(root / image, files.picture(key, SHAPE))
        if mask is not None:
            label = np.zeros(shape, np.uint8)
            label[5:20, 5 + key : 25 + key] = 1
            files.save(root / mask, label)
        return root

    return write


@pytest.fixture
def read(run_ingest, tmp_path):
    """Ingest own/ by a section `folder`; returns the sets by split."""

    def run(images="images/*", masks="masks/*", **folder) -> dict[str, PairSet]:
        section = {"images": images, "masks": masks, "classes": CLASSES} | folder
        out = run_ingest(source="folder", root=tmp_path / "own", folder=section)
        return {path.name: PairSet(path) for path in sorted(out.iterdir())}

    return run


@pytest.fixture
def suggested(run_ingest, tmp_path):
    """Suggest a section for own/ and ingest what it says; returns section and sets."""

    def run(images="images/*", masks="masks/*"):
        root = tmp_path / "own"
        found = suggest(str(root / images), str(root / masks))
        section = YAML(typ="safe").load(found.text)["dataset"]
        out = run_ingest(**section)
        sets = {path.name: PairSet(path) for path in sorted(out.iterdir())}
        return section, {name: pairs for name, pairs in sets.items() if len(pairs)}, found.notes

    return run


def count(sets: dict[str, PairSet]) -> int:
    return sum(map(len, sets.values()))


def agree(sets: dict[str, PairSet], keys: dict[str, int], files) -> None:
    """Check that every pair has the image of its key and the mask that was drawn for it."""
    assert sorted(name for pairs in sets.values() for name in pairs.ids()) == sorted(keys)
    for pairs in sets.values():
        for pair in pairs.pairs():
            columns = np.flatnonzero((pair.label == 1).any(axis=0))
            scale = SHAPE[1] / pair.label.shape[1]
            assert abs(columns[0] * scale - 5 - keys[pair.id]) <= scale


def test_counts_are_told_at_the_end(own, read, caplog) -> None:
    for key in range(6):
        own(f"images/p{key}.png", f"masks/p{key}.png" if key < 4 else None, key)
    lists = {"train": "t.txt", "val": "v.txt"}
    root = own("images/p0.png", "masks/p0.png", 0)
    (root / "t.txt").write_text("p0\np1\n")
    (root / "v.txt").write_text("p2\n")
    caplog.set_level(logging.INFO)
    assert count(read(split="list", list=lists)) == 3
    said = [record.getMessage() for record in caplog.records]
    assert said[-1] == "real: 3 pairs (train 2, val 1) of 6 images and 4 masks"
    assert any("without a mask, and in no split: 2 images (" in line for line in said)


def test_a_checkpoint_of_a_notebook_is_no_pair(own, suggested, files, caplog) -> None:
    for key in range(4):
        own(f"images/a/p{key}.png", f"masks/a/p{key}.png", key)
    hidden = ".ipynb_checkpoints/p1-checkpoint.png"
    own(f"images/a/{hidden}", f"masks/a/{hidden}", 30)
    caplog.set_level(logging.INFO)
    _, sets, notes = suggested("images/**/*.png", "masks/**/*.png")
    agree(sets, {f"images-a-p{key}": key for key in range(4)}, files)
    (line,) = [note for note in notes if note.startswith("hidden, and left out: ")]
    assert line.count(".ipynb_checkpoints") == 2
    assert sum(record.getMessage() == line for record in caplog.records) == 1


@pytest.mark.parametrize("rule", ["list", "glob", "only"])
def test_images_that_no_split_names_need_no_mask(own, read, rule) -> None:
    for key in range(6):
        root = own(f"images/p{key}.png", f"masks/p{key}.png" if key < 4 else None, key)
    (root / "t.txt").write_text("p0\np1\np2\n")
    (root / "v.txt").write_text("p3\n")
    (root / "all.txt").write_text("p0\np1\np2\np3\n")
    rules = {
        "list": {"split": "list", "list": {"train": "t.txt", "val": "v.txt"}},
        "glob": {
            "split": "glob",
            "glob": {"train": "images/p[0-2].png", "val": "images/p3.png"},
        },
        "only": {"split": "share", "only": "all.txt"},
    }
    assert count(read(**rules[rule])) == 4
    with pytest.raises(UserError, match=r"p4\.png has no label 'p4' .*2 in all: .*p5\.png"):
        read()
    (root / "v.txt").write_text("p3\np5\n")
    with pytest.raises(UserError, match=r"p5\.png has no label 'p5'"):
        read(**rules["list"])


@pytest.mark.parametrize(
    ("lists", "key"),
    [
        (("train", "val"), "list"),
        (("Training", "validation"), "list"),
        (("default",), "only"),
    ],
)
def test_lists_are_found(own, suggested, lists, key) -> None:
    for number in range(8):
        mask = f"SegmentationClass/f{number}.png" if number not in (3, 7) else None
        root = own(f"JPEGImages/f{number}.PNG", mask, number)
    where = root / "ImageSets" / "Segmentation"
    where.mkdir(parents=True)
    names = [f"f{number}\r\n" for number in range(8) if number not in (3, 7)]
    for place, name in enumerate(lists):
        (where / f"{name}.txt").write_text("".join(names[place :: len(lists)]))
    (root / "readme.txt").write_text("f0\nand other words\n")
    section, sets, _ = suggested("JPEGImages/*.png", "SegmentationClass/*.png")
    assert count(sets) == 6
    named = section["folder"][key]
    assert named == (
        "ImageSets/Segmentation/default.txt"
        if key == "only"
        else {
            "train": f"ImageSets/Segmentation/{lists[0]}.txt",
            "val": f"ImageSets/Segmentation/{lists[1]}.txt",
        }
    )


def test_lists_that_share_images_are_no_splits(own, suggested) -> None:
    for key in range(4):
        root = own(f"images/p{key}.png", f"masks/p{key}.png", key)
    (root / "train.txt").write_text("p0\np1\np2\n")
    (root / "val.txt").write_text("p2\np3\n")
    section, sets, _ = suggested()
    assert section["folder"]["split"] == "share" and count(sets) == 4


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("scene{s}/rgb/{i:04d}.png", "scene{s}/seg/{i:04d}.png"),
        ("scene{s}/rgb/{i:04d}.png", "scene{s}/seg/{i:04d}_mask.png"),
        ("scene{s}/cam/rgb/{i:04d}.png", "scene{s}/out/seg/{i:04d}.png"),
        ("s{s}_rgb/{i}.png", "s{s}_seg/{i}.png"),
        ("rgb/s{s}/{i}.png", "seg/s{s}/{i}.png"),
    ],
)
def test_frames_that_are_numbered_anew_in_every_scene(own, suggested, files, image, mask) -> None:
    keys = {}
    for s in range(3):
        for i in range(3):
            name = image.format(s=s, i=i)
            own(name, mask.format(s=s, i=i), 3 * s + i)
            keys[name.removesuffix(".png").replace("/", "-")] = 3 * s + i

    def glob(form: str) -> str:
        folders, _, _ = form.format(s="*", i=0).rpartition("/")
        return f"{folders}/*.png"

    section, sets, _ = suggested(glob(image), glob(mask))
    agree(sets, keys, files)
    assert section["folder"]["split"] == "group"
    scenes = [{keys[pair] // 3 for pair in pairs.ids()} for pairs in sets.values()]
    assert all(scenes) and not scenes[0] & scenes[1]


def test_folders_below_two_stars_are_matched_too(own, read, files) -> None:
    keys = {}
    for number, scene in enumerate(("a/x", "b")):
        for i in range(2):
            own(f"{scene}/rgb/{i}.png", f"{scene}/seg/{i}.png", 2 * number + i)
            keys[f"{scene}/rgb/{i}".replace("/", "-")] = 2 * number + i
    agree(read("**/rgb/*.png", "**/seg/*.png"), keys, files)


def test_names_in_two_forms_of_unicode_are_one(own, suggested, files) -> None:
    name = "Gem\u00fcse_{}"
    for key in range(6):
        image, mask = (
            unicodedata.normalize(form, name.format(key))
            for form in (("NFC", "NFD")[:: 1 - key % 2 * 2])
        )
        own(f"images/{image}.png", f"masks/{mask}.png", key)
    _, sets, _ = suggested()
    agree(sets, {f"images-{name.format(key)}": key for key in range(6)}, files)


def test_one_name_twice_in_two_forms_is_said(own, read) -> None:
    for key, form in enumerate(("NFC", "NFD")):
        name = unicodedata.normalize(form, "\u00fc")
        own(f"images/{name}.png", f"masks/{name}.png", key)
    with pytest.raises(UserError, match=r"differ in the form of Unicode only \(NFC, NFD\)"):
        read()


def test_lists_in_another_form_of_unicode_and_from_windows(own, read) -> None:
    for key in range(4):
        name = unicodedata.normalize("NFD", f"Gem\u00fcse_{key}")
        root = own(f"images/{name}.png", f"masks/{name}.png", key)
    (root / "lists").mkdir()
    (root / "lists" / "t.txt").write_text("Gem\u00fcse_0\nGem\u00fcse_1.png\n", encoding="utf-8")
    (root / "lists" / "v.txt").write_text("images\\Gem\u00fcse_3.png\r\n", encoding="utf-8-sig")
    lists = {"train": "lists\\t.txt", "val": "lists\\v.txt"}
    sets = read("images\\*.png", "masks\\*.png", split="list", list=lists)
    assert count(sets) == 3 and sets["val"].ids() == ["images-Gem\u00fcse_3"]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("IMG_{}.JPG", "img_{}.png"),
        ("Cell_{}.PNG", "cell_{}.png"),
        ("img_{}.png", "IMG_{}_Mask.PNG"),
        ("Img_{}_RGB.png", "img_{}_mask.png"),
    ],
)
def test_an_image_and_a_mask_may_differ_in_case(own, suggested, image, mask) -> None:
    for key in range(6):
        own(f"images/{image.format(key)}", f"masks/{mask.format(key)}", key)
    _, sets, _ = suggested()
    assert count(sets) == 6


def test_names_that_differ_in_case_alone_are_two(own, suggested, files) -> None:
    keys = {}
    for key, name in enumerate(("Cell_03", "cell_03", "cell_04", "CELL_05")):
        own(f"images/{name}.{'PNG' if key % 2 else 'png'}", f"masks/{name}.png", 4 * key)
        keys[f"images-{name}"] = 4 * key
    _, sets, _ = suggested()
    agree(sets, keys, files)


def test_brackets_in_names_of_folders(own, suggested) -> None:
    for key in range(4):
        own(f"photos [2024]/a{key}.png", f"masks [2024]/a{key}.png", key)
    own("photos 2/b.png", None, 9)
    section, sets, _ = suggested("photos [2024]/*.png", "masks [2024]/*.png")
    assert section["folder"]["images"] == "photos [2024]/*.png" and count(sets) == 4
    assert count(suggested("photos [2024]", "masks [2024]")[1]) == 4


def test_blank_tiles_are_no_duplicates_and_others_are_counted(own, read, files) -> None:
    for key in range(12):
        root = own(f"images/p{key:02d}.png", f"masks/p{key:02d}.png", key)
        if key % 2:
            shade = np.full((*SHAPE, 3), 250 if key % 4 == 1 else 0, np.uint8)
            files.save(root / f"images/p{key:02d}.png", shade)
            files.save(root / f"masks/p{key:02d}.png", np.zeros(SHAPE, np.uint8))
    split = {"split": "glob", "glob": {"train": "images/p0*", "val": "images/p1*"}}
    assert count(read(**split)) == 12
    for key in (0, 2, 4, 6, 8, 10):
        files.save(root / f"images/p{key:02d}.png", files.picture(0, SHAPE))
    own("images/p12.png", "masks/p12.png", 0)
    message = r"p00\.png \(train\) and .*p10\.png \(val\) are the same image \(2 such: .*p12\.png"
    with pytest.raises(UserError, match=message):
        read(**split)


def test_masks_of_another_size_are_counted_and_the_fix_follows(own, read, suggested) -> None:
    small = (SHAPE[0] // 4, SHAPE[1] // 4)
    for key in range(7):
        own(f"images/p{key}.png", f"masks/p{key}.png", 0, small)
    whole = r"7 of 7 labels .*p0\.png is 60x40, its label .*p0\.png is 15x10, .* and 2 others; "
    for run in (read, suggested):
        with pytest.raises(UserError, match=whole + r"the labels are smaller by 4 in both"):
            run()
    own("images/p3.png", "masks/p3.png", 0, (41, 62))
    with pytest.raises(UserError, match=whole + r"how label and image lie on each other cannot"):
        read()
    for key in range(7):
        own(f"images/p{key}.png", f"masks/p{key}.png", 0, (60, 90))
    with pytest.raises(UserError, match=r"the aspect is the same: scale the images"):
        read()


def test_faults_of_one_kind_are_said_once(own, read, files) -> None:
    for key in range(9):
        root = own(f"images/p{key}.png", f"masks/p{key}.png", key)
        if key < 7:
            bad = np.zeros(SHAPE, np.uint8)
            bad[0, : key + 1] = 7 + key
            files.save(root / f"masks/p{key}.png", bad)
    (root / "images/p8.png").write_bytes(b"no picture")
    message = (
        r"^\S*p\d\.png has label values out of the class table: \d+ \(\d pixels\); add .* \(7 such "
        r"pairs, also (\S*p\d\.png,? ){5}and 1 other\); also: \S*p8\.png is not readable as"
    )
    with pytest.raises(UserError, match=message):
        read()


@pytest.mark.parametrize("choice", ["ignore", "black", "white"])
def test_a_cut_out_does_not_show_its_mask(own, read, files, caplog, choice) -> None:
    for key in range(3):
        root = own(f"images/p{key}.png", f"masks/p{key}.png", key)
        with Image.open(root / f"masks/p{key}.png") as mask:
            alpha = np.asarray(mask) * 255
        files.save(root / f"images/p{key}.png", np.dstack([files.picture(key, SHAPE), alpha]))
    own("images/p3.png", "masks/p3.png", 3)
    caplog.set_level(logging.INFO)
    sets = read(alpha=choice)
    (line,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("note: ")]
    assert line.startswith("note: 3 of 4 images have a partly transparent alpha channel (")
    assert f"dataset.folder.alpha is {choice}" in line
    for pairs in sets.values():
        for pair in pairs.pairs():
            outside = pair.image[pair.label == 0]
            shown = outside.std() > 10
            assert shown == (choice == "ignore" or pair.id == "images-p3")


def test_a_cut_out_of_one_colour_is_doubted(own, suggested, files) -> None:
    for key in range(3):
        root = own(f"images/p{key}.png", f"masks/p{key}.png", key)
        with Image.open(root / f"masks/p{key}.png") as mask:
            alpha = np.asarray(mask)[..., None] * np.uint8(255)
        stored = np.where(alpha > 0, files.picture(key, SHAPE), 0).astype(np.uint8)
        files.save(root / f"images/p{key}.png", np.dstack([stored, alpha]))
    section, _, notes = suggested()
    assert section["folder"]["alpha"] == "ignore"
    assert any(
        "transparent in 3 of them is one colour, which shows its outline" in n for n in notes
    )
