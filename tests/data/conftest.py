"""Datasets in their published layouts, written small, and a way to ingest them."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from data.pairs.shards import PairSet
from data.sources import ingest
from data.tools.suggest import suggest
from tests.data.annotations.writers import COCO, write_scene


def save(path: Path, array: np.ndarray) -> None:
    """Write an array as an image file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def picture(key: int, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    """Return an image that no other key has."""
    return np.random.default_rng(key).integers(0, 256, (*shape, 3), np.uint8)


def labels(key: int, values: list[int], shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    """Return a label map in which every value occurs."""
    label = np.random.default_rng(key).choice(np.array(values, np.uint8), shape)
    label.ravel()[: len(values)] = values
    return label


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """CamVid: 3 train, 2 val pairs in the SegNet layout, .png and .jpg images."""
    root = tmp_path / "camvid"
    for split, names in {
        "train": ["0001TP_006690.jpg", "0001TP_006720.png", "0006R0_f00930.jpg"],
        "val": ["0016E5_07959.png", "0016E5_07961.png"],
    }.items():
        for index, name in enumerate(names):
            key = hash_of(split, index)
            save(root / split / name, picture(key))
            save(root / f"{split}annot" / f"{Path(name).stem}.png", labels(key, list(range(12))))
    return root


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    """Cityscapes fine: 3 train pairs of two cities, 2 val pairs, with licence plates as 255."""
    root = tmp_path / "cityscapes"
    for split, stems in {
        "train": ["aachen_000000_000019", "aachen_000001_000019", "bochum_000000_000313"],
        "val": ["munster_000000_000019", "munster_000001_000019"],
    }.items():
        for index, stem in enumerate(stems):
            city, key = stem.split("_")[0], hash_of(split, index)
            save(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", picture(key))
            label = labels(key, [0, 1, 7, 11, 23, 26, 33, 255])
            folder = root / "gtFine" / split / city
            save(folder / f"{stem}_gtFine_labelIds.png", label)
            # The release has these beside the ids; they must not be taken for labels.
            save(folder / f"{stem}_gtFine_instanceIds.png", label.astype(np.uint16) * 1000)
            save(folder / f"{stem}_gtFine_color.png", picture(key))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: 10 photographs and masks of 0 and 1, with unlabelled pixels of 255."""
    root = tmp_path / "mine"
    for index in range(10):
        save(root / "photos" / f"p{index:02d}.jpg", picture(index))
        save(root / "masks" / f"p{index:02d}_mask.png", labels(index, [0, 1, 255]))
    return root


FOLDER = {
    "images": "photos/*.jpg",
    "masks": "masks/*.png",
    "mask_suffix": "_mask",
    "classes": [{"value": 0, "name": "rest"}, {"value": 1, "name": "leaf", "color": [0, 200, 0]}],
}


def hash_of(split: str, index: int) -> int:
    """Return a number that differs for every pair."""
    return {"train": 0, "val": 100, "test": 200}[split] + index


@pytest.fixture
def files() -> Any:
    """The helpers above, for tests that spoil or extend a dataset."""
    own = {"folder": FOLDER, "annotations": COCO}
    return type("Files", (), {"save": save, "picture": picture, "labels": labels} | own)


@pytest.fixture
def annotations(tmp_path: Path, files: Any) -> Path:
    """Four images and what COCO's JSON says of them, to be read by `files.annotations`."""
    assert write_scene(tmp_path / "own", "coco", range(4), files) == files.annotations
    return tmp_path / "own"


@pytest.fixture
def run_ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run the stage on a `dataset` section, in a folder of its own; returns what it wrote."""
    monkeypatch.chdir(tmp_path)

    def run(out: str = "real", **dataset: Any) -> Path:
        base = {"height": 20, "width": 30, "splits": ["train", "val"]}
        section = {"dataset": base | {k: plain(v) for k, v in dataset.items()}}
        with Path("params.yaml").open("w") as file:
            YAML(typ="safe").dump(section, file)
        ingest.main(out=Path(out))
        return tmp_path / out

    return run


def plain(value: Any) -> Any:
    """Return a value that YAML can hold."""
    return str(value) if isinstance(value, Path) else value


@pytest.fixture
def cityscapes_25k(cityscapes: Path) -> Path:
    """Cityscapes fine and 3 extra pairs of two cities as unpacked, with what else lies there."""
    auto = cityscapes / "refinement_final" / "train_extra"
    for index, stem in enumerate(EXTRA):
        city, image = stem.split("_")[0], f"{stem}_leftImg8bit.png"
        save(cityscapes / "leftImg8bit" / "train_extra" / city / image, picture(300 + index))
        save(auto / city / image, labels(300 + index, [7, 8, 11, 23, 26, 33]))
        # The release has these beside the labels: the probability of each prediction times 255.
        sure = np.full((40, 60), 255, np.uint8)
        sure[:10] = 100
        save(auto / city / f"{stem}_leftImg8bit_prob.png", sure)
    save(auto / "tmp" / f"{EXTRA[0]}_leftImg8bit.png", labels(0, [7]))
    # The broken frame: one channel, black.
    broken = "troisdorf_000000_000073_leftImg8bit.png"
    black = np.zeros((40, 60), np.uint8)
    save(cityscapes / "leftImg8bit" / "train_extra" / "troisdorf" / broken, black)
    save(auto / "troisdorf" / broken, black + 7)
    return cityscapes


EXTRA = ("augsburg_000000_000000", "augsburg_000000_000001", "troisdorf_000000_000072")


@pytest.fixture
def idd(tmp_path: Path) -> Path:
    """IDD: 4 train frames of two drives, 2 val frames, with ids drawn by AutoNUE's tool.

    PNG frames of the first part, JPEG frames of the second; a name that two drives share; 16:9 in
    two sizes; polygons, 16-bit instances and labels of another numbering beside the ids.
    """
    root = tmp_path / "idd"
    frames = [
        ("train", "0", "024541", ".png", (72, 128)),
        ("train", "0", "frame0029", ".png", (72, 128)),
        ("train", "201", "frame0029", ".jpg", (36, 64)),
        ("train", "201", "frame0119", ".jpg", (36, 64)),
        ("val", "119", "903127", ".png", (72, 128)),
        ("val", "206", "frame1199", ".jpg", (36, 64)),
    ]
    for index, (split, drive, frame, end, shape) in enumerate(frames):
        image = root / "leftImg8bit" / split / drive / f"{frame}_leftImg8bit{end}"
        save(image, picture(hash_of(split, index), shape))
        beside = root / "gtFine" / split / drive / f"{frame}_gtFine"
        label = labels(hash_of(split, index), [0, 3, 6, 12, 29, 33, 35, 39], shape)
        save(beside.with_name(f"{beside.name}_labelids.png"), label)
        save(beside.with_name(f"{beside.name}_labellevel3Ids.png"), label // 2)
        save(beside.with_name(f"{beside.name}_instanceids.png"), label.astype(np.uint16) * 1000)
        beside.with_name(f"{beside.name}_polygons.json").write_text('{"objects": []}')
    return root


@pytest.fixture
def gta5(tmp_path: Path) -> Path:
    """GTA-5: 6 numbered pairs in one folder, indexed labels of another palette, and split.mat."""
    from scipy.io import savemat

    root = tmp_path / "gta5"
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    for number in range(1, 7):
        save(root / "images" / f"{number:05d}.png", picture(number))
        label = Image.fromarray(labels(number, [0, 4, 7, 11, 26, 34]))
        label.putpalette(palette.tobytes())
        (root / "labels").mkdir(exist_ok=True)
        label.save(root / "labels" / f"{number:05d}.png")
    numbers = {"trainIds": [[3], [1], [6]], "valIds": [[2], [5]], "testIds": [[4]]}
    savemat(root / "split.mat", numbers)
    return root


@pytest.fixture
def coco_stuff(tmp_path: Path) -> Path:
    """COCO-Stuff: 3 train, 2 val JPEGs of two sizes, and masks; one of another numbering."""
    root = tmp_path / "coco"
    for split, number in (("train", 3), ("val", 2)):
        folder = f"{split}2017"
        for index in range(number):
            stem, shape = f"{hash_of(split, index):012d}", (40 + 4 * index, 60)
            save(root / "images" / folder / f"{stem}.jpg", picture(hash_of(split, index), shape))
            label = labels(hash_of(split, index), [0, 90, 91, 181, 255], shape)
            save(root / "annotations" / folder / f"{stem}.png", label)
            save(root / "annotations" / folder / f"{stem}_labelTrainIds.png", label // 2)
    return root


# Number of a face, its name in CelebA, the split that follows from it.
FACES = (
    (0, "119614.jpg", "train"),
    (1, "162770.jpg", "train"),
    (2, "162771.jpg", "val"),
    (1999, "182637.jpg", "val"),
    (2000, "182638.jpg", "test"),
    (2001, "000615.jpg", "train"),
)


@pytest.fixture
def celebamask(tmp_path: Path) -> Path:
    """CelebAMask-HQ: 6 faces twice as wide as their masks, which lie 2000 faces to a folder."""
    root = tmp_path / "CelebAMask-HQ"
    lines = ["idx         orig_idx    orig_file"]
    for number, name, _ in FACES:
        save(root / "CelebA-HQ-img" / f"{number}.jpg", picture(number, (64, 64)))
        masks = root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
        for part, (rows, columns) in PARTS.items():
            mask = np.zeros((32, 32), np.uint8)
            mask[rows, columns] = 255
            # As released: three equal channels; one part grey, as some copies are.
            stored = mask if part == "nose" else np.repeat(mask[..., None], 3, 2)
            save(masks / f"{number:05d}_{part}.png", stored)
        original = int(name.removesuffix(".jpg"))
        lines.append(f"{number:<12}{original - 1:<12}{name}")
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(lines) + "\n")
    return root


# Parts of every face of the fixture: rows and columns, some over others. No hat, no earring.
PARTS = {
    "skin": (slice(4, 28), slice(4, 28)),
    "nose": (slice(12, 18), slice(14, 18)),
    "l_eye": (slice(10, 12), slice(8, 12)),
    "r_eye": (slice(10, 12), slice(20, 24)),
    "u_lip": (slice(20, 21), slice(12, 20)),
    "l_lip": (slice(21, 22), slice(12, 20)),
    "hair": (slice(2, 9), slice(4, 28)),
    "neck": (slice(26, 32), slice(10, 22)),
    "cloth": (slice(30, 32), slice(0, 32)),
}


@pytest.fixture
def ade20k(tmp_path: Path) -> Path:
    """ADEChallengeData2016: 4 train, 3 val JPEG images of different sizes, one grey; 0 = other."""
    root = tmp_path / "ADEChallengeData2016"
    lines = []
    for split, folder, scenes in (
        ("train", "training", ["airport_terminal", "bedroom", "street", "bedroom"]),
        ("val", "validation", ["bedroom", "street", "kitchen"]),
    ):
        for index, scene in enumerate(scenes):
            stem, shape = f"ADE_{split}_{index + 1:08d}", (40 + 4 * index, 60)
            image = picture(hash_of(split, index), shape)
            save(root / "images" / folder / f"{stem}.jpg", image[..., 0] if index == 2 else image)
            label = labels(hash_of(split, index), [0, 1, 6, 150], shape)
            save(root / "annotations" / folder / f"{stem}.png", label)
            lines.append(f"{stem} {scene}")
    (root / "sceneCategories.txt").write_text("\n".join(lines) + "\n")
    return root


class Own:
    """A user's folder of photographs and masks of 64x64 in the current folder, and its section."""

    def __init__(self, masks: str = "masks") -> None:
        self.globs = "own/photos/*", f"own/{masks}/*"
        self.masks = Path("own") / masks

    def write(self, *masks: Image.Image | np.ndarray, stem: str = "p{}", end: str = "png") -> None:
        """Write a photograph for each mask, and the mask under the same stem."""
        for index, mask in enumerate(masks):
            save(Path(f"own/photos/{stem.format(index)}.png"), picture(index, (64, 64)))
            self.put(mask, f"{stem.format(index)}.{end}")

    def put(self, mask: Image.Image | np.ndarray, name: str) -> None:
        """Write one mask."""
        self.masks.mkdir(parents=True, exist_ok=True)
        (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(self.masks / name)

    def suggest(self, instances: bool = False) -> tuple[str, ...]:
        """Put the section that is suggested into params.yaml; return the notes."""
        found = suggest(*self.globs, instances)
        Path("params.yaml").write_text(found.text, encoding="utf-8")
        return found.notes

    def section(self) -> Any:
        """Return what params.yaml says of the folder."""
        return YAML(typ="safe").load(Path("params.yaml"))["dataset"]["folder"]

    def read(self) -> dict[str, np.ndarray]:
        """Ingest the folder and return stem -> names of the classes, [H, W]."""
        ingest.main(out=Path("read"))
        sets = [PairSet(path) for path in sorted(Path("read").iterdir())]
        names = np.array(sets[0].classes.names)
        return {
            pair.id.removeprefix("photos-"): names[pair.label]
            for pairs in sets
            for pair in pairs.pairs()
        }

    def check(self, truth: Sequence[np.ndarray], names: Sequence[str]) -> None:
        """Ingest the folder and compare it with the classes of p0, p1, ... [H, W]."""
        found = self.read()
        assert len(found) == len(truth)
        for index, label in enumerate(truth):
            assert (found[f"p{index}"] == np.array(names)[label]).all(), f"p{index}"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    """An empty folder of a user in a project of its own."""
    monkeypatch.chdir(tmp_path)
    return Own()


@pytest.fixture
def tiff() -> Callable[[Path, np.ndarray], None]:
    """A writer of plain TIFF files of signed or unsigned integers of 16 or 32 bits."""

    def write(path: Path, values: np.ndarray) -> None:
        height, width = values.shape
        body = values.astype(values.dtype.newbyteorder("<")).tobytes()
        signed = 2 if values.dtype.kind == "i" else 1
        start = 8 + 2 + 10 * 12 + 4
        tags = [(256, width), (257, height), (258, 8 * values.itemsize), (259, 1), (262, 1)]
        tags += [(273, start), (277, 1), (278, height), (279, len(body)), (339, signed)]
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
        path.write_bytes(head + body)

    return write
