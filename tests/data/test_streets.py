"""The renderer: same seed, same bytes; streets with the classes a street has."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.sources import cityscapes
from data.sources.streets import ids
from data.sources.streets.__main__ import main
from data.sources.streets.camera import Camera, clip_near
from data.sources.streets.canvas import FACES, box, normal_of
from data.sources.streets.rendering import render_street
from data.sources.streets.source import render
from data.stage.errors import UserError

EVERYWHERE = {ids.ROAD, ids.BUILDING, ids.SKY, ids.VEGETATION, ids.SIDEWALK, ids.CAR, ids.POLE}
RARE = {ids.TRAIN, ids.MOTORCYCLE, ids.BUS, ids.TRUCK, ids.RIDER}
DRAWN = {value for name, value in vars(ids).items() if name.isupper()}


def street(*key: int, size: tuple[int, int] = (64, 128)) -> tuple[np.ndarray, np.ndarray]:
    return render_street(np.random.default_rng(np.random.SeedSequence(key)), *size)


@pytest.fixture(scope="module")
def streets() -> list[tuple[np.ndarray, np.ndarray]]:
    return [street(3, 0, index) for index in range(120)]


def rendered(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.png"))}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        render(tmp_path / name, {"train": 3, "val": 2}, height=64, width=128, seed=4)
    first = rendered(tmp_path / "one")
    assert len(first) == 10 and first == rendered(tmp_path / "two")
    render(tmp_path / "other", {"train": 3, "val": 2}, height=64, width=128, seed=5)
    other = rendered(tmp_path / "other")
    assert all(first[name] != other[name] for name in first)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_renders_the_same_bytes(root, tmp_path, hash_seed: str) -> None:
    code = (
        "import sys; from pathlib import Path; from data.sources.streets.source import render;"
        "render(Path(sys.argv[1]), {'train': 12}, height=64, width=128, seed=4)"
    )
    env = os.environ | {"PYTHONHASHSEED": hash_seed}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "two")], cwd=root, env=env, check=True
    )
    render(tmp_path / "one", {"train": 12}, height=64, width=128, seed=4)
    assert rendered(tmp_path / "one") == rendered(tmp_path / "two")


def test_more_streets_never_change_the_first_ones(tmp_path: Path) -> None:
    render(tmp_path / "few", {"val": 1, "train": 1}, height=64, width=128, seed=0)
    render(tmp_path / "many", {"train": 3, "val": 2, "test": 1}, height=64, width=128, seed=0)
    few, many = rendered(tmp_path / "few"), rendered(tmp_path / "many")
    assert few.items() <= many.items()


def test_splits_show_different_streets(tmp_path: Path) -> None:
    render(tmp_path, {"train": 1, "val": 1, "test": 1}, height=64, width=128, seed=0)
    images = [p.read_bytes() for p in tmp_path.rglob("*_leftImg8bit.png")]
    assert len(set(images)) == 3


def test_files_are_named_as_in_the_release(tmp_path: Path) -> None:
    render(tmp_path, {"train": 1}, height=32, width=64, seed=0)
    image, label = sorted(rendered(tmp_path), reverse=True)
    stem = Path(image).name.removesuffix("_leftImg8bit.png")
    city = stem.split("_")[0]
    assert image == f"leftImg8bit/train/{city}/{stem}_leftImg8bit.png"
    assert label == f"gtFine/train/{city}/{stem}_gtFine_labelIds.png"


@pytest.mark.parametrize("size", [(64, 128), (96, 128), (64, 64), (33, 50)])
def test_any_size(size) -> None:
    image, label = street(0, 0, 1, size=size)
    assert image.shape == (*size, 3) and image.dtype == np.uint8
    assert label.shape == size and label.dtype == np.uint8


def test_a_larger_street_is_the_same_street() -> None:
    small, large = street(1, 0, 7)[1], street(1, 0, 7, size=(128, 256))[1]
    assert (small == large[1::2, 1::2]).mean() > 0.7


def test_labels_are_ids_that_the_renderer_names(streets) -> None:
    table = cityscapes.class_table(cityscapes.Config())
    found = set(np.unique(np.stack([label for _, label in streets])).tolist())
    assert found <= DRAWN
    for name, value in vars(ids).items():
        if name.isupper():
            assert table.names[value].replace(" ", "_").upper() == name


def test_common_classes_are_common_and_rare_ones_rare(streets) -> None:
    labels = np.stack([label for _, label in streets])
    share = np.bincount(labels.ravel(), minlength=35) / labels.size
    images = np.array([(labels == i).any((1, 2)).mean() for i in range(35)])
    assert all(images[i] > 0.8 for i in EVERYWHERE)
    assert all(0 < images[i] < 0.4 for i in RARE)
    assert all(share[i] < 0.02 for i in RARE)
    assert 0.15 < share[ids.ROAD] < 0.4
    assert 0.1 < share[ids.BUILDING] < 0.4
    assert 0 < share[ids.PERSON] < 0.03
    assert share[list(EVERYWHERE)].sum() > 0.8
    # Every class that counts is there to be learnt.
    eval_ids = list(cityscapes.class_table(cityscapes.Config()).eval_ids)
    assert (images[eval_ids] > 0).all()


def test_layouts_and_looks_vary(streets) -> None:
    labels = np.stack([label for _, label in streets])
    shares = (
        np.stack([np.bincount(label.ravel(), minlength=35) for label in labels]) / labels[0].size
    )
    assert shares[:, ids.ROAD].std() > 0.04
    assert shares[:, ids.BUILDING].std() > 0.07
    brightness = np.array([image.mean() for image, _ in streets])
    assert brightness.std() > 12 and brightness.min() > 20 and brightness.max() < 220
    # No two streets agree in more than most of their pixels.
    same = (labels[:40, None] == labels[None, :40]).mean((2, 3))
    assert same[~np.eye(40, dtype=bool)].max() < 0.95


def test_a_street_is_put_together_as_streets_are(streets) -> None:
    labels = np.stack([label for _, label in streets])
    rows = np.arange(64)[:, None] * np.ones((1, 128))
    height = {i: rows[None].repeat(len(labels), 0)[labels == i].mean() for i in EVERYWHERE}
    assert height[ids.SKY] < height[ids.BUILDING] < height[ids.CAR] < height[ids.ROAD]
    assert not (labels[:, -8:] == ids.SKY).any()
    assert not (labels[:, :8] == ids.ROAD).any()


def test_image_and_label_show_the_same_thing(streets) -> None:
    # Along borders of the label the image changes more than elsewhere.
    at_border, inside = [], []
    for image, label in streets[:40]:
        step = np.abs(np.diff(image.astype(int).sum(2), axis=1))
        border = np.diff(label.astype(int), axis=1) != 0
        at_border.append(step[border].mean())
        inside.append(step[~border].mean())
    assert np.mean(at_border) > 2 * np.mean(inside)


def camera(bend: float = 0.0) -> Camera:
    return Camera(width=128, height=64, focal=100, center=60, horizon=30, eye=1.4, bend=bend)


@pytest.mark.parametrize("bend", [0.0, 0.005, -0.005])
def test_the_ground_projects_back_to_its_pixels(bend: float) -> None:
    first, x, z = camera(bend).ground()
    points = np.stack((x, np.zeros_like(x), z), -1)[4:]
    pixels = camera(bend).project(points)
    columns, rows = np.meshgrid(np.arange(128) + 0.5, np.arange(first + 4, 64) + 0.5)
    assert np.allclose(pixels[..., 0], columns, atol=0.02)
    assert np.allclose(pixels[..., 1], rows, atol=0.02)


def test_pixel_is_project_of_one_point() -> None:
    point = (2.0, 0.7, 9.0)
    assert camera(0.004).pixel(*point) == pytest.approx(camera(0.004).project(np.array(point)))


def test_what_is_behind_the_camera_is_cut_off() -> None:
    crossing = [(1.0, 0.0, -5.0), (1.0, 0.0, 10.0), (1.0, 4.0, 10.0), (1.0, 4.0, -5.0)]
    assert min(point[2] for point in clip_near(crossing)) == pytest.approx(0.8)
    assert len(clip_near(crossing)) == 4
    assert clip_near([(0.0, 0.0, -1.0), (1.0, 0.0, -1.0), (1.0, 1.0, -2.0)]) == []


def test_faces_of_a_box_look_outwards() -> None:
    corners = box(3.0, 9.0, (2.0, 1.0, 4.0), yaw=0.3)
    middle = np.mean(corners, axis=0)
    for index in FACES.values():
        face = [corners[i] for i in index]
        assert (np.mean(face, axis=0) - middle) @ np.array(normal_of(face)) > 0


def test_the_command_renders_the_splits_of_params(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(
        "dataset: {source: streets, root: x, height: 32, width: 64, splits: [train, val],"
        " streets: {num_train: 2, num_val: 1}}"
    )
    main(out=Path("mine"))
    assert len(list(Path("mine").rglob("*_leftImg8bit.png"))) == 3
    with pytest.raises(UserError, match="mine holds something already"):
        main(out=Path("mine"))


def test_classes_can_be_left_out() -> None:
    rngs = [[np.random.default_rng([3, index]) for index in range(40)] for _ in range(2)]
    names = ("wall", "motorcycle")
    with_all, without = (
        {int(c) for rng in each for c in np.unique(render_street(rng, 32, 64, left_out)[1])}
        for each, left_out in zip(rngs, ((), names), strict=True)
    )
    left_out = {ids.WALL, ids.MOTORCYCLE}
    assert with_all >= left_out
    assert not without & left_out
