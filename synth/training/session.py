"""The body that the training stages share: from a pair set and a method to an artifact."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from data.pairs.batches import load_stream
from data.pairs.shards import PairSet
from data.stage.fingerprint import fingerprint, scratch
from data.stage.outputs import remove, replacing
from data.stage.params import Params, read
from data.stage.timings import timed
from synth.training import artifact
from synth.training.loop import train
from synth.training.method import Method
from synth.training.team import current, only_first, run_in


class TrainingParams(Params):
    """Section `training`: what all generators share, so that their comparison is fair."""

    seed: int = Field(ge=0)
    flip: bool
    autocast: bool
    channels_last: bool
    processes: int = Field(1, ge=1)
    threads: int = Field(ge=1)
    save_every: int = Field(ge=1)
    log_every: int = Field(ge=1)
    max_skipped: int = Field(10, ge=0)


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
    *,
    stage: str,
    name: str,
    config: dict[str, Any],
    build: Callable[[PairSet], Method | None],
    measure: Callable[[Any, nn.ModuleDict], dict[str, float]],
    training: TrainingParams,
    pairs: Path,
    inputs: Sequence[Path],
    out: Path,
) -> None:
    """Train one method on the real pairs of a set and write its artifact.

    `build` makes the method for the set's classes and size, or None when it needs no training;
    `measure(method, nets)` takes the numbers that are kept beside the weights.
    `inputs` are all the artifacts read; with the parameters and the code they key the scratch
    folder from which an interrupted run resumes.
    """
    with only_first(timed(f"{stage}@{name}")) as timing, only_first(replacing(out)) as partial:
        real = PairSet(pairs)
        made_of = fingerprint({"config": config, "training": settings(training)}, inputs)
        description = artifact.Description(name, config, real.classes, real.size, made_of)
        torch.set_num_threads(training.threads)  # sums on a CPU depend on it
        torch.manual_seed(training.seed)  # names the draw of initial weights
        method = build(real)
        if method is None:
            if partial is not None:
                artifact.write(partial, description, None, [])
            return
        nets, curve, checkpoint_dir = fit(
            method, real, training, stage=stage, name=name, made_of=made_of
        )
        if partial is None or timing is None:
            return  # the first process writes
        measures = measure(method, nets)
        artifact.write(partial, description, nets.cpu(), curve, measures)
        timing.images = sum(span.num_images for span in method.spans)
    remove(checkpoint_dir)


def settings(training: TrainingParams) -> dict[str, Any]:
    """Return what a fingerprint says of the section, with the processes there really are."""
    return training.model_dump() | {"processes": current().count}


def fit(
    method: Method,
    real: PairSet,
    training: TrainingParams,
    *,
    stage: str,
    name: str,
    made_of: str,
) -> tuple[nn.ModuleDict, list[dict[str, float]], Path]:
    """Train a method on the real pairs of a set, or resume where a run with these words was killed.

    Returns the averaged networks, the curve, and the scratch folder, to be removed in the end.
    """
    checkpoint_dir = scratch(f"{stage}-{name}", made_of)
    nets, curve = train(
        method,
        load_stream(real, seed=training.seed, flip=training.flip),
        seed=training.seed,
        checkpoint_dir=checkpoint_dir,
        label=name,
        device=default_device(),
        autocast=training.autocast,
        channels_last=training.channels_last,
        save_every=training.save_every,
        log_every=training.log_every,
        max_skipped=training.max_skipped,
        team=current(),
    )
    return nets, curve, checkpoint_dir
