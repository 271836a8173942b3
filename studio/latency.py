"""Time what the studio does between two pictures: `python -m studio.latency --artifacts DIR`."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data.stage.cli import run
from data.stage.compute import begin
from data.stage.errors import UserError
from data.stage.params import read
from data.stage.progress import log
from studio.acts import edit, scene, walk
from studio.shelf import Shelf, default_state
from studio.state import Hole, State, Thrown, parse
from synth.making.parts import ProduceParams


def main(*, artifacts: Path = Path("artifacts"), times: int = 20) -> None:
    """Print the median milliseconds of this process' processors for each kind of change."""
    shelf = Shelf(
        artifacts.absolute(), begin("generators", "latency"), read("produce", ProduceParams)
    )
    if missing := shelf.missing():
        raise UserError(f"{missing[0]}; run `make repro`, or name other artifacts")
    state = parse(default_state(shelf))
    height, width = shelf.real.size
    log.info(f"{width}x{height} pixels, {shelf.real.classes.num_classes} classes")
    for name, change in _changes(shelf, state).items():
        spent = []
        for number in range(1 + times):
            began = time.process_time()
            change(number)
            spent.append(time.process_time() - began)
        log.info(f"{name}: {1000 * float(np.median(spent[1:])):.0f} ms")


def _changes(shelf: Shelf, state: State) -> dict[str, Callable[[int], object]]:
    def thrown(number: int) -> State:
        dice = Thrown(**dict.fromkeys(Thrown.model_fields, number))
        return state.model_copy(update={"scene": state.scene.model_copy(update={"dice": dice})})

    def band(number: int) -> object:
        width, height = shelf.real.size[1] // 4, shelf.real.size[0]
        step = Hole(left=8, top=0, width=width, height=height, dice=number)
        return edit.show(shelf, state.edit.model_copy(update={"steps": (step,)}))

    return {
        "a scene": lambda number: scene.show(shelf, thrown(number).scene),
        "an edit": band,
        "twelve variants": lambda number: scene.variants(shelf, thrown(number).scene),
        "a kept pair": lambda number: scene.produced(shelf, thrown(number).scene, "kept"),
        "a walk of twelve frames": lambda number: walk.show(shelf, thrown(number)),
    }


if __name__ == "__main__":
    run(main)
