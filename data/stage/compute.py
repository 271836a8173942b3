"""What a stage computes with: precision, memory layout and threads, chosen for the device.

Bytes depend on all of it, so artifacts, cells and the report say what was chosen.
"""

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from pydantic import Field

from data.stage.params import Params, read
from data.stage.progress import log

Computed = Literal["fp32", "bf16"]
Precision = Literal["auto"] | Computed
Work = Literal["generators", "segmenters"]

SAMPLES, SECONDS_BETWEEN_SAMPLES = 7, 0.02  # of the threads that want a core


class ComputeParams(Params):
    """Section `compute`: what every stage computes with; see `choose`."""

    precision: Precision
    channels_last: Literal["auto"] | bool
    threads: int = Field(ge=1)


@dataclass(frozen=True)
class Compute:
    """What was chosen for one device: forward passes, memory layout of images, CPU threads."""

    device: str
    precision: Computed
    channels_last: bool
    threads: int

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of numbers in forward passes."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    @property
    def memory_format(self) -> torch.memory_format:
        """Return the memory layout of images and convolutions."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def to_json(self) -> dict[str, Any]:
        """Return what artifacts keep of it."""
        return asdict(self)

    def __str__(self) -> str:
        layout = "channels last" if self.channels_last else "channels first"
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" * (self.device == "cpu")
        return f"{self.device}, {self.precision}, {layout}{threads}"


def default_device() -> torch.device:
    """Return the accelerator when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose(params: ComputeParams, device: torch.device, work: Work) -> Compute:
    """Choose what this device computes fast with, where the parameters leave it open.

    Channels last follow the table in docs/log.md: for segmenters everywhere, for generators
    where the device has bf16 or AVX-512. No more threads than cores: teams that wait for each other
    at every barrier are many times slower.
    """
    precision = params.precision
    if precision == "auto":
        precision = "bf16" if computes_bf16(device) else "fp32"
    channels_last = params.channels_last
    if channels_last == "auto":
        channels_last = work == "segmenters" or device.type == "cuda" or has_avx512()
    return Compute(device.type, precision, channels_last, min(params.threads, num_cores()))


def begin(work: Work, label: str, *, says: bool = True) -> Compute:
    """Read section `compute`, choose, set the threads of this process, and log that in a line."""
    params = read("compute", ComputeParams)
    chosen = choose(params, default_device(), work)
    torch.set_num_threads(chosen.threads)  # sums on a CPU depend on it
    if says:
        log.info(f"{label}: {chosen}{fewer(params, chosen)}{busy()}")
    return chosen


def computes_bf16(device: torch.device) -> bool:
    """Say whether a device has instructions for bf16; others convert, ten times slower than fp32.

    oneDNN also says yes where it converts with AVX-512, so x86 has to have the instructions too.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return known and (not on_x86 or torch.cpu._is_avx512_bf16_supported())


def has_avx512() -> bool:
    """Say whether PyTorch computes with AVX-512 on this CPU."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def fewer(params: ComputeParams, chosen: Compute) -> str:
    """Say in words that fewer threads compute than were asked for, empty when as many do."""
    if chosen.device != "cpu" or chosen.threads == params.threads:
        return ""
    return f" (compute.threads is {params.threads}, and there are {chosen.threads} cores)"


def busy() -> str:
    """Say in words that others want all cores too, empty when they leave some free."""
    cores, waiting = os.cpu_count() or 1, median(_running() for _ in range(SAMPLES))
    if waiting < cores:
        return ""
    return f"; the machine is busy, {waiting:.0f} other threads want its {cores} cores"


def _running() -> int:
    """Return how many other threads want a core at this moment, 0 where Linux does not tell.

    The load average would do, but lags by a minute and blames what has just ended.
    """
    file = Path("/proc/loadavg")
    if not file.is_file():
        return 0
    time.sleep(SECONDS_BETWEEN_SAMPLES)
    return int(file.read_text().split()[3].partition("/")[0]) - 1
