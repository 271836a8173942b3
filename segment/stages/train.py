"""STAGE: train one segmenter on one recipe with one seed, and score it on val and test."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field, model_validator

from data.pairs.classes import ClassTable
from data.pairs.shards import PairSet
from data.stage.cli import run
from data.stage.errors import UserError
from data.stage.fingerprint import fingerprint
from data.stage.outputs import replacing, write_json
from data.stage.params import Params, check_name, read, read_raw
from data.stage.timings import timed
from segment import adapt, archs, opencv

if TYPE_CHECKING:
    from segment import mm
    from segment.cell import Cell

ADAPT = ("none", "advent")


class Config(Params):
    """Section `segment` of params.yaml."""

    arch: str
    iterations: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    real_share: float = Field(ge=0, le=1)
    num_slices: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    crop: tuple[float, float]
    flip: float = Field(ge=0, le=1)
    supervise: Literal["all", "eval"]
    val_every: int = Field(ge=1)
    precision: Literal["float32", "bfloat16"]
    threads: int = Field(ge=1)
    num_workers: int = Field(ge=0)
    memory_limit_mb: int = Field(ge=0)
    weights: Path | None
    class_weight_power: float = Field(ge=0)
    class_weight_max: float = Field(gt=0)
    archs: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _crop_is_a_range(self) -> "Config":
        if not 0 < self.crop[0] <= self.crop[1]:
            raise ValueError("crop is [smallest, largest] share of the side, above 0")
        return self


def main(
    *, recipe: str, seed: int, pairs: Path, real: Path, out: Path, synthetic_only: bool = False
) -> None:
    """Train one segmenter on one recipe with one seed, and score it on val and test.

    With `synthetic_only` it sees all synthetic pairs of the recipe and no real one (GAN-train).
    """
    check_name(recipe)
    config = read("segment", Config)
    if synthetic_only:
        config = config.model_copy(update={"real_share": 0.0, "num_slices": 1})
    advent = None if synthetic_only else read_adapt(recipe)
    sets = open_sets(pairs, real)
    if synthetic_only and not set(sets["train"].manifest["sources"]) - {"real"}:
        raise UserError(f"{pairs} holds no synthetic pairs; report.gan_train takes other recipes")
    model_config = build_config(config, sets["train"].classes, sets["train"].size)
    opencv.check()
    # here, so that wrong parameters are refused before seconds of imports
    from segment.cell import save_confusions, save_model, train_cell

    torch.set_num_threads(config.threads)
    stage = f"gan_train@{recipe}" if synthetic_only else f"segment@{recipe}-{seed}"
    with timed(stage) as timing, replacing(out) as folder:
        cell = train_cell(
            sets,
            model_config,
            seed=seed,
            label=f"segment {recipe} seed {seed}",
            work_dir=folder / "work",
            attach=attachment(advent, sets["train"].classes),
            **config.model_dump(exclude={"arch", "archs", "threads"}),
        )
        params = {"recipe": recipe, "seed": seed, "model": model_config}
        params |= config.model_dump(mode="json", exclude={"archs"})
        params |= {} if advent is None else {"advent": advent.model_dump()}
        weights = [] if config.weights is None else [config.weights]
        made_of = fingerprint(params, [*(entry.path for entry in sets.values()), *weights])
        save_model(folder, cell.model, model_config, made_of)
        save_confusions(folder, cell)
        write_json(folder / "cell.json", summary(recipe, seed, config, cell, made_of))
        timing.images = config.iterations * config.batch_size


def read_adapt(recipe: str) -> adapt.Config | None:
    """Read how the recipe's segmenter adapts: numbers of AdvEnt, or None for not at all."""
    name = read_raw(f"recipes.{recipe}.adapt")
    if name not in ADAPT:
        raise UserError(f"recipes.{recipe}.adapt = {name!r}; there is {', '.join(ADAPT)}")
    return None if name == "none" else read(f"adapt.{name}", adapt.Config)


def attachment(advent: adapt.Config | None, classes: ClassTable) -> "mm.Attach | None":
    """Return what gives a model AdvEnt's training step, or None."""
    if advent is None:
        return None
    return partial(adapt.attach, num_classes=classes.num_classes, **advent.model_dump())


def open_sets(pairs: Path, real: Path) -> dict[str, PairSet]:
    """Open the recipe's pair set as `train`, and the real `val` and, if there is one, `test`."""
    sets = {"train": PairSet(pairs), "val": PairSet(real / "val")}
    if (real / "test").is_dir():
        sets["test"] = PairSet(real / "test")
    for name in ("val", "test"):
        other = sets.get(name, sets["train"])
        if (other.classes, other.size) != (sets["train"].classes, sets["train"].size):
            raise UserError(f"{other.path} has other classes or another size than {pairs}")
    return sets


def build_config(config: Config, classes: ClassTable, size: tuple[int, int]) -> archs.ModelConfig:
    """Return the model config of the arch for these classes and this size (height, width)."""
    if config.arch.startswith(archs.SHIPPED):
        opencv.check()
        from segment import mm

        model = archs.adapt(mm.shipped(config.arch), classes.num_classes)
    else:
        arch = archs.find(config.arch)
        options = read(f"segment.archs.{config.arch}", arch.Config)
        model = arch.build(classes.num_classes, **options.model_dump())
    return archs.complete(model, size)


def summary(recipe: str, seed: int, config: Config, cell: "Cell", made_of: str) -> dict[str, Any]:
    """Return the content of `cell.json`; no times and no hosts, so equal cells are equal files."""
    return {
        "recipe": recipe,
        "seed": seed,
        "arch": config.arch,
        "iterations": config.iterations,
        "batch_size": config.batch_size,
        "real_share": cell.real_share,
        "num_params": sum(parameter.numel() for parameter in cell.model.parameters()),
        "splits": {name: len(ids) for name, ids in cell.ids.items()},
        "loss_curve": cell.curves.loss,
        "val_curve": cell.curves.val,
        "fingerprint": made_of,
    }


if __name__ == "__main__":
    run(main)
