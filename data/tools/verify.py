"""Check pair sets to the last byte: the manifest, every shard, every pair."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from data.pairs.manifest import MANIFEST, Manifest
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.progress import progress
from data.tools.checks.manifest import read
from data.tools.checks.parents import find
from data.tools.checks.shards import Contents, file_faults


def main(
    sets: Annotated[list[Path], "pair sets, for example artifacts/real/train"],
    *,
    real: Annotated[Path | None, "the real set they start from, where it was moved"] = None,
) -> None:
    """Check every byte of pair sets and print what is wrong, one line for each fault.

    Parents of synthetic pairs are looked up in the real set that their set names. Exit status 0
    when all is intact, 1 when something is wrong, 2 for a folder that is not a set.
    """
    import typer

    for path in (*sets, *([] if real is None else [real])):
        require(path)
    broken = 0
    for path in sets:
        found = 0
        for fault in faults(path, real):
            typer.echo(f"{path}: {fault}")
            found += 1
        broken += bool(found)
        typer.echo(f"{path}: {f'{found} faults' if found else summary(path)}")
    if broken:
        raise SystemExit(1)


def require(path: Path) -> None:
    """Raise `UserError` unless a path is a folder with a manifest."""
    if not path.is_dir():
        raise UserError(
            f"{path} is not a folder; give a pair set, which is a folder with {MANIFEST}"
        )
    below = sorted(str(manifest.parent) for manifest in path.glob(f"*/{MANIFEST}"))
    if below and not (path / MANIFEST).exists():
        raise UserError(f"{path} is a folder of pair sets; name them: {' '.join(below)}")
    if not (path / MANIFEST).is_file():
        raise UserError(
            f"{path} has no {MANIFEST}: it is not a pair set, or what wrote it did not finish; "
            "run the stage that makes it again"
        )


def summary(path: Path) -> str:
    """Return one line on a set that has no fault."""
    manifest, _ = read(path / MANIFEST)
    assert manifest is not None
    count = len(manifest.shards)
    return f"{manifest.num_pairs} pairs in {count} shard{'s' * (count != 1)}, all intact"


def faults(path: Path, real: Path | None = None) -> Iterator[str]:
    """Yield all that is wrong with a pair set: `FILE: fact` or `SHARD: pair ID: fact`.

    `real` is where the real set is that it starts from, if not where its manifest says.

    Files are compared with the manifest's length and hash before anything parses them; a shard
    that differs is named and not opened, so its pairs are not named. Memory grows by the ids of
    the pairs, not by the shards.
    """
    manifest, wrong = read(path / MANIFEST)
    yield from (f"{MANIFEST}: {fault}" for fault in wrong)
    if manifest is None:
        return
    parents, wrong = find(manifest, real)
    yield from (f"{MANIFEST}: {fault}" for fault in wrong)
    yield from _strangers(path, manifest)
    whole = []
    with progress(len(manifest.shards), f"{path}: hashing", "shards") as advance:
        for entry in manifest.shards:
            differs = list(file_faults(path / entry.name, entry))
            yield from (f"{entry.name}: {fault}" for fault in differs)
            whole += [] if differs else [entry]
            advance()
    with progress(manifest.num_pairs, f"{path}: checking", "pairs") as advance:
        yield from Contents(path, manifest, whole, parents).faults(advance)


def _strangers(path: Path, manifest: Manifest) -> Iterator[str]:
    known = {MANIFEST, *(entry.name for entry in manifest.shards)}
    for file in sorted(path.iterdir()):
        if file.name not in known:
            yield f"{file.name!r}: is not part of the set; the manifest does not know it"


if __name__ == "__main__":
    run(main)
