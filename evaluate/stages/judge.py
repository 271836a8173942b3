"""STAGE: describe the real pairs once, by the segmenter that judges every synthetic set."""

from pathlib import Path

from data.stage.cli import run
from data.stage.outputs import replacing
from data.stage.params import read
from data.stage.timings import timed
from evaluate import reference
from evaluate.cells import read_cell
from evaluate.config import BASELINE, ReportParams
from evaluate.metrics import METRICS
from evaluate.metrics.frechet import effective_rank
from evaluate.metrics.inception import load_inception
from evaluate.metrics.judge import load_judge
from evaluate.metrics.metric import yardsticks


def main(*, cell: Path, real: Path, out: Path) -> None:
    """Write the judge, its features of the real train and val pairs, and all yardsticks."""
    params = read("report", ReportParams)
    trained = read_cell(cell, BASELINE, params.seeds[0])
    inception = None if params.fid_weights is None else load_inception(params.fid_weights)
    with timed("judge") as timing, replacing(out) as folder:
        judge = load_judge(cell)
        described = reference.describe(real, trained, judge, params, inception)
        val = described.val.features
        about = {
            "seed": trained.seed,
            "features": judge.features,
            "sha256": judge.sha256,
            "num_features": val.shape[1],
            "effective_rank": effective_rank(val) if len(val) > 1 else None,
            "num_train": len(described.train.ids),
            "num_val": len(val),
            "values": yardsticks(METRICS, described, params.num_scored),
        }
        reference.write(folder, described, trained, about)
        timing.images = about["num_train"] + about["num_val"]


if __name__ == "__main__":
    run(main)
