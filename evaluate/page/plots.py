"""The report's figures of numbers; each function draws one PNG from plain data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.config import BASELINE
from evaluate.page.numbers import head_split, of_split
from evaluate.page.style import COLORS, GRID, INK, MUTED, colors, figure, label_ends
from evaluate.page.tables import share_text

Json = dict[str, Any]


def augmentation(path: Path, recipes: Mapping[str, Json]) -> None:
    """Draw every cell's mIoU and, beside it, the gains over `real` with their intervals."""
    splits = ["val", "test"] if head_split(recipes) == "test" else ["val"]
    shade, names = colors(list(recipes)), list(recipes)
    height = 0.9 + 0.42 * len(names)
    with figure(path, 8.6, height * len(splits), len(splits), 2) as (_, axes):
        for row, split in enumerate(splits):
            cells, gains = axes[2 * row], axes[2 * row + 1]
            for y, name in enumerate(names):
                found = of_split(recipes[name], split)
                values = list(found["miou"]["cells"].values())
                cells.plot(values, [y] * len(values), "o", color=shade[name], alpha=0.45, ms=5)
                cells.plot([found["miou"]["mean"]], [y], "|", color=shade[name], ms=17, mew=2.5)
                if found["delta"]:
                    _interval(gains, y, found["delta"], shade[name])
            cells.set_title(f"mIoU on {split}: cells and mean, %")
            cells.set_yticks(range(len(names)), names, color=INK)
            gains.set_title(f"gain over {BASELINE} on {split}: mean, 95 % interval")
            gains.axvline(0, color=MUTED, lw=1)
            gains.set_yticks([])
            for ax in (cells, gains):
                ax.margins(x=0.08)
                ax.set_ylim(len(names) - 0.5, -0.6)
                ax.grid(axis="x")
                ax.tick_params(axis="y", length=0)


def _interval(ax: Any, y: float, delta: Json, color: str) -> None:
    ax.plot([delta["mean"]], [y], "o", color=color, ms=6)
    if delta["low"] is not None:
        ax.plot([delta["low"], delta["high"]], [y, y], "-", color=color, lw=2.2)
    ax.annotate(
        f"{delta['mean']:+.1f}",
        (delta["mean"], y),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
        color=color,
    )


def class_gains(path: Path, recipes: Mapping[str, Json], classes: Sequence[Json]) -> None:
    """Draw the gain of every class that is scored in the split, most frequent class on top."""
    split, others = head_split(recipes), [name for name in recipes if name != BASELINE]
    shade = colors(list(recipes))
    found = {name: of_split(recipes[name], split)["iou_delta"] for name in others}
    shown = [
        entry
        for entry in sorted(classes, key=lambda entry: -entry["share"])
        if all(found[name][entry["name"]] for name in others)
    ]
    step = 1 / (len(others) + 0.8)
    with figure(path, 8.6, 1.1 + len(shown) * (0.1 + 0.1 * len(others))) as (_, (ax,)):
        for index, name in enumerate(others):
            ys = np.arange(len(shown)) + (index - (len(others) - 1) / 2) * step
            deltas = [found[name][entry["name"]] for entry in shown]
            means = [delta["mean"] for delta in deltas]
            ax.barh(ys, means, height=step * 0.92, color=shade[name], label=name)
            for y, delta in zip(ys, deltas, strict=True):
                if delta["low"] is not None:
                    ax.plot([delta["low"], delta["high"]], [y, y], color=INK, lw=0.9, alpha=0.6)
        ax.set_xlim(
            _class_limits([found[name][entry["name"]] for name in others for entry in shown])
        )
        names = [f"{entry['name']}  {share_text(entry['share'])} %" for entry in shown]
        ax.set_yticks(range(len(shown)), names, color=INK)
        ax.set_ylim(len(shown) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.axvline(0, color=INK, lw=0.9)
        ax.grid(axis="x")
        ax.set_axisbelow(True)
        ax.set_title(f"gain in IoU on {split} over {BASELINE}, points; class and share of pixels")
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.35 / len(shown)), ncols=min(len(others), 5)
        )


def _class_limits(deltas: Sequence[Json]) -> tuple[float, float]:
    """Return x limits that hold every bar; intervals of the rarest classes may reach beyond."""
    means = [abs(delta["mean"]) for delta in deltas]
    ends = [abs(delta[side]) for delta in deltas for side in ("low", "high") if delta[side]]
    limit = max(1.15 * max(means), float(np.quantile(ends, 0.85)) if ends else 0, 1.0)
    return -limit, limit


def val_curves(path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw mIoU on val while training: mean over seeds, band from the lowest to the highest."""
    shade = colors(list(curves))
    with figure(path, 8.6, 4.2) as (fig, (ax,)):
        ends = []
        for name, (iterations, values) in curves.items():
            mean = values.mean(axis=0)
            ax.plot(iterations, mean, color=shade[name], lw=1.8)
            if len(values) > 1:
                low, high = values.min(axis=0), values.max(axis=0)
                ax.fill_between(iterations, low, high, color=shade[name], alpha=0.13, lw=0)
            ends.append((f"{name} {mean[-1]:.1f}", float(mean[-1]), shade[name]))
        ax.grid(axis="y")
        ax.set_xlabel("iterations")
        ax.set_title("mIoU on val while training, %: mean over seeds, band from lowest to highest")
        last = max(float(iterations[-1]) for iterations, _ in curves.values())
        late = [values[:, iterations >= 0.2 * last] for iterations, values in curves.values()]
        low, high = min(v.min() for v in late), max(v.max() for v in late)
        pad = 0.06 * (high - low) or 1
        ax.set_ylim(low - pad, high + pad)  # the steep beginning would flatten all the rest
        ax.set_xlim(left=0, right=last)
        fig.draw_without_rendering()
        label_ends(ax, ends, last)


def aic(path: Path, curve: Sequence[tuple[int, float]], chosen: int) -> None:
    """Draw AIC against the number of mixture components; the chosen model is marked."""
    counts, values = zip(*curve, strict=True)
    with figure(path, 5.2, 3.2) as (_, (ax,)):
        ax.plot(counts, values, "o-", color=COLORS[1], ms=4, lw=1.4)
        best = values[counts.index(chosen)]
        ax.plot([chosen], [best], "o", color=COLORS[2], ms=9)
        ax.annotate(
            f"chosen: {chosen}",
            (chosen, best),
            xytext=(0, 12),
            textcoords="offset points",
            ha="center",
            color=COLORS[2],
        )
        ax.margins(y=0.2)
        ax.set_xlabel("components of the palette mixture")
        ax.set_title("AIC, lower is better")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(axis="y")


def palettes(path: Path, names: Sequence[str], shares: Mapping[str, np.ndarray]) -> None:
    """Draw class shares of several palette sets: mean with 10-90 % range, and how often present.

    `shares` are [N, C] fractions by the name of the set, C in the order of `names`. A class
    counts as present above 0.1 % of an image, because a sampled share is hardly ever exactly 0.
    """
    shade = colors(list(shares))
    with figure(path, 8.6, 1.1 + 0.36 * len(names), 1, 2, width_ratios=[3, 2]) as (_, axes):
        for index, (label, values) in enumerate(shares.items()):
            ys = np.arange(len(names)) + (index - (len(shares) - 1) / 2) * 0.24
            low, high = np.quantile(values, [0.1, 0.9], axis=0) * 100
            floor = 0.01
            axes[0].hlines(
                ys,
                np.maximum(low, floor),
                np.maximum(high, floor),
                color=shade[label],
                lw=2,
                alpha=0.55,
            )
            mean = np.maximum(values.mean(axis=0) * 100, floor)
            axes[0].plot(mean, ys, "o", color=shade[label], ms=4.5, label=label, clip_on=False)
            present = (values > 1e-3).mean(axis=0) * 100
            axes[1].barh(ys, present, height=0.22, color=shade[label])
        axes[0].set_xscale("log")
        axes[0].set_xlim(0.01, 100)
        axes[0].set_xticks([0.01, 0.1, 1, 10, 100], ["≤0.01", "0.1", "1", "10", "100"])
        axes[0].set_yticks(range(len(names)), names, color=INK)
        axes[0].set_title("share of pixels, %: mean and 10-90 % range")
        axes[1].set_title("in images (share > 0.1 %), %")
        axes[1].set_yticks([])
        axes[1].set_xlim(0, 100)
        for ax in axes:
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.grid(axis="x", color=GRID)
            ax.set_axisbelow(True)
            ax.tick_params(axis="y", length=0)
        axes[0].legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.7 / len(names)), ncols=len(shares)
        )


def training(path: Path, curve: Sequence[Json]) -> None:
    """Draw every loss term of a training in a panel of its own: values and their running mean.

    `curve` are {"images": n, "phase/term": value}; the y range leaves out the extreme percent.
    """
    terms = sorted({key for point in curve for key in point if "/" in key})
    columns = min(4, len(terms))
    rows = -(-len(terms) // columns)
    with figure(path, 2.5 * columns, 0.5 + 1.5 * rows, rows, columns) as (fig, axes):
        for index, ax in enumerate(axes):
            if index >= len(terms):
                ax.set_axis_off()
                continue
            points = [(p["images"], p[terms[index]]) for p in curve if terms[index] in p]
            images, values = np.asarray(points, dtype=np.float64).T
            kept = np.isfinite(values)
            images, values = images[kept] / 1000, values[kept]
            ax.set_title(terms[index], fontsize=9, fontweight="normal")
            ax.grid(axis="y")
            if not len(values):
                continue
            low, high = np.quantile(values, [0.01, 0.99])
            pad = 0.08 * (high - low) or 0.5
            values = np.clip(values, low - pad, high + pad)  # one spike would bend the mean
            ax.plot(images, values, color=COLORS[1], lw=0.7, alpha=0.3)
            ax.plot(images, running_mean(values, max(1, len(values) // 25)), color=COLORS[1])
            ax.set_ylim(low - pad, high + pad)
            ax.tick_params(labelsize=8)
        fig.supxlabel("thousand images shown", fontsize=9)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of each value and up to `window` neighbours on either side, same length."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - window, 0), np.minimum(index + window + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)
