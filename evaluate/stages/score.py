"""STAGE: score one set of synthetic pairs by the judge, whatever learns from it."""

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
from evaluate.metrics.inception import load_inception
from evaluate.metrics.judge import scored_rows
from evaluate.metrics.metric import Scored, compute_all


def main(*, set: str, pairs: Path, repainted: Path, judge: Path, out: Path) -> None:
    """Write all metrics of a set as tidy values, and the facts beside them."""
    params = read("report", ReportParams)
    name, whole = check_name(set), PairSet(pairs)
    every = whole.select(name).tolist()
    rows = scored_rows(every, params.num_scored)
    eyes = None if params.pretrained is None else load_eyes(params.pretrained)
    inception = None if params.fid_weights is None else load_inception(params.fid_weights)
    with timed(f"score@{name}") as timing:
        seen_by, real = reference.load(judge, params)
        scored = Scored(
            whole,
            every,
            rows,
            seen_by,
            real,
            params.batch_size,
            repainted=PairSet(repainted),
            eyes=eyes,
            inception=inception,
        )
        values, facts = compute_all(METRICS, scored)
        timing.images = len(rows)
        counts = {"num_pairs": len(every), "num_scored": len(rows)}
        write_json(out, {"set": name} | counts | {"values": values, "facts": facts})


if __name__ == "__main__":
    run(main)
