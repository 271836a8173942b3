"""Train painters for the same numbers of images, and score them on real val layouts.

`make bench-painters` (`python -m bench.painters`) takes dataset, size and painters of params.yaml,
whose `ingest` stage and first segmenter of `real` must have run, and writes `docs/painters.md`.
Generators without layouts are trained alike; their images and those of sets are scored alone.
`--painters 'regions:noise_channels=0'` is `regions` with another number, for ablations.
Killed and started again, it goes on where it was: every training has a folder of its own, named by
all that it depends on.
"""

import argparse
import dataclasses
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bench.jury import Jury, Run, convene, score, score_set
from bench.leaderboard import ENTRANTS, PLAIN, Entrant, Score, averaged, page
from bench.record import machine, write_section
from data.stage.cli import exit_on_sigterm
from data.stage.compute import ComputeParams, choose, default_device
from data.stage.errors import UserError
from data.stage.fingerprint import ROOT, fingerprint
from data.stage.outputs import read_json, write_json
from data.stage.params import PARAMS_FILE, checked, read, read_raw
from data.stage.params import choose as entry_of
from data.stage.progress import log
from evaluate.config import BASELINE
from synth.training.artifact import DESCRIPTION
from synth.training.session import TrainingParams, weight_files

IMAGES = (3600, 12000, 40000)
STAGES = {
    "painters": "synth.stages.train_painter",
    "unconditional": "synth.stages.train_unconditional",
}
SECONDS_BETWEEN_LOOKS = 2.0  # at the processor time of a training; what a kill may hide of it


def bench(
    names: Sequence[str],
    images: Sequence[int],
    real: Path,
    cell: Path,
    work: Path,
    out: Path,
    sets: Sequence[Path] = (),
    seeds: Sequence[int] = (),
) -> None:
    """Train and score every painter at every number of images; write the page after each.

    The images of `sets` that are there stand beside them. Every training is there once for each of
    `seeds`, without them with the seed of params.yaml.

    Raises `UserError` in the end for trainings that failed, which the page leaves out.
    """
    runs = [
        plan(name, count, real / "train", work, seed)
        for count in dict.fromkeys(images)
        for name in dict.fromkeys(names)
        for seed in dict.fromkeys(seeds) or [None]
    ]
    load, failed = os.getloadavg()[0], []
    jury = convene(real, cell)
    scored = [score_set(path, jury) for path in sets]
    for run in runs:
        log.info(f"{run.name}, {run.images} images: {run.folder}")
        if train(run, real / "train"):
            scored.append(score(run, jury))
            write_page(out, averaged(scored), jury, load, seeds)
        else:
            failed.append(f"{run.name} at {run.images} images, seed {run.training['seed']}")
    if failed:
        raise UserError(f"{'; '.join(failed)} failed, see above; the others are in {out}")


def write_page(
    out: Path, scored: Sequence[Score], jury: Jury, load: float, seeds: Sequence[int]
) -> None:
    """Replace the section of this dataset and size."""
    named = f"{read_raw('dataset.source')} {'x'.join(map(str, jury.val.size))}"
    used = list(dict.fromkeys(seeds)) or [read_raw("training.seed")]
    fewer = [
        f"{score.trainings} of `{score.name}` at {score.images:,} images"
        for score in scored
        if score.images and score.trainings < len(used)
    ]
    about = [
        f"{machine(load, ('torch',))} {len(jury.val)} val layouts. The judge: {jury.about}.",
        f"Preset `{read_raw('preset')}`, seed{'s' * (len(used) > 1)} "
        f"{', '.join(map(str, used))}, one training each"
        f"{' (so far ' * bool(fewer)}{', '.join(fewer)}{')' * bool(fewer)}.",
    ]
    section = page(named, " ".join(about), jury.yardstick, scored, list(dict.fromkeys(seeds)))
    write_section(out, f"painters {named}", section, heading="Painters")


def plan(name: str, images: int, train: Path, work: Path, seed: int | None = None) -> Run:
    """Return the training of an entrant, by default with the seed of params.yaml.

    Its folder depends on all its numbers and the real pairs.
    """
    entrant = entrant_of(name)
    section = f"{entrant.family}.{entrant.painter}"
    numbers = dict(read_raw(section))
    numbers |= {**entrant.changes, "num_images": images}
    config = checked(numbers, section, entrant.entry.Config)
    files = weight_files(config)
    numbers |= {k: str(v.resolve()) for k, v in config if isinstance(v, Path)}
    compute = choose(read("compute", ComputeParams), default_device(), "generators")
    numbered = {} if seed is None else {"seed": seed}
    training = checked({**read_raw("training"), **numbered}, "training", TrainingParams)
    made_of = {
        "config": config.model_dump(mode="json"),
        "training": training.model_dump(),
        "compute": compute.to_json(),
    }
    key = fingerprint(made_of, [train, *files])[:12]
    folder = work / f"{name.partition(':')[0]}-{images}-{key}"
    return Run(name, entrant, images, numbers, training.model_dump(), folder)


def entrant_of(name: str) -> Entrant:
    """Return an entrant by name; `NAME:KEY=VALUE,KEY=VALUE` is one with other numbers."""
    plain, given, changes = name.partition(":")
    entrant = entry_of(plain, ENTRANTS, "painter")
    if not given:
        return entrant
    try:
        found = YAML(typ="safe", pure=True).load("{" + changes.replace("=", ": ") + "}")
    except YAMLError:
        found = {}
    if "num_images" in found:
        raise UserError(f"{name!r} says how many images are shown; --images does")
    if "=" not in changes or not all(isinstance(key, str) for key in found or [None]):
        raise UserError(f"{name!r} is no painter with other numbers; write {plain}:KEY=VALUE")
    return dataclasses.replace(entrant, changes={**entrant.changes, **found})


def train(run: Run, pairs: Path) -> bool:
    """Train a painter in a process of its own, or go on; return whether it is there.

    Its processor time is noted while it runs, that of killed runs included.
    """
    if (run.trained / DESCRIPTION).is_file():
        return True
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load(PARAMS_FILE.read_text(encoding="utf-8"))
    family, method = run.entrant.family, run.entrant.painter
    params[family][method], params["training"] = dict(run.numbers), dict(run.training)
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / PARAMS_FILE).open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    given = {"--train": pairs.resolve(), "--out": run.trained.resolve()}
    stage = [sys.executable, "-m", STAGES[family], "--method", method]
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


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train painters alike, and score them alike.")
    parser.add_argument("--painters", nargs="+", default=PLAIN, help=f"default: {' '.join(PLAIN)}")
    parser.add_argument("--images", nargs="+", type=int, default=IMAGES, help="shown, each in turn")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], help="default: training.seed")
    parser.add_argument("--real", type=Path, default=Path("artifacts/real"))
    parser.add_argument("--judge", type=Path, help="default: the first segmenter of `real`")
    parser.add_argument("--sets", nargs="*", type=Path, default=[], help="scored by images alone")
    parser.add_argument("--work", type=Path, default=Path(".scratch/painters"))
    parser.add_argument("--out", type=Path, default=Path("docs/painters.md"))
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    exit_on_sigterm()
    try:
        first = read_raw("report.seeds")[0]
        judge = given.judge or Path("artifacts/segment", BASELINE, str(first))
        bench(
            given.painters,
            given.images,
            given.real,
            judge,
            given.work,
            given.out,
            given.sets,
            given.seeds,
        )
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
