"""The `report` section of params.yaml: which cells are scored and what the report shows."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from data.stage.params import Params, check_name

BASELINE = "real"  # the recipe every other recipe is compared with


class ReportParams(Params):
    """Cells of the report (recipes x seeds) and the sizes of its tables and sheets."""

    recipes: tuple[str, ...]  # rows of the table, in this order; `real` is the baseline
    scored: tuple[str, ...]  # further rows, whose segmenters see synthetic pairs alone
    seeds: tuple[int, ...]  # segmenter seeds; the first one's `real` cell judges obedience
    num_scored: int = Field(ge=1)  # synthetic pairs the judge sees, the same for every recipe
    gan_train: tuple[str, ...]  # recipes that one segmenter learns from without any real pair
    batch_size: int = Field(ge=1)  # images the judge is given at once
    fid_weights: Path | None = None  # of the Inception network that FID is defined by
    threads: int = Field(ge=1)  # of the judge; sums depend on it, so the scores might
    sheet_rows: int = Field(ge=1)  # rows of a contact sheet
    palette_classes: int = Field(ge=2)  # classes in the palette figure
    rare_percent: float = Field(gt=0, lt=100)  # a class with a smaller share of pixels is rare

    @field_validator("recipes")
    @classmethod
    def _has_baseline(cls, recipes: tuple[str, ...]) -> tuple[str, ...]:
        for name in recipes:
            check_name(name)
        if BASELINE not in recipes:
            raise ValueError(f"`{BASELINE}` is missing; every other recipe is compared with it")
        if len(set(recipes)) != len(recipes):
            raise ValueError("a recipe is named twice; name each once")
        return recipes

    @property
    def rows(self) -> tuple[str, ...]:
        """All recipes of the report, those with cells first."""
        return self.recipes + self.scored

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("no seed; name at least one, three or more give an interval")
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("seeds must be distinct and not negative")
        return seeds

    @model_validator(mode="after")
    def _gan_train_rows_are_synthetic(self) -> "ReportParams":
        both = [name for name in self.scored if name in self.recipes]
        if both:
            raise ValueError(f"scored names {both[0]!r}, which is one of `recipes`; name it once")
        others = [name for name in self.rows if name != BASELINE]
        wrong = [name for name in self.gan_train if name not in others]
        if wrong:
            raise ValueError(
                f"gan_train names {wrong[0]!r}; it takes recipes of the report that make pairs: "
                f"{', '.join(others) or 'there is none'}"
            )
        alone = [name for name in self.scored if name not in self.gan_train]
        if alone:
            raise ValueError(
                f"scored names {alone[0]!r}, for which no segmenter is trained; add it to "
                "gan_train too, or to `recipes` instead"
            )
        return self
