"""The numbers of the Semantic Palette poster (CVPR 2021), and which recipes stand for its rows.

Cityscapes and IDD at 128x256, DeepLabV3-R101, single runs. The poster's subscripts are gains over
its real-only row, not deviations: 22 of its 24 entries equal the difference to that row, with the
sign lost. They are computed here from the scores, so they carry their sign. Its IDD row for the
plain method repeats the baseline's scores with another row's gain, so no gain can be given for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Miou = tuple[float, float]  # (mIoU*, mIoU), percent

CAPTION = (
    "Cityscapes/IDD 128x256, DeepLabV3-R101, single runs; poster subscripts are gains over real, "
    "not deviations"
)
BENT = ("controls", "edits")  # keys of recipes that ask for other palettes than real ones
DATASETS = ("Cityscapes", "IDD")
NOBODY = ("none",)
GAUGAN = ("spade", "oasis")  # the poster's is SPADE; OASIS rows stand beside it, by their painter
PIX2PIXHD = ("pix2pixhd",)


@dataclass(frozen=True)
class Row:
    """A row of a poster table: its name there, what a recipe of it is made of, its numbers.

    `end_to_end` None: the poster does not say whether those generators were tuned end to end. KL
    in nats, FSD of shares in percent; numbers that the poster does not give are None.
    """

    name: str
    layouts: str
    painters: Sequence[str] = GAUGAN
    adapt: str = "none"
    end_to_end: bool | None = False
    kl: float | None = None
    fsd: float | None = None
    fid: float | None = None
    gan_test: Miou | None = None
    gan_train: Miou | None = None
    cityscapes: Miou | None = None
    idd: Miou | None = None
    misprinted: Sequence[str] = ()

    def made_like(self, recipe: Mapping[str, Any]) -> bool:
        """Return whether a recipe, as `recipes_of` gives it, is made of what this row is made of.

        One with `controls` or `edits` stands for no row: what it asks for was changed on purpose.
        """
        return (
            recipe["layouts"] == self.layouts
            and recipe["painter"] in self.painters
            and recipe["adapt"] == self.adapt
            and self.end_to_end in (None, recipe["end_to_end"])
            and not any(recipe.get(key) for key in BENT)
        )

    def on(self, dataset: str) -> Miou | None:
        """Return the augmentation score on one of `DATASETS`."""
        return {"Cityscapes": self.cityscapes, "IDD": self.idd}[dataset]


CONDITIONAL = (
    Row("Baseline 1", "cgan", kl=1.17, fid=69.2, gan_test=(33.7, 42.8), gan_train=(29.6, 38.5)),
    Row(
        "Baseline 2",
        "palette_recovery",
        kl=0.32,
        fid=69.0,
        gan_test=(35.3, 46.9),
        gan_train=(30.2, 39.4),
    ),
    Row(
        "Sem. Palette",
        "semantic_palette",
        kl=0.07,
        fid=60.7,
        gan_test=(34.6, 45.7),
        gan_train=(30.6, 40.1),
    ),
    Row(
        "Sem. Palette, end to end",
        "semantic_palette",
        end_to_end=True,
        kl=0.08,
        fid=51.0,
        gan_test=(36.8, 48.6),
        gan_train=(33.3, 44.5),
    ),
    Row("Oracle (real pairs)", "none", NOBODY, fid=28.2, gan_train=(36.9, 48.1)),
)
UNCONDITIONAL = (
    Row("PCGAN", "sbgan", PIX2PIXHD, fsd=63.8, fid=85.7),
    Row("SB-GAN", "sbgan", fsd=63.8, fid=71.0),
    Row("Sem. Palette", "semantic_palette", fsd=25.3, fid=60.7),
    Row("SB-GAN, end to end", "sbgan", end_to_end=True, fsd=20.4, fid=61.8),
    Row("Sem. Palette, end to end", "semantic_palette", end_to_end=True, fsd=11.8, fid=51.0),
)
REAL = Row("real", "none", NOBODY, cityscapes=(36.9, 48.1), idd=(33.8, 43.8))
AUGMENTATION = (
    REAL,
    Row("CauGAN", "real", cityscapes=(37.2, 48.2), idd=(33.6, 43.5)),
    Row("SB-GAN", "sbgan", end_to_end=None, cityscapes=(34.6, 45.5), idd=(33.5, 43.4)),
    Row(
        "Sem. Palette",
        "semantic_palette",
        end_to_end=None,
        cityscapes=(38.0, 49.4),
        idd=(33.8, 43.8),
        misprinted=("IDD",),
    ),
    Row(
        "Sem. Palette + DA",
        "semantic_palette",
        adapt="advent",
        end_to_end=None,
        cityscapes=(38.6, 51.6),
        idd=(34.5, 44.7),
    ),
    Row(
        "Part. Sem. Palette",
        "partial_palette",
        end_to_end=None,
        cityscapes=(40.7, 51.9),
        idd=(35.6, 46.1),
    ),
    Row(
        "Part. Sem. Palette + DA",
        "partial_palette",
        adapt="advent",
        end_to_end=None,
        cityscapes=(40.7, 52.6),
        idd=(35.3, 45.8),
    ),
)
# Rows that the default run has; beside its one table the poster's numbers are columns.
DEFAULT = ("real", "CauGAN", "Sem. Palette", "Part. Sem. Palette", "Oracle (real pairs)")


def recipes_of(params: Mapping[str, Any]) -> dict[str, Json]:
    """Return the recipes of a report's parameters, each with `end_to_end`.

    Where layouts and painter are named by one joint, which tuned them end to end, they become
    the methods behind it; half a joint keeps its name and so stands for no row.
    """
    joints = params.get("joints", {})
    found = {}
    for name, recipe in params["recipes"].items():
        joint = joints.get(recipe["layouts"]) if recipe["layouts"] == recipe["painter"] else None
        methods = {key: joint[key] for key in ("layouts", "painter")} if joint else {}
        found[name] = recipe | methods | {"end_to_end": joint is not None}
    return found


def row_of(recipe: Mapping[str, Any], table: Sequence[Row] = AUGMENTATION) -> Row | None:
    """Return the row of a poster table that a recipe of `recipes_of` is made like, or None."""
    return next((row for row in table if row.made_like(recipe)), None)


def with_recipes(
    table: Sequence[Row], recipes: Mapping[str, Mapping[str, Any]]
) -> list[tuple[Row, str | None]]:
    """Return (row, recipe name) for every recipe made like a row, (row, None) for one not run."""
    lines: list[tuple[Row, str | None]] = []
    for row in table:
        found = [name for name, recipe in recipes.items() if row.made_like(recipe)]
        lines += [(row, name) for name in found] or [(row, None)]
    return lines


def has_more_than_default(recipes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether a recipe stands for a poster row that the default run does not have."""
    rows = [
        row_of(recipe, table)
        for recipe in recipes.values()
        for table in (CONDITIONAL, UNCONDITIONAL, AUGMENTATION)
    ]
    return any(row.name not in DEFAULT for row in rows if row is not None)


def entry(row: Row | None, dataset: str, star: bool) -> str:
    """Return a cell of the augmentation table as text, for example `49.4 (+1.3)`; empty without."""
    score = None if row is None else row.on(dataset)
    if row is None or score is None:
        return ""
    value, base = (scores[0 if star else 1] for scores in (score, REAL.on(dataset)))
    if row is REAL:
        return f"{value:.1f}"
    gain = "?" if dataset in row.misprinted else f"{value - base:+.1f}"
    return f"{value:.1f} ({gain})"
