"""STAGE: fine-tune a trained layout method and a trained painter end to end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.pairs.batches import Stream
from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.compute import begin
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import remove, replacing
from data.stage.params import Params, check_name, choose, read
from data.stage.timings import timed
from synth.joints import joint
from synth.layouts import LAYOUTS
from synth.painters import PAINTERS
from synth.palettes.palette import PaletteModel
from synth.training import artifact
from synth.training.defaults import Hooks
from synth.training.method import Given
from synth.training.session import (
    Training,
    TrainingParams,
    fit,
    settings,
    weight_files,
)
from synth.training.team import current, only_first, run_in_team

WHAT = {joint.LAYOUT: "layout method", joint.PAINTER: "painter"}


@dataclass(frozen=True)
class Half:
    """The layout method or the painter of a joint: the artifact that it starts from."""

    kind: str
    path: Path
    was: artifact.Description
    entry: Any
    config: Params

    @classmethod
    def open(
        cls, kind: str, name: str, path: Path, registry: Mapping[str, Any], real: PairSet
    ) -> "Half":
        """Check an artifact: it must be of the set's classes and size, and one that joins.

        `name` is that of the joint, which no method may have.
        """
        what = WHAT[kind]
        if name in registry:
            raise UserError(f"a joint cannot be called {name!r}, as a {what} is; rename it")
        was = artifact.checked(path, real)
        entry = choose(was.method, registry, what)
        if not entry.joins:
            can = ", ".join(name for name, entry in registry.items() if entry.joins)
            raise UserError(
                f"{path}: the {what} {was.method!r} cannot be tuned end to end; use {can} in "
                "`train.joints`"
            )
        return cls(kind, path, was, entry, artifact.config_of(path, entry))

    def load(self, given: Given) -> Any:
        """Build the method with the weights that it keeps, and with its critics."""
        method, _ = artifact.load(self.path, self.entry, given)
        artifact.load_critics(self.path, method)
        return method

    def write(
        self,
        description: artifact.Description,
        method: Any,
        nets: nn.ModuleDict,
        curve: Sequence[Mapping[str, float]],
        real: PairSet,
        out: Path,
    ) -> None:
        """Write this half of trained networks and of their curve, as the method's own artifact."""
        kept, measures = joint.part(nets, self.kind), self.entry.measures
        half = joint.part_of_curve(curve, self.kind)
        critics = artifact.critics_of(method)
        trained = artifact.Trained(kept, critics, half, measures(method, kept, real))
        artifact.write(out, description, trained)


def main(
    *,
    name: str,
    train: Path,
    palette: Path,
    layout: Path,
    painter: Path,
    layout_out: Path,
    painter_out: Path,
) -> None:
    """Fine-tune `layout` and `painter` together; write both anew, under the name of the joint."""
    config = read(f"joints.{check_name(name)}", joint.Config)
    training = read("training", TrainingParams)
    real = PairSet(train)
    halves = (
        Half.open(joint.LAYOUT, name, layout, LAYOUTS, real),
        Half.open(joint.PAINTER, name, painter, PAINTERS, real),
    )
    files = [file for half in halves for file in weight_files(half.config)]
    compute = begin("generators", f"joint {name}", says=current().first)
    made_of = fingerprint(
        {"config": config.model_dump(mode="json"), "training": settings(training, compute)},
        [train, palette, layout, painter, *files],
    )
    with (
        only_first(timed(f"joint@{name}")) as timing,
        only_first(replacing(layout_out)) as new_layout,
        only_first(replacing(painter_out)) as new_painter,
    ):
        torch.manual_seed(training.seed)  # names the draw of the second critic's initial weights
        given = Given(real.classes.num_classes, real.size, PaletteModel.load(palette))
        laying, painting = (half.load(given) for half in halves)
        method = joint.build(config, laying, painting)
        job = Training("joint", name, made_of, images=True)
        hooks = Hooks(end=partial(_end, halves[1].entry))
        nets, curve = fit(method, real, training, job, compute, hooks)
        if timing is None or new_layout is None or new_painter is None:
            return  # the first process writes
        if config.freeze_layout:  # what it was given, to the last bit
            nets.update(joint.named(joint.LAYOUT, dict(artifact.load_kept(layout, laying).items())))
        outs = (new_layout, new_painter)
        for half, own, out in zip(halves, (laying, painting), outs, strict=True):
            was = replace(half.was, name=name, fingerprint=made_of, compute=compute.to_json())
            half.write(was, own, nets, curve, real, out)
        timing.images = sum(span.num_images for span in method.spans)
    remove(job.scratch)


def _end(painter: Any, method: joint.Joint, nets: nn.ModuleDict, stream: Stream) -> None:
    """Let the painter put into its half of the networks what only trained ones know."""
    painter.end(method.painter, joint.part(nets, joint.PAINTER), stream)


if __name__ == "__main__":
    run(run_in_team(main))
