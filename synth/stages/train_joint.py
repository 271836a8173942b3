"""STAGE: fine-tune a trained layout method and a trained painter end to end."""

from pathlib import Path
from typing import Any

import torch

from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import remove, replacing
from data.stage.params import check_name, choose, read
from data.stage.timings import timed
from synth.joints import joint
from synth.layouts import LAYOUTS
from synth.painters import PAINTERS
from synth.palettes.palette import PaletteModel
from synth.stages.train_painter import weight_files
from synth.training import artifact
from synth.training.session import TrainingParams, fit, settings, together
from synth.training.team import only_first


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
    for registry, what in ((LAYOUTS, "layout method"), (PAINTERS, "painter")):
        if name in registry:
            raise UserError(f"a joint cannot be called {name!r}, as a {what} is; rename it")
    lays, paints = artifact.checked(layout, real), artifact.checked(painter, real)
    layouts = choose(lays.method, LAYOUTS, "layout method")
    painters = choose(paints.method, PAINTERS, "painter")
    painter_config = painters.Config(**paints.config)
    made_of = fingerprint(
        {"config": config.model_dump(mode="json"), "training": settings(training)},
        [train, palette, layout, painter, *weight_files(painter_config)],
    )
    about = {"classes": real.classes, "size": real.size, "fingerprint": made_of, "name": name}
    with (
        only_first(timed(f"joint@{name}")) as timing,
        only_first(replacing(layout_out)) as new_layout,
        only_first(replacing(painter_out)) as new_painter,
    ):
        torch.set_num_threads(training.threads)
        torch.manual_seed(training.seed)  # names the draw of the critics' initial weights
        shape: dict[str, Any] = {"num_classes": real.classes.num_classes, "size": real.size}
        laying = layouts.build(
            **shape,
            palettes=PaletteModel.load(palette),
            **layouts.Config(**lays.config).model_dump(),
        )
        painting = painters.build(**shape, **painter_config.model_dump())
        for path, method in ((layout, laying), (painter, painting)):
            if method is None:
                raise UserError(f"{path} was not trained, so there is nothing to fine-tune")
            artifact.load_nets(path, method.nets, method.ema)
        method = joint.build(layout=laying, painter=painting, **config.model_dump())
        nets, curve, checkpoint_dir = fit(
            method, real, training, stage="joint", name=name, made_of=made_of
        )
        if timing is None or new_layout is None or new_painter is None:
            return  # the first process writes
        nets = nets.cpu()
        if config.freeze_layout:  # what it was given, to the last bit
            nets["layout_G"] = artifact.load_nets(layout, laying.nets, laying.ema).cpu()["G"]
        for out, kind, was in (
            (new_layout, joint.LAYOUT, lays),
            (new_painter, joint.PAINTER, paints),
        ):
            kept = joint.part(nets, kind)
            measures = layouts.measures(laying, kept) if kind == joint.LAYOUT else {}
            described = artifact.Description(config=was.config, method=was.method, **about)
            artifact.write(out, described, kept, joint.part_of_curve(curve, kind), measures)
        timing.images = sum(span.num_images for span in method.spans)
    remove(checkpoint_dir)


if __name__ == "__main__":
    run(together(main))
