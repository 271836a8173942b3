"""The one training loop: the only code of `synth` with side effects on weights and disk."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.pairs.batches import Batch, Stream
from data.stage.errors import UserError
from data.stage.outputs import write_bytes
from data.stage.progress import Advance, log, progress
from synth.training import ema
from synth.training.method import Method, Phase, Progress, generator
from synth.training.plan import Plan
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


@dataclass(frozen=True)
class Options:
    """What a training does besides its steps.

    `bf16` runs forward passes in it; losses choose fp32 where they need it. `max_skipped` are
    the steps that may have numbers which are not finite; at one more training stops. A checkpoint
    is written every `save_every` steps, a point of the curve averages `log_every`.
    """

    bf16: bool = False
    channels_last: bool = False
    save_every: int = 200
    log_every: int = 20
    max_skipped: int = 10

    @property
    def layout(self) -> torch.memory_format:
        """How images and weights lie in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


@dataclass(frozen=True)
class _Run:
    """One training: what is trained and where, and what stays the same from step to step."""

    method: Method
    stream: Stream
    nets: nn.ModuleDict
    averaged: nn.ModuleDict
    optimizers: dict[str, torch.optim.Adam]
    plan: Plan
    seed: int
    checkpoint: Path
    device: torch.device
    options: Options
    team: Team


def train(
    method: Method,
    stream: Stream,
    *,
    seed: int,
    checkpoint_dir: Path,
    label: str,
    device: torch.device,
    options: Options = Options(),
    team: Team = ALONE,  # who share every batch
) -> tuple[nn.ModuleDict, list[dict[str, float]]]:
    """Train a method and return the networks it keeps, in eval mode, and its curve.

    Resumes from `checkpoint_dir` when a checkpoint is there; on CPU the result equals that of an
    uninterrupted run to the last bit. A point of the curve has `images` and the mean of every
    `phase/term`. Raises `Diverged` naming phase and term; the last good checkpoint is kept. The
    networks of `method` itself, its critics among them, are those of the last step.

    Of several processes, started alike, each shows its own rows of every batch; gradients and
    terms are averaged before anything looks at them, so that all take the same steps and return
    the same networks. The first alone writes checkpoints and shows progress. Batch norm, and
    weights that a loss takes from its batch, know the rows of their own process only.
    """
    run = _set_up(method, stream, seed, checkpoint_dir / CHECKPOINT, device, options, team)
    state = _load(run) or _State()
    team.require_same(state.step, "the step to resume from", device)
    plan = run.plan
    if state.step:
        log.info(f"{label}: resumed at step {state.step} of {plan.num_steps}")

    with _bar(plan, label, plan.at(state.step)[1], team) as advance:
        while state.step < plan.num_steps:
            now, batch_size = _progress(run, state.step)
            broken = _step(run, state, now, batch_size)
            state.step += 1
            # Report status, save state.
            if state.step % options.log_every == 0 or state.step == plan.num_steps:
                _close_point(state, now.images + batch_size)
            due = state.step % options.save_every == 0 and state.step < plan.num_steps
            if due and not broken and team.first:
                _save(run, state)
            advance(batch_size, _note(state))

    if any(ema.has_statistics(net) for net in run.averaged.values()):
        ema.refresh(run.averaged, _passes(run))
    return run.averaged.eval(), state.curve


def _set_up(
    method: Method,
    stream: Stream,
    seed: int,
    checkpoint: Path,
    device: torch.device,
    options: Options,
    team: Team,
) -> _Run:
    """Put networks, their averages and optimizers onto the device."""
    nets = method.nets.to(device=device, memory_format=options.layout)  # pyright: ignore[reportCallIssue]  # not in its overloads
    averaged = ema.averaged_copy(nets, method.kept)
    optimizers = {
        name: torch.optim.Adam(nets[name].parameters(), lr=c.lr, betas=c.betas, fused=True)
        for name, c in method.optimizers.items()
    }
    for span in method.spans:
        team.share(span.batch_size)
    plan = Plan(method.spans)
    return _Run(
        method, stream, nets, averaged, optimizers, plan, seed, checkpoint, device, options, team
    )


def _step(run: _Run, state: _State, now: Progress, batch_size: int) -> list[str]:
    """Take one step of all phases; return the terms that were not finite."""
    # Fetch the batch that belongs to this step.
    batch = _to(_own(run.stream, now.images, batch_size, run.team), run.device, run.options.layout)
    # Walk the phases: each trains its own networks.
    run.nets.train()
    broken: list[str] = []
    for phase in run.method.phases(batch, now):
        broken += _record(state, phase.name, _descend(run, phase))
    last = state.step + 1 == run.plan.num_steps
    _guard(state, broken, run.options.max_skipped, run.checkpoint, last)
    ema.update(run.averaged, run.nets, run.method.kept, state.step)
    return broken


def _bar(plan: Plan, label: str, shown: int, team: Team) -> AbstractContextManager[Advance]:
    if team.first:
        return progress(plan.num_images, label, "images", start=shown)
    return nullcontext(lambda n, note: None)


def _progress(run: _Run, step: int) -> tuple[Progress, int]:
    span, images, fraction = run.plan.at(step)
    alpha = fraction if span.fade else 1.0
    rank, count = run.team.rank, run.team.count
    rng = generator(run.seed, STEP, step, device=run.device, rank=rank, count=count)
    now = Progress(step, images, run.plan.num_images, span.level, alpha, rng)
    return now, span.batch_size


def _own(stream: Stream, position: int, batch_size: int, team: Team) -> Batch:
    share = team.share(batch_size)
    return stream.batch(position + team.rank * share, share)


def _descend(run: _Run, phase: Phase) -> dict[str, float]:
    """Walk one phase; return its terms and, where that is not finite, the gradient's norm.

    What is not finite leaves the networks as they are.
    """
    nets, device = run.nets, run.device
    for name, net in nets.items():
        net.requires_grad_(name in phase.train)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=run.options.bf16):
        terms = phase.loss()
    reduce(add, terms.values()).backward()
    gradients = [p.grad for n in phase.train for p in nets[n].parameters() if p.grad is not None]
    values = torch.stack([term.detach().float().to(device) for term in terms.values()])
    run.team.average([*gradients, values])
    # All numbers at once: an accelerator is waited for once a phase.
    norm = torch.nn.utils.get_total_norm(gradients).reshape(1)
    *numbers, length = torch.cat([values, norm]).tolist()
    finite = all(map(math.isfinite, (*numbers, length)))
    for name in phase.train if phase.step is None else phase.step:
        if finite:
            run.optimizers[name].step()
        run.optimizers[name].zero_grad(set_to_none=True)
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
    state: _State, broken: list[str], max_skipped: int, checkpoint: Path, last: bool
) -> None:
    if not broken:
        return
    state.skipped += 1
    names = ", ".join(broken)
    log.warning(f"step {state.step}: {names} not finite, phase skipped")
    if (
        state.skipped > max_skipped or last
    ):  # in the last one it can't be told from lasting divergence
        kept = "no checkpoint yet"
        if checkpoint.is_file():
            kept = f"the last good checkpoint is {checkpoint}"
        why = "the last one, so the weights may be broken"
        if state.skipped > max_skipped:
            why = f"which makes {state.skipped} such steps, and `training.max_skipped` allows "
            why += str(max_skipped)
        raise Diverged(
            f"{names} not finite in step {state.step}, {why}; lower the learning rate or set "
            f"`compute.precision` to fp32 ({kept})"
        )


def _close_point(state: _State, images: int) -> None:
    means = {name: sum(values) / len(values) for name, values in state.pending.items()}
    state.curve.append({"images": images} | {k: round(v, 6) for k, v in means.items()})
    state.pending = {}


def _note(state: _State) -> str:
    last = state.curve[-1] if state.curve else {}
    return " ".join(f"{name} {value:.3g}" for name, value in last.items() if name != "images")


def _passes(run: _Run) -> Iterator[None]:
    batch_size = run.plan.at(run.plan.num_steps)[0].batch_size
    seed, device = run.seed, run.device
    for number in range(REFRESH_PASSES):
        rng = generator(seed, REFRESH, number, device=device)
        batch = _to(run.stream.batch(number * batch_size, batch_size), device, run.options.layout)
        rngs = [generator(seed, REFRESH, number, i, device=device) for i in range(batch_size)]
        run.method.sample(run.averaged, run.method.request(batch, rng), rngs)
        yield


def _to(batch: Batch, device: torch.device, layout: torch.memory_format) -> Batch:
    image = batch.image.to(device, memory_format=layout, non_blocking=True)
    others = (batch.label, batch.row, batch.mirrored)
    return Batch(image, *(t.to(device, non_blocking=True) for t in others))


def _save(run: _Run, state: _State) -> None:
    import io

    buffer = io.BytesIO()
    content: dict[str, Any] = {
        "state": vars(state),
        "nets": run.nets.state_dict(),
        "averaged": run.averaged.state_dict(),
        "optimizers": {name: o.state_dict() for name, o in run.optimizers.items()},
    }
    torch.save(content, buffer)
    write_bytes(run.checkpoint, buffer.getvalue())


def _load(run: _Run) -> _State | None:
    if not run.checkpoint.is_file():
        return None
    content = torch.load(run.checkpoint, map_location=run.device, weights_only=True)
    run.nets.load_state_dict(content["nets"])
    run.averaged.load_state_dict(content["averaged"])
    for name, optimizer in run.optimizers.items():
        optimizer.load_state_dict(content["optimizers"][name])
    return _State(**content["state"])
