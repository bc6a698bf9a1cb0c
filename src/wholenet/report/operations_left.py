"""The picture of what a supernet of cells has left, of searches that follow each other or as a budget is met: on how
many edges each operation is still there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from wholenet.report.style import saved_figure
from wholenet.spaces.cell_tables import Table


def edges_with(table: Table, name: str) -> int:
    """Edges of all types of cell that have the operation ``name``."""
    return sum(name in edge.left for edges in table.values() for edge in edges)


def draw_stages(path: str | Path, tables: Sequence[Table]) -> None:
    """Draw a line for each operation over the stages of a search, or one for those that go alike.

    Args:
        path: the picture; its suffix says the format.
        tables: what the edges offer in each stage, and at last those of the genotype.
    """
    places = range(len(tables))
    _draw(path, places, tables, "Operations that are left, stage by stage", [*(f"stage {n}" for n in places[1:])])


def draw_left(path: str | Path, tables: Sequence[Table]) -> None:
    """Draw such lines over the epochs of a run with a budget.

    Args:
        path: likewise.
        tables: what each epoch was trained with, from the first one on.
    """
    _draw(path, range(1, len(tables) + 1), tables, "Operations that are left, epoch by epoch", None)


def _draw(
    path: str | Path, places: Sequence[int], tables: Sequence[Table], title: str, stages: Sequence[str] | None
) -> None:
    alike = dict[tuple[int, ...], list[str]]()
    for name in dict.fromkeys(name for edges in tables[0].values() for edge in edges for name in edge.operations):
        alike.setdefault(tuple(edges_with(table, name) for table in tables), []).append(name)
    with saved_figure(path, 7.2, 4.2) as figure:
        axis = figure.subplots()
        for counts, names in alike.items():
            axis.plot(places, counts, marker="o", markersize=4, label="\n".join(names))
        if stages is None:
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.set_xlabel("epoch")
        else:
            axis.set_xticks(places, [*stages, "genotype"])
        axis.set_ylim(bottom=0)
        axis.set_ylabel("edges that have it")
        axis.set_title(title, loc="left", fontsize=10.5)
        axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        figure.tight_layout()
