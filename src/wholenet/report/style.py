"""The shared look of every picture, and how a picture reaches the disk.

No ``pyplot``: a picture is drawn on its own ``Figure``, so nothing global stays changed in the user's process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 150

# Okabe and Ito (2008): told apart with any kind of colour vision. Their yellow is left out: too faint on white.
BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)

INK = "#1F2933"
"""Text, and lines that carry the message."""
MUTED = "#6B7785"
"""Text that explains: ticks, subtitles, legends."""
FAINT = "#DDE2E8"
"""Grid lines and frames."""

_RC: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same picture on every machine
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5_bill$"
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "figure.facecolor": "white",
}


@contextmanager
def saved_figure(path: str | Path, width_in: float, height_in: float) -> Iterator[Figure]:
    """An empty figure to draw on, written to ``path`` at the end of the ``with`` block; nothing if the block raises.

    The format follows the suffix (.png, .svg, .pdf). Parent folders are made.
    """
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(width_in, height_in), dpi=DPI)
        FigureCanvasAgg(figure)
        yield figure
        _write(figure, Path(path))


def _write(figure: Figure, path: Path) -> None:
    """Write beside ``path``, then rename: whoever looks at ``path`` sees the old picture or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(unfinished, format=path.suffix.lstrip(".") or "png", dpi=DPI)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def bare_axes(figure: Figure, left_in: float, bottom_in: float, width_in: float, height_in: float) -> Axes:
    """Axes without frame, ticks and grid, placed in inches from the lower left corner of the figure."""
    total_width, total_height = figure.get_size_inches()
    axes = figure.add_axes(
        (left_in / total_width, bottom_in / total_height, width_in / total_width, height_in / total_height)
    )
    axes.set_axis_off()
    return axes


HEADLINE_PT, LEAST_PT = 14.0, 8.0
"""Size of a headline, and down to what a long one shrinks."""


def headline(on: Axes | Figure, x: float, y: float, text: str) -> None:
    """A headline from ``x``, vertically around ``y``, in the coordinates of what it is written ``on``; a long one is
    smaller, and of one that would be too small to read the middle is left out."""
    words, figure = on.text(x, y, text, fontsize=HEADLINE_PT, weight="bold", va="center"), on.figure
    renderer = figure.canvas.get_renderer()  # pyright: ignore[reportAttributeAccessIssue]
    box = words.get_window_extent(renderer)
    room, width = figure.bbox.width - 2 * box.x0, box.width
    if width > room:
        words.set_fontsize(max(LEAST_PT, HEADLINE_PT * room / width))
    shown = len(text)
    while shown > 2 and words.get_window_extent(renderer).width > room:
        shown -= 2
        words.set_text(f"{text[: shown // 2]}…{text[len(text) - shown // 2 :]}")
