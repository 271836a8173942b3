"""The one training loop: the only code of `synth` with side effects on weights and disk."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.pairs.batches import Batch, Stream
from data.stage.errors import UserError
from data.stage.outputs import write_bytes
from data.stage.progress import Advance, log, progress
from synth.training import ema
from synth.training.method import Method, Phase, Progress, Span, generator
from synth.training.team import ALONE, Team

CHECKPOINT = "checkpoint.pt"
REFRESH_PASSES = 32

# Streams of random numbers drawn by the loop itself; a step draws from (seed, STEP, step).
STEP, REFRESH = 0, 1


class Diverged(UserError):
    """Training produced numbers that are not finite in more steps than it may skip."""


@dataclass
class _State:
    """Everything a resumed run needs besides the networks; plain numbers only."""

    step: int = 0
    skipped: int = 0  # steps so far in which the non-finite guard left something out
    curve: list[dict[str, float]] = field(default_factory=list)
    pending: dict[str, list[float]] = field(default_factory=dict)


def train(
    method: Method,
    stream: Stream,
    *,
    seed: int,
    checkpoint_dir: Path,
    label: str,
    device: torch.device,
    autocast: bool = False,  # bf16 in forward passes; losses choose fp32 where they need it
    channels_last: bool = False,
    save_every: int = 200,  # steps between checkpoints
    log_every: int = 20,  # steps that one point of the curve averages
    max_skipped: int = 10,  # steps with numbers that are not finite; at one more training stops
    team: Team = ALONE,  # who share every batch
) -> tuple[nn.ModuleDict, list[dict[str, float]]]:
    """Train a method and return its averaged networks, in eval mode, and its curve.

    Resumes from `checkpoint_dir` when a checkpoint is there; on CPU the result equals that of an
    uninterrupted run to the last bit. A point of the curve has `images` and the mean of every
    `phase/term`. Raises `Diverged` naming phase and term; the last good checkpoint is kept.

    Of several processes, started alike, each shows its own rows of every batch; gradients and
    terms are averaged before anything looks at them, so that all take the same steps and return
    the same networks. The first alone writes checkpoints and shows progress. Batch norm, and
    weights that a loss takes from its batch, know the rows of their own process only.
    """
    # Set up networks, their averages and optimizers.
    layout = torch.channels_last if channels_last else torch.contiguous_format
    nets = method.nets.to(device=device, memory_format=layout)
    averaged = ema.averaged_copy(nets, method.ema)
    optimizers = {
        name: torch.optim.Adam(nets[name].parameters(), lr=c.lr, betas=c.betas, fused=True)
        for name, c in method.optimizers.items()
    }
    for span in method.spans:
        team.share(span.batch_size)
    # Resume.
    state = _load(checkpoint_dir / CHECKPOINT, nets, averaged, optimizers, device) or _State()
    team.require_same(state.step, "the step to resume from", device)
    plan = Plan(method.spans)
    shown = plan.at(state.step)[1]
    if state.step:
        log.info(f"{label}: resumed at step {state.step} of {plan.num_steps}")

    with _bar(plan, label, shown, team) as advance:
        while state.step < plan.num_steps:
            # Fetch the batch that belongs to this step.
            now, batch_size = _progress(plan, state.step, seed, device, team)
            batch = _to(_own(stream, now.images, batch_size, team), device, layout)
            # Walk the phases: each trains its own networks.
            nets.train()
            broken: list[str] = []
            for phase in method.phases(batch, now):
                terms = _descend(phase, nets, optimizers, device, autocast, team)
                broken += _record(state, phase.name, terms)
            last = state.step + 1 == plan.num_steps
            _guard(state, broken, max_skipped, checkpoint_dir, last)
            ema.update(averaged, nets, method.ema, state.step)
            state.step += 1
            # Report status, save state.
            if state.step % log_every == 0 or state.step == plan.num_steps:
                _close_point(state, now.images + batch_size)
            due = state.step % save_every == 0 and state.step < plan.num_steps
            if due and not broken and team.first:
                _save(checkpoint_dir / CHECKPOINT, nets, averaged, optimizers, state)
            advance(batch_size, _note(state))

    if any(ema.has_statistics(net) for net in averaged.values()):
        ema.refresh(averaged, _passes(method, averaged, stream, plan, seed, device, layout))
    return averaged.eval(), state.curve


class Plan:
    """A schedule in steps: which span a step belongs to and how many images came before it."""

    def __init__(self, spans: tuple[Span, ...]) -> None:
        """Round every span up to whole batches."""
        self._spans = [(s, math.ceil(s.num_images / s.batch_size)) for s in spans]
        self.num_steps = sum(steps for _, steps in self._spans)
        self.num_images = sum(s.batch_size * steps for s, steps in self._spans)

    def at(self, step: int) -> tuple[Span, int, float]:
        """Return the span of a step, the images shown before it and the fraction of the span."""
        images = 0
        for span, steps in self._spans:
            if step < steps:
                return span, images + step * span.batch_size, step / steps
            step -= steps
            images += steps * span.batch_size
        return self._spans[-1][0], images, 1.0


def _bar(plan: Plan, label: str, shown: int, team: Team) -> AbstractContextManager[Advance]:
    if team.first:
        return progress(plan.num_images, label, "images", start=shown)
    return nullcontext(lambda n, note: None)


def _progress(
    plan: Plan, step: int, seed: int, device: torch.device, team: Team
) -> tuple[Progress, int]:
    span, images, fraction = plan.at(step)
    alpha = fraction if span.fade else 1.0
    rank, count = team.rank, team.count
    rng = generator(seed, STEP, step, device=device, rank=rank, count=count)
    return Progress(step, images, plan.num_images, span.level, alpha, rng), span.batch_size


def _own(stream: Stream, position: int, batch_size: int, team: Team) -> Batch:
    share = team.share(batch_size)
    return stream.batch(position + team.rank * share, share)


def _descend(
    phase: Phase,
    nets: nn.ModuleDict,
    optimizers: dict[str, torch.optim.Adam],
    device: torch.device,
    autocast: bool,
    team: Team,
) -> dict[str, float]:
    """Walk one phase; return its terms and, where that is not finite, the gradient's norm.

    What is not finite leaves the networks as they are.
    """
    for name, net in nets.items():
        net.requires_grad_(name in phase.train)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
        terms = phase.loss()
    sum(terms.values()).backward()
    gradients = [p.grad for n in phase.train for p in nets[n].parameters() if p.grad is not None]
    values = torch.stack([term.detach().float().to(device) for term in terms.values()])
    team.average([*gradients, values])
    # All numbers at once: an accelerator is waited for once a phase.
    norm = torch.nn.utils.get_total_norm(gradients).reshape(1)
    *numbers, length = torch.cat([values, norm]).tolist()
    finite = all(map(math.isfinite, (*numbers, length)))
    for name in phase.train if phase.step is None else phase.step:
        if finite:
            optimizers[name].step()
        optimizers[name].zero_grad(set_to_none=True)
    found = dict(zip(terms, numbers, strict=True))
    return found if math.isfinite(length) else found | {"gradient": length}


def _record(state: _State, phase: str, terms: dict[str, float]) -> list[str]:
    values = {f"{phase}/{name}": term for name, term in terms.items()}
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if not broken:
        for name, value in values.items():
            state.pending.setdefault(name, []).append(value)
    return broken


def _guard(
    state: _State, broken: list[str], max_skipped: int, checkpoint_dir: Path, last: bool
) -> None:
    if not broken:
        return
    state.skipped += 1
    names = ", ".join(broken)
    log.warning(f"step {state.step}: {names} not finite, phase skipped")
    if state.skipped > max_skipped or last:  # after the last one nothing shows that it healed
        path = checkpoint_dir / CHECKPOINT
        kept = f"the last good checkpoint is {path}" if path.is_file() else "no checkpoint yet"
        why = "the last one, so the weights may be broken"
        if state.skipped > max_skipped:
            why = f"which makes {state.skipped} such steps, and `training.max_skipped` allows "
            why += str(max_skipped)
        raise Diverged(
            f"{names} not finite in step {state.step}, {why}; lower the learning rate or set "
            f"`training.autocast` to false ({kept})"
        )


def _close_point(state: _State, images: int) -> None:
    means = {name: sum(values) / len(values) for name, values in state.pending.items()}
    state.curve.append({"images": images} | {k: round(v, 6) for k, v in means.items()})
    state.pending = {}


def _note(state: _State) -> str:
    last = state.curve[-1] if state.curve else {}
    return " ".join(f"{name} {value:.3g}" for name, value in last.items() if name != "images")


def _passes(
    method: Method,
    averaged: nn.ModuleDict,
    stream: Stream,
    plan: Plan,
    seed: int,
    device: torch.device,
    layout: torch.memory_format,
) -> Iterator[None]:
    batch_size = plan.at(plan.num_steps)[0].batch_size
    for number in range(REFRESH_PASSES):
        rng = generator(seed, REFRESH, number, device=device)
        batch = _to(stream.batch(number * batch_size, batch_size), device, layout)
        rngs = [generator(seed, REFRESH, number, i, device=device) for i in range(batch_size)]
        method.sample(averaged, method.condition(batch, rng), rngs)
        yield


def _to(batch: Batch, device: torch.device, layout: torch.memory_format) -> Batch:
    image = batch.image.to(device, memory_format=layout, non_blocking=True)
    return Batch(image, batch.label.to(device, non_blocking=True))


def _save(
    path: Path,
    nets: nn.ModuleDict,
    averaged: nn.ModuleDict,
    optimizers: dict[str, torch.optim.Adam],
    state: _State,
) -> None:
    import io

    buffer = io.BytesIO()
    content: dict[str, Any] = {
        "state": vars(state),
        "nets": nets.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizers": {name: o.state_dict() for name, o in optimizers.items()},
    }
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def _load(
    path: Path,
    nets: nn.ModuleDict,
    averaged: nn.ModuleDict,
    optimizers: dict[str, torch.optim.Adam],
    device: torch.device,
) -> _State | None:
    if not path.is_file():
        return None
    content = torch.load(path, map_location=device, weights_only=True)
    nets.load_state_dict(content["nets"])
    averaged.load_state_dict(content["averaged"])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(content["optimizers"][name])
    return _State(**content["state"])
