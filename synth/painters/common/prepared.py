"""Trained painters made ready to paint: what only training needs is folded away, once.

Spectral norm becomes a plain weight, and the batch norm of a SPADE layer, fixed in eval mode, goes
into the convolution that makes its scale and shift.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.nets.layers import SLOPE, Condition, activate
from synth.painters.common.neighbourhoods import Level, Patterns, find_neighbourhoods
from synth.training.method import Painter

# Numbers that are modulated at a time, so that their scales and shifts stay in the cache.
CACHED = 2**17


def cast(method: Painter, nets: nn.ModuleDict, dtype: torch.dtype) -> nn.ModuleDict:
    """Return copies of networks that compute in `dtype`: for painters that fold nothing."""
    return nn.ModuleDict({name: _ready(_Casting(net, dtype), dtype) for name, net in nets.items()})


def fold_generator(method: Painter, nets: nn.ModuleDict, dtype: torch.dtype) -> nn.ModuleDict:
    """Return a `G` that paints what a trained pyramid does, faster, computing in `dtype`.

    In float32 images agree to 1e-4. Layouts are the last channels of what it is given.
    """
    folded = PreparedPyramid(nets["G"], method.given.num_classes)
    return _with_bank(nn.ModuleDict({"G": _ready(folded, dtype)}), nets)


def cast_generator(method: Painter, nets: nn.ModuleDict, dtype: torch.dtype) -> nn.ModuleDict:
    """Return a copy of `G` that computes in `dtype`, and the bank of looks as it is."""
    return _with_bank(cast(method, nn.ModuleDict({"G": nets["G"]}), dtype), nets)


def _with_bank(prepared: nn.ModuleDict, nets: nn.ModuleDict) -> nn.ModuleDict:
    if "bank" in nets:
        prepared["bank"] = copy.deepcopy(nets["bank"])
    return prepared


def _ready(net: nn.Module, dtype: torch.dtype) -> nn.Module:
    net = net.to(dtype).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # not in its overloads
    return net.eval().requires_grad_(False)


class PreparedPyramid(nn.Module):
    """A `Pyramid` for painting alone.

    On a CPU, where pixels share their neighbourhood of the layout, each neighbourhood is
    modulated once (`synth.painters.common.neighbourhoods`).
    """

    def __init__(self, pyramid: Any, num_classes: int) -> None:
        super().__init__()
        self.num_classes, self.doubles = num_classes, pyramid.doubles
        self.seed, self.rgb = _seed(pyramid.seed), _plain(pyramid.rgb)
        self.blocks = nn.ModuleList(_Block(block) for block in pyramid.blocks)

    def forward(self, condition_map: Tensor, code: Tensor | None = None) -> Tensor:
        """Return an image [B,3,H,W] in [-1,1], float32; `code` [B,Z] is for a linear seed."""
        on_cpu = condition_map.device.type == "cpu"
        shared = find_neighbourhoods(condition_map, self.num_classes) if on_cpu else None
        condition = Condition(condition_map.to(self.seed.weight.dtype))
        factor = 2 ** sum(self.doubles)
        base = (condition_map.shape[-2] // factor, condition_map.shape[-1] // factor)
        if code is None:
            x = self.seed(condition.at(base))
        else:
            x = self.seed(code.to(self.seed.weight.dtype)).unflatten(1, (-1, *base))
            x = x.contiguous(memory_format=torch.channels_last)
        for doubles, block in zip(self.doubles, self.blocks, strict=True):
            if doubles:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, condition, None if shared is None else shared.at(x.shape[-2:]))
        return torch.tanh(self.rgb(activate(x)).float())


class _Block(nn.Module):
    """A `ModulatedBlock` with folded modulations."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.norm0, self.norm1 = _Modulation(block.norm0), _Modulation(block.norm1)
        self.conv0, self.conv1 = _plain(block.conv0), _plain(block.conv1)
        self.norm_skip = _Modulation(block.norm_skip) if block.learned_skip else None
        self.conv_skip = _plain(block.conv_skip) if block.learned_skip else None

    def forward(self, x: Tensor, condition: Condition, level: Level | None) -> Tensor:
        skip = x
        if self.norm_skip is not None and self.conv_skip is not None:
            skip = self.conv_skip(self.norm_skip(x, condition, level))
        y = self.conv0(self.norm0(x, condition, level, active=True))
        return skip + self.conv1(self.norm1(y, condition, level, active=True))


class _Modulation(nn.Module):
    """A `Spade` layer as x * gamma + beta, both out of one convolution, the norm included."""

    def __init__(self, spade: Any) -> None:
        super().__init__()
        norm, made = spade.norm, spade.gamma_beta
        scale = (norm.running_var + norm.eps).rsqrt()
        shift = -norm.running_mean * scale
        (gamma, beta), (one, bias) = made.weight.chunk(2), made.bias.chunk(2)
        one = one + 1
        column = (-1, 1, 1, 1)
        kernel = torch.cat([gamma * scale.view(column), gamma * shift.view(column) + beta])
        # [3, 3, 2 * channels, hidden]: one matrix from hidden to all nine neighbours
        self.kernel = nn.Parameter(kernel.permute(2, 3, 0, 1).contiguous())
        self.bias = nn.Parameter(torch.cat([one * scale, one * shift + bias]))
        self.shared = _plain(spade.shared)

    def forward(
        self, x: Tensor, condition: Condition, level: Level | None, active: bool = False
    ) -> Tensor:
        """Modulate x [B,channels,h,w]; `active` adds the leaky ReLU."""
        if level is not None:
            return self._modulate(x, level, active)
        hidden = F.relu(self.shared(condition.at(x.shape[-2:])))
        made = F.conv2d(hidden, self.kernel.permute(2, 3, 0, 1), self.bias, padding=1)
        gamma, beta = made.chunk(2, 1)
        y = torch.addcmul(beta, x, gamma)
        return F.leaky_relu_(y, SLOPE) if active else y

    def _modulate(self, x: Tensor, level: Level, active: bool) -> Tensor:
        y = torch.empty_like(x, memory_format=torch.channels_last)
        channels = x.shape[1]
        source, target = (each.permute(0, 2, 3, 1).reshape(-1, channels) for each in (x, y))
        step, begin = max(64, CACHED // channels), 0
        for patterns in level:
            table = self._table(patterns)
            for rows in patterns.where.split(step):
                made, part = table.index_select(0, rows), slice(begin, begin + len(rows))
                out = target[part]
                torch.addcmul(made[:, channels:], source[part], made[:, :channels], out=out)
                if active:
                    F.leaky_relu_(out, SLOPE)
                begin += len(rows)
        return y

    def _table(self, patterns: Patterns) -> Tensor:
        """Return gamma and beta of every large pattern, `[L, 2 * channels]`."""
        dtype, offsets = self.kernel.dtype, torch.arange(9)
        weight = self.shared.weight.flatten(2).float()
        seen = torch.einsum("rk,hkp->prh", patterns.vectors.float(), weight).flatten(0, 1)
        places = patterns.small + offsets * len(patterns.vectors)
        bias = self.shared.bias
        assert bias is not None
        hidden = F.embedding_bag(places, seen, mode="sum") + bias.float()
        hidden = F.relu_(hidden).mul_(patterns.inside[:, None]).to(dtype)
        made = F.linear(hidden, self.kernel.flatten(0, 2)).view(-1, self.kernel.shape[2])
        return F.embedding_bag(patterns.large * 9 + offsets, made, mode="sum") + self.bias


class _Casting(nn.Module):
    """A network that computes in one type of numbers, whatever it is given."""

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = copy.deepcopy(net), dtype

    def forward(self, *given: Tensor, **choices: bool) -> Tensor:
        return self.net(*map(self._cast, given), **choices)

    def _cast(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype) if x.is_floating_point() else x
        return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _seed(seed: nn.Module) -> nn.Conv2d | nn.Linear:
    return copy.deepcopy(seed) if isinstance(seed, nn.Linear) else _plain(seed)


def _plain(layer: Any) -> nn.Conv2d:
    """Copy a convolution, with the weight that a parametrized one computes at every pass."""
    made = nn.Conv2d(1, 1, 1, layer.stride, layer.padding)
    made.weight = nn.Parameter(layer.weight.detach().clone())
    made.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())
    return made
