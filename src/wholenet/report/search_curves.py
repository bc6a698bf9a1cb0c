"""Curves over the epochs of a cell search: what shows whether it is about to fail.

RobustDARTS (Sec. 4) ties a failing search to a growing dominant eigenvalue; the skip connections and the one-shot error
beside it say what the cells and the supernet did meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from wholenet.report.panels import Phase, changes_size, cost_panel, curve, from_zero, legend, panels, percent
from wholenet.report.style import BLUE, GREEN, INK, ORANGE, VERMILION, saved_figure
from wholenet.search.records import Record

EDGES = {"normal": 8, "reduce": 8, "cell": 6}
"""Edges of a discrete cell, each with one operation: so many skip connections can there be."""
CELLS = (
    ("normal", "normal cell", BLUE, "-", 6.0),
    ("reduce", "reduction cell", ORANGE, (0, (3, 1.6)), 3.0),
    ("cell", "cell", BLUE, "-", 6.0),
)
"""Name in the records, in the legend, colour, line, marker size: dashed above solid and small above large, so that both
are seen where they agree."""


def draw_search(path: str | Path, records: Sequence[Record], stop_epoch: int | None = None) -> None:
    """Draw losses, dominant eigenvalue, one-shot validation error, skip connections and entropy over the epochs; and
    what the network costs, where it gets smaller.

    Args:
        path: the picture; its suffix says the format.
        records: the finished epochs, with "epoch" (from 0), "phase", "loss", and, where known, "arch_loss",
            "eigenvalue", "error" (in [0, 1]), and by type of cell, {"normal": ..., "reduce": ...} or
            {"cell": ...}, "skips" (of the edges of the cell that the search would be cut to) and "entropy"
            (normalised); of a run with a budget "macs".
        stop_epoch: the epoch, from 0, whose architecture the stopping rule takes.
    """
    smaller = changes_size(records)
    with saved_figure(path, 8.2, 10.4 + 1.8 * smaller) as figure:
        rows = panels(figure, records, _phases(records), heights=(2.4, 2.4, 2, 2, 2, *[1.8] * smaller))
        loss, eigenvalue, error, skips, entropy, *cost = rows

        curve(loss, records, lambda r: r.get("loss"), "weights", BLUE)
        curve(loss, records, lambda r: r.get("arch_loss"), "architecture", ORANGE)
        legend(loss)
        loss.set_title("Loss")

        curve(eigenvalue, records, lambda r: r.get("eigenvalue"), "eigenvalue", VERMILION)
        eigenvalue.set_title("Dominant eigenvalue")
        if stop_epoch is not None:
            at = stop_epoch + 1  # epochs count from 1 on paper
            eigenvalue.axvline(at, color=INK, linestyle=":", linewidth=1.6, label=f"early stop (epoch {at})")
        legend(eigenvalue)

        errors = curve(error, records, lambda r: percent(r.get("error")), "error", GREEN)
        best = f"   best {min(errors):.1f}" if errors else ""
        error.set_title(f"One-shot validation error, %{best}")
        from_zero(error, errors or [100.0])

        _by_cell(skips, records, "skips")
        most = max(EDGES[kind] for kind in _kinds(records))
        skips.set_title(f"Skip connections, of {most} edges")
        skips.set_ylim(-0.4, most + 0.4)
        skips.yaxis.set_major_locator(MultipleLocator(2))

        _by_cell(entropy, records, "entropy", last="{:.3f}")
        entropy.set_title("Entropy: 1 = uniform, 0 = one-hot")
        entropy.set_ylim(0, 1.08)

        for axes in cost:
            cost_panel(axes, records)


def _phases(records: Sequence[Record]) -> list[Phase]:
    """The phases that the records have been in so far."""
    groups = [(name, list(some)) for name, some in groupby(records, lambda record: record.get("phase", ""))]
    return [(name, some[0]["epoch"], some[-1]["epoch"] + 1) for name, some in groups if name]


def _kinds(records: Sequence[Record]) -> tuple[str, ...]:
    """The types of cell that the records are of; those of DARTS where there is none yet."""
    said = {kind for record in records for kind in record.get("skips") or {}}
    return ("cell",) if "cell" in said else ("normal", "reduce")


def _by_cell(axes: Axes, records: Sequence[Record], key: str, last: str = "") -> None:
    """A curve for each type of cell, out of the records' dictionary ``key``."""
    there = _kinds(records)
    for kind, label, color, style, size in (cell for cell in CELLS if cell[0] in there):
        before = len(axes.lines)
        curve(axes, records, _entry(key, kind), label, color, last=last)
        for line in axes.lines[before:]:
            line.set(linestyle=style, markersize=size)
    legend(axes)


def _entry(key: str, kind: str) -> Callable[[Record], float | None]:
    return lambda record: (record.get(key) or {}).get(kind)
