"""Make the artifact of a layout method that is fitted and has no network."""

from pathlib import Path

from data.pairs.pairset import PairSet
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import replacing
from data.stage.params import read
from data.stage.timings import timed
from synth.layouts.common.entry import Entry, Material
from synth.training import artifact
from synth.training.session import TrainingParams
from synth.training.team import current


def run_fit(name: str, entry: Entry, *, train: Path, detail: Path | None, out: Path) -> None:
    """Fit a method on the training pairs and write what it found; a team leaves it to its first.

    `detail` has the same pairs in more detail, or is empty.
    """
    assert entry.fit is not None, "a method that is fitted"
    if not current().first:
        return
    config, training = read(f"layouts.{name}", entry.Config), read("training", TrainingParams)
    numbers = config.model_dump(mode="json")
    real = PairSet(train)
    material = Material(real, finer(real, detail), training.flip)
    with timed(f"layout@{name}") as timing, replacing(out) as partial:
        inputs = [train] if detail is None else [train, detail]
        made_of = fingerprint({"config": numbers, "flip": training.flip}, inputs)
        description = artifact.Description(name, numbers, real.classes, real.size, made_of)
        found = entry.fit(config, material)
        artifact.write_bank(partial, description, found.tensors())
        timing.images = len(real)


def finer(train: PairSet, path: Path | None) -> PairSet:
    """Return the set of a path, `train` where it is empty; raises `UserError` for other pairs."""
    detail = train if path is None else PairSet(path)
    if not len(detail):
        return train
    if detail.ids() != train.ids() or detail.classes != train.classes:
        raise UserError(f"{detail.path} has other pairs than {train.path}; run ingest again")
    return detail
