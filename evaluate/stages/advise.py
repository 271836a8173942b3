"""STAGE: search for the rows that help, confirm the best, and say in a paragraph what to do."""

from pathlib import Path

from data.pairs.pairset import PairSet
from data.pairs.spread import TRAIN
from data.stage.cli import run
from data.stage.outputs import remove, write_json, write_text
from data.stage.params import read
from data.stage.progress import log
from data.stage.timings import timed
from data.tools import export
from evaluate.advice.advice import Advice, advice, class_ious, to_json
from evaluate.advice.contest import Contest, read_contest, say_left_out, with_objects
from evaluate.advice.images import Shared, shared
from evaluate.advice.lacking import Lacking, lacking
from evaluate.advice.paragraph import page, paragraph
from evaluate.advice.search import Entry, Outcome, Run, search
from evaluate.advice.trials import Asked, Bench, Trial
from evaluate.config import ReportParams
from evaluate.metrics.features import load_eyes
from segment.config import set_up
from segment.stages.rows import Sources, row_of


def main(
    *,
    artifacts: Path = Path("artifacts"),
    out: Path = Path("artifacts/advice"),
    minutes: float | None = None,
    check: bool = False,
) -> None:
    """Search for rows that help within some minutes; write advice.json and advice.md.

    `minutes` stands for those of params.yaml, for search and confirmation together. With `check`,
    only the parameters are checked. A run that was broken off goes on: a trial is done once.
    """
    contest = read_contest(minutes)
    if not check:
        contest = with_objects(contest, artifacts / "pairs")
    say_left_out(contest)
    if check:
        return
    real = artifacts / "real"
    images = shared(real, contest.params.split_seed)
    log.info(f"chosen on {images.choose.words}, confirmed on {images.confirm.words}")
    with timed("advise"):
        outcome = search(contest, runner(contest, artifacts, images, out / "trials"))
        said = advice(contest, outcome, images, what_lacks(contest, outcome, images, real))
        exported = export_pairs(said, artifacts, out / "export") if said.helps else None
        write_json(out / "advice.json", to_json(said, outcome))
        write_text(out / "advice.md", page(said, None if exported is None else str(exported)))
    log.info(paragraph(said, None if exported is None else str(exported)))


def runner(contest: Contest, artifacts: Path, images: Shared, trials: Path) -> Run:
    """Return what trains an entry, or finds it among the trials that are done."""
    folders = {name: artifacts / name for name in ("pairs", "real", "trust")}
    slices = {"num_slices": contest.params.seeds.num_slices}
    config = contest.segment.model_copy(update=slices)
    setup = set_up(config, PairSet(artifacts / "real" / TRAIN), "advise")
    bench = Bench(trials, setup, Sources.read(**folders), images)

    def train(entry: Entry, label: str) -> Trial:
        row = row_of(entry.name, contest.completed(entry.name, entry.row), bench.sources)
        trial = bench.trial(Asked(row, entry.iterations, entry.seed, entry.confirms), label)
        log.info(f"{label}: {entry.iterations} iterations, mIoU {trial.miou:.1f}")
        return trial

    return train


def what_lacks(contest: Contest, outcome: Outcome, images: Shared, real: Path) -> Lacking:
    """Find what to label next, on what the segmenters miss and on what images look like."""
    params, report = contest.params, read("report", ReportParams)
    return lacking(
        PairSet(real / TRAIN),
        PairSet(real / "val"),
        class_ious(outcome, images),
        rare=params.rare,
        num_named=params.num_named,
        eyes=None if report.pretrained is None else load_eyes(report.pretrained),
        unlabelled=params.unlabelled,
    )


def export_pairs(said: Advice, artifacts: Path, out: Path) -> Path:
    """Write the real pairs and the sets of the winner as other programs read them."""
    remove(out)
    sets = [artifacts / "pairs" / name for name in said.rows[said.winner].sets]
    export.main([artifacts / "real", *sets], out, to=said.contest.params.export)
    return out


if __name__ == "__main__":
    run(main)
