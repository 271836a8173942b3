"""Make the parts in this process, on one device: the embedded engine."""

from collections.abc import Generator, Sequence

from data.stage.compute import default_device
from synth.making.engines.worker import Step, make_parts
from synth.making.parts import Job, Part


def make(job: Job, parts: Sequence[Part]) -> Generator[Step]:
    """Make parts; see `synth.making.engines`."""
    yield from make_parts(job, job.load(default_device()), parts)
