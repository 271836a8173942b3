"""Audit a pair set: how many pairs, how much of each class, and what the pairs look like."""

from pathlib import Path
from typing import Annotated

import numpy as np

from data.cli import run
from data.outputs import write_bytes
from data.shards import PairSet
from data.sheets import contact_sheet

SHEETS = Path("artifacts/inspect")
COLUMNS, ROWS = 6, 4
SHEET_WIDTH = 1600


def audit(pairs: PairSet) -> str:
    """Return a table: pairs by source, then share and number of images of every class."""
    palette = pairs.column("palette")
    height, width = pairs.size
    sources = pairs.manifest["sources"]
    lines = [
        f"{pairs.path}: {len(pairs)} pairs of {height}x{width}, {len(pairs.shards)} shards",
        "sources: " + ", ".join(f"{name} {count}" for name, count in sources.items()),
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


def main(pairs: Annotated[Path, "a pair set"], *, out: Path | None = None) -> None:
    """Print the audit of a pair set and write a contact sheet (PNG) to artifacts/inspect."""
    import typer

    found = PairSet(pairs)
    typer.echo(audit(found))
    # not beside the set: that folder may be an output of the pipeline
    out = SHEETS / f"{pairs.resolve().parent.name}-{pairs.name}.png" if out is None else out
    write_bytes(out, sheet(found))
    typer.echo(f"\ncontact sheet: {out}")


if __name__ == "__main__":
    run(main)
