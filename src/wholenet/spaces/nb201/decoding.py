"""What is left of a supernet of NAS-Bench-201: on each edge one operation. All edges stay; ``none`` is one of the
operations and may be the strongest, as in the benchmark's code."""

from __future__ import annotations

from wholenet.architecture import Weights
from wholenet.spaces.cell_tables import Table
from wholenet.spaces.darts_genotype import GATE
from wholenet.spaces.nb201.genotype import KIND, Nb201Genotype


def discretize(weights: Weights, table: Table) -> Nb201Genotype:
    """The strongest operation of each edge, the first of equals. Weights of edges (PC-DARTS) decide nothing here: no
    edge is dropped, and on an edge they are the same for all.

    Args:
        weights: of a supernet, as its masks.
        table: of the space.
    """
    best = weights[KIND].argmax(1).tolist()
    return Nb201Genotype(tuple(edge.operations[i] for edge, i in zip(table[KIND], best, strict=True)))


def discretize_gates(weights: Weights, table: Table, above: float = GATE) -> Nb201Genotype:
    """The rule of Fair DARTS, as far as it has a meaning here: an edge without a gate ``above`` something gets
    ``none``; a node without any such edge keeps its strongest operation but ``none``: it has to read something."""
    gates = weights[KIND].tolist()
    kept: list[str] = []
    for target in sorted({edge.target for edge in table[KIND]}):
        into = [(edge, row) for edge, row in zip(table[KIND], gates, strict=True) if edge.target == target]
        names = [max(zip(row, edge.operations, strict=True), key=lambda option: option[0]) for edge, row in into]
        if all(gate <= above or name == "none" for gate, name in names):
            real = [
                (gate, place, name)
                for place, (edge, row) in enumerate(into)
                for gate, name in zip(row, edge.operations, strict=True)
                if name != "none"
            ]
            _, place, name = max(real, key=lambda option: option[0])
            kept += [name if i == place else "none" for i in range(len(into))]
        else:
            kept += [name if gate > above else "none" for gate, name in names]
    return Nb201Genotype(tuple(kept))
