"""Folders whose masks are stored in any mixture of ways: read right, or refused in one line.

A folder is a pure function of its number. Three kinds of them must be read: all files stored in
one way, all files alike on a screen, and black and white in any way that shows it.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.pairs.shards import PairSet
from data.sources import ingest
from data.stage.errors import UserError
from data.tools.suggest import suggest

SIDE, CELL = 32, 8
BLACK_WHITE = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)
Rng = np.random.Generator


def truth(rng: Rng, num_classes: int, whole: bool) -> np.ndarray:
    """Draw classes [H, W] in blocks: all of them, or 0 and some others."""
    cells = (SIDE // CELL) ** 2
    there = np.arange(1, num_classes)
    if not whole:
        there = rng.choice(there, rng.integers(1, num_classes), replace=False)
    drawn = rng.choice([0, *there], cells)
    drawn[rng.permutation(cells)[: len(there) + 1]] = [0, *there]
    return np.kron(drawn.reshape(SIDE // CELL, -1), np.ones((CELL, CELL), int))


def colors(rng: Rng, num_classes: int) -> np.ndarray:
    """Draw the colours of the classes, all different; often 0 is black."""
    if num_classes == 2 and rng.random() < 0.6:
        return BLACK_WHITE
    drawn = rng.choice(8**3, num_classes, replace=False)
    table = np.stack([drawn // 64, drawn // 8 % 8, drawn % 8], -1) * 36
    grey = (table == table[:, :1]).all(-1)
    table[grey, 0] += 3
    if rng.random() < 0.7:
        table[0] = 0
    return table.astype(np.uint8)


def indexed(label: np.ndarray, table: np.ndarray, order: np.ndarray) -> Image.Image:
    """Return a mask with class order[i] at index i, which looks the same in any order."""
    picture = Image.fromarray(np.argsort(order).astype(np.uint8)[label])
    picture.putpalette(table[order].ravel().tolist())
    return picture


def grey_alpha(grey: np.ndarray) -> Image.Image:
    return Image.merge("LA", [Image.fromarray(grey), Image.new("L", grey.shape[::-1], 255)])


def rgba(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(picture).convert("RGBA")


IDS = {
    "ids": lambda label: Image.fromarray(label.astype(np.uint8)),
    "ids, 16 bits": lambda label: Image.fromarray(label.astype(np.uint16)),
    "ids, 32 bits": lambda label: Image.fromarray(label.astype(np.int32)),
    "ids, LA": lambda label: grey_alpha(label.astype(np.uint8)),
    "ids, RGB": lambda label: Image.fromarray(label.astype(np.uint8)).convert("RGB"),
}
COLORED = {
    "RGB": lambda label, table, rng: Image.fromarray(table[label]),
    "RGBA": lambda label, table, rng: rgba(table[label]),
    "P": lambda label, table, rng: indexed(label, table, np.arange(len(table))),
    "P reversed": lambda label, table, rng: indexed(label, table, np.arange(len(table))[::-1]),
    "P shuffled": lambda label, table, rng: indexed(label, table, rng.permutation(len(table))),
}
TWO = {
    "one bit": lambda label: Image.fromarray(label.astype(bool)),
    "0 and 255": lambda label: Image.fromarray((label * 255).astype(np.uint8)),
    "0 and 65535": lambda label: Image.fromarray((label * 65535).astype(np.uint16)),
    "LA": lambda label: grey_alpha((label * 255).astype(np.uint8)),
}


def stored(way: str, label: np.ndarray, table: np.ndarray, rng: Rng) -> Image.Image:
    if way in COLORED:
        return COLORED[way](label, table, rng)
    return (IDS | TWO)[way](label)


def draw(number: int, root: Path) -> tuple[str, dict[str, np.ndarray], set[str], np.ndarray]:
    """Write a folder; return its kind, each picture's classes, the ways of storing, the colours."""
    rng = np.random.default_rng(np.random.SeedSequence([7, number]))
    kind = ("one way", "alike", "any")[number % 3]
    num_classes = 2 if rng.random() < 0.4 else int(rng.integers(2, 7))
    table = colors(rng, num_classes)
    two = num_classes == 2 and table is BLACK_WHITE
    alike = list(COLORED | (TWO if two else {}))
    ways = alike if kind == "alike" else [*IDS, *COLORED, *(TWO if num_classes == 2 else {})]
    ways = ways if kind != "one way" else [str(rng.choice([w for w in ways if w != "P shuffled"]))]
    labels, used = {}, set()
    for index in range(int(rng.integers(3, 7))):
        label = truth(rng, num_classes, whole=kind == "alike" or index == 0)
        way = str(rng.choice(ways))
        picture = stored(way, label, table, rng)
        end = "tif" if picture.mode == "I" else "png"
        for name, content in (("masks", picture), ("photos", None)):
            path = root / name / f"p{index}.{end if name == 'masks' else 'png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            (content or Image.fromarray(noise)).save(path)
        labels[f"photos-p{index}"] = label
        used.add(way)
    return kind, labels, used, table


def suggested(root: Path) -> None:
    """Write the section that is suggested for a folder."""
    Path("params.yaml").write_text(suggest(f"{root}/photos/*", f"{root}/masks/*").text)


def read(root: Path) -> dict[str, np.ndarray]:
    """Ingest a folder and return the label of each pair."""
    ingest.main(out=root / ".." / f"{root.name}-read")
    sets = [PairSet(p) for p in sorted((root.parent / f"{root.name}-read").iterdir())]
    return {pair.id: pair.label for pairs in sets for pair in pairs.pairs()}


def pairs_of(labels: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> set[tuple[int, int]]:
    """Return each class with the classes it was read as."""
    assert found.keys() == labels.keys()
    return {
        pair
        for key, label in labels.items()
        for pair in zip(label.ravel().tolist(), found[key].ravel().tolist(), strict=True)
    }


def one_line(error: UserError) -> bool:
    return "\n" not in str(error) and len(str(error)) < 1000


def outcome(number: int, work: Path) -> tuple[str, str]:
    """Return the kind of a folder, and `read`, `refused` or what is wrong."""
    root = work / str(number)
    kind, labels, used, _ = draw(number, root)
    try:
        suggested(root)
        found = read(root)
    except UserError as error:
        named = sum(f"{root}/masks/p{i}." in str(error) for i in range(len(labels)))
        refused = one_line(error) and named == 2
        return kind, "refused" if refused else f"{number} {used}: {error}"
    both = pairs_of(labels, found)
    right = len({a for a, _ in both}) == len({b for _, b in both}) == len(both)
    return kind, "read" if right else f"{number} {used} was read wrong: {sorted(both)}"


def outcome_of_change(number: int, work: Path) -> tuple[str, str]:
    """Save some masks of a folder again in other ways, once its section was written.

    Return how they were stored, and `read`, `refused` or what is wrong.
    """
    root = work / f"changed-{number}"
    _, labels, (way,), table = draw(3 * number, root)
    suggested(root)
    before = pairs_of(labels, read(root))
    rng = np.random.default_rng(np.random.SeedSequence([8, number]))
    for name in sorted(root.glob("masks/*.png")):
        if rng.random() < 0.5:
            continue
        label = labels[f"photos-{name.stem}"]
        ways = [*COLORED, *list(IDS)[:2], *(TWO if len(table) == 2 else {})]
        stored(str(rng.choice(ways)), label, table, rng).save(name)
    try:
        after = pairs_of(labels, read(root))
    except UserError as error:
        return way, "refused" if one_line(error) and "/masks/p" in str(error) else str(error)
    return way, "read" if after == before else f"{number} {way} was read wrong: {sorted(after)}"


def check_folders(numbers: range, work: Path) -> None:
    counts = Counter(outcome(number, work) for number in numbers)
    wrong = [what for _, what in counts if what not in ("read", "refused")]
    assert not wrong, "\n".join(wrong)
    third = len(numbers) // 3
    assert counts["one way", "read"] == counts["alike", "read"] == third
    assert counts["any", "read"] >= third / 6 and counts["any", "refused"] >= third / 3


def check_changes(numbers: range, work: Path) -> None:
    counts = Counter(outcome_of_change(number, work) for number in numbers)
    wrong = [what for _, what in counts if what not in ("read", "refused")]
    assert not wrong, "\n".join(wrong)
    total = Counter(what for _, what in counts.elements())
    assert min(total["read"], total["refused"]) >= len(numbers) / 5


def test_60_mixtures_are_read_right_or_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_folders(range(60), tmp_path)


def test_30_changed_folders_are_read_right_or_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_changes(range(30), tmp_path)


@pytest.mark.slow
def test_600_more_mixtures_are_read_right_or_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_folders(range(60, 660), tmp_path)


@pytest.mark.slow
def test_300_more_changed_folders_are_read_right_or_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_changes(range(30, 330), tmp_path)
