"""Demos on small artifacts: what they write, that it follows the seed, and what they refuse."""

import io
import json
import logging
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from data.pairs.classes import ClassInfo, ClassTable
from data.pairs.pair import Pair
from data.pairs.shards import PairSet, ShardWriter
from data.stage.errors import UserError
from studio.demo import DEMOS, main
from studio.demos.models import slerp
from studio.demos.panels import bars_of, columns, draw_bars, gif, heat, largest
from tests.synth import small
from tests.synth.scenes import law_of

NAMES = ("road", "sky", "car", "sign", "bird")
COLORS = ((90, 40, 90), (70, 130, 180), (0, 0, 140), (220, 220, 0), (250, 0, 0))
CLASSES = ClassTable(tuple(map(ClassInfo, NAMES, COLORS)))
SIZE = (16, 32)
FRAMES = 2
LAID = {"levels": [[0, 8, 4], [4, 4, 4], [4, 4, 4]], "hidden": 4}
PAINTED = {"num_doublings": 2, "hidden": 4, "max_channels": 8}
EDITS = {"remove": {"share": ["car=0"]}, "add": {"share": ["car=0.3"]}}


def scene(index):
    rng = np.random.default_rng(index)
    label = np.zeros(SIZE, np.uint8)
    label[: int(rng.integers(4, 10))] = 1
    left = int(rng.integers(0, 24))
    label[9 : 12 + index % 3, left : left + 6] = 2
    label[2:4, 30] = 3
    return Pair(f"{index}", rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8), label, "real")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Real pairs, a fitted palette, and networks as initialised, in the layout of `artifacts`."""
    root = tmp_path_factory.mktemp("artifacts")
    train = root / "real" / "train"
    train.mkdir(parents=True)
    with ShardWriter(train, classes=CLASSES, size=SIZE, fingerprint="f") as writer:
        for index in range(8):
            writer.write(scene(index))
    model = law_of(PairSet(train).column("palette"))
    model.save(root / "palette", {})
    torch.manual_seed(0)
    for name in ("semantic_palette", "partial_palette"):
        laid = small.known(name, **LAID)
        small.write_artifact(root / "layouts" / name, name, CLASSES, SIZE, model, **laid)
    for name in ("none", "spade"):
        painted = small.known(name, **PAINTED)
        small.write_artifact(root / "painters" / name, name, CLASSES, SIZE, **painted)
    return root


@pytest.fixture
def demo(folder, tmp_path):
    """Run a demo and return its numbers; files are in `tmp_path`."""

    def run(name, **flags):
        paths = {
            "layout": folder / "layouts" / DEMOS[name].LAYOUT,
            "painter": folder / "painters" / "spade",
            "artifacts": folder,
            "out": tmp_path,
            "frames": FRAMES,
        }
        main(name, **{**paths, **flags})
        return json.loads((tmp_path / f"{name}.json").read_text())

    return run


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# demo, flags, columns and rows of its strip
CASES = {
    "palette": ("palette", {}, FRAMES, 4),
    "latent": ("latent", {}, FRAMES, 2),
    "partial": ("partial", {}, 6, 4),
    "remove": ("edit", EDITS["remove"], 7, 4),
    "add": ("edit", EDITS["add"], 7, 4),
}


@pytest.mark.parametrize(("name", "flags", "across", "down"), CASES.values(), ids=list(CASES))
def test_equal_seeds_write_equal_bytes_and_others_do_not(name, flags, across, down, demo, tmp_path):
    demo(name, **flags)
    first = written(tmp_path)
    assert set(first) == {f"{name}.png", f"{name}.gif", f"{name}.json"}, "no temporary file is left"
    with Image.open(tmp_path / f"{name}.png") as strip:
        assert strip.width == across * (256 + 4) + 4
        assert strip.height > down * SIZE[0] * (256 // SIZE[1])
    with Image.open(tmp_path / f"{name}.gif") as animation:
        assert animation.n_frames <= FRAMES and animation.info["loop"] == 0
    torch.randn(3)
    demo(name, **flags)
    assert written(tmp_path) == first
    demo(name, **flags, seed=1)
    assert all(content != first[file] for file, content in written(tmp_path).items())


def test_palettes_go_from_one_to_the_other_and_numbers_are_those_of_the_labels(demo):
    found = demo("palette", frames=3)
    asked, made, raw = (np.array(found[key]) for key in ("asked", "made", "raw"))
    for shares in (asked, made, raw):
        assert shares.shape == (3, len(NAMES))
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(asked[1], (asked[0] + asked[2]) / 2, atol=1e-5)
    assert found["mix"] == [0, 0.5, 1]
    assert found["away"]["made"] == pytest.approx(np.abs(made - asked).sum(1).mean() / 2, abs=1e-5)
    assert found["away"]["made"] < found["away"]["raw"]
    pixels = made * SIZE[0] * SIZE[1]
    np.testing.assert_allclose(pixels, pixels.round(), atol=1e-2)
    assert len(found["spread"]) == len(found["entropy"]) == 3


def test_noise_changes_layouts_and_not_the_palette(demo):
    found = demo("latent")
    assert found["asked"][0] == found["asked"][1]
    assert min(found["moved"]) > 0


def test_bands_change_nothing_outside(demo):
    found = demo("partial")
    assert len(set(found["pairs"])) == 4 and found["changed_outside"] == 0
    assert all(0.5 <= share <= 1 for share in found["removed"])
    assert max(found["changed"]) > 0


def test_removed_classes_are_gone(demo):
    found = demo("edit", share=["car=0", "sign=0"])
    assert all(row[2] == row[3] == 0 for row in found["made"])
    assert all(row[2] > 0 for row in found["was"])
    assert found["changed_outside"] == 0
    was = np.array(found["was"])
    np.testing.assert_allclose(found["changed"], was[:, 2] + was[:, 3], atol=1e-5)


def test_added_classes_reach_what_is_asked(demo):
    found = demo("edit", share=["car=0.3", "bird=0.05"])
    made, was = np.array(found["made"]), np.array(found["was"])
    np.testing.assert_allclose(made[:, [2, 4]], [[0.3, 0.05]] * 4, atol=0.02)
    np.testing.assert_allclose(np.array(found["asked"])[:, [2, 4]], [[0.3, 0.05]] * 4, atol=1e-5)
    np.testing.assert_allclose(
        found["changed"], (made - was)[:, [2, 4]].sum(1), atol=1e-5
    )  # only what grew has changed


def test_an_editor_for_bands_alone_is_named(demo, caplog):
    with caplog.at_level(logging.INFO):
        demo("edit", share=["car=0"])
    assert "`layouts.partial_palette.masks.classes` above 0" in caplog.text


# -- panels ---------------------------------------------------------------------------------------


def test_bars_have_the_numbers_of_their_series():
    asked, made = np.array([0.5, 0.3, 0.1, 0.06, 0.04]), np.array([0.2, 0.2, 0.2, 0.2, 0.2])
    shown = largest(np.stack([asked, asked]), count=3)
    bars = bars_of(CLASSES, shown, [asked, made])
    assert [bar.name for bar in bars] == ["road", "sky", "car", "others"]
    assert [bar.color for bar in bars][:3] == list(COLORS[:3])
    np.testing.assert_allclose([bar.shares[0] for bar in bars], [0.5, 0.3, 0.1, 0.1])
    np.testing.assert_allclose([bar.shares[1] for bar in bars], [0.2, 0.2, 0.2, 0.4])
    assert len(bars_of(CLASSES, range(5), [asked])) == 5, "nothing is left for others"
    assert largest(np.array([[0.0, 1.0, 0.0]])) == [1]


def test_a_bar_is_as_long_as_its_share():
    def length(share):
        bars = bars_of(CLASSES, [4], [np.array([0, 0, 0, 0, 0]), np.array([0, 0, 0, 0, share])])
        red = (draw_bars(bars, ("asked", "made"), 0.5) == COLORS[4]).all(2)
        return int(red[:, 20:].any(0).sum())  # beside the swatch

    assert length(0.0) == 0
    assert length(0.5) == pytest.approx(2 * length(0.25), abs=2)


def test_maps_are_grey_where_nothing_is_and_full_at_the_top():
    picture = heat(np.array([[0.0, 1.0], [2.0, 0.5]]), 1.0, (4, 6))
    assert picture.shape == (4, 6, 3)
    assert picture[0, 0].tolist() == [225, 225, 225]
    assert picture[0, 5].tolist() == picture[3, 0].tolist() == [220, 90, 0]


def test_animations_turn_back_and_strips_keep_the_ends():
    frames = [Image.new("RGB", (4, 4), (60 * n, 0, 0)) for n in range(4)]
    with Image.open(io.BytesIO(gif(frames))) as animation:
        reds = []
        for number in range(animation.n_frames):
            animation.seek(number)
            reds.append(animation.convert("RGB").getpixel((0, 0))[0])
    assert reds == [0, 60, 120, 180, 120, 60]
    assert columns(6, 16) == [0, 3, 6, 9, 12, 15] and columns(6, 2) == [0, 1]


def test_noise_stays_as_long_as_it_is():
    rng = torch.Generator().manual_seed(0)
    one, two = torch.randn(2, 3, 64, generator=rng)
    torch.testing.assert_close(slerp(one, two, 0.0), one)
    torch.testing.assert_close(slerp(one, two, 1.0), two)
    middle = slerp(one, two, 0.5).norm(dim=1)
    torch.testing.assert_close(middle, (one.norm(dim=1) + two.norm(dim=1)) / 2)
    torch.testing.assert_close(slerp(one, one, 0.3), one)


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("edit", {}, "--share CLASS=0 takes a class out"),
        ("edit", {"share": ["car=0", "sign=0.1"]}, "say what to edit"),
        ("edit", {"share": ["horse=0"]}, "unknown class 'horse'; there is road, sky, car"),
        ("edit", {"share": ["bird=0"]}, "no pair .* shows bird .*; there is road, sky, car, sign$"),
        ("edit", {"share": ["road=0", "sky=0", "car=0", "sign=0"]}, "beside other classes"),
        ("edit", {"share": ["horse=0.1"]}, "unknown class 'horse'"),
        ("edit", {"share": ["car"]}, "--share car is not CLASS=FRACTION"),
        ("edit", {"share": ["car=2"]}, "car=2: fractions must be above 0"),
        ("edit", {"share": ["road=0.6", "sky=0.5"]}, "together, below 1"),
        ("edit", {"share": ["road=0.01"]}, "every pair .* has road=0.01 already"),
        ("latent", {"share": ["car=0"]}, "belongs to the demos edit and face"),
        ("palette", {"frames": 1}, "frames are 2 or more"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(name, flags, message, demo, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        demo(name, **flags)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_missing_and_wrong_artifacts_are_named(folder, demo, tmp_path):
    layouts, painters = folder / "layouts", folder / "painters"
    with pytest.raises(UserError, match=r"holds no trained method; .*painters has none, spade;"):
        demo("palette", painter=painters / "oasis")
    with pytest.raises(UserError, match=r"has partial_palette, semantic_palette; train it"):
        demo("palette", layout=layouts / "cgan")
    with pytest.raises(UserError, match="paints nothing; name a trained painter"):
        demo("latent", painter=painters / "none")
    with pytest.raises(UserError, match="holds 'partial_palette', this demo shows"):
        demo("palette", layout=layouts / "partial_palette")
    with pytest.raises(UserError, match="holds 'semantic_palette', this demo shows partial"):
        demo("edit", layout=layouts / "semantic_palette", share=["car=0"])
    with pytest.raises(UserError, match=r"has no palette\.json"):
        demo("palette", artifacts=tmp_path)
    with pytest.raises(UserError, match="unknown demo 'pallete'; there is palette, latent"):
        main("pallete")


def test_artifacts_of_another_dataset_are_refused(folder, demo, tmp_path):
    other = tmp_path / "other" / "real" / "train"
    other.mkdir(parents=True)
    shutil.copytree(folder / "palette", tmp_path / "other" / "palette")
    table = ClassTable(CLASSES.classes[:4])
    with ShardWriter(other, classes=table, size=SIZE, fingerprint="f") as writer:
        writer.write(scene(0))
    with pytest.raises(UserError, match="different classes or sizes"):
        demo("partial", artifacts=tmp_path / "other")
