"""Where stages run: the devices of this machine, handed out one stage each."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from flows.parameters import MAX_PLACES

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def places(
    workers: int, gpus: Sequence[int] | None, env: Mapping[str, str] = os.environ
) -> list[str | None]:
    """Return one entry for each stage that may run at a time: its device, or None for the CPU.

    Without `gpus`, these are all devices that the driver shows; on a machine without one, `workers`
    stages share the CPU. A worker that sees some devices only (CUDA_VISIBLE_DEVICES) hands out
    those, and `gpus` counts them from 0.
    """
    visible = [name.strip() for name in env.get(_VISIBLE, "").split(",") if name.strip()]
    if gpus is None:
        found = visible if _VISIBLE in env else _listed()
        return [*found[:MAX_PLACES]] or [None] * workers
    if len(gpus) != len(set(gpus)):
        raise ValueError(f"gpus {list(gpus)} names a device twice; name each device once")
    if _VISIBLE not in env:
        return [str(gpu) for gpu in gpus]
    if not gpus or max(gpus) >= len(visible):
        raise ValueError(
            f"gpus {list(gpus)} are not all there: {_VISIBLE} shows {len(visible)} devices, which "
            "are counted from 0"
        )
    return [visible[gpu] for gpu in gpus]


def beside(threads: int, cores: int | None = None) -> int:
    """Return how many stages of so many threads run beside each other without waiting."""
    there = len(os.sched_getaffinity(0)) if cores is None else cores
    return max(1, min(there // max(threads, 1), MAX_PLACES))


def _listed() -> list[str]:
    """Return the devices that the driver lists, none on a machine without a driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    asked = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=False)
    return shown.stdout.split() if shown.returncode == 0 else []
