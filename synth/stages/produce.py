"""STAGE: make one set of synthetic pairs."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from data.pairs.manifest import StartsFrom
from data.pairs.pairset import PairSet
from data.stage.cli import run
from data.stage.compute import begin
from data.stage.fingerprint import fingerprint, scratch
from data.stage.outputs import remove, replacing
from data.stage.params import check_name, choose, read
from data.stage.progress import log, progress
from data.stage.timings import timed
from synth.making.drawing import draw_palette
from synth.making.engines import ENGINES, Engine
from synth.making.parts import Job, Part, ProduceParams, is_finished, plan, remove_unfinished
from synth.making.sets import Artifacts, CheckedSet, SetParams, check


def main(
    *,
    set: str,
    train: Path,
    palette: Path,
    layout: Path,
    painter: Path,
    out: Path,
    repainted: Path,
) -> None:
    """Make the pairs of one set, which names the real set of TRAIN that they start from.

    Pairs are made in parts, in a scratch folder, by the engine of `produce.engine`; a run that was
    killed makes only what is missing. `repainted` is a small set of its own: the first layouts,
    each painted several times, which says how much the images of one layout differ.
    """
    row = read(f"sets.{check_name(set)}", SetParams)
    numbers = read("produce", ProduceParams)
    engine = choose(numbers.engine, ENGINES, "engine")
    checked = check(set, row, PairSet(train), Artifacts(palette, layout, painter))
    if checked.control is not None:
        _draw_palettes(checked, row.num_pairs, numbers.seed)
    compute = begin("generators", f"set {set}")
    made_of = fingerprint(
        {
            "produce": numbers.made_of(),
            "set": row.made_of(),
            "compute": compute.to_json(),
        },
        [train, palette, layout, painter],
    )
    job = Job(
        set,
        row,
        numbers,
        compute,
        train=train.absolute(),
        artifacts=Artifacts(palette.absolute(), layout.absolute(), painter.absolute()),
        starts_from=StartsFrom.of(train),
        fingerprint=made_of,
        folder=_folder(set, made_of, numbers),
    )
    parts = plan(numbers, row.num_pairs)
    with timed(f"produce@{set}") as timing:
        _make(engine, job, parts)
        timing.images = row.num_pairs
        _gather(job, [part for part in parts if part.kind == "pairs"], out)
        _gather(job, [part for part in parts if part.kind == "repainted"], repainted)
    remove(job.folder)
    log.info(f"{out}: {len(PairSet(out))} pairs")


def _draw_palettes(checked: CheckedSet, num_pairs: int, seed: int) -> None:
    # every palette before any painting: controls that cannot be kept are found at once
    with progress(num_pairs, f"{checked.name}: checking controls", "palettes") as advance:
        for index in range(num_pairs):
            draw_palette(checked, index, seed)
            advance()


def _folder(name: str, made_of: str, numbers: ProduceParams) -> Path:
    """Return where finished parts wait: parts differ by their length too."""
    cut = {name: getattr(numbers, name) for name, free in numbers.free().items() if free.files}
    key = {"made_of": made_of, "cut": repr(cut)}
    return scratch(f"produce-{name}", fingerprint(key, [])).absolute()


def _make(engine: Engine, job: Job, parts: Sequence[Part]) -> None:
    """Make the parts that no earlier run has made."""
    remove_unfinished(job)
    missing = [part for part in parts if not is_finished(job, part)]
    total = sum(part.num_pairs for part in parts)
    done = total - sum(part.num_pairs for part in missing)
    if done:
        log.info(f"{job.name}: {done} of {total} pairs are there from a run that was stopped")
    if not missing:
        return
    spent: dict[str, float] = dict.fromkeys(("painting", "encoding", "writing"), 0.0)
    with (
        progress(total, job.name, "pairs", done) as advance,
        closing(engine(job, missing)) as steps,
    ):
        for step in steps:
            for name in spent:
                spent[name] += getattr(step, name)
            advance(step.num_pairs, shares(spent))


def shares(seconds: Mapping[str, float]) -> str:
    """Say how time is divided: `painting 90 %, encoding 8 %, writing 2 %`."""
    total = sum(seconds.values()) or 1.0
    return ", ".join(f"{name} {100 * part / total:.0f} %" for name, part in seconds.items())


def _gather(job: Job, parts: Sequence[Part], out: Path) -> None:
    """Make one set of finished parts."""
    with replacing(out) as partial, job.writer(partial) as writer:
        for part in parts:
            writer.add_shards_of(PairSet(job.folder / part.name), link=True)


if __name__ == "__main__":
    run(main)
