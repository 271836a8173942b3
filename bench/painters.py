"""Train painters for the same numbers of images, and score them on real val layouts.

`make bench-painters` (`python -m bench.painters`) takes dataset, size and painters of params.yaml,
whose `ingest` stage and first segmenter of `real` must have run, and writes `docs/painters.md`.
Killed and started again, it goes on where it was: every training has a folder of its own, named by
all that it depends on.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from ruamel.yaml import YAML

from bench.leaderboard import ENTRANTS, Score, page
from bench.record import machine, write_section
from data.pairs.pairset import PairSet
from data.pairs.shards import ShardWriter
from data.stage.cli import exit_on_sigterm
from data.stage.compute import ComputeParams, begin, choose, default_device
from data.stage.errors import UserError
from data.stage.fingerprint import ROOT, fingerprint
from data.stage.outputs import read_json, replacing, write_json
from data.stage.params import PARAMS_FILE, read, read_raw
from data.stage.params import choose as entry_of
from data.stage.progress import log
from evaluate import reference
from evaluate.cells import CELL, group_sums, read_cell, read_splits, values
from evaluate.config import BASELINE, ReportParams
from evaluate.metrics import METRICS
from evaluate.metrics.features import Eyes, load_eyes
from evaluate.metrics.judge import Judge, load_judge
from evaluate.metrics.metric import Reference, Scored, compute_all, yardsticks
from evaluate.stages.joints import OF_PAINTERS
from evaluate.statistics import evenly
from synth.making.parts import ProduceParams
from synth.making.repaint import repaint
from synth.painters import PAINTERS
from synth.training.artifact import DESCRIPTION
from synth.training.session import TrainingParams, weight_files

IMAGES = (3600, 12000, 40000)
SECONDS_BETWEEN_LOOKS = 2.0  # at the processor time of a training; what a kill may hide of it


@dataclass(frozen=True)
class Run:
    """One training: an entrant, the images that it is shown, its numbers, and its folder."""

    name: str
    painter: str
    images: int
    numbers: Mapping[str, Any]
    folder: Path

    @property
    def trained(self) -> Path:
        """The painter's artifact."""
        return self.folder / "painter"

    @property
    def spent(self) -> Path:
        """The file of the processor seconds that the training took."""
        return self.folder / "spent.json"


@dataclass(frozen=True)
class Jury:
    """Who scores painters, and what real pairs score; `about` is the judge in words."""

    val: PairSet
    judge: Judge
    reference: Reference
    eyes: Eyes | None
    params: ReportParams
    about: str
    yardstick: Score


def bench(
    names: Sequence[str], images: Sequence[int], real: Path, cell: Path, work: Path, out: Path
) -> None:
    """Train and score every painter at every number of images; write the page after each.

    Raises `UserError` in the end for trainings that failed, which the page leaves out.
    """
    runs = [plan(name, count, real / "train", work) for count in images for name in names]
    load, failed, scored = os.getloadavg()[0], [], []
    jury = convene(real, cell)
    for run in runs:
        log.info(f"{run.name}, {run.images} images: {run.folder}")
        if train(run, real / "train"):
            scored.append(score(run, jury))
            write_page(out, scored, jury, load)
        else:
            failed.append(f"{run.name} at {run.images} images")
    if failed:
        raise UserError(f"{', '.join(failed)} failed, see above; the others are in {out}")


def write_page(out: Path, scored: Sequence[Score], jury: Jury, load: float) -> None:
    """Replace the section of this dataset and size."""
    named = f"{read_raw('dataset.source')} {'x'.join(map(str, jury.val.size))}"
    about = [
        f"{machine(load, ('torch',))} {len(jury.val)} val layouts. The judge: {jury.about}.",
        f"Preset `{read_raw('preset')}`, seed {read_raw('training.seed')}, one training each.",
    ]
    section = page(named, " ".join(about), jury.yardstick, scored)
    write_section(out, f"painters {named}", section, heading="Painters")


def plan(name: str, images: int, train: Path, work: Path) -> Run:
    """Return the training of an entrant; its folder depends on its numbers and the real pairs."""
    entrant = entry_of(name, ENTRANTS, "painter")
    numbers = dict(read_raw(f"painters.{entrant.painter}"))
    numbers |= entrant.changes | {"num_images": images}
    config = PAINTERS[entrant.painter].Config(**numbers)
    files = weight_files(config)
    numbers |= {k: str(v.resolve()) for k, v in config if isinstance(v, Path)}
    compute = choose(read("compute", ComputeParams), default_device(), "generators")
    made_of = {
        "config": config.model_dump(mode="json"),
        "training": read("training", TrainingParams).model_dump(),
        "compute": compute.to_json(),
    }
    key = fingerprint(made_of, [train, *files])[:12]
    return Run(name, entrant.painter, images, numbers, work / f"{name}-{images}-{key}")


def train(run: Run, pairs: Path) -> bool:
    """Train a painter in a process of its own, or go on; return whether it is there.

    Its processor time is noted while it runs, that of killed runs included.
    """
    if (run.trained / DESCRIPTION).is_file():
        return True
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load(PARAMS_FILE.read_text(encoding="utf-8"))
    params["painters"][run.painter] = dict(run.numbers)
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / PARAMS_FILE).open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    given = {"--train": pairs.resolve(), "--out": run.trained.resolve()}
    stage = [sys.executable, "-m", "synth.stages.train_painter", "--method", run.painter]
    command = [*stage, *(str(it) for pair in given.items() for it in pair)]
    paths = {"PYTHONPATH": str(ROOT), "SCENE_PALETTE_SCRATCH": str((run.folder / "s").resolve())}
    before = read_json(run.spent)["seconds"] if run.spent.is_file() else 0.0
    with subprocess.Popen(command, cwd=run.folder, env=os.environ | paths) as child:
        try:
            for seconds in processor_seconds(child):
                write_json(run.spent, {"seconds": before + seconds})
        except BaseException:
            child.terminate()
            raise
    return child.returncode == 0


def processor_seconds(child: subprocess.Popen[bytes]) -> Iterator[float]:
    """Yield what a process has spent so far, every few seconds until it ends, and once after."""
    process = psutil.Process(child.pid)
    spent = os.times()
    earlier = spent.children_user + spent.children_system
    while child.poll() is None:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            break
        yield times.user + times.system
        time.sleep(SECONDS_BETWEEN_LOOKS)
    child.wait()
    spent = os.times()
    yield spent.children_user + spent.children_system - earlier


def convene(real: Path, folder: Path) -> Jury:
    """Load the judge and look once at the real pairs."""
    params = read("report", ReportParams)
    if not (folder / CELL).is_file():
        raise UserError(
            f"{folder} holds no segmenter; run `dvc repro segment@{BASELINE}-{params.seeds[0]}`, "
            "or name another one's folder with --judge"
        )
    cell = read_cell(folder, BASELINE, read_json(folder / CELL)["seed"])
    val, judge = read_splits(real)[0], load_judge(folder)
    eyes = None if params.pretrained is None else load_eyes(params.pretrained)
    known = reference.describe(real, cell, params, eyes, None)
    metrics = {name: METRICS[name] for name in OF_PAINTERS}
    found = yardsticks(metrics, known, len(val.pairs))
    names = val.pairs.classes.names
    iou = values(group_sums(cell, val).sum(axis=0), val.eval_ids)[2:]  # of the judge, on val itself
    found += [
        {"metric": "alignment", "class": names[index], "value": float(iou[index])}
        for index in val.eval_ids
        if np.isfinite(iou[index])
    ]
    about = f"`{cell.about['arch']}`, {cell.about['iterations']} iterations, weights "
    return Jury(
        val.pairs, judge, known, eyes, params, about + f"`{judge.sha256[:12]}`", Score.of("", found)
    )


def score(run: Run, jury: Jury) -> Score:
    """Paint the val layouts once, a few of them again, and score the images; or read the scores."""
    produce = read("produce", ProduceParams)
    begin("generators", run.name, says=False)
    rows = range(len(jury.val))
    pretrained = jury.params.pretrained
    known = {"judge": jury.judge.sha256, "pretrained": pretrained, "produce": produce.made_of()}
    made_of = fingerprint(known, [run.trained, jury.val.path])
    file = run.folder / "scores.json"
    if not file.is_file() or read_json(file)["made_of"] != made_of:
        few = evenly(rows, produce.repaint.num_layouts)
        painted = _paint(run, jury.val, produce, "painted", [(rows, 0)])
        times = [(few, again) for again in range(produce.repaint.num_images)]
        again = _paint(run, jury.val, produce, "again", times)
        begin("segmenters", run.name, says=False)
        scored = Scored(
            painted,
            rows,
            rows,
            jury.judge,
            jury.reference,
            jury.params.batch_size,
            repainted=again,
            eyes=jury.eyes,
        )
        found, _ = compute_all({name: METRICS[name] for name in OF_PAINTERS}, scored)
        write_json(file, {"made_of": made_of, "values": found})
    values, seconds = read_json(file)["values"], read_json(run.spent)["seconds"]
    return Score.of(run.name, values, images=run.images, seconds=seconds)


def _paint(
    run: Run,
    val: PairSet,
    produce: ProduceParams,
    folder: str,
    times: Sequence[tuple[Sequence[int], int]],
) -> PairSet:
    """Paint some rows, each as often as it is asked for, into a pair set of the run's folder."""
    about = {"classes": val.classes, "size": val.size, "fingerprint": "of its folder"}
    with replacing(run.folder / folder) as out, ShardWriter(out, **about) as writer:
        for rows, again in times:
            repaint(writer, val, run.trained, run.name, produce, rows=rows, again=again)
    return PairSet(run.folder / folder)


def main() -> None:
    """Read the command line."""
    plain = [name for name, entrant in ENTRANTS.items() if not entrant.changes]
    parser = argparse.ArgumentParser(description="Train painters alike, and score them alike.")
    parser.add_argument("--painters", nargs="+", default=plain, help=f"default: {' '.join(plain)}")
    parser.add_argument("--images", nargs="+", type=int, default=IMAGES, help="shown, each in turn")
    parser.add_argument("--real", type=Path, default=Path("artifacts/real"))
    parser.add_argument("--judge", type=Path, help="default: the first segmenter of `real`")
    parser.add_argument("--work", type=Path, default=Path(".scratch/painters"))
    parser.add_argument("--out", type=Path, default=Path("docs/painters.md"))
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    exit_on_sigterm()
    try:
        first = read_raw("report.seeds")[0]
        judge = given.judge or Path("artifacts/segment", BASELINE, str(first))
        bench(given.painters, given.images, given.real, judge, given.work, given.out)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
