"""STAGE: make the pair set of one recipe, real pairs plus synthetic ones."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from data.pairs.shards import PairSet, ShardWriter
from data.stage.cli import run
from data.stage.fingerprint import fingerprint, scratch
from data.stage.outputs import remove, replacing
from data.stage.params import check_name, choose, read
from data.stage.progress import log, progress
from data.stage.timings import timed
from synth.making import recipes
from synth.making.engines import ENGINES, Engine
from synth.making.parts import KINDS, Job, Part, ProduceParams, is_finished, plan, remove_unfinished
from synth.training.session import default_device


def main(
    *,
    recipe: str,
    train: Path,
    palette: Path,
    layout: Path,
    painter: Path,
    out: Path,
    repainted: Path,
) -> None:
    """Make the real-plus-synthetic training set of one recipe.

    Pairs are made in parts, in a scratch folder, by the engine of `produce.engine`; a run that was
    killed makes only what is missing. `repainted` is a small set of its own: the first layouts,
    each painted several times, which says how much the images of one layout differ; empty for a
    recipe of real pairs only.
    """
    row = read(f"recipes.{check_name(recipe)}", recipes.RecipeParams)
    numbers = read("produce", ProduceParams)
    engine = choose(numbers.engine, ENGINES, "engine")
    real = PairSet(train)
    artifacts = {"palette": palette, "layout": layout, "painter": painter}
    request = recipes.check(recipe, row, real=real, **artifacts)
    if request is not None and request.control is not None:
        _draw_palettes(request, numbers)
    made_of = fingerprint(
        {
            "produce": numbers.made_of(),
            "layouts": row.layouts,
            "painter": row.painter,
            "controls": row.controls.model_dump(),
            "edits": row.edits.model_dump(),
        },
        [train, palette, layout, painter],
    )
    job = Job(
        recipe,
        row,
        numbers,
        fingerprint=made_of,
        folder=_folder(recipe, made_of, numbers),
        **{name: path.absolute() for name, path in {"train": train, **artifacts}.items()},
    )
    parts = [] if request is None else plan(numbers)
    with timed(f"produce@{recipe}") as timing:
        if parts:
            _make(engine, job, parts)
            timing.images = numbers.num_pairs
        made = {kind: [part for part in parts if part.kind == kind] for kind in KINDS}
        _gather(job, made["pairs"], out, real, with_real=True)
        _gather(job, made["repainted"], repainted, real, with_real=False)
    remove(job.folder)
    log.info(f"{out}: {len(PairSet(out))} pairs")


def _draw_palettes(request: recipes.Request, numbers: ProduceParams) -> None:
    # every palette before any painting: controls that cannot be kept are found at once
    with progress(numbers.num_pairs, f"{request.name}: checking controls", "palettes") as advance:
        for index in range(numbers.num_pairs):
            recipes.draw_palette(request, index, numbers.seed)
            advance()


def _folder(recipe: str, made_of: str, numbers: ProduceParams) -> Path:
    """Return where finished parts wait: bytes differ between kinds of devices, parts by length."""
    key = {"device": default_device().type, "cut": numbers.pairs_per_shard, "again": made_of}
    key |= {"repaint": numbers.repaint.model_dump()}
    return scratch(f"produce-{recipe}", fingerprint(key, [])).absolute()


def _make(engine: Engine, job: Job, parts: Sequence[Part]) -> None:
    """Make the parts that no earlier run has made."""
    remove_unfinished(job)
    missing = [part for part in parts if not is_finished(job, part)]
    total = sum(part.num_pairs for part in parts)
    done = total - sum(part.num_pairs for part in missing)
    if done:
        log.info(f"{job.recipe}: {done} of {total} pairs are there from a run that was stopped")
    if not missing:
        return
    spent = dict.fromkeys(("painting", "encoding", "writing"), 0.0)
    with (
        progress(total, job.recipe, "pairs", done) as advance,
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


def _gather(job: Job, parts: Sequence[Part], out: Path, real: PairSet, with_real: bool) -> None:
    """Make one set of finished parts, behind the real pairs or without them."""
    with (
        replacing(out) as partial,
        ShardWriter(
            partial,
            classes=real.classes,
            size=real.size,
            fingerprint=job.fingerprint,
            prefix=job.recipe,
            origin=job.origin() if parts else None,
        ) as writer,
    ):
        if with_real:
            writer.add_shards_of(real)
        for part in parts:
            writer.add_shards_of(PairSet(job.folder / part.name), link=True)


if __name__ == "__main__":
    run(main)
