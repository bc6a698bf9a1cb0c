"""What each edge of the cell spaces offers, as tables: DARTS, S1 to S4 of RobustDARTS, and those of users. Imports no
torch.

A table says, for each of the two types of cell, which edges there are and what each offers: fourteen edges with a
choice in the supernet, eight with one operation in a discrete network.

Letters: O operations that an edge offers; a cell's nodes 0 and 1 are the outputs of the two cells before it, 2 to 5 its
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wholenet.files import shown
from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.spaces.sizes import OWN_CELLS, operation_names

TYPES = ("normal", "reduce")
"""Types of cell; a reduction cell halves the size and doubles the channels."""
INPUTS, NODES = 2, 4
"""Nodes of a cell that come from outside, and its own."""
PAIRS = [(source, target) for target in range(INPUTS, INPUTS + NODES) for source in range(target)]
"""From each node to each later one of the cell's own: fourteen, by target and then by source."""


@dataclass(frozen=True)
class CellEdge:
    """From node ``source`` to node ``target``, with the operations that it offers."""

    source: int
    target: int
    operations: tuple[str, ...]
    removed: frozenset[str] = frozenset()
    """Those of them that the supernet has no more, or never had: nothing runs in their place."""

    @property
    def left(self) -> tuple[str, ...]:
        """The others."""
        return tuple(name for name in self.operations if name not in self.removed)


Table = Mapping[str, tuple[CellEdge, ...]]
"""The edges of each type of cell, by target and then by source."""


def edges(offered: Sequence[tuple[str, ...]]) -> tuple[CellEdge, ...]:
    """All edges from earlier nodes to later ones, with what each offers."""
    return tuple(CellEdge(*pair, operations) for pair, operations in zip(PAIRS, offered, strict=True))


def uniform(*operations: str) -> Table:
    """The same choice on every edge."""
    return {kind: edges([operations] * len(PAIRS)) for kind in TYPES}


_SHORT = {
    "skip": "skip_connect",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "sep3": "sep_conv_3x3",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}


def _pairs(text: str) -> tuple[CellEdge, ...]:
    """ "skip dil3, ..." -> edges."""
    return edges([tuple(_SHORT[name] for name in pair.split()) for pair in text.split(",")])


OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""What an edge of the DARTS space offers, in the order of the columns of its masks."""
PUBLISHED: dict[str, Table] = {
    "darts": uniform(*OPERATIONS),
    # What was left of the DARTS space after the two weightiest operations of each edge were kept.
    "s1": {
        "normal": _pairs(
            "skip dil3, skip dil5, skip dil5, skip sep3, skip dil3, max skip, skip sep3, skip sep3, skip dil3, "
            "skip sep3, max skip, skip dil3, dil3 dil5, dil3 dil5"
        ),
        "reduce": _pairs(
            "max avg, max dil3, max avg, max avg, skip dil5, max avg, max sep3, skip dil3, skip dil5, "
            "max avg, max avg, skip dil5, skip dil5, skip dil5"
        ),
    },
    "s2": uniform("skip_connect", "sep_conv_3x3"),
    "s3": uniform("none", "skip_connect", "sep_conv_3x3"),
    "s4": uniform("noise", "sep_conv_3x3"),
}
"""Those of the papers."""
TABLES: Registry[Table] = Registry("cell space", PUBLISHED, load_plugins)
"""By the names of their search spaces; :func:`wholenet.register` adds to them."""
OTHERS = ("grid", "dense-grid", "autodeeplab", "recurrent", "autodispnet")
"""Our spaces that are not of these cells."""


def is_cell_space(name: object) -> bool:
    """Whether a search space of cells, these or others, is called so. Packages are asked for theirs where it is none
    of ours."""
    return name in OWN_CELLS or (name not in OTHERS and name in TABLES)


def table_of(space: str, operations: str | None = None) -> Table:
    """What the edges of ``space`` offer; with ``operations``, names joined by commas, all of them these.

    Raises:
        ValueError: for an unknown space, or operations that do not do.
    """
    table = TABLES.called(space)
    return table if operations is None else offering(operations, space, table)


def offering(operations: str, space: str, table: Table) -> Table:
    """The ``table`` of ``space``, with other ``operations`` on all its edges.

    Raises:
        ValueError: if its edges differ in what they offer, or these are no names.
    """
    if len({edge.operations for some in table.values() for edge in some}) > 1:
        raise ValueError(
            f"operations={shown(operations)}: the edges of space {space!r} differ in what they offer. Give operations "
            "with a space whose edges do not, such as 'darts', or make a space of your own with wholenet.cell_space"
        )
    return table_from(space, operations)


EXAMPLE = "skip_connect,sep_conv_3x3"
"""Names of operations, as messages show them."""
Offered = str | Sequence[str] | Mapping[str, Mapping[tuple[int, int], Sequence[str]]]
"""Names of operations, the same on every edge; or by type of cell, by (source, target)."""


def table_from(space: str, offered: Offered) -> Table:
    """The table of the new ``space``.

    Args:
        space: its name, for messages.
        offered: what its edges offer. A string has names joined by commas.

    Raises:
        ValueError: for edges that are missing or that there cannot be, or that offer nothing or not equally many
            operations; for what are no names.
    """
    if not isinstance(offered, Mapping):
        table = uniform(*operation_names(offered if isinstance(offered, str) else ",".join(offered), EXAMPLE))
    elif set(offered) != set(TYPES):
        raise ValueError(f"space {space!r} has edges of {shown(list(offered))}; expected 'normal' and 'reduce'")
    else:
        table = {kind: _edges_of(f"the {kind} cell of space {space!r}", offered[kind]) for kind in TYPES}
    for kind, some in table.items():
        for edge in some:
            if set(edge.operations) <= {"none"}:
                raise ValueError(
                    f"the {kind} cell of space {space!r} offers nothing but 'none' from node {edge.source} to "
                    f"{edge.target}; give each edge an operation that can be chosen"
                )
    return table


def _edges_of(cell: str, offered: Mapping[tuple[int, int], Sequence[str]]) -> tuple[CellEdge, ...]:
    if missing := [pair for pair in PAIRS if pair not in offered]:
        raise ValueError(
            f"{cell} offers nothing from node {missing[0][0]} to {missing[0][1]}; expected {len(PAIRS)} edges"
        )
    if more := [pair for pair in offered if pair not in PAIRS]:
        raise ValueError(
            f"{cell} has an edge {shown(more[0])}; expected (source, target): from each of the nodes 0 to 4 to each "
            "later one of 2 to 5"
        )
    found = edges([operation_names(",".join(offered[pair]), EXAMPLE) for pair in PAIRS])
    if other := next((edge for edge in found if len(edge.operations) != len(found[0].operations)), None):
        raise ValueError(
            f"{cell} offers {len(found[0].operations)} operations on its first edge and {len(other.operations)} from "
            f"node {other.source} to {other.target}; expected equally many on all edges of a cell"
        )
    return found
