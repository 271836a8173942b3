"""STAGE: fit the palette model to the class shares of the training pairs."""

from pathlib import Path

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.outputs import replacing
from data.stage.params import read
from data.stage.timings import timed
from synth.palettes.palette import PaletteParams, fit


def main(*, train: Path, out: Path) -> None:
    """Fit the palette model to the real pairs of `train`; shares below half a pixel become 0."""
    params = read("palette", PaletteParams)
    with timed("palette") as timing:
        pairs = PairSet(train)
        rows, groups = pairs.select("real"), pairs.column("group")
        shares = pairs.column("palette")[rows]
        height, width = pairs.size
        model, choice = fit(
            shares,
            params,
            min_share=0.5 / (height * width),
            groups=[groups[row] for row in rows],
        )
        report = {
            "chosen_by": choice.by,
            "curve": [{"components": k, "score": score} for k, score in choice.curve],
            "classes": list(pairs.classes.names),
            "num_pairs": len(shares),
            "params": params.model_dump(mode="json"),
            "seed": params.seed,
        }
        with replacing(out) as partial:
            model.save(partial, report)
        timing.images = len(shares)


if __name__ == "__main__":
    run(main)
