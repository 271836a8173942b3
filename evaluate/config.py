"""The `report` section of params.yaml: which rows are trained and what the report shows."""

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from data.stage.params import Params, Pretrained, check_name

BASELINE = "real"  # real pairs alone, as many in a batch as other rows have beside synthetic ones
MORE = "real_more"  # real pairs alone, as many in a batch as other rows have pairs of both kinds
BASELINES = (BASELINE, MORE)


class ReportParams(Params):
    """Rows and seeds of the report and the sizes of its tables and sheets."""

    rows: tuple[str, ...]  # trained with every seed, in this order
    once: tuple[str, ...]  # further rows, trained with the first seed alone
    seeds: tuple[int, ...]  # of segmenters; the first one's `real` cell is the judge
    num_scored: int = Field(ge=1)  # synthetic pairs the judge sees, the same for every set
    batch_size: int = Field(ge=1)  # images the judge is given at once
    pretrained: Pretrained | None  # whose features images are compared in
    fid_weights: Path | None = None  # of the Inception network that FID is defined by
    sheet_rows: int = Field(ge=1)  # rows of a contact sheet
    palette_classes: int = Field(ge=2)  # classes in the palette figure
    rare_percent: float = Field(gt=0, lt=100)  # a class with a smaller fraction of pixels is rare

    @field_validator("rows", "once")
    @classmethod
    def _names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        others = info.data.get("rows", ())
        if info.field_name == "rows" and BASELINE not in names:
            raise ValueError(f"`{BASELINE}` is missing; every other row is compared with it")
        for name in names:
            check_name(name)
            if (names + others).count(name) > 1:
                raise ValueError(f"`rows` and `once` name {name!r} twice; name each row once")
        if info.field_name == "once" and MORE in names:
            raise ValueError(f"`{MORE}` is a baseline: it belongs to `rows`, or is left out")
        return names

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("no seed; name at least one, three or more give an interval")
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("seeds must be distinct and not negative")
        return seeds

    @property
    def every(self) -> tuple[str, ...]:
        """All rows, those that are trained with every seed first."""
        return self.rows + self.once

    def seeds_of(self, row: str) -> tuple[int, ...]:
        """Return the seeds that a row is trained with."""
        return self.seeds[:1] if row in self.once else self.seeds
