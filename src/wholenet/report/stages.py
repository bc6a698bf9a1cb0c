"""The picture of what searches that follow each other leave: on how many edges each operation is still there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wholenet.report.style import saved_figure
from wholenet.spaces.cell_tables import Table


def edges_with(table: Table, name: str) -> int:
    """Edges of all types of cell that offer the operation ``name``."""
    return sum(name in edge.operations for edges in table.values() for edge in edges)


def draw_stages(path: str | Path, tables: Sequence[Table]) -> None:
    """Draw a line for each operation.

    Args:
        path: the picture; its suffix says the format.
        tables: what the edges offer in each stage, and at last those of the genotype.
    """
    names = list(dict.fromkeys(name for edges in tables[0].values() for edge in edges for name in edge.operations))
    places = range(len(tables))
    with saved_figure(path, 7.2, 4.2) as figure:
        axis = figure.subplots()
        for name in names:
            axis.plot(places, [edges_with(table, name) for table in tables], marker="o", markersize=4, label=name)
        axis.set_xticks(places, [*(f"stage {number}" for number in places[1:]), "genotype"])
        axis.set_ylim(bottom=0)
        axis.set_ylabel("edges that have it")
        axis.set_title("Operations that are left, stage by stage", loc="left", fontsize=10.5)
        axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        figure.tight_layout()
