"""Audit a pair set: how many pairs, how much of each class, and what the pairs look like."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image

from data.pairs.shards import MANIFEST, PairSet
from data.sources import duplicates
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.outputs import write_bytes
from data.stage.progress import progress
from data.tools.sheets import contact_sheet

SHEETS = Path("artifacts/inspect")
COLUMNS, ROWS = 6, 4
SHEET_WIDTH = 1600
SPLITS = ("train", "val", "test")


def audit(pairs: PairSet) -> str:
    """Return a table: pairs by source, then share and number of images of every class."""
    palette = pairs.column("palette")
    height, width = pairs.size
    sources = pairs.manifest["sources"]
    lines = [
        f"{pairs.path}: {len(pairs)} pairs of {height}x{width}, {len(pairs.shards)} shards",
        "sources: " + ", ".join(f"{name} {count}" for name, count in sources.items()),
        *([f"starts from the real set {pairs.starts_from['path']}"] if pairs.starts_from else []),
        "",
        f"{'id':>3}  {'class':<22} {'share %':>9} {'images':>7}  in mIoU",
    ]
    share = palette.mean(axis=0, dtype=np.float64) if len(pairs) else np.zeros(palette.shape[1])
    present = (palette > 0).sum(axis=0)
    for index, entry in enumerate(pairs.classes.classes):
        lines.append(
            f"{index:>3}  {entry.name:<22} {100 * share[index]:>9.3f} {present[index]:>7}"
            f"  {'yes' if entry.eval else 'no'}"
        )
    return "\n".join(lines)


def sheet(pairs: PairSet) -> bytes:
    """Return a PNG of pairs spread evenly over the set, labels in class colours under images."""
    import io

    count = min(len(pairs), COLUMNS * ROWS)
    chosen = np.linspace(0, len(pairs) - 1, count).astype(int) if count else []
    found = list(pairs.pairs(list(chosen)))
    rows, captions = [], []
    for start in range(0, count, COLUMNS):
        part = found[start : start + COLUMNS]
        rows.append([pair.image for pair in part])
        rows.append([pairs.classes.colorize(pair.label) for pair in part])
        captions += [f"{part[0].id} ... {part[-1].id}", ""]
    scale = max(1, SHEET_WIDTH // (COLUMNS * pairs.size[1]))
    buffer = io.BytesIO()
    contact_sheet(rows, captions, scale).save(buffer, "PNG")
    return buffer.getvalue()


def shared(sets: Sequence[PairSet]) -> list[str]:
    """Return a line for every two sets that share nearly equal images, or one that says: none."""
    looks = {}
    with progress(sum(map(len, sets)), "comparing", "images") as advance:
        for pairs in sets:
            entries = looks[str(pairs.path)] = []
            for pair in pairs.pairs():
                entries.append((pair.id, duplicates.picture_hash(Image.fromarray(pair.image))))
                advance()
    found = duplicates.near_duplicates(looks)
    if not found:
        return [
            f"near-duplicates: none across {', '.join(looks)} (hashes of two images differ in more "
            f"than {duplicates.MAX_BITS} of {duplicates.BITS} bits)"
        ]
    return [
        f"near-duplicates: {duplicates.describe(*names, near)}" for names, near in found.items()
    ]


def siblings(path: Path) -> list[Path]:
    """Return the finished sets of the same dataset when `path` is one of its splits, itself too."""
    if path.name not in SPLITS:
        return [path]
    beside = [path.parent / split for split in SPLITS]
    return [other for other in beside if other == path or (other / MANIFEST).is_file()]


def main(
    sets: Annotated[list[Path] | None, "pair sets"] = None,
    *,
    suggest: bool = False,
    images: str | None = None,
    masks: str | None = None,
    annotations: str | None = None,
    instances: bool = False,
    out: Path | None = None,
) -> None:
    """Print the audit of pair sets and write contact sheets (PNG) to artifacts/inspect.

    Images nearly equal to one of another set are named: of another SET, or of the splits beside
    a single SET. With --suggest there is no SET: the classes are read off the masks that a quoted
    glob names, and a section `dataset` for params.yaml is printed; --instances makes two classes,
    background and object, of masks in which each object has a number of its own. --annotations is
    the file, folder or quoted glob that a labelling tool wrote; images are then looked for beside.
    """
    globs = {"--images": images, "--masks": masks, "--annotations": annotations}
    given = {flag: glob for flag, glob in globs.items() if glob is not None}
    _check_flags(sets, suggest, given, out)
    if instances and (not suggest or annotations is not None):
        raise UserError("--instances belongs to --suggest and --masks; leave it out, or add them")
    if suggest:
        _print_suggestion(given, instances)
    else:
        _print_audit(sets or [], out)


def _check_flags(
    sets: list[Path] | None, suggest: bool, globs: Mapping[str, str], out: Path | None
) -> None:
    if suggest and (sets or out):
        raise UserError(
            f"--suggest takes no {'SET' if sets else '--out'}; quote the globs, or the shell takes "
            "them apart: --suggest --images 'photos/*.jpg' --masks 'masks/*.png'"
        )
    if suggest and "--annotations" not in globs and len(globs) < 2:
        raise UserError(
            "--suggest needs both --images GLOB and --masks GLOB, in quotes, or --annotations PATH"
        )
    if globs and not suggest:
        raise UserError(
            "--images and --masks belong to --suggest, as --annotations does; add it, or name a "
            "SET alone"
        )
    if not suggest and not sets:
        raise UserError("name a pair set, such as artifacts/real/train, or use --suggest")
    if out is not None and len(sets or []) > 1:
        raise UserError("--out names one contact sheet, and there are several SETs; leave it out")


def _print_suggestion(globs: Mapping[str, str], instances: bool) -> None:
    import typer

    # these read the dataset parsers, which an audit has no use for
    from data.tools.suggest import suggest
    from data.tools.suggest_annotations import suggest_annotations

    # the section alone goes to standard output, so that it can be redirected into a file
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
    if "--annotations" in globs:
        suggestion = suggest_annotations(
            globs["--annotations"], globs.get("--images"), globs.get("--masks")
        )
    else:
        suggestion = suggest(globs["--images"], globs["--masks"], instances)
    for note in suggestion.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(suggestion.text, nl=False)


def _print_audit(paths: Sequence[Path], out: Path | None) -> None:
    import typer

    found = [PairSet(path) for path in paths]
    for pairs in found:
        typer.echo(audit(pairs))
        # not beside the set: that folder may be an output of the pipeline
        name = f"{pairs.path.resolve().parent.name}-{pairs.path.resolve().name}.png"
        target = SHEETS / name if out is None else out
        write_bytes(target, sheet(pairs))
        typer.echo(f"\ncontact sheet: {target}")
    compared = found if len(found) > 1 else [PairSet(path) for path in siblings(paths[0])]
    if len(compared) > 1:
        typer.echo("\n".join(shared(compared)))


if __name__ == "__main__":
    run(main)
