"""Random search with weight sharing: random architectures train one supernet, and the best of many is taken.

Li and Talwalkar 2019, as RobustDARTS' code has it: the control that a search on a cell space has to beat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.spaces.cell_family import DARTS_CELLS, CellFamily, CellsFound, targets
from wholenet.spaces.cell_tables import Table

ROUND_TWO = 10
"""Architectures that are scored again, on everything."""


def random_genotype(table: Table, generator: torch.Generator | None = None, family: CellFamily = DARTS_CELLS) -> Any:
    """Two different nodes into each node (as many as the ``family`` keeps), and one of the operations that the edge
    offers; all equally likely.

    ``none`` and ``noise`` may be drawn, as in RobustDARTS' code.
    """

    def nodes(kind: str) -> tuple[tuple[tuple[str, int], ...], ...]:
        offered = {(edge.source, edge.target): edge.operations for edge in table[kind]}
        drawn = []
        for target in targets(table[kind]):
            sources = sorted(torch.randperm(target, generator=generator)[: family.kept].tolist())
            drawn.append(tuple((_pick(offered[source, target], generator), source) for source in sources))
        return tuple(drawn)

    return family.make({kind: nodes(kind) for kind in table})


def _pick(options: tuple[str, ...], generator: torch.Generator | None) -> str:
    return options[int(torch.randint(len(options), (), generator=generator))]


def weights_of(genotype: CellsFound, table: Table, like: Tensor) -> Weights:
    """Weights of a supernet that are one where ``genotype`` has an operation and zero elsewhere, of ``like``'s kind."""
    weights = {}
    for kind in table:
        chosen = {(edge.source, edge.target): edge.operations[0] for edge in genotype.table()[kind]}
        rows = [[float(chosen.get((e.source, e.target)) == name) for name in e.operations] for e in table[kind]]
        weights[kind] = torch.tensor(rows, dtype=like.dtype, device=like.device)
    return weights


def best_of_random(
    table: Table,
    samples: int,
    quick: Callable[[Any], float],
    full: Callable[[Any], float],
    seed: int,
    family: CellFamily = DARTS_CELLS,
) -> tuple[Any, float]:
    """The best of ``samples`` random genotypes: all scored by ``quick``, the ten best of them by ``full``.

    Args:
        table: of the space.
        samples: how many.
        quick: genotype -> score, higher is better, on some data.
        full: the same on all.
        seed: of the drawing.
        family: of the space.

    Returns:
        The genotype and its full score.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = [random_genotype(table, generator, family) for _ in range(samples)]
    scores = [quick(genotype) for genotype in drawn]
    order = sorted(range(samples), key=lambda i: -scores[i])[:ROUND_TWO]
    return max(((drawn[i], full(drawn[i])) for i in order), key=lambda found: found[1])
