"""The report's figures of numbers; each function draws one PNG from plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.page.style import COLORS, GRID, INK, MUTED, colors, figure
from evaluate.statistics import HELPS, HURTS, NO_EVIDENCE, Interval, Spread

Json = dict[str, Any]

SAID = {HELPS: COLORS[1], HURTS: COLORS[2], NO_EVIDENCE: COLORS[-1]}


@dataclass(frozen=True)
class Bar:
    """A line of the forest plot: a row, its gain, differences of single seeds, what is said."""

    name: str
    gain: Interval
    seeds: Sequence[float]
    says: str

    @property
    def color(self) -> str:
        """Return that of what is said of the gain: an interval alone says nothing."""
        return SAID[self.says]


def gains(path: Path, bars: Sequence[Bar], title: str) -> None:
    """Draw a forest plot of gains, the first on top."""
    with figure(path, 5.2, 0.75 + 0.36 * len(bars)) as (_, (ax,)):
        for y, bar in enumerate(bars):
            color = bar.color
            ax.plot(bar.seeds, [y] * len(bar.seeds), "o", color=color, alpha=0.25, ms=4)
            ax.plot([bar.gain.mean], [y], "o", color=color, ms=7, zorder=3)
            if bar.gain.ends is not None:
                ax.plot(bar.gain.ends, [y, y], "-", color=color, lw=2.4)
        ax.axvline(0, color=MUTED, lw=1)
        ax.set_yticks(range(len(bars)), [bar.name for bar in bars], color=INK)
        ax.set_ylim(len(bars) - 0.4, -0.6)
        ax.margins(x=0.08)
        ax.grid(axis="x")
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        ax.set_title(title)


@dataclass(frozen=True)
class Mark:
    """A row beside the learning curve: the real pairs it used, its mIoU, those that equal it."""

    name: str
    used: int
    miou: Spread
    labels: float


def learning_curve(
    path: Path,
    curve: Sequence[tuple[int, Spread]],
    marks: Sequence[Mark],
    shade: Mapping[str, str],
    title: str,
) -> None:
    """Draw mIoU against the number of real pairs, and rows with lines to the number they equal."""
    with figure(path, 6.3, 3.6) as (_, (ax,)):
        numbers = [pairs for pairs, _ in curve]
        _spread_at(ax, numbers, [found for _, found in curve], COLORS[0])
        ax.plot(numbers, [found.mean for _, found in curve], "-", color=COLORS[0], lw=1.8)
        ax.plot([], [], "o-", color=COLORS[0], label="real pairs alone")
        for mark in marks:
            color = shade[mark.name]
            _spread_at(ax, [mark.used], [mark.miou], color)
            ends = sorted((mark.used, mark.labels))
            ax.plot(ends, [mark.miou.mean] * 2, ":", color=color, lw=1.4)
            ax.plot([], [], "o", color=color, label=f"{mark.name} {mark.miou.mean:.1f}")
        ax.set_xscale("log")
        ax.set_xticks(numbers, [str(number) for number in numbers])
        ax.minorticks_off()
        ax.set_xlabel("real pairs")
        ax.grid(axis="y")
        ax.set_title(title)
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _spread_at(ax: Any, numbers: Sequence[float], found: Sequence[Spread], color: str) -> None:
    errors = [spread.std or 0.0 for spread in found]
    means = [spread.mean for spread in found]
    ax.errorbar(numbers, means, yerr=errors, fmt="o", color=color, ms=6, capsize=3, lw=1.2)


def class_gains(
    path: Path,
    rows: Mapping[str, Mapping[str, Interval]],
    classes: Mapping[str, str],
    shade: Mapping[str, str],
    title: str,
) -> None:
    """Draw the gain of every class, in the order of `classes` (labels by name), by row."""
    names, step = list(classes), 1 / (len(rows) + 0.8)
    with figure(path, 6.3, 1.1 + len(names) * (0.1 + 0.1 * len(rows))) as (_, (ax,)):
        for index, (row, found) in enumerate(rows.items()):
            ys = np.arange(len(names)) + (index - (len(rows) - 1) / 2) * step
            means = [found[name].mean for name in names]
            ax.barh(ys, means, height=step * 0.92, color=shade[row], label=row)
            for y, name in zip(ys, names, strict=True):
                if ends := found[name].ends:
                    ax.plot(ends, [y, y], color=INK, lw=0.9, alpha=0.6)
        every = [found[name] for found in rows.values() for name in names]
        ax.set_xlim(_class_limits(every))
        ax.set_yticks(range(len(names)), list(classes.values()), color=INK)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.axvline(0, color=INK, lw=0.9)
        ax.grid(axis="x")
        ax.set_axisbelow(True)
        ax.set_title(title)
        below = (0.5, -0.35 / len(names))
        ax.legend(loc="upper center", bbox_to_anchor=below, ncols=min(len(rows), 4))


def _class_limits(gains: Sequence[Interval]) -> tuple[float, float]:
    """Return x limits that hold every bar; intervals of the rarest classes may reach beyond."""
    ends = [abs(end) for gain in gains for end in (gain.low, gain.high) if end is not None]
    most = 1.15 * max(abs(gain.mean) for gain in gains)
    limit = max(most, float(np.quantile(ends, 0.85)) if ends else 0, 1.0)
    return -limit, limit


def val_curves(path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Draw iterations `[N]`, val mIoU `[seeds, N]`: mean, band from the lowest to the highest."""
    shade = colors(list(curves))
    last = max(float(iterations[-1]) for iterations, _ in curves.values())
    late = [values[:, iterations >= 0.2 * last] for iterations, values in curves.values()]
    low, high = min(v.min() for v in late), max(v.max() for v in late)
    with figure(path, 6.3, 3.8) as (_, (ax,)):
        for name, (iterations, values) in _highest_first(curves):
            mean = values.mean(axis=0)
            ax.plot(iterations, mean, color=shade[name], lw=1.8, label=f"{name} {mean[-1]:.1f}")
            if len(values) > 1:
                band = values.min(axis=0), values.max(axis=0)
                ax.fill_between(iterations, *band, color=shade[name], alpha=0.13, lw=0)
        ax.grid(axis="y")
        ax.set_xlabel("iterations")
        ax.set_title("mIoU on val while training, %")
        pad = 0.06 * (high - low) or 1
        ax.set_ylim(low - pad, high + pad)  # the steep beginning would flatten all the rest
        ax.set_xlim(left=0, right=last)
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _highest_first(curves: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(curves.items(), key=lambda entry: -entry[1][1][:, -1].mean())


SCORES = {
    "aic": "AIC, lower is better",
    "held_out": "negative log density of held-out palettes, lower is better",
}


def components(path: Path, by: str, curve: Sequence[tuple[int, float]], chosen: int) -> None:
    """Draw a score against the number of mixture components; the chosen model is marked."""
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
        ax.set_title(SCORES[by])
        ax.locator_params(axis="x", integer=True)
        ax.grid(axis="y")


def palettes(path: Path, names: Sequence[str], fractions: Mapping[str, np.ndarray]) -> None:
    """Draw class fractions of several palette sets: mean with 10-90 % range, how often present.

    `fractions` are [N, C] by the name of the set, C in the order of `names`. A class counts as
    present above 0.1 % of an image, because a sampled fraction is hardly ever exactly 0.
    """
    shade = colors(list(fractions))
    with figure(path, 8.6, 1.1 + 0.36 * len(names), 1, 2, width_ratios=[3, 2]) as (_, axes):
        for index, (label, values) in enumerate(fractions.items()):
            ys = np.arange(len(names)) + (index - (len(fractions) - 1) / 2) * 0.24
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
        axes[0].set_title("of pixels, %: mean and 10-90 % range")
        axes[1].set_title("in images (> 0.1 %), %")
        axes[1].set_yticks([])
        axes[1].set_xlim(0, 100)
        for ax in axes:
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.grid(axis="x", color=GRID)
            ax.set_axisbelow(True)
            ax.tick_params(axis="y", length=0)
        axes[0].legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.7 / len(names)), ncols=len(fractions)
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
    """Return the mean of each value `[N]` and up to `window` neighbours on either side, `[N]`."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - window, 0), np.minimum(index + window + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)
