"""The body that the training stages share: from a pair set and a method to an artifact."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from data.pairs.batches import load_stream
from data.pairs.sampling import Sampling
from data.pairs.shards import PairSet
from data.stage import compute as computing
from data.stage.compute import Compute
from data.stage.fingerprint import fingerprint, scratch
from data.stage.outputs import remove, replacing
from data.stage.params import Params, read
from data.stage.timings import timed
from synth.training import artifact
from synth.training.defaults import NO_HOOKS, Hooks
from synth.training.loop import Options, train
from synth.training.method import Given, Method, Palettes
from synth.training.team import current, only_first

# What is trained -> where its methods have their sections in params.yaml.
SECTIONS = {"layout": "layouts", "painter": "painters", "unconditional": "unconditional"}


class TrainingParams(Params):
    """Section `training`: what all generators share, so that their comparison is fair."""

    seed: int = Field(ge=0)
    flip: bool
    save_every: int = Field(ge=1)
    log_every: int = Field(ge=1)
    max_skipped: int = Field(ge=0)

    def options(self, compute: Compute) -> Options:
        """Return what the loop takes."""
        numbers = self.model_dump(include={"save_every", "log_every", "max_skipped"})
        bf16 = compute.dtype == torch.bfloat16
        return Options(bf16=bf16, channels_last=compute.channels_last, **numbers)


def run_training(
    stage: str,
    name: str,
    entry: Any,
    *,
    pairs: Path,
    inputs: Sequence[Path],
    palettes: Palettes | None,
    out: Path,
    hooks: Hooks = NO_HOOKS,
) -> None:
    """Train the method of a registry's entry on the real pairs of a set and write its artifact.

    `stage` is one of `SECTIONS`. A method that needs no training leaves only its description.
    `inputs` are all the artifacts read; with the parameters and the code they key the scratch
    folder from which an interrupted run resumes. `hooks` let the method look at all pairs before
    the first step and after the last.
    """
    config, training = (
        read(f"{SECTIONS[stage]}.{name}", entry.Config),
        read("training", TrainingParams),
    )
    numbers = config.model_dump(mode="json")
    with only_first(timed(f"{stage}@{name}")) as timing, only_first(replacing(out)) as partial:
        real = PairSet(pairs)
        compute = computing.begin("generators", f"{stage} {name}", says=current().first)
        made_of = fingerprint(
            {"config": _said(numbers), "training": settings(training, compute)},
            [*inputs, *weight_files(config)],
        )
        description = artifact.Description(
            name, numbers, real.classes, real.size, made_of, compute=compute.to_json()
        )
        torch.manual_seed(training.seed)  # names the draw of initial weights
        if entry.build is None:
            if partial is not None:
                artifact.write(partial, description, None)
            return
        method = entry.build(config, Given(real.classes.num_classes, real.size, palettes))
        sampling = entry.sampling(config)
        job = Training(stage, name, made_of, images=entry.sees_images, sampling=sampling)
        nets, curve = fit(method, real, training, job, compute, hooks)
        if partial is None or timing is None:
            return  # the first process writes
        measures = entry.measures(method, nets, real)
        trained = artifact.Trained(nets, artifact.critics_of(method), curve, measures)
        artifact.write(partial, description, trained)
        timing.images = sum(span.num_images for span in method.spans)
    remove(job.scratch)


def _said(numbers: dict[str, Any]) -> dict[str, Any]:
    """Leave out a sampling that changes nothing: weights are then those without the key."""
    return {k: v for k, v in numbers.items() if (k, v) != ("sampling", "uniform")}


def weight_files(config: Params) -> list[Path]:
    """Return the files that a method reads besides pairs: their content is part of what it is."""
    return [value for _, value in config if isinstance(value, Path)]


def settings(training: TrainingParams, compute: Compute) -> dict[str, Any]:
    """Return what a fingerprint says of a training, with the processes there really are."""
    return training.model_dump() | {"processes": current().count, "compute": compute.to_json()}


@dataclass(frozen=True)
class Training:
    """A training by name: its stage, what its result depends on, whether it looks at images.

    `sampling` says which pairs it is shown more often.
    """

    stage: str
    name: str
    made_of: str
    images: bool
    sampling: Sampling = "uniform"

    @property
    def scratch(self) -> Path:
        """Where an interrupted run is resumed from; to be removed in the end."""
        return scratch(f"{self.stage}-{self.name}", self.made_of)


def fit(
    method: Method,
    real: PairSet,
    training: TrainingParams,
    job: Training,
    compute: Compute,
    hooks: Hooks = NO_HOOKS,
) -> tuple[nn.ModuleDict, list[dict[str, float]]]:
    """Train a method on the real pairs of a set, or resume where such a run was killed.

    Returns the networks it keeps and the curve.
    """
    shown = {"flip": training.flip, "images": job.images, "sampling": job.sampling}
    stream = load_stream(real, seed=training.seed, **shown)
    hooks.begin(method, stream)
    nets, curve = train(
        method,
        stream,
        seed=training.seed,
        checkpoint_dir=job.scratch,
        label=job.name,
        device=torch.device(compute.device),
        options=training.options(compute),
        team=current(),
    )
    hooks.end(method, nets, stream)
    return nets, curve
