"""Where parts are made: ENGINES maps a name in `produce.engine` to a function.

`make(job, parts)` makes every part, in any order and any process, and yields a step for everything
that was written; what is written is the same whoever makes it. Closing it ends all its workers.
"""

from collections.abc import Callable, Generator, Sequence

from synth.making.engines import inline, processes, ray_cluster
from synth.making.engines.worker import Step
from synth.making.parts import Job, Part

Engine = Callable[[Job, Sequence[Part]], Generator[Step]]

ENGINES: dict[str, Engine] = {
    "inline": inline.make,
    "processes": processes.make,
    "ray": ray_cluster.make,
}
