"""What a search leaves on each edge to the one that follows it, as a line of text. Imports no torch.

Edges stand in the order of their table, one after the other, each with the names of its operations joined by colons.

Letters: E edges of a type of cell, O operations that an edge offers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wholenet.files import shown
from wholenet.spaces.cell_tables import CellEdge, Table

if TYPE_CHECKING:
    from torch import Tensor


def kept_operations(offered: int, stages: int, stage: int) -> int:
    """How many of ``offered`` operations an edge has in a stage, from 0, of so many: evenly down to one after the last,
    rounded down, and two at least while there is a choice.

    >>> [kept_operations(8, 3, stage) for stage in range(3)], [kept_operations(5, 3, stage) for stage in range(3)]
    ([8, 5, 3], [5, 3, 2])
    """
    return max(min(2, offered), offered - -(-(offered - 1) * stage // stages))


def strongest(weights: Mapping[str, Tensor], table: Table, kept: Mapping[str, int]) -> str:
    """The ``kept`` strongest operations of each edge, by type of cell, in the order of its table; of equals, the first
    ones. ``none`` is one of them.

    Args:
        weights: of a supernet, [E, O] for each type of cell.
        table: what its edges offer.
        kept: operations that are to stay on an edge.
    """
    words = []
    for kind, edges in table.items():
        for edge, row in zip(edges, weights[kind].tolist(), strict=True):
            best = sorted(range(len(row)), key=lambda place, row=row: -row[place])[: kept[kind]]
            words.append(":".join(edge.operations[place] for place in sorted(best)))
    return " ".join(words)


def surviving(text: str, table: Table) -> Table:
    """What is left of ``table``.

    Raises:
        ValueError: if ``text`` is no such line: it names other edges, or what they do not offer, or not equally many
            operations on the edges of a cell.
    """
    words, expected = text.split(), sum(len(edges) for edges in table.values())
    if len(words) != expected:
        raise ValueError(f"survivors={shown(text)}: expected {expected} edges, found {len(words)}")
    left = iter(words)
    return {kind: tuple(_left_on(kind, edges, left)) for kind, edges in table.items()}


def _left_on(kind: str, edges: tuple[CellEdge, ...], words: Iterator[str]) -> Iterator[CellEdge]:
    number = 0
    for edge in edges:
        word = next(words)
        names = tuple(word.split(":"))
        places = [edge.operations.index(name) for name in names if name in edge.operations]
        if len(places) < len(names) or places != sorted(set(places)) or set(names) == {"none"}:
            raise ValueError(
                f"survivors: {shown(word)} on the {kind} cell's edge from node {edge.source} to {edge.target}; "
                f"expected some of {', '.join(edge.operations)}, in this order, joined by colons, and not 'none' alone"
            )
        number = number or len(names)
        if len(names) != number:
            raise ValueError(
                f"survivors: {shown(word)}; expected {number} operations, as on the {kind} cell's other edges"
            )
        yield CellEdge(edge.source, edge.target, names)
