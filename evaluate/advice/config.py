"""Section `advise` of params.yaml: which rows compete, for how long, who confirms the winner."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from data.stage.params import Params, check_name
from evaluate.config import BASELINES
from segment.rows import Augment, RowParams

SECTION = "advise"


class Seeds(Params):
    """Seeds of segmenters: those that choose, and others that confirm what was chosen."""

    search: tuple[int, ...] = Field(min_length=1)
    confirm: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> "Seeds":
        every = self.search + self.confirm
        if min(every) < 0 or len({seed % len(every) for seed in every}) < len(every):
            raise ValueError(
                f"every seed reads a slice of its own: write the numbers 0 to {len(every) - 1}, "
                "each once"
            )
        return self

    @property
    def num_slices(self) -> int:
        """Into how many slices the sets are cut, one for every seed."""
        return len(self.search) + len(self.confirm)


class AdviseParams(Params):
    """Candidates, halving, seeds and budget of the advisor."""

    minutes: float = Field(gt=0)  # of search and confirmation
    candidates: dict[str, RowParams]  # rows with synthetic pairs, by name
    augment: tuple[Augment, ...]  # words that each baseline is tried with, besides its own
    share_augment: bool  # candidates learn with the augmentation of the better baseline too
    rungs: tuple[float, ...] = Field(min_length=1)  # fractions of segment.iterations
    keep: float = Field(gt=0, lt=1)  # fraction of the rows that a rung keeps
    shortest: float = Field(gt=0, le=1)  # rungs may shrink to this fraction in a small budget
    seeds: Seeds
    at_least: int = Field(ge=2)  # seeds that a verdict needs
    split_seed: int = Field(ge=0)  # which half of val chooses where there is no test
    rare: float = Field(gt=0, le=1)  # a class that fewer training pairs show is rare
    num_named: int = Field(ge=1)  # classes and images that are named at most
    unlabelled: str | None  # glob of images without masks, among which looks are sought too
    export: Literal["mmseg", "cityscapes", "coco", "hf"]  # what a set that helps is written as

    @field_validator("candidates")
    @classmethod
    def _rows(cls, candidates: dict[str, RowParams]) -> dict[str, RowParams]:
        for name, row in candidates.items():
            check_name(name)
            if any(name == base or name.startswith(f"{base}_") for base in BASELINES):
                raise ValueError(f"{name!r} is a name of baselines; give the candidate another")
            if not row.sets or row.control != "none":
                raise ValueError(
                    f"{name!r} is no candidate: it needs sets in `with` and no `control`"
                )
        return candidates

    @field_validator("rungs")
    @classmethod
    def _rising(cls, rungs: tuple[float, ...]) -> tuple[float, ...]:
        if rungs[0] <= 0 or rungs[-1] > 1 or list(rungs) != sorted(set(rungs)):
            raise ValueError("rungs rise, above 0 and to 1 at most")
        return rungs

    @model_validator(mode="after")
    def _enough_seeds(self) -> "AdviseParams":
        if self.at_least > len(self.seeds.confirm):
            raise ValueError(
                f"`at_least` is {self.at_least}, and `seeds.confirm` has {len(self.seeds.confirm)}"
            )
        return self
