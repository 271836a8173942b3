"""Write pair sets as folders that other programs read: MMSegmentation, Cityscapes, COCO, HF."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from PIL import Image

from data.pairs.shards import MANIFEST, PairSet
from data.sources.duplicates import picture_hash
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import replacing, write_text
from data.stage.params import choose
from data.stage.progress import log, progress
from data.tools import verify
from data.tools.card import card
from data.tools.exports import EXPORTS, hf
from data.tools.exports.void import CHOICES, ignoring, words

SPLITS = ("train", "val", "test")


def main(
    pairs: Annotated[Path, "a pair set (the train split), or a folder of train, val and test"],
    out: Annotated[Path, "folder to write; must be empty or absent"],
    *,
    to: Annotated[str, "mmseg, cityscapes, coco or hf"],
    val: Annotated[Path | None, "pair set to write as val"] = None,
    test: Annotated[Path | None, "pair set to write as test"] = None,
    void: Annotated[str, "classes out of mIoU: class (like the others) or ignore (255)"] = "class",
) -> None:
    """Check pair sets and write them as mmseg, cityscapes, coco or hf, with a card (README.md).

    `python -m data.tools.export artifacts/real OUT --to mmseg` writes the train, val and test sets
    of a dataset; `... artifacts/pairs/semi OUT --val artifacts/real/val --to mmseg` a recipe's
    training pairs, real and synthetic, with real ones to validate on. A single pair set becomes
    the split train. OUT must be empty or absent. `--void ignore` writes the classes out of mIoU as
    255, which trainers leave out, and counts the others from 0.
    """
    exporter = choose(to, EXPORTS, "format")
    choice = choose(void, CHOICES, "--void")
    if to == "cityscapes" and choice == "ignore":
        raise UserError("labelTrainIds of cityscapes have void as 255 already; leave out --void")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} is not empty; remove it or write somewhere else")
    sets = find(pairs, {"val": val, "test": test})
    for path in (pairs, *sets.values()):
        if out.resolve().is_relative_to(path.resolve()):
            raise UserError(f"{out} lies inside {path}, which is exported; write somewhere else")
    splits = load(sets)
    exporter.check(splits)
    classes = next(iter(splits.values())).classes
    total = sum(len(split) for split in splits.values())
    # beside OUT, where there is room for the pairs
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as partial, TemporaryDirectory(prefix=".", dir=out.parent) as scratch:
        if choice == "ignore":
            with progress(total, "leaving void out", "pairs") as advance:
                splits = ignoring(splits, Path(scratch), advance)
        title = out.resolve().name
        with progress(total, f"writing {to}", "pairs") as advance:
            layout = exporter.write(splits, partial, advance)
        page = card(splits, title, "\n\n".join(filter(None, (layout, words(classes, choice)))))
        write_text(partial / "README.md", (hf.header(splits, title) if to == "hf" else "") + page)
    log.info(f"{out}: {total} pairs; {out / 'README.md'} says what they are")


def find(pairs: Path, others: Mapping[str, Path | None]) -> dict[str, Path]:
    """Return the pair set of each split: those under a folder, or one set as train and `others`."""
    given = {split: path for split, path in others.items() if path is not None}
    if (pairs / MANIFEST).is_file():
        return {"train": pairs} | given
    there = {name: pairs / name for name in SPLITS if (pairs / name / MANIFEST).is_file()}
    if not there:
        raise UserError(
            f"{pairs} is neither a pair set (a folder with {MANIFEST}) nor a folder of pair sets "
            "named train, val or test"
        )
    for split in given:
        if split in there:
            raise UserError(f"{pairs} has a split {split} of its own; leave out --{split}")
    return there | given


def load(sets: Mapping[str, Path]) -> dict[str, PairSet]:
    """Open sets that have no fault, one class table and size, and no pair in common."""
    for path in sets.values():
        verify.require(path)
    for path in sets.values():
        for fault in verify.faults(path):
            raise UserError(
                f"{path} has faults ({fault}); python -m data.tools.verify {path} lists all"
            )
    splits = {name: PairSet(path) for name, path in sets.items()}
    first = next(iter(splits.values()))
    seen: dict[str, str] = {}
    for name, split in splits.items():
        if split.classes != first.classes or split.size != first.size:
            raise UserError(f"{split.path} has other classes or another size than {first.path}")
        for column in ("id", "sha256"):
            for value in split.column(column):
                if seen.setdefault(value, name) == name:
                    continue
                if column == "id" or not _is_blank(split, value):
                    raise UserError(
                        f"{column} {value!r} is in {seen[value]} and in {name}; scores would be of "
                        "pairs that were trained on"
                    )
    return splits


def _is_blank(pairs: PairSet, sha256: str) -> bool:
    """Say whether a pair's image is of one shade: blank tiles are equal, and teach nothing."""
    image, _ = pairs.arrays(pairs.column("sha256").index(sha256))
    return picture_hash(Image.fromarray(image)) is None


if __name__ == "__main__":
    run(main)
