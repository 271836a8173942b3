"""STAGE: fit the palette model to the class shares of the training pairs."""

from pathlib import Path

from pydantic import Field

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.outputs import replacing
from data.stage.params import Params, read
from data.stage.timings import timed
from synth.palettes.palette import Projection, fit


class PaletteParams(Params):
    """Section `palette` of `params.yaml`."""

    min_components: int = Field(ge=1)
    max_components: int = Field(ge=1)
    covariance_floor: float = Field(gt=0)
    projection: Projection
    seed: int = Field(ge=0)


def main(*, train: Path, out: Path) -> None:
    """Fit the palette model to the real pairs of `train`; shares below half a pixel become 0."""
    params = read("palette", PaletteParams)
    with timed("palette") as timing:
        pairs = PairSet(train)
        shares = pairs.column("palette")[pairs.select("real")]
        height, width = pairs.size
        model, curve = fit(shares, **params.model_dump(), min_share=0.5 / (height * width))
        report = {
            "aic": [{"components": k, "aic": aic} for k, aic in curve],
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
