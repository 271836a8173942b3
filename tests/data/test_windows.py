"""TIFFs that are cut into tiles are read by window: the same values, and never all of them."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from PIL import Image

from data.pairs.classes import ClassInfo
from data.pairs.shards import PairSet
from data.sources import decode
from data.sources.decode import read_image, window_rows
from data.sources.files import RawPair
from data.sources.masks.encodings import published, read_ids
from data.sources.reading import windows
from data.sources.reading.how import How, reading
from data.sources.reading.tiles import by_window, in_bands

SHAPE = (300, 212)
STORED = {
    "plain": {},
    "strips": {"rowsperstrip": 16},
    "packed strips": {"rowsperstrip": 32, "compression": "zlib"},
    "tiles": {"tile": (64, 48)},
    "packed tiles": {"tile": (64, 48), "compression": "zlib", "predictor": 2},
    "big-endian": {"tile": (32, 32), "compression": "zlib", "byteorder": ">"},
}
RNG = np.random.default_rng(0)
PICTURES = {
    "grey": RNG.integers(0, 256, SHAPE, dtype=np.uint8),
    "colours": RNG.integers(0, 256, (*SHAPE, 3), dtype=np.uint8),
    "deep": RNG.integers(0, 65536, SHAPE, dtype=np.uint16),
}
BOXES = ((0, 0, 212, 300), (0, 0, 1, 1), (50, 60, 110, 130), (211, 299, 212, 300), (0, 96, 212, 97))


def save(path, values, **stored):
    path.parent.mkdir(parents=True, exist_ok=True)
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    tifffile.imwrite(path, values, photometric=photometric, **{"byteorder": "<"} | stored)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("stored", STORED)
def test_a_window_has_the_values_of_the_whole(picture, stored, tmp_path) -> None:
    path = tmp_path / "a.tif"
    save(path, PICTURES[picture], **STORED[stored])
    rows = {"tiles": 64, "packed tiles": 64, "packed strips": 32, "big-endian": 32}
    assert window_rows(path) == rows.get(stored, 1), "rows of a file that is not packed lie apart"
    levels = (1000.0, 60000.0) if picture == "deep" else None
    with reading(How(levels=levels)):
        whole = read_image(path)
    for box in BOXES:
        with reading(How(levels=levels, window=box)):
            part = read_image(path)
        np.testing.assert_array_equal(np.asarray(part), np.asarray(whole.crop(box)), err_msg=box)


def test_a_window_of_a_palette_has_its_indices_and_colours(tmp_path) -> None:
    picture = Image.fromarray(RNG.integers(0, 3, SHAPE, dtype=np.uint8), "L").convert("P")
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "a.tif")
    assert window_rows(tmp_path / "a.tif") is not None
    for read in (decode.read_values, lambda path: np.asarray(read_image(path))):
        whole = read(tmp_path / "a.tif")
        with reading(How(window=(3, 5, 40, 90))):
            np.testing.assert_array_equal(read(tmp_path / "a.tif"), whole[5:90, 3:40])


@pytest.mark.parametrize("compression", ["packbits", "tiff_lzw"])
def test_what_pillow_packs_is_read_by_window_where_it_can_be_unpacked(
    compression, tmp_path
) -> None:
    path, values = tmp_path / "a.tif", PICTURES["colours"]
    Image.fromarray(values).save(path, compression=compression)
    known = compression == "packbits" or find_spec("imagecodecs") is not None
    assert (window_rows(path) is not None) == known, "of LZW by the extra `tiff`"
    if known:
        with reading(How(window=(10, 20, 60, 290))):
            np.testing.assert_array_equal(read_image(path), values[20:290, 10:60])


@pytest.mark.parametrize("missing", [0, 5])
@pytest.mark.parametrize("stored", [{}, {"compression": "zlib"}], ids=["plain", "packed"])
def test_a_tile_that_is_not_stored_is_zero(missing, stored, tmp_path) -> None:
    path, values = tmp_path / "a.tif", PICTURES["grey"][:128, :128].copy()
    save(path, values, tile=(32, 32), **stored)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name in ("TileOffsets", "TileByteCounts"):
            tag = tiff.pages[0].tags[name]
            tag.overwrite([0 if place == missing else it for place, it in enumerate(tag.value)])
    top, left = (32 * side for side in divmod(missing, 4))
    values[top : top + 32, left : left + 32] = 0
    assert window_rows(path) == 32
    with reading(How(window=(0, 0, 128, 128))):
        np.testing.assert_array_equal(decode.read_values(path), values)


def test_other_files_are_read_whole(tmp_path) -> None:
    colours = PICTURES["colours"]
    Image.fromarray(colours).save(tmp_path / "p.png")
    Image.fromarray(colours).save(tmp_path / "jpeg.tif", compression="jpeg")
    assert window_rows(tmp_path / "jpeg.tif") is None, "values could differ by rounding"
    assert window_rows(tmp_path / "p.png") is None
    Image.fromarray(colours).convert("RGBA").save(tmp_path / "alpha.tif")
    assert window_rows(tmp_path / "alpha.tif") is None
    save(tmp_path / "apart.tif", np.moveaxis(colours, 2, 0).copy(), planarconfig="separate")
    assert window_rows(tmp_path / "apart.tif") is None


def test_a_large_segment_is_not_decoded_for_a_window(tmp_path, monkeypatch) -> None:
    save(tmp_path / "a.tif", PICTURES["grey"], rowsperstrip=SHAPE[0], compression="zlib")
    assert window_rows(tmp_path / "a.tif") == SHAPE[0]
    monkeypatch.setattr(windows, "MAX_SEGMENT", 10_000)
    assert window_rows(tmp_path / "a.tif") is None


def test_only_large_pictures_with_labels_alike_are_read_by_window(tmp_path) -> None:
    save(tmp_path / "a.tif", PICTURES["colours"], tile=(64, 64), compression="zlib")
    save(tmp_path / "l.tif", PICTURES["grey"], rowsperstrip=16, compression="zlib")
    save(tmp_path / "s.tif", PICTURES["grey"][:200], rowsperstrip=16, compression="zlib")
    Image.fromarray(PICTURES["grey"]).save(tmp_path / "l.png")

    def pair(label, **changes):
        return RawPair("a", "train", tmp_path / "a.tif", tmp_path / label, how=How(**changes))

    large = pair("l.tif", is_large=True)
    assert by_window(large) == 64
    assert [one.how.window for one in in_bands(large)] == [(0, 0, 212, 256), (0, 256, 212, 300)]
    for other in (pair("l.tif"), pair("s.tif", is_large=True), pair("l.png", is_large=True)):
        assert by_window(other) is None and in_bands(other) == [other]


FOLDER = {
    "images": "images/*",
    "masks": "masks/*",
    "classes": [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf"}],
    "unlabelled": [],
}
TILE = {"height": 32, "width": 48, "stride": 40}


def test_the_pairs_are_those_of_pictures_that_are_decoded_whole(
    files, run_ingest, tmp_path, monkeypatch
) -> None:
    for key in range(3):
        image, label = files.picture(key, SHAPE), files.labels(key, [0, 1], SHAPE)
        files.save(tmp_path / f"png/images/p{key}.png", image)
        files.save(tmp_path / f"png/masks/p{key}.png", label)
        stored = {"tile": (64, 48), "compression": "zlib", "predictor": 2}
        save(tmp_path / f"tif/images/p{key}.tif", image, **stored)
        save(tmp_path / f"tif/masks/p{key}.tif", label, rowsperstrip=16, compression="zlib")
    sizes = []

    def watched(file, path, page, box):
        sizes.append((box[2] - box[0]) * (box[3] - box[1]))
        return windows.read_window(file, path, page, box)

    monkeypatch.setattr(decode, "read_window", watched)
    found = {}
    for kind in ("png", "tif"):
        given = {"source": "folder", "root": tmp_path / kind, "folder": FOLDER, "tile": TILE}
        out = run_ingest(f"out-{kind}", height=32, width=48, **given)
        found[kind] = {split: PairSet(out / split) for split in ("train", "val")}
        assert bool(sizes) == (kind == "tif")
    assert max(sizes) == 256 * SHAPE[1] and min(sizes) == 32 * 48
    for split, whole in found["png"].items():
        by_parts = found["tif"][split]
        assert by_parts.manifest["fingerprint"] == whole.manifest["fingerprint"], "equal content"
        assert by_parts.ids() == whole.ids() and len(whole)
        for row in range(len(whole)):
            np.testing.assert_array_equal(by_parts[row].image, whole[row].image)
            np.testing.assert_array_equal(by_parts[row].label, whole[row].label)


BLACK, NEARLY, RED = (0, 0, 0), (1, 1, 1), (200, 0, 0)
# What masks show in all bands, what the last one shows besides, and what they mean.
MASKS = {
    "white is void where there are ids": (
        [0, 255, 1],
        {"classes": [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf"}]},
    ),
    "greys are colours where there are some": (
        [BLACK, NEARLY, RED],
        {
            "classes": [
                {"value": index, "name": f"c{index}", "color": color}
                for index, color in enumerate((NEARLY, BLACK, RED))
            ],
            "unlabelled": [],
        },
    ),
}


@pytest.mark.parametrize("key", MASKS)
def test_what_a_value_means_is_told_by_the_whole_mask(key, files, run_ingest, tmp_path) -> None:
    values, classes = MASKS[key]
    folder = {"images": "images/*", "masks": "masks/*"} | classes
    for number in range(3):
        place = files.labels(number, [0, 1], SHAPE)
        place[-20:, ::2] = 2
        mask, image = np.array(values, np.uint8)[place], files.picture(number, SHAPE)
        save(tmp_path / f"tif/masks/p{number}.tif", mask, rowsperstrip=16, compression="zlib")
        save(tmp_path / f"tif/images/p{number}.tif", image, tile=(64, 48), compression="zlib")
        files.save(tmp_path / f"png/masks/p{number}.png", mask)
        files.save(tmp_path / f"png/images/p{number}.png", image)
    marks = set()
    for name in ("png", "tif"):
        given = {"source": "folder", "root": tmp_path / name, "folder": folder, "tile": TILE}
        out = run_ingest(f"out-{name}", height=32, width=48, **given)
        marks.add(PairSet(out / "train").manifest["fingerprint"])
        labels = PairSet(out / "train").labels(range(5))
        assert set(np.unique(labels)) <= {0, 1, 2}
    assert len(marks) == 1, "the same labels"


def test_grey_indices_of_a_window_mean_what_they_do_in_the_whole_mask(tmp_path) -> None:
    values = np.zeros(SHAPE, np.uint8)
    values[:, ::2], values[-20:] = 255, 1
    mask = Image.fromarray(values).convert("P")
    mask.putpalette([level for level in range(256) for _ in range(3)])
    mask.save(tmp_path / "a.tif")
    classes = [ClassInfo("rest", (0, 0, 0)), ClassInfo("leaf", (9, 9, 9))]
    meaning = replace(published(classes, {0: 0, 1: 1, 255: 0}, ""), untold=True)
    whole = read_ids(tmp_path / "a.tif", meaning)
    with reading(How(window=(0, 0, 212, 100))):
        np.testing.assert_array_equal(read_ids(tmp_path / "a.tif", meaning), whole[:100])


def test_what_is_wrong_with_a_band_is_said_of_its_file(files, run_ingest, tmp_path) -> None:
    for key in range(3):
        label = files.labels(key, [0, 1], SHAPE)
        if key == 1:
            label[290, 3] = 7
        save(tmp_path / f"own/images/p{key}.tif", files.picture(key, SHAPE), tile=(64, 48))
        save(tmp_path / f"own/masks/p{key}.tif", label, rowsperstrip=16)
    given = {"source": "folder", "root": tmp_path / "own", "folder": FOLDER, "tile": TILE}
    with pytest.raises(decode.UserError, match=r"p1\.tif.*7"):
        run_ingest("out", height=32, width=48, **given)
