"""Estimate what the segmenters cost on a GPU: `python -m bench.cost_segment`.

One iteration of params.yaml's arch runs forward and backward on the meta device, and so does the
critic of rows that adapt; PyTorch counts the multiply-adds of their convolutions and matrix
products. Left out are norms, losses, AdamW, loading, and the scores on val.
"""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.operations import TFLOPS, UTILISATION, Work, dataset, hours, table
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.params import read, read_raw
from data.stage.progress import log
from segment import adapt, opencv
from segment.stages.train import Config, build_config, read_adapt


def main(*, tflops: float = TFLOPS, utilisation: float = UTILISATION) -> None:
    """Print the multiply-adds and GPU hours of all cells of the report, GAN-train and folds too."""
    hours(0, tflops=tflops, utilisation=utilisation)  # refuses wrong ones before the work
    classes, size = dataset()
    config = read("segment", Config)
    model_config = build_config(config, classes, size)
    opencv.check()
    from segment import mm

    with torch.device("meta"):
        model = mm.build_model(model_config)
        images = torch.zeros(config.batch_size, 3, *size)
    each = iteration(model, images)
    recipes, seeds = read_raw("report.recipes"), read_raw("report.seeds")
    num_real = round(config.real_share * config.batch_size)
    maps = (config.batch_size, classes.num_classes, *size)
    works = []
    for name in recipes:
        advent = read_adapt(name)
        more = 0.0 if advent is None else adversary(advent, maps, num_real)
        part = f"{len(seeds)} seeds of {name}"
        works.append(Work("segment", part, len(seeds) * config.iterations, each + more))
    alone = read_raw("report.gan_train")
    works += [Work("gan_train", name, config.iterations, each) for name in alone]
    num_folds = len(read_raw("train.folds"))
    if num_folds:
        works.append(Work("fold", f"{num_folds} folds", num_folds * config.iterations, each))
    for line in table(works, tflops=tflops, utilisation=utilisation):
        log.info(line)


def iteration(model: nn.Module, images: Tensor) -> float:
    """Count the multiply-adds of one iteration on images `[B, 3, H, W]`, forward and backward."""
    heads = [model.decode_head]
    if model.with_auxiliary_head:
        others = model.auxiliary_head
        heads += others if isinstance(others, nn.ModuleList) else [others]
    if isinstance(model.decode_head, nn.ModuleList):
        raise UserError("an arch with several decode heads is not counted; choose another arch")
    with FlopCounterMode(display=False) as counter:
        features = model.extract_feat(images)
        sum(head(features).sum() for head in heads).backward()
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
