"""STAGE: make the pair set of one recipe, real pairs plus synthetic ones."""

from pathlib import Path

import torch

from data.cli import run
from data.fingerprint import fingerprint
from data.outputs import replacing
from data.params import check_name, read
from data.progress import log, progress
from data.shards import PairSet, ShardWriter
from data.timings import timed
from synth import recipes
from synth.controls import describe
from synth.training import default_device


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

    `repainted` is a small set of its own: the first layouts, each painted several times, which
    says how much the images of one layout differ; empty for a recipe of real pairs only.
    """
    row = read(f"recipes.{check_name(recipe)}", recipes.RecipeParams)
    numbers = read("produce", recipes.ProduceParams)
    torch.set_num_threads(numbers.threads)
    real = PairSet(train)
    ready = recipes.load(
        recipe,
        row,
        real=real,
        palette=palette,
        layout=layout,
        painter=painter,
        device=default_device(),
    )
    if ready is not None and ready.control is not None:
        # every palette before any painting: controls that cannot be kept are found at once
        for index in range(numbers.num_pairs):
            recipes.draw_palette(ready, index, numbers.seed)
    made_of = fingerprint(
        {
            "produce": numbers.model_dump(exclude={"repaint"}),
            "layouts": row.layouts,
            "painter": row.painter,
            "controls": row.controls.model_dump(),
        },
        [train, palette, layout, painter],
    )
    about = {"classes": real.classes, "size": real.size, "fingerprint": made_of, "prefix": recipe}
    origin = None if ready is None else {recipe: _origin(row)}
    with timed(f"produce@{recipe}") as timing:
        with replacing(out) as partial, ShardWriter(partial, origin=origin, **about) as writer:
            writer.add_shards_of(real)
            if ready is not None:
                _write(writer, ready, numbers)
                timing.images = numbers.num_pairs
        with replacing(repainted) as partial, ShardWriter(partial, origin=origin, **about) as few:
            if ready is not None:
                _repaint(few, ready, numbers)
    log.info(f"{out}: {len(PairSet(out))} pairs")


def _origin(row: recipes.RecipeParams) -> dict[str, str]:
    asked = describe(row.controls)
    return {"layouts": row.layouts, "painter": row.painter} | ({"controls": asked} if asked else {})


def _write(writer: ShardWriter, ready: recipes.Recipe, numbers: recipes.ProduceParams) -> None:
    with progress(numbers.num_pairs, ready.name, "pairs") as advance:
        for first in range(0, numbers.num_pairs, numbers.batch_size):
            # a full batch also at the end, so that the last pairs do not depend on num_pairs
            indices = range(first, first + numbers.batch_size)
            pairs = recipes.make_pairs(ready, indices, numbers.seed)
            for pair in pairs[: numbers.num_pairs - first]:
                writer.write(pair)
            advance(min(numbers.batch_size, numbers.num_pairs - first))


def _repaint(writer: ShardWriter, ready: recipes.Recipe, numbers: recipes.ProduceParams) -> None:
    count, size = numbers.repaint.num_layouts, numbers.batch_size
    for again in range(numbers.repaint.num_images):
        for first in range(0, count, size):
            indices = range(first, min(first + size, count))
            for pair in recipes.make_pairs(ready, indices, numbers.seed, again):
                writer.write(pair)


if __name__ == "__main__":
    run(main)
