"""STAGE: score a painter on real held-out layouts, before and after a joint fine-tuned it."""

from pathlib import Path

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.outputs import write_json
from data.stage.params import check_name, read
from data.stage.timings import timed
from evaluate import reference
from evaluate.config import ReportParams
from evaluate.metrics import METRICS
from evaluate.metrics.features import load_eyes
from evaluate.metrics.metric import Scored, compute_all

BEFORE, AFTER = "before", "after"  # sources of the painted set
OF_PAINTERS = ("alignment", "feature_frechet", "feature_diversity")


def main(*, name: str, painted: Path, judge: Path, out: Path) -> None:
    """Score both painters on the layouts of the real val pairs (SB-GAN, Table 2).

    Writes {before, after}: the tidy values of alignment and Frechet distance of each; for diversity
    layouts would have to be painted again.
    """
    params, images = read("report", ReportParams), PairSet(painted)
    metrics = {key: METRICS[key] for key in OF_PAINTERS}
    eyes = None if params.pretrained is None else load_eyes(params.pretrained)
    with timed(f"joint_score@{check_name(name)}") as timing:
        seen_by, real = reference.load(judge, params)
        found = {}
        for source in (BEFORE, AFTER):
            rows = images.select(source).tolist()
            scored = Scored(images, rows, rows, seen_by, real, params.batch_size, eyes=eyes)
            found[source] = {"values": compute_all(metrics, scored)[0]}
        timing.images = len(images)
        write_json(out, {"joint": name} | found)


if __name__ == "__main__":
    run(main)
