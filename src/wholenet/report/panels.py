"""Panels over the epochs of a run, one above the other, with its phases shaded; and the curves in them.

The records are those of ``metrics.jsonl``, one dictionary per finished epoch; a run still going has fewer than planned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from wholenet.report.style import INK, MUTED
from wholenet.search.records import Record

Phase = tuple[str, int, int]
"""Name, first epoch, end epoch (half-open, counted from 0). May be empty."""
PHASE_TINTS = ("#F3F5F7", "#E4EFF8", "#FBF1DC")
"""Backgrounds of the phases, in turn."""


def from_zero(axes: Axes, values: Sequence[float]) -> None:
    """The axis from 0 to a little above the largest of ``values``: small movements shall look small."""
    axes.set_ylim(0, 1.08 * max(values, default=1.0) or 1.0)


def percent(share: float | None) -> float | None:
    """``share`` in percent; None stays None."""
    return None if share is None else 100 * share


def panels(
    figure: Figure, records: Sequence[Record], phases: Sequence[Phase], heights: Sequence[float]
) -> Sequence[Axes]:
    """Panels above each other over the planned epochs, with the phases shaded, and named on top."""
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.12)
    rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=list(heights))
    planned = max([end for _, _, end in phases] + [record["epoch"] + 1 for record in records] + [1])
    for axes in rows:
        for (_, first, end), tint in zip(phases, cycle(PHASE_TINTS)):
            if end > first:
                axes.axvspan(first + 0.5, end + 0.5, color=tint, linewidth=0, zorder=0)
        axes.set_xlim(0.5, planned + 0.5)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    rows[-1].set_xlabel("epoch")
    rows[-1].xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    _name_phases(figure, phases)
    return rows


def _name_phases(figure: Figure, phases: Sequence[Phase]) -> None:
    """A row of swatches on top: unlike words in the panels it fits phases of any length, even one epoch of hundreds."""
    swatches = [
        Patch(facecolor=tint, edgecolor="#C4CCD6", linewidth=0.6, label=f"{name} ({_epochs(first, end)})")
        for (name, first, end), tint in zip(phases, cycle(PHASE_TINTS))
        if end > first
    ]
    if swatches:
        figure.legend(
            handles=swatches, loc="outside upper left", ncols=len(swatches), labelcolor=MUTED, columnspacing=1.6
        )


def _epochs(first: int, end: int) -> str:
    return f"epoch {end}" if end == first + 1 else f"epochs {first + 1}–{end}"


def curve(
    axes: Axes,
    records: Sequence[Record],
    value: Callable[[Record], float | None],
    label: str,
    color: str,
    last: str = "",
) -> list[float]:
    """Plot the epochs that have a finite value, and return these values.

    Epochs count from 1 on paper: the point at 1 is what was known after the first epoch. With ``last``, a format, the
    label also says the newest value: curves that barely move are told apart by it.
    """
    points = [(record["epoch"] + 1, number) for record in records if _is_number(number := value(record))]
    if not points:
        return []
    epochs, numbers = zip(*points, strict=True)
    marker = "o" if len(points) <= 40 else ""
    if last:
        label = f"{label}  {last.format(numbers[-1])}"
    axes.plot(epochs, numbers, color=color, label=label, marker=marker, markersize=3.5)
    return list(numbers)


def changes_size(records: Sequence[Record]) -> bool:
    """Whether the network of the records got smaller."""
    return len({record["macs"] for record in records if "macs" in record}) > 1


def cost_panel(axes: Axes, records: Sequence[Record]) -> None:
    """What the network of each epoch costs, of a run with a budget."""
    values = curve(axes, records, lambda r: r["macs"] / 1e6 if "macs" in r else None, "multiply-adds", INK)
    axes.set_title("Multiply-adds for one image, millions")
    from_zero(axes, values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def legend(axes: Axes) -> None:
    """A legend at the upper right above the panel, where no curve is; none without curves."""
    if axes.lines:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2, columnspacing=1.4)
