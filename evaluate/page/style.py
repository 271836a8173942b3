"""How figures look: one quiet style, colours that colour-blind readers tell apart."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.stage.outputs import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
INK, MUTED, GRID = "#222222", "#666666", "#dddddd"
# Okabe and Ito's colours; the first belongs to the baseline. Those from the ninth on, for a dozen
# sets, are less easily told apart: names stand beside the marks.
COLORS = (
    "#3d3d3d",
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8c6d31",
    "#5e3c99",
    "#a6cee3",
    "#7f0000",
    "#b2df8a",
    "#00441b",
    "#999999",
)
STYLE: dict[Any, object] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
}


@contextmanager
def figure(
    path: Path, width: float, height: float, rows: int = 1, columns: int = 1, **layout: object
) -> Iterator[tuple["Figure", Sequence["Axes"]]]:
    """Yield (figure, its axes in a flat list) in inches; write it as PNG when the block ends.

    `layout` goes to `add_gridspec` (`width_ratios`, `height_ratios`). The bytes depend on what
    is drawn and on nothing else.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(fig)
        grid = fig.add_gridspec(rows, columns, **layout)
        yield fig, [fig.add_subplot(cell) for cell in grid]
        buffer = BytesIO()
        fig.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def colors(names: Sequence[str]) -> dict[str, str]:
    """Return a colour per name, in order; the first is the baseline's dark grey."""
    return {name: COLORS[index % len(COLORS)] for index, name in enumerate(names)}
