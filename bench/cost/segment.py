"""Estimate what the segmenters cost on a GPU: `python -m bench.cost.segment`.

One iteration of params.yaml's arch runs forward and backward on the meta device, and so does the
critic of rows that adapt; PyTorch counts the multiply-adds of their convolutions and matrix
products. Left out are norms, losses, AdamW, loading, and the scores on val.
"""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.cost.operations import TFLOPS, UTILISATION, Work, dataset, hours, table
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.params import choose, read, read_raw
from data.stage.progress import log
from segment import adapt, opencv
from segment.config import Config, build_config
from segment.rows import read_rows
from segment.trust import read_filters


def main(*, tflops: float = TFLOPS, utilisation: float = UTILISATION) -> None:
    """Print the multiply-adds and GPU hours of all cells, folds and label filters."""
    hours(0, tflops=tflops, utilisation=utilisation)  # refuses wrong ones before the work
    classes, size = dataset()
    config = read("segment", Config)
    model_config = build_config(config, classes, size)
    opencv.check()
    from segment import mm

    with torch.device("meta"):
        model = mm.build_model(model_config)
    rows, advent = read_rows(), read("adapt.advent", adapt.Config)
    num_seeds = len(read_raw("report.seeds"))
    shown = [("segment", name, num_seeds) for name in read_raw("report.rows")]
    shown += [("once", name, 1) for name in read_raw("report.once")]
    works = []
    for stage, name, seeds in shown:
        row = choose(name, rows, "row")
        shape = (row.real + row.synthetic, classes.num_classes, *size)
        each = iteration(model, shape[0], size)
        mixed = 0.0 if row.adapt == "none" else row.until * adversary(advent, shape, row.real)
        part = f"{seeds} seed{'s' if seeds > 1 else ''} of {name}"
        works.append(Work(stage, part, seeds * config.iterations, each + mixed))
    folds = {"fold": len(read_raw("train.folds"))}
    folds |= {f"trust {name}": numbers.num_folds for name, numbers in read_filters().items()}
    each = iteration(model, config.per_batch.real, size)
    works += [Work(k, f"{n} folds", n * config.iterations, each) for k, n in folds.items() if n]
    for line in table(works, tflops=tflops, utilisation=utilisation):
        log.info(line)


def iteration(model: Any, batch_size: int, size: tuple[int, int]) -> float:
    """Count the multiply-adds of one iteration on images (height, width), forward and backward."""
    with torch.device("meta"):
        images = torch.zeros(batch_size, 3, *size)
    heads = [model.decode_head]
    if model.with_auxiliary_head:
        others = model.auxiliary_head
        heads += others if isinstance(others, nn.ModuleList) else [others]
    if isinstance(model.decode_head, nn.ModuleList):
        raise UserError("an arch with several decode heads is not counted; choose another arch")
    with FlopCounterMode(display=False) as counter:
        features = model.extract_feat(images)
        torch.autograd.backward([head(features).sum() for head in heads])
    return counter.get_total_flops() / 2


def adversary(config: adapt.Config, shape: tuple[int, int, int, int], num_real: int) -> float:
    """Count what AdvEnt's critic adds to an iteration on maps of a shape `[B, C, H, W]`."""
    with torch.device("meta"):
        critic = adapt.build_critic(shape[1], config.width, seed=0)
        maps = torch.zeros(shape, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        critic.requires_grad_(False)(maps[:num_real]).sum().backward()
        critic.requires_grad_(True)(maps.detach()).sum().backward()
    return counter.get_total_flops() / 2


if __name__ == "__main__":
    run(main)
