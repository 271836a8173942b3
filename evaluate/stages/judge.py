"""STAGE: say what real pairs are like, once, for the scores of every synthetic set."""

from pathlib import Path
from typing import Any

from data.stage.cli import run
from data.stage.outputs import replacing
from data.stage.params import read
from data.stage.timings import timed
from evaluate import reference
from evaluate.cells import read_cell
from evaluate.config import BASELINE, ReportParams
from evaluate.metrics import METRICS
from evaluate.metrics.features import Eyes, load_eyes
from evaluate.metrics.frechet import effective_rank
from evaluate.metrics.inception import load_inception
from evaluate.metrics.judge import load_judge
from evaluate.metrics.metric import RealPairs, yardsticks


def main(*, cell: Path, real: Path, out: Path) -> None:
    """Write the judge, what networks see in the real train and val pairs, and all yardsticks."""
    params = read("report", ReportParams)
    trained = read_cell(cell, BASELINE, params.seeds[0])
    eyes = None if params.pretrained is None else load_eyes(params.pretrained)
    inception = None if params.fid_weights is None else load_inception(params.fid_weights)
    with timed("judge") as timing, replacing(out) as folder:
        judge = load_judge(cell)
        described = reference.describe(real, trained, params, eyes, inception)
        about = {
            "seed": trained.seed,
            "sha256": judge.sha256,
            "num_train": len(described.train.ids),
            "num_val": len(described.val.ids),
            "features": None if eyes is None else _features(eyes, described.val),
            "values": yardsticks(METRICS, described, params.num_scored),
        }
        reference.write(folder, described, trained, about)
        timing.images = about["num_train"] + about["num_val"]


def _features(eyes: Eyes, val: RealPairs) -> dict[str, Any]:
    """Return which network looks, its number of features, and how many directions they vary in."""
    assert val.seen is not None, "the network has looked"
    pooled = val.seen.pooled
    rank = effective_rank(pooled) if len(pooled) > 1 else None
    return {"named": eyes.named, "number": pooled.shape[1], "effective_rank": rank}


if __name__ == "__main__":
    run(main)
