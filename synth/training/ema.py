"""An averaged copy of a network, and how its statistics are made new."""

from collections.abc import Iterator, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import _SpectralNorm

STATISTICS = (_BatchNorm, _SpectralNorm)

POWER_ITERATIONS = 30
"""Power iterations that renew sigma; 1 an image would lag behind weights that moved."""


def averaged_copy(nets: nn.ModuleDict, kept: Mapping[str, float]) -> nn.ModuleDict:
    """Copy the networks that are kept, frozen and in eval mode."""
    return nn.ModuleDict({name: deepcopy(nets[name]) for name in kept}).eval().requires_grad_(False)


@torch.no_grad()
def update(
    averaged: nn.ModuleDict, nets: nn.ModuleDict, kept: Mapping[str, float], step: int
) -> None:
    """Move the averages towards the networks after step number `step` (0 is the first).

    Only parameters are averaged. Averaging the power-iteration vectors of spectral norm would
    shorten them and blow the weights up; they and the batch-norm statistics are renewed by
    `refresh` instead. Other buffers, such as a bank of styles, are those of the last step. The
    decay is warmed up, so that the start is soon forgotten.
    """
    for name, decay in kept.items():
        warm = min(decay, (1 + step) / (10 + step))
        means: list[Tensor] = list(averaged[name].parameters())
        values = [value.detach() for value in nets[name].parameters()]
        if means:
            torch._foreach_lerp_(means, values, 1 - warm)  # pyright: ignore[reportPrivateImportUsage]  # as PyTorch's own AveragedModel
        for mine, its in zip(_buffers(averaged[name]), _buffers(nets[name]), strict=True):
            mine.copy_(its)


def _buffers(net: nn.Module) -> Iterator[Tensor]:
    """Yield the buffers that are not statistics."""
    for module in net.modules():
        if not isinstance(module, STATISTICS):
            yield from module.buffers(recurse=False)


def has_statistics(net: nn.Module) -> bool:
    """Say whether a network holds statistics that weights alone do not determine."""
    return any(isinstance(m, STATISTICS) for m in net.modules())


def _normed(nets: nn.Module) -> Iterator[tuple[_SpectralNorm, Tensor]]:
    """Yield every spectral norm with the weight that it divides."""
    for module in nets.modules():
        for chain in getattr(module, "parametrizations", {}).values():
            for norm in chain:
                if isinstance(norm, _SpectralNorm):
                    yield norm, chain.original


@torch.no_grad()
def refresh(averaged: nn.ModuleDict, passes: Iterator[None]) -> None:
    """Renew batch-norm statistics and power iterations of averaged networks.

    Each `next(passes)` must run the networks forward once, on its own batch. The first pass only
    converges the power iterations; batch-norm statistics are plain means over the others.
    """
    normed = list(_normed(averaged))
    spectral = [norm for norm, _ in normed]
    norms = [m for m in averaged.modules() if isinstance(m, _BatchNorm)]
    iterations = [m.n_power_iterations for m in spectral]
    momenta = [m.momentum for m in norms]
    averaged.train()
    before = [module._u.clone() for module in spectral]
    for module in spectral:
        module.n_power_iterations = POWER_ITERATIONS
    next(passes)
    for (module, weight), vector in zip(normed, before, strict=True):
        if torch.equal(module._u, vector):  # a network that the passes do not run
            module._power_method(module._reshape_weight_to_matrix(weight), POWER_ITERATIONS)
    for module, number in zip(spectral, iterations, strict=True):
        module.n_power_iterations = number
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean: every pass weighs the same
    for _ in passes:
        pass
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    averaged.eval()
