"""Draw every figure of a report and say what each one shows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.pairs.shards import PairSet
from evaluate.config import BASELINE
from evaluate.metrics.layouts import asked_and_obtained
from evaluate.page import gallery, plots

Json = dict[str, Any]

KINDS = {"layouts": "layout method", "painters": "painter"}


@dataclass(frozen=True)
class Figure:
    """A figure file; `pixels` is true when it shows images or label maps of the dataset."""

    section: str
    file: str
    caption: str
    pixels: bool = False

    def to_json(self) -> Json:
        """Return the record as plain JSON data."""
        return asdict(self)


def draw_scores(
    folder: Path,
    recipes: Mapping[str, Json],
    classes: Sequence[Json],
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> list[Figure]:
    """Draw cells and gains, gains by class, and the val curves."""
    drawn = [
        Figure(
            "augmentation",
            "augmentation.png",
            "Every cell's mIoU with the mean of its recipe (tick), and the gain over `real` with "
            "its 95 % interval: an interval that crosses the line is no evidence.",
        )
    ]
    plots.augmentation(folder / "augmentation.png", recipes)
    if len(recipes) > 1:
        plots.class_gains(folder / "classes.png", recipes, classes)
        caption = (
            "Gain in IoU of every class, most frequent on top; thin lines are 95 % intervals, "
            "the widest cut off at the frame."
        )
        drawn.append(Figure("classes", "classes.png", caption))
    if all(len(iterations) for iterations, _ in curves.values()):
        plots.val_curves(folder / "val_curves.png", curves)
        caption = (
            "mIoU on val while the segmenters train, mean over seeds of each recipe; the lowest "
            "scores of the beginning are cut off."
        )
        drawn.append(Figure("curves", "val_curves.png", caption))
    return drawn


def draw_pairs(
    folder: Path, sets: Mapping[str, PairSet], train: PairSet, sheet_rows: int
) -> list[Figure]:
    """Draw a contact sheet of the real pairs and one of every recipe's synthetic pairs."""
    drawn = []
    for recipe, pairs in sets.items():
        file = f"pairs_{recipe}.png"
        if recipe == BASELINE:
            gallery.real_sheet(folder / file, train, sheet_rows)
            caption = "Real training pairs."
        else:
            if not len(pairs.select(recipe)):
                continue
            gallery.synthetic_sheet(folder / file, pairs, recipe, sheet_rows)
            caption = f"Pairs of `{recipe}`, evenly spaced over the set, not chosen."
        drawn.append(Figure("pairs", file, caption, pixels=True))
    return drawn


def draw_closest(
    folder: Path, sets: Mapping[str, PairSet], recipes: Mapping[str, Json]
) -> list[Figure]:
    """Draw the synthetic images that come nearest to a real training image, beside it."""
    drawn = []
    for recipe, numbers in recipes.items():
        if not numbers["copies"]:
            continue
        file = f"closest_{recipe}.png"
        gallery.closest_sheet(folder / file, sets[recipe], numbers["copies"]["closest"])
        caption = (
            f"The images of `{recipe}` that are nearest to a real training image in the judge's "
            "features, nearest first, beside that image; a pair's own parent is left out."
        )
        drawn.append(Figure("quality", file, caption, pixels=True))
    return drawn


def draw_palettes(
    folder: Path,
    sets: Mapping[str, PairSet],
    train: PairSet,
    aic: tuple[Sequence[tuple[int, float]], int] | None,
    num_classes: int,
) -> list[Figure]:
    """Draw the AIC curve, and real palettes against those asked for and those obtained."""
    drawn = []
    if aic:
        plots.aic(folder / "aic.png", *aic)
        caption = "AIC of the palette mixture by number of components, and the model that is used."
        drawn.append(Figure("palettes", "aic.png", caption))
    for recipe, pairs in sets.items():
        found = None
        if recipe != BASELINE:
            found = asked_and_obtained(pairs, pairs.select(recipe))
        if found is None:
            continue
        real, (asked, obtained) = train.column("palette"), found
        ids = frequent_and_rare(real.mean(axis=0), num_classes)
        shares = {"real": real, "asked for": asked, "obtained": obtained}
        plots.palettes(
            folder / "palettes.png",
            [train.classes.names[index] for index in ids],
            {label: values[:, ids] for label, values in shares.items()},
        )
        caption = (
            f"Class shares of the real training labels, of the palettes that `{recipe}` asked "
            "for (sampled from the mixture) and of the layouts it obtained: the most frequent "
            "and the rarest classes."
        )
        drawn.append(Figure("palettes", "palettes.png", caption))
        break
    return drawn


def draw_training(folder: Path, curves: Mapping[tuple[str, str], list[Json]]) -> list[Figure]:
    """Draw the loss curves of generators; `curves` by (kind, method)."""
    drawn = []
    for (kind, method), curve in curves.items():
        if not curve:
            continue
        file = f"training_{kind}_{method}.png"
        plots.training(folder / file, curve)
        caption = f"Loss terms of the {KINDS[kind]} `{method}`: values and running mean."
        drawn.append(Figure("training", file, caption))
    return drawn


def frequent_and_rare(mean: np.ndarray, count: int) -> np.ndarray:
    """Return ids of the most frequent and the rarest classes that occur, largest share first."""
    order = np.argsort(-mean, kind="stable")
    order = order[mean[order] > 0]
    if len(order) <= count:
        return order
    rare = count // 2
    return np.concatenate([order[: count - rare], order[len(order) - rare :]])
