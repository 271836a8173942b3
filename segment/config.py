"""Section `segment` of params.yaml, and what a segmenter is trained with that follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from data.pairs.classes import ClassTable
from data.pairs.pairset import PairSet
from data.stage.compute import Compute, begin
from data.stage.fingerprint import fingerprint
from data.stage.params import Params, read
from segment import archs, opencv


class PerBatch(Params):
    """How many real and how many synthetic pairs a batch holds."""

    real: int = Field(ge=0)
    synthetic: int = Field(ge=0)


class Config(Params):
    """Section `segment` of params.yaml."""

    arch: str
    iterations: int = Field(ge=1)
    per_batch: PerBatch
    seam: int = Field(ge=0)
    num_slices: int = Field(ge=1)
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    crop: tuple[float, float]
    flip: float = Field(ge=0, le=1)
    supervise: Literal["all", "eval"]
    val_every: int = Field(ge=1)
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


@dataclass(frozen=True)
class Setup:
    """What a segmenter is trained with: its numbers, its model, what it computes with."""

    config: Config
    model: archs.ModelConfig
    compute: Compute

    def made_of(self, about: Mapping[str, Any], inputs: Sequence[Path]) -> str:
        """Return the fingerprint of a training, which `about` tells from others."""
        params = {**about, "model": self.model, "compute": self.compute.to_json()}
        params |= self.config.model_dump(mode="json", exclude={"archs"})
        weights = [] if self.config.weights is None else [self.config.weights]
        return fingerprint(params, [*inputs, *weights])


def set_up(config: Config, pairs: PairSet, label: str, *, says: bool = True) -> Setup:
    """Set a training up for the classes and the size of some pairs; `label` names it in the log.

    Wrong parameters are refused here, before the seconds that importing MMSegmentation takes.
    """
    model = build_config(config, pairs.classes, pairs.size)
    opencv.check()
    return Setup(config, model, begin("segmenters", label, says=says))
