"""Make the parts on a Ray cluster: actors with one GPU each where the cluster has GPUs.

Optional: `pip install 'scene-palette[ray]'`, here `pip install -e '.[ray]'`.
"""

import os
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

from data.stage.compute import default_device
from data.stage.errors import UserError
from data.stage.fingerprint import ROOT
from synth.making import sets
from synth.making.engines.worker import Step, make_parts
from synth.making.parts import Job, Part

# How often Ray starts a dead actor again, and gives it its part again.
MOST_RESTARTS = 3


def make(job: Job, parts: Sequence[Part]) -> Generator[Step]:
    """Make parts; see `synth.making.engines`.

    The cluster is that of `RAY_ADDRESS`; its machines see this repository, the artifacts and the
    scratch folder at the same paths. A step is a whole part.
    """
    ray = _ray()
    _connect(ray)
    workers: list[Any] = []
    try:
        workers += _actors(ray, job, len(parts))
        idle, left, running = deque(workers), deque(parts), {}
        while left or running:
            while left and idle:
                actor, part = idle.popleft(), left.popleft()
                running[actor.make.remote(part)] = actor
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                idle.append(running.pop(reference))
                yield _result(ray, reference)
    finally:
        for actor in workers:
            ray.kill(actor)
        ray.shutdown()


def _ray() -> Any:
    # before the import: reports nothing home, and shows on a terminal only what we say
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError(
            "produce.engine is `ray`, and Ray is not installed; pip install -e '.[ray]', or use "
            "`inline` or `processes`"
        ) from None
    return ray


def _connect(ray: Any) -> None:
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        raise UserError(
            "produce.engine is `ray`, and RAY_ADDRESS does not say where its cluster is; give "
            "HOST:PORT, `local` for one that Ray starts on this machine, or use `processes`"
        )
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}}
    try:
        ray.init(address, runtime_env=environment, log_to_driver=False, logging_level="warning")
    except (ConnectionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"no Ray cluster at RAY_ADDRESS={address} ({reason}); start one with `ray start --head`"
        ) from None


def _actors(ray: Any, job: Job, most: int) -> list[Any]:
    have = ray.cluster_resources()
    gpus = int(have.get("GPU", 0))
    cpus = job.compute.threads
    number = job.numbers.workers or gpus or int(have.get("CPU", 1)) // cpus
    if number < 1 or (gpus and number > gpus) or number * cpus > have.get("CPU", 0):
        raise UserError(
            f"the Ray cluster has {have.get('CPU', 0):.0f} CPUs and {gpus} GPUs; {number or 1} "
            f"workers of compute.threads {cpus} need more: lower produce.workers or compute.threads"
        )
    options = {
        "num_cpus": cpus,
        "num_gpus": 1 if gpus else 0,
        "max_restarts": MOST_RESTARTS,
        "max_task_retries": MOST_RESTARTS,
    }
    actor = ray.remote(**options)(_Maker)
    return [actor.remote(job) for _ in range(min(number, most))]


def _result(ray: Any, reference: Any) -> Step:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause)) from None
        raise
    except ray.exceptions.RayActorError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"a worker died {MOST_RESTARTS + 1} times over one part ({reason}); finished parts are "
            "kept, start again"
        ) from None


class _Maker:
    """An actor: the set on its device, and the parts it is asked for."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._ready: sets.ReadySet | None = None

    def make(self, part: Part) -> Step:
        """Make one part; returns its steps as one."""
        if self._ready is None:  # here and not at the start, so that an error is the caller's
            self._ready = self._job.load(default_device())
        steps = list(make_parts(self._job, self._ready, [part]))
        sums = {
            n: sum(getattr(step, n) for step in steps) for n in ("painting", "encoding", "writing")
        }
        return Step(part.name, part.num_pairs, True, **sums)
