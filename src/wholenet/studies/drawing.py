"""The pictures that studies get: a row per arm with a dot per seed and the mean as a bar, the paper's beside it; or
curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Literal

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
    legend: Literal["lower left", "lower right"],
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


def draw_start_end(ax: Axes, groups: Mapping[str, tuple[float, float]], title: str) -> None:
    """Pairs of bars, start and end, one pair per group."""
    for x, (start, end) in enumerate(groups.values()):
        for shift, value, color, label in ((-0.2, start, FAINT, "start"), (0.2, end, CYCLE[0], "end")):
            ax.bar(x + shift, value, 0.36, color=color, label=label if x == 0 else None)
            ax.annotate(f"{value:.3f}", (x + shift, value), ha="center", va="bottom", fontsize=8.5, color=MUTED)
    ax.set_xticks(range(len(groups)), list(groups))
    ax.set_title(title)
