"""A limit of skip connections in the cell that a search ends with (P-DARTS, Sec. 3.3.2; its code)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wholenet.architecture import Weights
from wholenet.spaces.cell_tables import Table

SKIP = "skip_connect"
NO_LIMIT = 8
"""As many edges as a cell of DARTS keeps: all may be skips."""


def with_skip_limit(discretize: Callable[[Weights, Table], Any], weights: Weights, table: Table, limit: int) -> Any:
    """The genotype of ``discretize``, with at most ``limit`` skip connections in the first type of cell of the table
    (the normal one). While there are more, the weakest that was kept loses its weight, and all is chosen anew: the
    operation of its edge, and the edges into its node.

    A skip that is all that an edge offers stays where its node reads no other edge.

    Args:
        discretize: the rule of the space: (weights, table) -> genotype.
        weights: of a supernet, as its masks; they stay as they are.
        table: what its edges offer.
        limit: 0 and up.
    """
    kind = next(iter(table))
    weights = {**weights, kind: weights[kind].clone()}
    places = {
        (e.source, e.target): (row, e.operations.index(SKIP))
        for row, e in enumerate(table[kind])
        if SKIP in e.operations
    }
    while True:
        genotype = discretize(weights, table)
        kept = [places[e.source, e.target] for e in genotype.table()[kind] if e.operations == (SKIP,)]
        weighed = [place for place in kept if weights[kind][place] > 0]
        if len(kept) <= limit or not weighed:
            return genotype
        weights[kind][min(weighed, key=lambda place: weights[kind][place].item())] = 0
