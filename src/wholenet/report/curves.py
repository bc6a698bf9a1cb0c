"""Curves over the epochs of a run: losses, score, learning rate, and how decided the architecture is.

The records are those of ``metrics.jsonl``, one dictionary per finished epoch; a run still going has fewer than planned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from wholenet.report.records import Phase, Record
from wholenet.report.style import BLUE, GREEN, MUTED, ORANGE, VERMILION, saved_figure

PHASE_TINTS = ("#F3F5F7", "#E4EFF8", "#FBF1DC")
"""Backgrounds of the phases, in turn."""


def draw_curves(path: str | Path, records: Sequence[Record], phases: Sequence[Phase]) -> None:
    """Draw training losses, validation mIoU and learning rate over the epochs.

    Args:
        path: the picture; its suffix says the format.
        records: the finished epochs, with "epoch" (from 0), "loss", "lr", and, where known, "arch_loss" and "miou".
        phases: (name, first epoch, end epoch) of all that is planned, half-open.
    """
    records = _in_order(records)
    with saved_figure(path, 8.2, 7.4) as figure:
        loss, miou, lr = _panels(figure, records, phases, heights=(3, 2.4, 1.6))
        _curve(loss, records, lambda r: r.get("loss"), "weights", BLUE)
        _curve(loss, records, lambda r: r.get("arch_loss"), "architecture", ORANGE)
        _legend(loss)
        loss.set_title("Loss")

        scores = _curve(miou, records, lambda r: _percent(r.get("miou")), "mIoU", GREEN)
        miou.set_title(f"Validation mIoU, %   best {max(scores):.1f}" if scores else "Validation mIoU, %")
        if not scores:
            miou.set_ylim(0, 100)

        rates = _curve(lr, records, lambda r: r.get("lr"), "learning rate", VERMILION)
        lr.set_title("Learning rate")
        _from_zero(lr, rates)


def draw_entropy(path: str | Path, records: Sequence[Record], phases: Sequence[Phase]) -> None:
    """Draw how decided edges (beta) and operations (alpha) are, and the same as the paper counts it.

    Args:
        path: the picture; its suffix says the format.
        records: the finished epochs, with "entropy" and "entropy_paper", each {"alpha": ..., "beta": ...}.
        phases: (name, first epoch, end epoch) of all that is planned, half-open.
    """
    records = _in_order(records)
    with saved_figure(path, 8.2, 5.8) as figure:
        cells, entries = _panels(figure, records, phases, heights=(1, 1))
        cells.set_title("Entropy per cell: 1 = uniform, 0 = one-hot")
        _from_zero(cells, _entropy_curves(cells, records, "entropy") + [1.0])
        entries.set_title("As in the paper: mean of −p ln p over entries")
        _from_zero(entries, _entropy_curves(entries, records, "entropy_paper"))


def _entropy_curves(axes: Axes, records: Sequence[Record], key: str) -> list[float]:
    values = _curve(axes, records, lambda r: (r.get(key) or {}).get("beta"), "edges (β)", BLUE, last="{:.3f}")
    values += _curve(axes, records, lambda r: (r.get(key) or {}).get("alpha"), "operations (α)", ORANGE, last="{:.3f}")
    _legend(axes)
    return values


def _from_zero(axes: Axes, values: Sequence[float]) -> None:
    """The axis from 0 to a little above the largest of ``values``: small movements shall look small."""
    axes.set_ylim(0, 1.08 * max(values, default=1.0) or 1.0)


def _in_order(records: Sequence[Record]) -> list[Record]:
    """By epoch; the last record of an epoch counts, since a run cut off between log and checkpoint repeats one."""
    return [record for _, record in sorted({record["epoch"]: record for record in records}.items())]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _panels(
    figure: Figure, records: Sequence[Record], phases: Sequence[Phase], heights: Sequence[float]
) -> Sequence[Axes]:
    """Panels above each other over the planned epochs, with the phases shaded, and named on top."""
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.12)
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=list(heights))
    planned = max([end for _, _, end in phases] + [record["epoch"] + 1 for record in records] + [1])
    for axes in panels:
        for (_, first, end), tint in zip(phases, cycle(PHASE_TINTS)):
            if end > first:
                axes.axvspan(first + 0.5, end + 0.5, color=tint, linewidth=0, zorder=0)
        axes.set_xlim(0.5, planned + 0.5)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    _name_phases(figure, phases)
    return panels


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


def _curve(
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


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _legend(axes: Axes) -> None:
    """A legend at the upper right above the panel, where no curve is; none without curves."""
    if axes.lines:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2, columnspacing=1.4)
