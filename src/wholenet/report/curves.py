"""Curves over the epochs of a run: losses, score, learning rate, and how decided the architecture is.

The records are those of ``metrics.jsonl``, one dictionary per finished epoch; a run still going has fewer than planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from types import MappingProxyType

from matplotlib.axes import Axes

from wholenet.report.panels import Phase, changes_size, cost_panel, curve, from_zero, legend, panels, percent
from wholenet.report.style import BLUE, GREEN, INK, ORANGE, VERMILION, saved_figure
from wholenet.search.records import Record
from wholenet.tasks.score import MIOU, Score


def draw_curves(
    path: str | Path,
    records: Sequence[Record],
    phases: Sequence[Phase],
    score: Score = MIOU,
    floors: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Draw training losses, the validation score and learning rate over the epochs; what the network costs, where it
    gets smaller; and the dominant eigenvalue, where it was looked at.

    Args:
        path: the picture; its suffix says the format.
        records: the finished epochs, with "epoch" (from 0), "loss", "lr", and, where known, "arch_loss", the score and
            "eigenvalue" and "macs".
        phases: (name, first epoch, end epoch) of all that is planned, half-open.
        score: what is drawn of the records as the score.
        floors: scores of simple answers, each a line across, by what they are.
    """
    looked = any(record.get("eigenvalue") is not None for record in records)
    smaller = changes_size(records)
    heights = (3, 2.4, 1.6, *[1.6] * smaller, *[2.0] * looked)
    with saved_figure(path, 8.2, 7.4 + 1.5 * smaller + 1.8 * looked) as figure:
        loss, scored, lr, *more = panels(figure, records, phases, heights=heights)
        curve(loss, records, lambda r: r.get("loss"), "weights", BLUE)
        curve(loss, records, lambda r: r.get("arch_loss"), "architecture", ORANGE)
        legend(loss)
        loss.set_title("Loss")

        def of(record: Record) -> float | None:
            return percent(record.get(score.name)) if score.percent else record.get(score.name)

        scores = curve(scored, records, of, score.label, GREEN)
        title = f"Validation {score.label}{', %' if score.percent else ''}"
        best = (max if score.higher else min)(scores, default=None)
        scored.set_title(title if best is None else f"{title}   best {best:{'.1f' if score.percent else '.4g'}}")
        if score.percent and not scores:
            scored.set_ylim(0, 100)

        for (what, value), style in zip(floors.items(), cycle(("--", ":", "-."))):
            scored.axhline(value, color=INK, linestyle=style, linewidth=1.2, label=f"{what} {value:.4g}")
        if floors:
            legend(scored)

        rates = curve(lr, records, lambda r: r.get("lr"), "learning rate", VERMILION)
        lr.set_title("Learning rate")
        from_zero(lr, rates)

        if smaller:
            cost_panel(more[0], records)
        if looked:
            curve(more[-1], records, lambda r: r.get("eigenvalue"), "eigenvalue", INK)
            more[-1].set_title("Dominant eigenvalue, of the search")


def draw_entropy(path: str | Path, records: Sequence[Record], phases: Sequence[Phase]) -> None:
    """Draw how decided the choices of a space are (of the grid edges, beta, and operations, alpha), and the same as the
    paper counts it.

    Args:
        path: the picture; its suffix says the format.
        records: the finished epochs, with "entropy" and "entropy_paper", each by name of the choice.
        phases: (name, first epoch, end epoch) of all that is planned, half-open.
    """
    with saved_figure(path, 8.2, 5.8) as figure:
        cells, entries = panels(figure, records, phases, heights=(1, 1))
        cells.set_title("Entropy per cell: 1 = uniform, 0 = one-hot")
        from_zero(cells, _entropy_curves(cells, records, "entropy") + [1.0])
        entries.set_title("As in the paper: mean of −p ln p over entries")
        from_zero(entries, _entropy_curves(entries, records, "entropy_paper"))


KNOWN = {"beta": ("edges (β)", BLUE), "alpha": ("operations (α)", ORANGE)}
"""Choices of the grid: what people call them, and their colours."""
OTHERS = (BLUE, ORANGE, GREEN, VERMILION)


def _entropy_curves(axes: Axes, records: Sequence[Record], key: str) -> list[float]:
    found = {name for record in records for name in record.get(key) or ()}
    named = KNOWN if found <= set(KNOWN) else dict(zip(sorted(found), zip(sorted(found), cycle(OTHERS)), strict=True))
    values: list[float] = []
    for name, (label, color) in named.items():
        values += curve(axes, records, lambda r, name=name: (r.get(key) or {}).get(name), label, color, last="{:.3f}")
    legend(axes)
    return values
