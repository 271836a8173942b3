"""One mask a class, in folders as people have them: scenes, lists, forms of names, hidden files."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from data.pairs.shards import PairSet
from data.stage.errors import UserError
from data.tools.suggest import suggest

SHAPE = (40, 60)
CLASSES = [{"suffix": "_road", "name": "road"}, {"suffix": "_tree", "name": "tree"}]


@pytest.fixture
def draw(tmp_path, files):
    """Write an image of a key and its two masks, at paths below own/; the key moves both shapes."""

    def write(key: int, image: str, *masks: str) -> Path:
        root = tmp_path / "own"
        files.save(root / image, files.picture(key, SHAPE))
        for part, name in enumerate(masks):
            files.save(root / name, (truth(key) == part + 1).astype(np.uint8) * 255)
        return root

    return write


def truth(key: int) -> np.ndarray:
    """Return 1 for the road, 2 for the tree of a key, 0 elsewhere."""
    label = np.zeros(SHAPE, np.uint8)
    label[20:30, key : key + 30] = 1
    label[2:10, key + 5 : key + 15] = 2
    return label


@pytest.fixture
def read(run_ingest, tmp_path):
    """Ingest own/ by a section `folder`; returns id -> label."""

    def run(images="images/*", masks="masks/*", **folder) -> dict[str, np.ndarray]:
        section = {"images": images, "masks": masks, "classes": CLASSES} | folder
        return labels(
            run_ingest(source="folder", root=tmp_path / "own", folder=section, height=40, width=60)
        )

    return run


@pytest.fixture
def suggested(run_ingest, tmp_path):
    """Suggest a section for own/ and ingest it; returns the section `folder` and id -> label."""

    def run(images="images/*", masks="masks/*"):
        root = tmp_path / "own"
        found = suggest(str(root / images), str(root / masks))
        section = YAML(typ="safe").load(found.text)["dataset"]
        out = run_ingest(**section | {"height": 40, "width": 60})
        return section["folder"], labels(out)

    return run


def labels(out: Path) -> dict[str, np.ndarray]:
    return {p.id: p.label for path in sorted(out.iterdir()) for p in PairSet(path).pairs()}


def agree(found: dict[str, np.ndarray], keys: dict[str, int]) -> None:
    assert sorted(found) == sorted(keys)
    for name, key in keys.items():
        assert (found[name] == truth(key)).all(), name


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("scene{s}/rgb/{i:04d}.png", "scene{s}/seg/{i:04d}_{c}.png"),
        ("s{s}_rgb/{i}.png", "s{s}_seg/{i}_{c}.png"),
        ("rgb/s{s}/{i}_rgb.png", "seg/s{s}/{i}_{c}.png"),
    ],
)
def test_frames_that_are_numbered_anew_in_every_scene(draw, suggested, image, mask) -> None:
    keys = {}
    for s in range(3):
        for i in range(3):
            name, key = image.format(s=s, i=i), 3 * s + i
            draw(key, name, *(mask.format(s=s, i=i, c=c) for c in ("road", "tree")))
            keys[name.removesuffix(".png").replace("/", "-")] = key
    globs = (form.format(s="*", i=0, c="").rpartition("/")[0] + "/*" for form in (image, mask))
    section, found = suggested(*globs)
    assert [entry.get("suffix") for entry in section["classes"]] == [None, "_road", "_tree"]
    agree(found, keys)


def test_names_in_two_forms_of_unicode_are_one(draw, suggested) -> None:
    keys = {}
    for key in range(4):
        image, mask = ("NFC", "NFD")[:: 1 - key % 2 * 2]
        name, ends = "Gem\u00fcse_{}", ("Stra\u00dfe", "B\u00e4ume")
        parts = [f"masks/{name.format(key)}_{end}.png" for end in ends]
        draw(
            key,
            f"images/{unicodedata.normalize(image, name.format(key))}.png",
            *(unicodedata.normalize(mask, part) for part in parts),
        )
        keys[f"images-{name.format(key)}"] = key
    section, found = suggested()
    suffixes = [entry.get("suffix") for entry in section["classes"]]
    assert suffixes == [None, "_Stra\u00dfe", "_B\u00e4ume"]
    agree(found, keys)


def test_names_may_differ_in_case(draw, suggested, read) -> None:
    for key in range(4):
        ends = ("Road", "tree") if key % 2 else ("road", "TREE")
        draw(key, f"images/IMG_{key}.JPG.png", *(f"masks/img_{key}.jpg_{end}.png" for end in ends))
    keys = {f"images-IMG_{key}.JPG": key for key in range(4)}
    agree(suggested()[1], keys)
    agree(read(), keys)


def test_images_that_differ_in_case_alone_are_two(draw, suggested) -> None:
    for key, name in enumerate(("cell_3", "Cell_3", "cell_4", "cell_5")):
        draw(key, f"images/{name}.png", f"masks/{name}_road.png", f"masks/{name}_tree.png")
    keys = {"cell_3": 0, "Cell_3": 1, "cell_4": 2, "cell_5": 3}
    agree(suggested()[1], {f"images-{name}": key for name, key in keys.items()})


def test_hidden_copies_are_left_out_and_broken_links_are_named(draw, read, suggested) -> None:
    for key in range(4):
        root = draw(key, f"images/a/p{key}.png", *(f"masks/a/p{key}_{c}.png" for c in "xy"))
        hidden = f".ipynb_checkpoints/p{key}-checkpoint"
        draw(9, f"images/a/{hidden}.png", *(f"masks/a/{hidden}_{c}.png" for c in "xy"))
    keys = {f"images-a-p{key}": key for key in range(4)}
    agree(suggested("images/**/*.png", "masks/**/*.png")[1], keys)
    (root / "masks/a/p3_y.png").unlink()
    (root / "masks/a/p3_y.png").symlink_to("nowhere.png")
    with pytest.raises(UserError, match=r"p3_y\.png \(a link to nowhere\.png, which is missing\)"):
        suggested("images/**/*.png", "masks/**/*.png")


def test_lists_name_the_images_that_need_masks(draw, suggested, read) -> None:
    for key in range(6):
        parts = (f"masks/p{key}_{c}.png" for c in ("road", "tree"))
        root = draw(key, f"images/p{key}.png", *(parts if key < 4 else ()))
    with pytest.raises(UserError, match=r"p4\.png has no label 'p4' .*2 in all: .*p5\.png"):
        read()
    (root / "all.txt").write_text("p0\np1\np2\np3\n")
    keys = {f"images-p{key}": key for key in range(4)}
    section, found = suggested()
    assert section["only"] == "all.txt"
    agree(found, keys)
    (root / "train.txt").write_text("p0\np1\n")
    (root / "val.txt").write_text("p2\np3\n")
    section, found = suggested()
    assert section["split"] == "list"
    agree(found, keys)


def test_masks_of_another_size_are_counted(draw, read, suggested, files) -> None:
    for key in range(5):
        draw(key, f"images/p{key}.png", f"masks/p{key}_road.png", f"masks/p{key}_tree.png")
        root = draw(key, f"images/p{key}.png")
        for part in ("road", "tree"):
            files.save(root / f"masks/p{key}_{part}.png", truth(key)[::2, ::2] // 2 * 255)
    for step in (read, suggested):
        with pytest.raises(UserError, match=r"5 of 5 labels .* smaller by 2 in both directions"):
            step()
    for key in range(5):
        draw(key, f"images/p{key}.png", f"masks/p{key}_road.png", f"masks/p{key}_tree.png")
        smooth = truth(key) * np.uint8(90)
        files.save(root / f"masks/p{key}_tree.png", smooth)
    message = (
        r"_tree\.png has 2 values besides black; .* \(5 such pairs, also (\S*_tree\.png,? ?){4}\)"
    )
    with pytest.raises(UserError, match=message):
        read()
