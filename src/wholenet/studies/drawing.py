"""The pictures that studies get: a row per arm with a dot per seed and the mean as a bar, the paper's beside it; where
searches began and ended; or curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes

from wholenet.report.style import BLUE, CYCLE, FAINT, INK, MUTED, saved_figure
from wholenet.studies.result import Spread

Paper = Mapping[str, tuple[float, float]]
"""Mean and standard deviation (0 where there is none) by arm; arms may be missing."""


def draw_arms(
    path: Path,
    arms: Mapping[str, Sequence[float]],
    paper: Paper,
    *,
    quantity: str,
    ours: str,
    theirs: str = "the paper",
) -> None:
    """Draw ``arms`` (name -> a value per seed, none if all diverged), top to bottom, and the paper's in a second panel.

    The panels have scales of their own: what can be compared is the order and the distances against the spread.
    """
    with saved_figure(path, 8.5 if paper else 5.5, 0.9 + 0.36 * len(arms)) as figure:
        axes = figure.subplots(1, 2 if paper else 1, sharey=True, squeeze=False)[0]
        names = list(arms)
        for y, name in enumerate(names):
            values = list(arms[name])
            axes[0].plot(values, [y] * len(values), "o", color=BLUE, ms=5, alpha=0.6, mew=0)
            if values:
                axes[0].plot([mean(values)] * 2, [y - 0.28, y + 0.28], color=INK, lw=2)
            else:
                axes[0].text(0.03, y, "diverged", transform=axes[0].get_yaxis_transform(), color=MUTED, va="center")
            if name in paper:
                center, sd = paper[name]
                if sd:
                    axes[1].plot([center - sd, center + sd], [y, y], color=MUTED, lw=1.2)
                axes[1].plot([center] * 2, [y - 0.28, y + 0.28], color=INK, lw=2)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
        for ax, title in zip(axes, (ours, theirs), strict=False):
            ax.set_title(title)
            ax.set_xlabel(quantity)
            ax.grid(axis="x", color=FAINT)
            ax.grid(axis="y", visible=False)
        figure.tight_layout()


def draw_curves(
    path: Path,
    curves: Mapping[str, Sequence[tuple[float, Spread]]],
    *,
    x: str,
    y: str,
    control: str,
    legend: Literal["lower left", "lower center", "lower right"],
    bottom: float | None = None,
) -> None:
    """Draw ``curves`` (name -> x and a share over seeds, in per cent) with their standard deviations, ``control`` in
    ink."""
    with saved_figure(path, 7.0, 4.2) as figure:
        ax = figure.subplots()
        colors = iter(CYCLE)
        for name, points in curves.items():
            ax.errorbar(
                [at for at, _ in points],
                [100 * found.mean for _, found in points],
                [100 * (found.sd or 0) for _, found in points],
                fmt="o-" if len({at for at, _ in points}) > 1 else "o",
                ms=4,
                lw=1.4,
                capsize=3,
                color=INK if name == control else next(colors),
                label=name,
            )
        ax.set_xlabel(x)
        ax.set_ylabel(y)
        ax.set_ylim(bottom=bottom)
        ax.legend(loc=legend)
        figure.tight_layout()


class StartEnd(NamedTuple):
    """A row of :func:`draw_start_end`."""

    start: float
    ends: Sequence[float]
    """By seed; none where nothing was searched, or all diverged."""
    paper: tuple[float, float] | None = None
    """Its start and end."""


def draw_start_end(ax: Axes, rows: Mapping[str, StartEnd], title: str) -> None:
    """Where each row began, top to bottom, and where each seed ended; below each, the same of the paper."""
    labels: set[str] = set()

    def dots(values: Sequence[float], y: float, label: str, **how: Any) -> None:
        if values:
            ax.plot(values, [y] * len(values), ls="none", label=None if label in labels else label, **how)
            labels.add(label)

    for y, row in enumerate(rows.values()):
        dots([row.start], y, "start", marker="o", ms=6, mfc="none", color=BLUE)
        dots(list(row.ends), y, "end, by seed", marker="o", ms=5, alpha=0.6, mew=0, color=BLUE)
        if row.paper is not None:
            start, end = row.paper
            dots([start], y + 0.3, "the paper's start", marker="D", ms=4, mfc="none", color=INK)
            dots([end], y + 0.3, "the paper's end", marker="D", ms=3.5, mew=0, color=INK)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.3, -0.7)
    ax.set_title(title)
    ax.grid(axis="x", color=FAINT)
    ax.grid(axis="y", visible=False)
