"""How long stages take that run beside each other, on cores that share what they compute with."""

import threading
import time
from collections.abc import Mapping

import torch

from flows.graph import ready

SECONDS = 0.4  # of convolutions that are timed, alone and beside each other


def makespan(
    graph: Mapping[str, set[str]], seconds: Mapping[str, float], workers: int, slowdown: float
) -> float:
    """Return the seconds until the last stage ends, started as the flow starts them.

    `seconds` are those of each stage alone; as long as another one runs, each takes `slowdown`
    times as long. Stages of the graph that have no seconds do not run.
    """
    needs = {name: before & seconds.keys() for name, before in graph.items() if name in seconds}
    left: dict[str, float] = {}
    done: set[str] = set()
    clock = 0.0
    while len(done) < len(needs):
        free = workers - len(left)
        left |= {name: seconds[name] for name in ready(needs, done, done | left.keys())[:free]}
        slower = slowdown if len(left) > 1 else 1.0
        first = min(left, key=left.__getitem__)
        passed = left.pop(first)
        left = {name: rest - passed for name, rest in left.items()}
        clock += passed * slower
        done.add(first)
    return clock


def contention(beside: int) -> float:
    """Return how many times longer one thread takes beside others, `beside` in all, at least 1.

    Two cores of a virtual machine are often the two threads of one.
    """
    if beside == 1:
        return 1.0
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = _rounds(1)
        return max(1.0, alone * beside / _rounds(beside))
    finally:
        torch.set_num_threads(threads)


def _rounds(count: int) -> float:
    """Return how many convolutions a second so many threads do together."""
    convolution = torch.nn.Conv2d(64, 64, 3, padding=1).requires_grad_(False)
    image = torch.zeros(4, 64, 32, 64)
    begin = threading.Barrier(count)
    paces: list[float] = []

    def work() -> None:
        torch.set_num_threads(1)  # a thread has a number of its own
        convolution(image)
        begin.wait()
        began, rounds = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < SECONDS:
            convolution(image)
            rounds += 1
        paces.append(rounds / passed)

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(paces)
