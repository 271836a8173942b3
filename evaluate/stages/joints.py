"""STAGE: score a painter on real held-out layouts, before and after a joint fine-tuned it."""

from pathlib import Path

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.outputs import write_json
from data.stage.params import check_name, read
from data.stage.timings import timed
from evaluate.cells import cell_dir, score_matrix
from evaluate.config import BASELINE, ReportParams
from evaluate.metrics.images import features, load_judge, obedience
from evaluate.metrics.quality import frechet_of

BEFORE, AFTER = "before", "after"  # sources of the painted set


def main(*, name: str, painted: Path, held_out: Path, judge: Path, out: Path) -> None:
    """Score both painters on the layouts of the held-out pairs (SB-GAN, Table 2).

    Writes {before, after} -> {frechet, obedience}: the distance of the painted images to the real
    ones of the same layouts, in the judge's features, and what the judge reads off them.
    """
    params = read("report", ReportParams)
    images, real = PairSet(painted), PairSet(held_out)
    with timed(f"joint_score@{check_name(name)}") as timing:
        seen_by = load_judge(cell_dir(judge, BASELINE, params.seeds[0]), threads=params.threads)
        batch = params.batch_size
        val = features(real, range(len(real)), seen_by.describe, batch_size=batch)
        found = {}
        for source in (BEFORE, AFTER):
            rows = images.select(source).tolist()
            own = features(images, rows, seen_by.describe, batch_size=batch)
            matrix = obedience(images, rows, seen_by.predict, batch_size=batch)
            found[source] = {
                "frechet": frechet_of(own, val, seen_by.features),
                "obedience": score_matrix(matrix, real.classes),
            }
        timing.images = len(images)
        write_json(out, {"joint": name} | found)


if __name__ == "__main__":
    run(main)
