"""The body that the training stages share: from a pair set and a method to an artifact."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from data.pairs.batches import Stream, load_stream
from data.pairs.shards import PairSet
from data.stage.fingerprint import fingerprint, scratch
from data.stage.outputs import remove, replacing
from data.stage.params import Params, read
from data.stage.timings import timed
from synth.training import artifact
from synth.training.loop import Options, train
from synth.training.method import Given, Method, Palettes, no_beginning
from synth.training.team import current, only_first, run_in


class TrainingParams(Params):
    """Section `training`: what all generators share, so that their comparison is fair."""

    seed: int = Field(ge=0)
    flip: bool
    autocast: bool
    channels_last: bool
    processes: int = Field(ge=1)
    threads: int = Field(ge=1)
    save_every: int = Field(ge=1)
    log_every: int = Field(ge=1)
    max_skipped: int = Field(ge=0)

    def options(self) -> Options:
        """Return what of it the loop takes."""
        fields = ("autocast", "channels_last", "save_every", "log_every", "max_skipped")
        return Options(**self.model_dump(include=set(fields)))


def together(main: Callable[..., None]) -> Callable[..., None]:
    """Let a stage run in `training.processes` processes, or in those of `torchrun`."""

    @functools.wraps(main)
    def command(**flags: Any) -> None:
        run_in(read("training", TrainingParams).processes, main, flags)

    return command


def default_device() -> torch.device:
    """Return the accelerator when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def run_training(
    stage: str,
    name: str,
    entry: Any,
    *,
    pairs: Path,
    inputs: Sequence[Path],
    palettes: Palettes | None,
    out: Path,
    begin: Callable[[Any, Stream], None] = no_beginning,
) -> None:
    """Train the method of a registry's entry on the real pairs of a set and write its artifact.

    `stage` is `layout` or `painter`, and `layouts` or `painters` is its section of `params.yaml`. A
    method that needs no training leaves only its description. `inputs` are all the artifacts read;
    with the parameters and the code they key the scratch folder from which an interrupted run
    resumes. `begin(method, stream)` lets the method look at all pairs before the first step.
    """
    config, training = read(f"{stage}s.{name}", entry.Config), read("training", TrainingParams)
    numbers = config.model_dump(mode="json")
    with only_first(timed(f"{stage}@{name}")) as timing, only_first(replacing(out)) as partial:
        real = PairSet(pairs)
        made_of = fingerprint(
            {"config": numbers, "training": settings(training)}, [*inputs, *weight_files(config)]
        )
        description = artifact.Description(name, numbers, real.classes, real.size, made_of)
        torch.set_num_threads(training.threads)  # sums on a CPU depend on it
        torch.manual_seed(training.seed)  # names the draw of initial weights
        if entry.build is None:
            if partial is not None:
                artifact.write(partial, description, None)
            return
        method = entry.build(config, Given(real.classes.num_classes, real.size, palettes))
        job = Training(stage, name, made_of, images=entry.sees_images)
        nets, curve = fit(method, real, training, job, begin)
        if partial is None or timing is None:
            return  # the first process writes
        measures = entry.measures(method, nets)
        trained = artifact.Trained(nets, artifact.critics_of(method), curve, measures)
        artifact.write(partial, description, trained)
        timing.images = sum(span.num_images for span in method.spans)
    remove(job.scratch)


def weight_files(config: Params) -> list[Path]:
    """Return the files that a method reads besides pairs: their content is part of what it is."""
    return [value for _, value in config if isinstance(value, Path)]


def settings(training: TrainingParams) -> dict[str, Any]:
    """Return what a fingerprint says of the section, with the processes there really are."""
    return training.model_dump() | {"processes": current().count}


@dataclass(frozen=True)
class Training:
    """A training by name: its stage, what its result depends on, whether it looks at images."""

    stage: str
    name: str
    made_of: str
    images: bool

    @property
    def scratch(self) -> Path:
        """Where an interrupted run is resumed from; to be removed in the end."""
        return scratch(f"{self.stage}-{self.name}", self.made_of)


def fit(
    method: Method,
    real: PairSet,
    training: TrainingParams,
    job: Training,
    begin: Callable[[Any, Stream], None] = no_beginning,
) -> tuple[nn.ModuleDict, list[dict[str, float]]]:
    """Train a method on the real pairs of a set, or resume where such a run was killed.

    Returns the networks it keeps and the curve.
    """
    stream = load_stream(real, seed=training.seed, flip=training.flip, images=job.images)
    begin(method, stream)
    return train(
        method,
        stream,
        seed=training.seed,
        checkpoint_dir=job.scratch,
        label=job.name,
        device=default_device(),
        options=training.options(),
        team=current(),
    )
