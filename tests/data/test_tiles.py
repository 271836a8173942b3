"""Large pictures become tiles, stacks become pages, and deep pictures are read by one range."""

import logging

import numpy as np
import pytest
from PIL import Image

from data.pairs.shards import PairSet
from data.sources import decode
from data.sources.decode import count_pages
from data.sources.files import RawPair
from data.sources.reading.pixels import stretched
from data.sources.reading.tiles import Tile, tiled
from data.stage.errors import UserError

CLASSES = [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf"}]
FOLDER = {"images": "images/*", "masks": "masks/*", "classes": CLASSES, "unlabelled": []}
SHAPE = (80, 112)


@pytest.fixture
def own(tmp_path, files):
    """Write some pictures and masks below own/; return image and mask by key."""

    def write(keys=range(4), shape=SHAPE) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        found = {}
        for key in keys:
            image, label = files.picture(key, shape), files.labels(key, [0, 1], shape)
            files.save(tmp_path / f"own/images/p{key}.png", image)
            files.save(tmp_path / f"own/masks/p{key}.png", label)
            found[key] = image, label
        return found

    return write


@pytest.fixture
def read(run_ingest, tmp_path):
    """Ingest own/; return the sets that have pairs, by split."""

    def run(out="real", folder=FOLDER, **dataset) -> dict[str, PairSet]:
        path = run_ingest(out, source="folder", root=tmp_path / "own", folder=folder, **dataset)
        return {p.name: PairSet(p) for p in sorted(path.iterdir()) if len(PairSet(p))}

    return run


def test_tiles_are_cut_at_their_own_scale_and_stay_in_one_split(own, read, tmp_path) -> None:
    scene = own()
    tile = {"height": 32, "width": 48, "stride": 32}
    sets = read(tile=tile, height=32, width=48)
    seen = {}
    for split, pairs in sets.items():
        for pair in pairs.pairs():
            _, picture, y, x = pair.id.split("-")
            top, left = int(y[1:]), int(x[1:])
            image, label = scene[int(picture[1])]
            np.testing.assert_array_equal(pair.image, image[top : top + 32, left : left + 48])
            np.testing.assert_array_equal(pair.label, label[top : top + 32, left : left + 48])
            assert pair.group == f"images-{picture}" and seen.setdefault(picture, split) == split
    assert sum(map(len, sets.values())) == 4 * 3 * 3, "tops 0 32 48, lefts 0 32 64"
    other = read("other", tile=tile | {"stride": 48}, height=32, width=48)
    marks = {name["train"].manifest["fingerprint"] for name in (sets, other)}
    assert len(marks) == 2
    held = read("held", tile=tile, height=32, width=48, hold_out={"val": ["images-p1"]})
    assert set(held["val"].column("group")) == {"images-p1"}


def test_a_picture_that_is_cut_is_decoded_once(own, read, monkeypatch) -> None:
    own()
    opened = []
    monkeypatch.setattr(
        decode, "_check_header", lambda file, path: opened.append(path.name + file.format)
    )
    sets = read(tile={"height": 16, "width": 16, "stride": 16}, height=16, width=16)
    assert sum(map(len, sets.values())) == 4 * 35
    assert len(opened) < 4 * 35, "headers are read a few times a picture, not for each tile"


def test_the_limit_of_pixels_is_another_for_tiles(own, read, monkeypatch) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 5000)
    own()
    with pytest.raises(UserError, match=r"more than 5,000 pixels, .*\(dataset\.tile does\)"):
        read()
    assert len(read(tile={"height": 32, "width": 48, "stride": 32})["train"]) == 27
    monkeypatch.setattr(decode, "MAX_PIXELS", 1000)
    with pytest.raises(UserError, match=r"more than 8,000 pixels, the limit; cut it"):
        read(tile={"height": 32, "width": 48, "stride": 32})


def test_pictures_smaller_than_a_tile_are_counted(own, read) -> None:
    own()
    with pytest.raises(UserError, match=r"4 of 4 images are smaller than a tile of 48x96: .*p0"):
        read(tile={"height": 96, "width": 48, "stride": 32})


def deep(path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def faint(own, tmp_path):
    """Four pictures of 12 bits in 16, or of floats."""

    def write(kind: type) -> np.ndarray:
        own()
        rng = np.random.default_rng(0)
        values = rng.integers(200, 4000, (4, *SHAPE)).astype(kind)
        for key in range(4):
            (tmp_path / f"own/images/p{key}.png").unlink()
            deep(tmp_path / f"own/images/p{key}.tif", values[key])
        return values

    return write


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_levels_are_the_same_for_all_pictures(kind, faint, read, caplog) -> None:
    values = faint(kind)
    caplog.set_level(logging.INFO)
    size = {"height": SHAPE[0], "width": SHAPE[1]}
    sets = read(levels=[200, 4000], **size)
    for pairs in sets.values():
        assert pairs.origin["real"]["levels"] == "200 to 4000"
        for pair in pairs.pairs():
            meant = np.rint((values[int(pair.id[-1])] - 200.0) / 3800 * 255).clip(0, 255)
            assert np.abs(pair.image.astype(int) - meant[..., None]).max() <= 1
    assert "levels 200 to 4000 become 0 to 255" in caplog.text


def test_percentiles_are_those_of_the_training_pictures(faint, read, tmp_path) -> None:
    values = faint(np.float32)
    sets = read(levels="percentiles")
    train = [int(name[-1]) for name in sets["train"].ids()]
    low, high = np.percentile(values[train], (0.5, 99.5))
    first, _, second = sets["train"].origin["real"]["levels"].partition(" to ")
    assert abs(float(first) - low) < 1 and abs(float(second) - high) < 1
    val = int(sets["val"].ids()[0][-1])
    deep(tmp_path / f"own/images/p{val}.tif", np.full(SHAPE, np.nan, np.float32))
    again = read("again", levels="percentiles")
    assert again["train"].origin == sets["train"].origin, "val has no say"
    assert not next(again["val"].pairs()).image.any(), "NaN is black"


def test_wrong_levels_are_refused(own, faint, read, files) -> None:
    faint(np.float32)
    with pytest.raises(UserError, match=r"32-bit pixels; save it as .*, or set dataset\.levels"):
        read()
    with pytest.raises(
        UserError, match=r"levels goes from 9 to 3; write two numbers, the lower first"
    ):
        read(levels=[9, 3])
    with pytest.raises(UserError, match=r"levels goes from 0 to inf; write two numbers"):
        read(levels=[0, float("inf")])


def test_percentiles_need_a_deep_picture(own, read) -> None:
    own()
    with pytest.raises(UserError, match="no training image has more than 8 bits"):
        read(levels="percentiles")


def test_values_out_of_the_levels_are_black_and_white() -> None:
    values = np.array([[-np.inf, 0, 5, 10, np.inf, np.nan]])
    assert stretched(values, (0, 10)).tolist() == [[0, 0, 128, 255, 255, 0]]


def stack(path, pages: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=others)


def test_pages_of_stacks_are_pairs_and_the_stack_their_group(read, files, tmp_path) -> None:
    scene = {}
    for key in range(3):
        images = np.stack([files.picture(10 * key + page, SHAPE) for page in range(4)])
        labels = np.stack([files.labels(10 * key + page, [0, 1], SHAPE) for page in range(4)])
        stack(tmp_path / f"own/images/s{key}.tif", images)
        stack(tmp_path / f"own/masks/s{key}.tif", labels)
        scene[f"s{key}"] = images, labels
    assert count_pages(tmp_path / "own/images/s0.tif") == 4
    sets = read(height=SHAPE[0], width=SHAPE[1])
    assert sum(map(len, sets.values())) == 12
    for split, pairs in sets.items():
        for pair in pairs.pairs():
            _, name, page = pair.id.split("-")
            np.testing.assert_array_equal(pair.image, scene[name][0][int(page)])
            np.testing.assert_array_equal(pair.label, scene[name][1][int(page)])
            assert pair.group == f"images-{name}", split
    tiles = read("tiles", tile={"height": 32, "width": 48, "stride": 48}, height=32, width=48)
    assert sum(map(len, tiles.values())) == 12 * 2 * 3
    pair = next(tiles["val"].pairs())
    _, name, page, top, left = pair.id.split("-")
    image = scene[name][0][int(page)][int(top[1:]) :, int(left[1:]) :]
    np.testing.assert_array_equal(pair.image, image[:32, :48])


def test_stacks_of_other_lengths_are_refused(read, files, tmp_path) -> None:
    for key in range(2):
        stack(
            tmp_path / f"own/images/s{key}.tif",
            np.stack([files.picture(page + 10 * key, SHAPE) for page in range(3)]),
        )
        stack(
            tmp_path / f"own/masks/s{key}.tif",
            np.stack([files.labels(page, [0, 1], SHAPE) for page in range(2)]),
        )
    with pytest.raises(UserError, match=r"s0\.tif has 3 pages, its label .*s0\.tif 2; a stack"):
        read()


def test_tiles_need_no_picture_to_be_decoded(tmp_path, files) -> None:
    files.save(tmp_path / "a.png", files.picture(0, (20, 40)))
    pair = RawPair("a", "train", tmp_path / "a.png", tmp_path / "a.png")
    found = tiled([pair], Tile(height=16, width=16, stride=12))
    assert [p.box for p in found][:3] == [(0, 0, 16, 16), (12, 0, 28, 16), (24, 0, 40, 16)]
    assert found[-1].id == "a-y00004-x00024"
