"""What `--suggest` prints runs as it is, for every kind of mask, or a sentence says why not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from ruamel.yaml import YAML

from data.pairs.shards import PairSet
from data.sources import ingest
from data.stage.errors import UserError
from data.tools.suggest import suggest, working_size

ROOT = Path(__file__).parents[2]
SHAPE = (64, 96)


def shapes(key: int, values=(0, 1, 2)) -> np.ndarray:
    """Return a mask of clean areas in which every value occurs."""
    rng = np.random.default_rng(key)
    mask = np.full(SHAPE, values[0], np.uint16)
    for index, value in enumerate(values[1:]):
        top, left = rng.integers(0, 20), 30 * index + rng.integers(0, 20)
        mask[top : top + 20, left : left + 12] = value
    return mask


@pytest.fixture
def make(tmp_path, monkeypatch, files):
    """Write six photographs and a mask each, drawn by a function of the key, below data/raw/own."""
    monkeypatch.chdir(tmp_path)

    def write(draw, name="p{:02d}", mask="p{:02d}_mask.png", images=".jpg", count=6) -> None:
        for key in range(count):
            files.save(Path(f"data/raw/own/photos/{name.format(key)}{images}"), photo(key))
            path = Path("data/raw/own/masks") / mask.format(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = draw(key)
            picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
            picture.save(path)

    def photo(key: int) -> np.ndarray:
        return files.picture(key, SHAPE)

    return write


GLOBS = ("data/raw/own/photos/*.jpg", "data/raw/own/masks/*.png")


def pasted(text: str) -> dict[str, PairSet]:
    """Put a section in place of `dataset` in the project's params.yaml, run ingest, return sets."""
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    start, end = params.index("dataset:\n"), params.index("# == palette:")
    Path("params.yaml").write_text(params[:start] + text + params[end:], encoding="utf-8")
    ingest.main(out=Path("artifacts/real"))
    found = {p.name: PairSet(p) for p in sorted(Path("artifacts/real").iterdir())}
    return {name: pairs for name, pairs in found.items() if name != "detail"}


def labels_of(sets: dict[str, PairSet]) -> set[int]:
    return {v for pairs in sets.values() for pair in pairs.pairs() for v in np.unique(pair.label)}


def palette_png(mask: np.ndarray, colors=((0, 0, 0), (128, 0, 0), (0, 128, 0))) -> Image.Image:
    picture = Image.fromarray(mask.astype(np.uint8))
    picture.putpalette([channel for color in colors for channel in color])
    return picture


COLORS = np.array([[10, 20, 30], [0, 250, 0], [250, 0, 0]], np.uint8)
KINDS = {
    "ids": (lambda k: shapes(k).astype(np.uint8), ["class_0", "class_1", "class_2"]),
    "0 and 255": (lambda k: shapes(k, (0, 255)).astype(np.uint8), ["class_0", "class_255"]),
    "one bit": (lambda k: shapes(k, (0, 1)).astype(bool), ["class_0", "class_1"]),
    "ids and 255": (
        lambda k: shapes(k, (0, 1, 255)).astype(np.uint8),
        ["class_0", "class_1", "void"],
    ),
    "16-bit ids": (
        lambda k: shapes(k, (0, 300, 301, 65535)),
        ["class_0", "class_300", "class_301", "class_65535"],
    ),
    "colours": (lambda k: COLORS[shapes(k)], ["class_0", "class_1", "class_2"]),
    "grey in three channels": (
        lambda k: np.repeat(shapes(k).astype(np.uint8)[..., None], 3, 2),
        ["class_0", "class_1", "class_2"],
    ),
    "palette": (lambda k: palette_png(shapes(k)), ["class_0", "class_1", "class_2"]),
    "palettes in other orders": (
        lambda k: palette_png(
            shapes(k, (0, 1 + k % 2, 2 - k % 2)),
            ((0, 0, 0), *[(9, 0, 0), (0, 9, 0)][:: 1 - k % 2 * 2]),
        ),
        ["class_0", "class_1", "class_2"],
    ),
    "opaque alpha": (
        lambda k: np.dstack([COLORS[shapes(k)], np.full(SHAPE, 255, np.uint8)]),
        ["class_0", "class_1", "class_2"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_section_runs_as_it_is(make, kind) -> None:
    draw, names = KINDS[kind]
    make(draw)
    sets = pasted(suggest(*GLOBS).text)
    assert sorted(sets) == ["train", "val"] and sum(map(len, sets.values())) == 6
    assert list(sets["train"].classes.names) == names
    assert labels_of(sets) == set(range(len(names)))
    assert sets["train"].size == (64, 96)


def section(text: str) -> dict:
    return YAML(typ="safe").load(text)["dataset"]


def test_palettes_and_colours_give_class_colours(make) -> None:
    make(KINDS["palette"][0])
    first = section(suggest(*GLOBS).text)["folder"]["classes"]
    assert [entry["color"] for entry in first] == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    make(KINDS["colours"][0])
    first = section(suggest(*GLOBS).text)["folder"]["classes"]
    assert [entry["value"] for entry in first] == sorted(COLORS.tolist())
    assert all(entry["color"] == entry["value"] for entry in first)


def test_palettes_in_other_orders_are_read_by_colour(make) -> None:
    make(KINDS["palettes in other orders"][0])
    found = suggest(*GLOBS)
    assert section(found.text)["folder"]["classes"][1]["value"] == [0, 9, 0]
    assert any("palette of" in note and "by their colours" in note for note in found.notes)


@pytest.mark.parametrize(
    ("values", "unlabelled"),
    [((0, 1, 255), [255]), ((0, 255), []), ((0, 128, 255), []), ((0, 1, 2), []), ((1, 255), [])],
)
def test_255_is_void_only_beside_ids(make, values, unlabelled) -> None:
    make(lambda key: shapes(key, values).astype(np.uint8))
    found = suggest(*GLOBS)
    assert section(found.text)["folder"]["unlabelled"] == unlabelled
    doubted = any("255 is taken for a class" in note for note in found.notes)
    assert doubted == (values == (0, 128, 255))


@pytest.mark.parametrize(
    ("image", "mask", "suffixes"),
    [
        ("p{:02d}", "p{:02d}.png", ("", "")),
        ("p{:02d}", "p{:02d}_label.png", ("", "_label")),
        (
            "a_{:03d}_leftImg8bit",
            "a_{:03d}_gtFine_labelIds.png",
            ("_leftImg8bit", "_gtFine_labelIds"),
        ),
        ("img{:d}", "img{:d}mask.png", ("", "mask")),
        ("größe {:d}", "größe {:d}-maske.png", ("", "-maske")),
    ],
)
def test_suffixes_are_found(make, image, mask, suffixes) -> None:
    make(KINDS["ids"][0], image, mask, count=12)
    text = suggest(*GLOBS).text
    folder = section(text)["folder"]
    assert (folder["image_suffix"], folder["mask_suffix"]) == suffixes
    assert sum(map(len, pasted(text).values())) == 12


def test_endings_match_in_any_case_and_folders_stand_for_their_files(make) -> None:
    make(KINDS["ids"][0], mask="p{:02d}.PNG", images=".JPG")
    assert section(suggest(*GLOBS).text)["folder"]["images"] == "photos/*.jpg"
    text = suggest("data/raw/own/photos", str(Path("data/raw/own/masks").resolve())).text
    assert section(text)["root"] == str(Path("data/raw/own").resolve())
    assert sum(map(len, pasted(text).values())) == 6


def test_images_and_masks_in_one_folder(make, files) -> None:
    make(KINDS["ids"][0])
    own = Path("data/raw/own")
    for path in [*own.glob("*/*")]:
        path.rename(own / path.name)
    text = suggest("data/raw/own/*", "data/raw/own/*_mask.png").text
    assert sum(map(len, pasted(text).values())) == 6
    with pytest.raises(UserError, match=r"is a mask of .* too; correct --images or --masks"):
        suggest("data/raw/own/*.png", "data/raw/own/*.png")


def test_folders_named_after_splits_are_the_splits(make) -> None:
    make(KINDS["ids"][0], "train/t{:d}", "train/t{:d}.png")
    make(KINDS["ids"][0], "val/v{:d}", "val/v{:d}.png", count=2)
    for path in Path("data/raw/own/photos/val").iterdir():
        Image.fromarray(shapes(hash(path.name) % 99).astype(np.uint8) * 90).save(path)
    text = suggest("data/raw/own/photos/*/*.jpg", "data/raw/own/masks/*/*.png").text
    assert {name: len(pairs) for name, pairs in pasted(text).items()} == {"train": 6, "val": 2}


def test_names_that_show_groups_give_a_group_split(make) -> None:
    for video in "abc":
        make(KINDS["ids"][0], f"{video}_{{:04d}}", f"{video}_{{:04d}}.png", count=4)
        for key in range(4):
            noise = np.random.default_rng(ord(video) * 9 + key).integers(
                0, 256, (*SHAPE, 3), np.uint8
            )
            Image.fromarray(noise).save(f"data/raw/own/photos/{video}_{key:04d}.jpg")
    found = suggest(*GLOBS)
    assert any("3 groups (a, b, c)" in note for note in found.notes)
    sets = pasted(found.text)
    videos = [{name.split("-")[-1].split("_")[0] for name in s.ids()} for s in sets.values()]
    assert not videos[0] & videos[1] and len(sets["train"]) == 8


def test_smoothed_masks_are_refused(make) -> None:
    def smooth(key: int) -> Image.Image:
        large = Image.new("L", (SHAPE[1] * 4, SHAPE[0] * 4))
        ImageDraw.Draw(large).ellipse((40, 20, 300 + key, 220), fill=255)
        return large.resize(SHAPE[::-1], Image.Resampling.BOX)

    make(smooth)
    with pytest.raises(UserError, match=r"p00_mask\.png .* fill no area.*masks must be lossless"):
        suggest(*GLOBS)


@pytest.mark.parametrize("kind", ["0 and 255", "colours"])
def test_what_was_a_jpeg_once_is_refused(make, tmp_path, kind) -> None:
    def spoiled(key: int) -> Image.Image:
        Image.fromarray(KINDS[kind][0](key)).save(tmp_path / "lossy.jpg", quality=80)
        with Image.open(tmp_path / "lossy.jpg") as file:
            return file.copy()

    make(spoiled)
    with pytest.raises(UserError, match=r"masks must be lossless"):
        suggest(*GLOBS)
    make(spoiled, mask="p{:02d}_mask.jpg")
    with pytest.raises(UserError, match=r"is stored as JPEG, which may change values"):
        suggest(GLOBS[0], "data/raw/own/masks/*.jpg")


def test_photographs_and_many_ids_are_no_masks(make, files) -> None:
    make(lambda key: files.picture(key + 50, SHAPE))
    with pytest.raises(UserError, match=r"masks have \d+ values.* at most 255 .* no photographs"):
        suggest(*GLOBS)
    make(
        lambda key: np.kron(
            np.arange(384, dtype=np.uint16).reshape(16, 24), np.ones((4, 4), int)
        ).astype(np.uint16)
    )
    with pytest.raises(UserError, match=r"masks have 384 values"):
        suggest(*GLOBS)


def test_masks_of_one_value_are_refused(make) -> None:
    make(lambda key: np.zeros(SHAPE, np.uint8))
    with pytest.raises(UserError, match=r"every mask holds one value only, 0"):
        suggest(*GLOBS)


def test_a_slip_of_the_brush_is_a_note(make) -> None:
    def draw(key: int) -> np.ndarray:
        mask = shapes(key).astype(np.uint8)
        mask[0, 0] = 7 if key == 3 else 0
        return mask

    make(draw)
    assert any("7 (1 pixels, data/raw/own/masks/p03_mask.png)" in n for n in suggest(*GLOBS).notes)


def test_images_that_will_be_nearly_black_are_a_note(make) -> None:
    make(KINDS["ids"][0], images=".png")
    globs = ("data/raw/own/photos/*.png", GLOBS[1])
    assert suggest(*globs).notes == ()
    for path in Path("data/raw/own/photos").iterdir():
        levels = np.random.default_rng(0).integers(0, 4096, SHAPE).astype(np.uint16)
        Image.fromarray(levels).save(path)
    assert any("nearly black" in note and "65535" in note for note in suggest(*globs).notes)


def test_files_that_do_not_belong_together(make) -> None:
    make(KINDS["ids"][0], "img{:d}", "mask{:d}x.png")
    with pytest.raises(
        UserError, match=r"no image and mask in .* belong together: there is 'img0' and"
    ):
        suggest(*GLOBS)
    make(KINDS["ids"][0])
    with pytest.raises(UserError, match=r"img0\.jpg has no label 'img0'"):
        suggest(GLOBS[0], "data/raw/own/masks/*_mask.png")
    with pytest.raises(UserError, match=r"no file matches 'photos/\*\.gif' in .*correct --images"):
        suggest("data/raw/own/photos/*.gif", GLOBS[1])
    with pytest.raises(UserError, match=r"data/raw/none is not a folder"):
        suggest("data/raw/none/*.jpg", GLOBS[1])


def test_sizes_that_differ_are_refused(make, files) -> None:
    make(KINDS["ids"][0])
    files.save(Path("data/raw/own/photos/p02.jpg"), files.picture(2, (60, 96)))
    with pytest.raises(UserError, match=r"p02\.jpg is 96x60, its label .*p02_mask\.png is 96x64"):
        suggest(*GLOBS)


def test_a_folder_that_holds_the_project_is_refused(make) -> None:
    make(KINDS["ids"][0])
    Path("photos").symlink_to("data/raw/own/photos")
    with pytest.raises(UserError, match=r"holds this project too; move both into one folder"):
        suggest("photos/*.jpg", GLOBS[1])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (96, 128)),
        ((480, 640), (128, 96)),
        ((1920, 1080), (128, 224)),
        ((2048, 1024), (96, 192)),
        ((3000, 2000), (128, 192)),
        ((512, 512), (96, 96)),
        ((70, 60), (32, 32)),
        ((20, 20), (32, 32)),
    ],
)
def test_the_working_size_keeps_the_aspect(size, expected) -> None:
    assert working_size([size]) == expected


def test_standard_output_is_the_section_and_nothing_else(make) -> None:
    make(lambda key: shapes(key, (0, 128, 255)).astype(np.uint8))
    command = [sys.executable, "-m", "data.tools.inspect", "--suggest", "--images", GLOBS[0]]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [*command, "--masks", GLOBS[1]], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0
    assert done.stdout == suggest(*GLOBS).text
    assert "reading masks" in done.stderr and "note: 255 is taken for a class" in done.stderr
    done = subprocess.run(
        [*command, "--masks", "a.png", "b.png"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "quote the globs" in done.stderr
