"""Who scores painters, and how: on real val layouts, and on their images alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.cost.painting import cost_of
from bench.leaderboard import FAMILIES, OF_IMAGES, OF_LAYOUTS, Entrant, Score
from data.pairs.pairset import PairSet
from data.pairs.shards import ShardWriter
from data.stage.compute import begin
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import read_json, replacing, write_json
from data.stage.params import read
from evaluate import reference
from evaluate.cells import CELL, group_sums, read_cell, read_splits, values
from evaluate.config import BASELINE, ReportParams
from evaluate.metrics.features import Eyes, load_eyes
from evaluate.metrics.inception import Inception, load_inception
from evaluate.metrics.judge import Judge, load_judge
from evaluate.metrics.metric import Reference, Scored, compute_all, yardsticks
from evaluate.statistics import evenly
from synth.making import unlabelled
from synth.making.parts import ProduceParams
from synth.making.repaint import repaint


@dataclass(frozen=True)
class Run:
    """One training: an entrant, the images it is shown, its numbers and those of training."""

    name: str
    entrant: Entrant
    images: int
    numbers: Mapping[str, Any]
    training: Mapping[str, Any]
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
    inception: Inception | None
    params: ReportParams
    about: str
    yardstick: Score

    def look(
        self, images: PairSet, rows: Sequence[int], repainted: PairSet | None = None
    ) -> Scored:
        """Return some rows of a set as metrics look at them."""
        return Scored(
            images,
            rows,
            rows,
            self.judge,
            self.reference,
            self.params.batch_size,
            repainted=repainted,
            eyes=self.eyes,
            inception=self.inception,
        )


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
    inception = None if params.fid_weights is None else load_inception(params.fid_weights)
    known = reference.describe(real, cell, params, eyes, inception)
    found = yardsticks(OF_LAYOUTS, known, len(val.pairs))
    names = val.pairs.classes.names
    iou = values(group_sums(cell, val).sum(axis=0), val.eval_ids)[2:]  # of the judge, on val itself
    found += [
        {"metric": "alignment", "class": names[index], "value": float(iou[index])}
        for index in val.eval_ids
        if np.isfinite(iou[index])
    ]
    about = f"`{cell.about['arch']}`, {cell.about['iterations']} iterations, weights "
    return Jury(
        val.pairs,
        judge,
        known,
        eyes,
        inception,
        params,
        about + f"`{judge.sha256[:12]}`",
        Score.of("", found),
    )


def score(run: Run, jury: Jury) -> Score:
    """Score the images of a trained one, made here; or read the scores."""
    produce, params = read("produce", ProduceParams), jury.params
    compute = begin("generators", run.name, says=False)
    known = {
        "judge": jury.judge.sha256,
        "pretrained": params.pretrained,
        "fid": None if jury.inception is None else jury.inception.sha256,
        "produce": produce.made_of(),
        "compute": compute.to_json(),
    }
    made_of = fingerprint(known, [run.trained, jury.val.path])
    file = run.folder / "scores.json"
    if not file.is_file() or read_json(file)["made_of"] != made_of:
        family, size = FAMILIES[run.entrant.family], produce.batch_size
        cost = cost_of(run.trained, family, jury.val, size, compute.dtype)
        found = _painted(run, jury, produce) if run.entrant.paints else _drawn(run, jury, produce)
        write_json(file, {"made_of": made_of, "values": found, "cost": cost})
    scored, seconds = read_json(file), read_json(run.spent)["seconds"]
    return Score.of(run.name, scored["values"], run.images, seconds, scored["cost"])


def score_set(path: Path, jury: Jury) -> Score:
    """Score the images of a set that is there, as many as there are val pairs.

    Raises `UserError` for a set with fewer, or of another size.
    """
    pairs, count = PairSet(path), len(jury.val)
    if pairs.size != jury.val.size:
        raise UserError(f"{path} has images of another size than the real pairs; name another set")
    if len(pairs) < count:
        raise UserError(
            f"{path} has {len(pairs)} images, and distances are those of as many as there are val "
            f"pairs, {count}; make more, or name another set"
        )
    rows = evenly(range(len(pairs)), count)
    return Score.of(str(path), compute_all(OF_IMAGES, jury.look(pairs, rows))[0])


def _painted(run: Run, jury: Jury, produce: ProduceParams) -> list[dict[str, Any]]:
    """Paint the val layouts once and a few of them again, and score that."""
    rows = range(len(jury.val))
    few = evenly(rows, produce.repaint.num_layouts)
    painted = _paint(run, jury.val, produce, "painted", [(rows, 0)])
    times = [(few, again) for again in range(produce.repaint.num_images)]
    again = _paint(run, jury.val, produce, "again", times)
    begin("segmenters", run.name, says=False)
    return compute_all(OF_LAYOUTS, jury.look(painted, rows, again))[0]


def _drawn(run: Run, jury: Jury, produce: ProduceParams) -> list[dict[str, Any]]:
    """Draw as many images as there are val pairs, and score them."""
    count, folder = len(jury.val), run.folder / "drawn"
    about = {"size": jury.val.size, "fingerprint": "of its folder"}
    with (
        replacing(folder) as out,
        ShardWriter(out, classes=unlabelled.CLASSES, **about) as writer,
    ):
        unlabelled.draw(writer, jury.val, run.trained, run.name, produce, count=count)
    begin("segmenters", run.name, says=False)
    return compute_all(OF_IMAGES, jury.look(PairSet(folder), range(count)))[0]


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
