"""Estimate what training and drawing cost on a GPU: `python -m bench.cost.synth`.

Every phase of a step of params.yaml runs forward and backward on tensors without content, at full
size and batch; the multiply-adds of convolutions and matrix products are summed, gradient penalties
and their second derivatives included. Nothing is trained and no dataset is needed. Left out are
norms, Adam, averages, loading, the measures after a training, and the val layouts that a joint
paints for its score.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.cost.operations import TFLOPS, UTILISATION, Work, dataset, hours, table
from data.pairs.batches import Batch
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.params import Params, choose, read, read_raw
from data.stage.progress import log, progress
from synth.joints import joint
from synth.layouts import LAYOUTS
from synth.making.parts import ProduceParams
from synth.making.sets import SetParams
from synth.nets.features import FeatureLoss
from synth.nets.losses import Perceptual
from synth.painters import PAINTERS
from synth.painters.common.adversarial import PerceptualParams
from synth.palettes.margins import NO_MARGINS
from synth.palettes.palette import PaletteModel
from synth.training.method import Given, Method, Progress, Span, generator
from synth.training.plan import Plan

FAMILIES = {"layout": ("layouts", LAYOUTS), "painter": ("painters", PAINTERS)}

# Not the meta device: losses switch autocast off, which does not know it.
WITHOUT_CONTENT = FakeTensorMode(allow_non_fake_inputs=True)

# What a set and a joint call a layout method and a painter.
KINDS = {"layout": "layouts", "painter": "painter"}

Size = tuple[int, int]
Methods = Mapping[tuple[str, str], Method | None]


class Counter(TorchDispatchMode):
    """Sum the multiply-adds of all that runs inside, by PyTorch's own formulas.

    Not its `FlopCounterMode`: that one follows modules by hooks on gradients, which break where a
    gradient is itself differentiated.
    """

    def __init__(self) -> None:
        super().__init__()
        self.multiply_adds = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and add what it costs."""
        if func is torch.ops.aten.exponential_.default:
            return args[0]  # tensors without content cannot be drawn from a generator
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.multiply_adds += formula(*args, **(kwargs or {}), out_val=out) / 2
        return out


def main(*, tflops: float = TFLOPS, utilisation: float = UTILISATION) -> None:
    """Print the multiply-adds and GPU hours of all layout methods, painters, joints and sets."""
    hours(0, tflops=tflops, utilisation=utilisation)  # refuses wrong ones before the work
    classes, size = dataset()
    methods = {
        (stage, name): build(registry, f"{section}.{name}", classes.num_classes, size)
        for stage, (section, registry) in FAMILIES.items()
        for name in read_raw(f"train.{section}")
    }
    joints = read_raw("train.joints")
    works: list[Work] = []
    with progress(len(methods) + len(joints) + 1, "counting", "methods") as advance:
        for (stage, name), method in methods.items():
            works += [] if method is None else training(f"{stage} {name}", method, size)
            advance()
        for name, parts in joints.items():
            works += training(f"joint {name}", join(name, parts, methods), size)
            advance()
        works += producing(methods, joints, size)
        advance()
    for line in table(works, tflops=tflops, utilisation=utilisation):
        log.info(line)


def build(registry: Mapping[str, Any], section: str, num_classes: int, size: Size) -> Method | None:
    """Build a method of params.yaml from tensors without content; None for what is not trained.

    VGG's weights are not read: their file need not be there.
    """
    entry = choose(section.split(".")[1], registry, "method")
    config: Params = read(section, entry.Config)
    if entry.build is None:
        return None
    given = Given(num_classes, size, even_palettes(num_classes))
    if not isinstance(config, PerceptualParams):
        with WITHOUT_CONTENT:
            return entry.build(config, given)
    # pretrained features are loaded with their content, as no tensor without it can be
    seen = None if config.pretrained is None else FeatureLoss(config.pretrained)
    with WITHOUT_CONTENT:
        blind = config.model_copy(update={"vgg": None, "pretrained": None})
        loss = seen if config.vgg is None else Perceptual()
        return dataclasses.replace(entry.build(blind, given), perceptual=loss)


def join(name: str, parts: Mapping[str, str], methods: Methods) -> Method:
    """Build a joint of params.yaml from methods that were built already."""
    config = read(f"joints.{name}", joint.Config)
    made_of: dict[str, Any] = {kind: methods.get((kind, parts[key])) for kind, key in KINDS.items()}
    for kind, method in made_of.items():
        if method is None:
            key = KINDS[kind]
            raise UserError(
                f"train.joints.{name}: nothing trains the {key} {parts[key]!r}; add it to `train`"
            )
    with WITHOUT_CONTENT:
        return joint.build(config, **made_of)


def training(stage: str, method: Method, size: Size) -> Iterator[Work]:
    """Yield a training span by span: its steps, and the multiply-adds of one step."""
    shown = 0
    for span in method.spans:
        plan = Plan((span,))
        now = Progress(0, shown, 1, span.level, 0.5 if span.fade else 1.0, generator(0))
        part = _named(span, method)
        yield Work(stage, part, plan.num_steps, step(method, batch_of(span.batch_size, size), now))
        shown += plan.num_images


def _named(span: Span, method: Method) -> str:
    if len({other.level for other in method.spans}) > 1:
        return f"level {span.level}{' fades in' if span.fade else ''}"
    return "training" if span is method.spans[-1] else "critics alone"


def step(method: Method, batch: Batch, now: Progress) -> float:
    """Count the multiply-adds of all phases of one step, forward and backward."""
    with Counter() as counter:
        for phase in method.phases(batch, now):
            for name, net in method.nets.items():
                net.requires_grad_(name in phase.train)
            reduce(add, phase.loss().values()).backward()
            method.nets.zero_grad()
    return counter.multiply_adds


def producing(
    methods: Methods, joints: Mapping[str, Mapping[str, str]], size: Size
) -> Iterator[Work]:
    """Yield for each set the batches to make, and the multiply-adds of one.

    A joint draws what the methods draw that it is made of.
    """
    numbers = read("produce", ProduceParams)
    batch = batch_of(numbers.batch_size, size)
    again = numbers.repaint.num_layouts * numbers.repaint.num_images
    drawn = {key: drawing(method, batch) for key, method in methods.items() if method is not None}
    for name in read_raw("sets"):
        row = read(f"sets.{name}", SetParams)
        batches = -(-row.num_pairs // len(batch.label)) + -(-again // len(batch.label))
        layouts = joints.get(row.layouts, {"layouts": row.layouts})["layouts"]
        painter = joints.get(row.painter, {"painter": row.painter})["painter"]
        parts = [drawn.get(key) for key in (("layout", layouts), ("painter", painter))]
        if any(parts):
            yield Work("produce", name, batches, sum(part or 0.0 for part in parts))


@torch.no_grad()
def drawing(method: Method, batch: Batch) -> float:
    """Count the multiply-adds of drawing as many samples as a batch has pairs."""
    rngs = [generator(0)] * len(batch.label)
    with Counter() as counter:
        method.sample(method.nets, method.request(batch, generator(0)), rngs)
    return counter.multiply_adds


def batch_of(count: int, size: Size) -> Batch:
    """Return a batch of `count` pairs without content."""
    with WITHOUT_CONTENT:
        label = torch.zeros(count, *size, dtype=torch.int64)
        row = torch.zeros(count, dtype=torch.int64)
        return Batch(torch.zeros(count, 3, *size), label, row, row.bool())


def even_palettes(num_classes: int) -> PaletteModel:
    """Return palettes that all give every class the same share: a method needs some."""
    even = np.full(num_classes, 1 / num_classes)
    nothing = np.zeros((1, 0))
    return PaletteModel(
        constant=even,
        varying=np.zeros(0, int),
        rest=None,
        weights=np.ones(1),
        means=nothing,
        factors=nothing[:, :, None],
        margins=NO_MARGINS,
        projection="simplex",
        min_share=0.0,
    )


if __name__ == "__main__":
    run(main)
