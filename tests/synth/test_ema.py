"""What averaging leaves behind is made new: statistics of every network that is kept."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from synth.training import ema


def drifted():
    """Two spectral norms whose weights have moved on since their power iterations."""
    torch.manual_seed(0)
    nets = nn.ModuleDict({name: spectral_norm(nn.Conv2d(4, 6, 3)) for name in ("G", "E")}).eval()
    with torch.no_grad():
        for net in nets.values():
            net.parametrizations.weight.original.normal_()
    return nets


def sigma(net):
    return float(torch.linalg.matrix_norm(net.weight.detach().flatten(1), 2))


def test_a_network_that_no_pass_runs_has_its_norms_renewed_too():
    nets = drifted()
    assert all(abs(sigma(net) - 1) > 0.1 for net in nets.values())

    def passes():
        for _ in range(2):
            nets["G"](torch.zeros(1, 4, 8, 8))
            yield

    ema.refresh(nets, passes())
    for name, net in nets.items():
        assert abs(sigma(net) - 1) < 1e-2, name
