"""The picture of what a supernet of cells has left, of searches that follow each other or as a budget is met: on how
many edges each operation is still there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from wholenet.report.style import saved_figure
from wholenet.search.records import Record
from wholenet.spaces.catalog import subnets
from wholenet.spaces.cell_tables import Table
from wholenet.spaces.space import Spec
from wholenet.spaces.table_subnets import TableSubnets


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


def draw_left(path: str | Path, spec: Spec, records: Sequence[Record]) -> None:
    """Draw such lines over the epochs of a run with a budget; nothing of a run without, or on a space whose subnets are
    no tables.

    Args:
        path: likewise.
        spec: of the run's network.
        records: of its epochs, each of which says what it was trained with, from the first one on.
    """
    if not records or "subnet" not in records[-1] or not isinstance(known := subnets(spec), TableSubnets):
        return
    tables = [known.from_dict(record["subnet"]).table for record in records]
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
