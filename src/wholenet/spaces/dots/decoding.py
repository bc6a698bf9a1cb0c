"""What is left of a supernet of DOTS."""

from __future__ import annotations

from wholenet.architecture import Weights
from wholenet.spaces.cell_tables import INPUTS, NODES, TYPES, Table
from wholenet.spaces.darts_genotype import CellGenotype, discretize
from wholenet.spaces.dots.pairs import pairs
from wholenet.spaces.dots.survivors import strengths


def discretize_stage(weights: Weights, table: Table) -> CellGenotype:
    """Of the first stage, the rule of DARTS on the weights of both groups, as the code prints it. Of the second, each
    node's strongest pair, with the stronger operation of both edges; never ``none``. Of equals, the first.

    Args:
        weights: of a supernet, as its masks.
        table: what its stage offers.
    """
    if f"{TYPES[0]}_pairs" not in weights:
        return discretize(strengths(weights), table)
    return CellGenotype(**{kind: _cell(weights, table, kind) for kind in TYPES})


def _cell(weights: Weights, table: Table, kind: str) -> tuple[tuple[tuple[str, int], ...], ...]:
    chosen = {}
    for edge, row in zip(table[kind], weights[kind].tolist(), strict=True):
        offered = [(weight, name) for weight, name in zip(row, edge.operations, strict=True) if name != "none"]
        chosen[edge.source, edge.target] = max(offered, key=lambda option: option[0])[1]
    best = weights[f"{kind}_pairs"].argmax(-1).tolist()
    return tuple(
        tuple((chosen[source, INPUTS + node], source) for source in pairs(INPUTS + node)[best[node]])
        for node in range(NODES)
    )
