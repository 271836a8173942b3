"""Masks that look alike mean the same, however they are stored; palettes count by their colours."""

import numpy as np
import pytest
from PIL import Image

from data.sources import camvid, cityscapes
from data.sources.files import RawPair
from data.stage.errors import UserError

SHAPE = (64, 64)
K, W, RED, GREEN = (0, 0, 0), (255, 255, 255), (128, 0, 0), (0, 128, 0)
NAMES = ("class_0", "class_1", "class_2")


def classes(key: int, count: int = 2) -> np.ndarray:
    """Draw areas of classes 0 to count - 1, each in every mask."""
    label = np.zeros(SHAPE, np.uint8)
    top, left = np.random.default_rng(key).integers(2, 20, 2)
    for k in range(1, count):
        label[top : top + 12 + 4 * k, left + 14 * k : left + 14 * k + 12] = k
    return label


def palette(label: np.ndarray, *colors: tuple[int, int, int]) -> Image.Image:
    """Return an indexed mask; index i is colour i."""
    picture = Image.fromarray(label.astype(np.uint8))
    picture.putpalette([channel for color in colors for channel in color])
    return picture


def grey(label: np.ndarray) -> Image.Image:
    return Image.fromarray(label.astype(np.uint8) * 255)


TWO = {
    "one bit": lambda label: Image.fromarray(label.astype(bool)),
    "0/255": grey,
    "0/65535": lambda label: Image.fromarray(label.astype(np.uint16) * 65535),
    "RGB": lambda label: grey(label).convert("RGB"),
    "RGBA": lambda label: grey(label).convert("RGBA"),
    "LA": lambda label: grey(label).convert("LA"),
    "palette": lambda label: palette(label, K, W),
    "palette in reverse": lambda label: palette(1 - label, W, K),
    "large palette": lambda label: palette(label * 7, *[K] * 7, W, *[RED] * 9),
}


@pytest.mark.parametrize("first", TWO)
@pytest.mark.parametrize("second", TWO)
def test_white_is_the_object_in_every_encoding(own, first, second) -> None:
    truth = [classes(key) for key in range(6)]
    own.write(*(TWO[second if key >= 4 else first](label) for key, label in enumerate(truth)))
    notes = own.suggest()
    found = own.read()
    names = sorted({name for label in found.values() for name in np.unique(label)})
    assert len(names) == 2 and not any("void" in name for name in names)
    own.check(truth, names if first != second or "reverse" not in first else names[::-1])
    assert all("different ways" in note or "palette of" in note for note in notes)


@pytest.mark.parametrize("other", TWO)
@pytest.mark.parametrize("ids", [np.uint8, np.uint16])
def test_0_and_1_beside_black_and_white_is_noted(own, other, ids) -> None:
    truth = [classes(key) for key in range(6)]
    own.write(*(TWO[other](t) if key < 3 else t.astype(ids) for key, t in enumerate(truth)))
    if other == "one bit" and ids is np.uint8:
        assert "p3.png holds 0 and 1" in " ".join(own.suggest())
    (note,) = [note for note in own.suggest() if "holds 0 and 1" in note]
    assert "masks/p3.png" in note and "masks/p0.png" in note and "`also`" in note
    own.check(truth, sorted({n for label in own.read().values() for n in np.unique(label)}))


def test_ids_beside_colours_are_refused(own) -> None:
    table = np.array([K, RED, GREEN], np.uint8)
    truth = [classes(key, 3) for key in range(6)]
    own.write(*(table[t] if key < 4 else t for key, t in enumerate(truth)))
    with pytest.raises(UserError, match=r"p0\.png \(colours\) shows rgb.*p4\.png holds class ids"):
        own.suggest()


@pytest.mark.parametrize("other", ["one bit", "0/255", "palette"])
def test_white_beside_ids_with_255_is_refused(own, other) -> None:
    with_void = [np.where(classes(key) == 0, np.uint8(0), np.uint8(1)) for key in range(4)]
    for label in with_void:
        label[:8, :8] = 255
    own.write(*with_void, TWO[other](classes(9)), TWO[other](classes(8)))
    if other == "0/255":  # numbers of one kind, of which one mask has all three
        own.suggest()
        assert own.section()["unlabelled"] == [255]
        return
    with pytest.raises(UserError, match=r"p4\.png \(.*\) shows white, and .*p0\.png has 255"):
        own.suggest()


def test_colours_that_no_encoding_shares_are_refused(own) -> None:
    truth = [classes(key) for key in range(6)]
    table = np.array([K, RED], np.uint8)
    own.write(*(table[t] if key < 4 else palette(t, K, GREEN) for key, t in enumerate(truth)))
    with pytest.raises(
        UserError, match=r"p0\.png \(colours\) shows rgb\(128, 0, 0\).*p4\.png \(a p"
    ):
        own.suggest()


def test_ids_of_three_classes_beside_the_same_stretched_are_refused(own) -> None:
    truth = [classes(key, 3) for key in range(6)]
    stretched = np.array([0, 127, 255], np.uint8)
    own.write(*(stretched[t] if key < 3 else t for key, t in enumerate(truth)))
    with pytest.raises(UserError, match=r"p3\.png holds 0, 1, 2, and .*p0\.png holds 0, 127, 255"):
        own.suggest()


@pytest.mark.parametrize("unlabelled", [None, [255], []])
def test_0_and_255_beside_0_and_1_in_a_section_written_by_hand(own, run_ingest, unlabelled) -> None:
    truth = [classes(key) for key in range(6)]
    own.write(*(grey(t) if key == 4 else t for key, t in enumerate(truth)))
    section = {"images": "photos/*", "masks": "masks/*"}
    section["classes"] = [{"value": v, "name": f"class_{v}"} for v in (0, 1)]
    section |= {} if unlabelled is None else {"unlabelled": unlabelled}
    dataset = {"source": "folder", "root": "own", "folder": section, "height": 64, "width": 64}
    if unlabelled == [255]:
        run_ingest("read", **dataset)
        truth[4][truth[4] == 1] = 2
        own.check(truth, ("class_0", "class_1", "void"))
        return
    with pytest.raises(
        UserError, match=r"p4\.png (holds 255 and no other value but 0|has .*: 255)"
    ):
        run_ingest("read", **dataset)
    section["classes"][1]["also"] = [255]
    run_ingest("read", **dataset)
    own.check(truth, ("class_0", "class_1"))


# A mask that was saved again with another palette


def touched(label: np.ndarray) -> Image.Image:
    """Return what an editor makes of an indexed mask: the same colours, other indices."""
    order = np.array([2, 0, 1], np.uint8)
    return palette(order[label], RED, GREEN, K)


@pytest.fixture
def indexed(own):
    """Eight indexed masks of three classes, and the section suggested for them."""
    own.truth = [classes(key, 3) for key in range(8)]
    own.write(*(palette(label, K, RED, GREEN) for label in own.truth))
    own.suggest()
    return own


def test_a_mask_saved_again_is_read_by_its_colours(indexed) -> None:
    indexed.check(indexed.truth, NAMES)
    for key in (2, 5):
        indexed.put(touched(indexed.truth[key]), f"p{key}.png")
    indexed.check(indexed.truth, NAMES)
    indexed.suggest()
    indexed.check(indexed.truth, ("class_0", "class_2", "class_1"))  # in order of their colours


def test_a_palette_that_contradicts_the_classes_is_refused(indexed) -> None:
    indexed.put(palette(2 - indexed.truth[3], GREEN, (129, 0, 0), K), "p3.png")
    message = (
        r"masks/p3\.png shows rgb\(0, 128, 0\), the color of 'class_2', by the index 0, which is "
        r"'class_0' with the color rgb\(0, 0, 0\); save it again with the palette"
    )
    with pytest.raises(UserError, match=message):
        indexed.read()


@pytest.mark.parametrize(
    "other",
    [
        lambda label: np.array([K, RED, GREEN], np.uint8)[label],
        lambda label: Image.fromarray(np.array([K, RED, GREEN], np.uint8)[label]).convert("RGBA"),
    ],
)
def test_colours_that_are_recorded_are_read_beside_a_palette(indexed, other) -> None:
    indexed.put(other(indexed.truth[0]), "p0.png")
    indexed.check(indexed.truth, NAMES)


def test_ids_beside_a_palette_are_ids_where_it_only_repeats_them(own) -> None:
    truth = [classes(key, 3) for key in range(6)]
    for colors in ((K, GREEN, RED), (K, (1, 1, 1), (2, 2, 2)), (K, RED, GREEN)):
        own.write(*(palette(label, *colors) for label in truth))
        own.suggest()
        own.put(Image.fromarray(truth[2]), "p2.png")
        if colors[1] == GREEN:
            with pytest.raises(UserError, match=r"p0\.png has a palette and .*p2\.png has none"):
                own.read()
        else:
            own.check(truth, NAMES)


def test_indices_count_where_no_colour_is_recorded_and_all_palettes_agree(own, run_ingest) -> None:
    truth = [classes(key, 3) for key in range(6)]
    own.write(*(palette(label, (9, 9, 9), RED, GREEN) for label in truth))
    section = {"images": "photos/*", "masks": "masks/*", "unlabelled": []}
    section["classes"] = [{"value": v, "name": name} for v, name in enumerate(NAMES)]
    dataset = {"source": "folder", "root": "own", "folder": section, "height": 64, "width": 64}
    run_ingest("read", **dataset)
    own.check(truth, NAMES)
    own.put(palette(2 - truth[4], GREEN, RED, (9, 9, 9)), "p4.png")
    with pytest.raises(
        UserError,
        match=r"p[0-9]\.png shows 'class_.' in rgb.* in which .*p0\.png shows 'class_.'; their",
    ):
        own.read()
    own.put(palette(truth[4], (8, 8, 8), RED, GREEN), "p4.png")
    with pytest.raises(UserError, match=r"\(index 0\) in rgb\(.*, 8\).*in rgb|in rgb.*9, 9\)"):
        own.read()
    own.put(Image.fromarray(truth[4]), "p4.png")
    with pytest.raises(UserError, match=r"has a palette and .*p4\.png has none"):
        own.read()


def labelled(path) -> RawPair:
    return RawPair("p", "train", path, path)


def published_palette(source) -> list[tuple[int, int, int]]:
    return [entry.color for entry in source.class_table(source.Config()).classes]


def test_camvid_in_its_colours_is_read_by_them(tmp_path) -> None:
    colors, label = published_palette(camvid), classes(0, 4) + 3
    config, path = camvid.Config(), tmp_path / "m.png"
    palette(label, *colors).save(path)
    assert (camvid.read_label(labelled(path), config) == label).all()
    order = np.random.default_rng(0).permutation(len(colors))
    palette(np.argsort(order)[label], *(colors[k] for k in order)).save(path)
    assert (camvid.read_label(labelled(path), config) == label).all()
    palette(label, *colors[:5], (1, 2, 3), *colors[5:]).save(path)
    with pytest.raises(UserError, match=r"m\.png shows rgb\(128, 128, 0\), the color of 'tree'"):
        camvid.read_label(labelled(path), config)


def test_another_palette_of_camvid_counts_if_all_masks_have_it(camvid_root, run_ingest) -> None:
    before = run_ingest("before", source="camvid", root=camvid_root)
    shown = [(9 * k, 200 - k, k) for k in range(12)]
    files = sorted(camvid_root.glob("*annot/*.png"))
    for file in files:
        palette(np.asarray(Image.open(file)), *shown).save(file)
    after = run_ingest("after", source="camvid", root=camvid_root)
    for path in before.rglob("*.parquet"):
        assert path.read_bytes() == (after / path.relative_to(before)).read_bytes()
    mask = np.asarray(Image.open(files[1]))
    palette(11 - mask, *shown[::-1]).save(files[1])
    with pytest.raises(UserError, match="palettes differ"):
        run_ingest("refused", source="camvid", root=camvid_root)


@pytest.fixture
def camvid_root(camvid):
    return camvid


def test_colours_that_several_classes_share_tell_nothing(tmp_path) -> None:
    colors, label = published_palette(cityscapes), classes(0, 2) * 7
    palette(label, *colors).save(tmp_path / "m.png")
    config = cityscapes.Config()
    assert (cityscapes.read_label(labelled(tmp_path / "m.png"), config) == label).all()
    palette(7 - label, *(colors[7 - k] for k in range(8))).save(tmp_path / "m.png")
    with pytest.raises(
        UserError, match=r"shows rgb\(128, 64, 128\), the color of 'road', by the i"
    ):
        cityscapes.read_label(labelled(tmp_path / "m.png"), config)


# Signed and 32-bit ids


@pytest.mark.parametrize("kind", ["I;16S", "I"])
def test_minus_1_is_void(own, tiff, kind) -> None:
    truth = [classes(key, 3) for key in range(4)]
    for label in truth:
        label[40:60, 40:60] = 3
    own.write(*truth, end="tif")
    for key, label in enumerate(truth):
        signed = label.astype(np.int16 if kind == "I;16S" else np.int32)
        tiff(own.masks / f"p{key}.tif", np.where(label == 3, signed - 4, signed))
    own.suggest()
    assert own.section()["unlabelled"] == [-1]
    own.check(truth, (*NAMES, "void"))


def test_minus_1_is_void_in_a_section_written_by_hand(own, run_ingest, tiff) -> None:
    truth = [classes(key, 3) for key in range(4)]
    own.write(*truth, end="tif")
    tiff(own.masks / "p2.tif", np.where(truth[2] == 2, np.int16(-1), truth[2].astype(np.int16)))
    section = {"images": "photos/*", "masks": "masks/*"}
    section["classes"] = [{"value": v, "name": name} for v, name in enumerate(NAMES)]
    dataset = {"source": "folder", "root": "own", "folder": section, "height": 64, "width": 64}
    run_ingest("read", **dataset)
    truth[2][truth[2] == 2] = 3
    own.check(truth, (*NAMES, "void"))


def test_32_bit_ids_are_ids(own, tiff) -> None:
    truth = [classes(key, 3) for key in range(4)]
    own.write(*truth, end="tif")
    for key, label in enumerate(truth):
        tiff(own.masks / f"p{key}.tif", label.astype(np.uint32 if key % 2 else np.int32))
    assert own.suggest() == ()
    own.check(truth, NAMES)
    tiff(own.masks / "p1.tif", truth[1].astype(np.int32) - 7)
    with pytest.raises(UserError, match=r"p1\.tif has label values .*: -7 \(\d+ pixels\), -6"):
        own.read()


def test_the_outline_of_objects_in_colours_is_noted(own) -> None:
    truth = [classes(key, 3) for key in range(6)]
    shown = []
    for label in truth:
        colors = np.array([K, RED, GREEN], np.uint8)[label]
        edge = np.zeros(SHAPE, bool)
        edge[:, 1:] |= label[:, 1:] != label[:, :-1]
        edge[1:] |= label[1:] != label[:-1]
        shown.append((colors, edge))
    for outline in ((224, 224, 192), W, (10, 200, 250)):
        for colors, edge in shown:
            colors[edge] = outline
        own.write(*(colors for colors, _ in shown))
        (note,) = own.suggest()
        assert f"rgb{outline} is taken for a class; if it marks pixels that nobody" in note
    own.write(*(np.array([K, RED, GREEN], np.uint8)[label] for label in truth))
    assert own.suggest() == ()
