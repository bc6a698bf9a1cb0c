"""Selection by perturbation: an option counts for what its removal costs, not for its weight (DARTS-PT).

Edge after edge, in random order, keeps the operation without which the supernet is worst; the supernet is tuned in
between. Then each node loses the edges whose removal costs least, until two are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.search.ended import Ended
from wholenet.spaces.cell_family import DARTS_CELLS, CellFamily, targets
from wholenet.spaces.cell_tables import Table
from wholenet.spaces.darts_genotype import Choice


@dataclass(frozen=True)
class Left:
    """What is left of a supernet."""

    options: dict[str, Tensor]
    """Boolean [edges, O] for each type of cell."""
    decided: dict[str, Tensor]
    """Boolean [edges]: those that have only one option for good, which then counts fully."""

    @classmethod
    def all_of(cls, table: Table, family: CellFamily = DARTS_CELLS) -> Left:
        """Every option, ``none`` only where the ``family`` may keep it."""
        whole = family.keeps_none
        options = {k: torch.tensor([[whole or n != "none" for n in e.operations] for e in table[k]]) for k in table}
        return cls(options, {kind: torch.zeros(len(table[kind]), dtype=torch.bool) for kind in table})

    def without(self, kind: str, edge: int, option: int | None = None) -> Left:
        """The same with an option, or all of an edge's, gone."""
        mask = self.options[kind].clone()
        mask[edge, slice(None) if option is None else option] = False
        return replace(self, options={**self.options, kind: mask})

    def with_decided(self, kind: str, edge: int, option: int) -> Left:
        """The same with one option for good."""
        mask, decided = self.options[kind].clone(), self.decided[kind].clone()
        mask[edge] = torch.arange(mask.shape[1]) == option
        decided[edge] = True
        return Left({**self.options, kind: mask}, {**self.decided, kind: decided})

    def weights(self, weights: Weights) -> Weights:
        """``weights`` of a supernet with zeros where an option is gone, not renormalised; one where it is decided."""
        left = dict(weights)
        for kind, mask in self.options.items():
            w = weights[kind]
            there, decided = mask.to(w), self.decided[kind].to(w.device)
            left[kind] = torch.where(decided[:, None], there, w * there)
        return left


def by_perturbation(ended: Ended) -> Any:
    """The genotype that is left of a search; the logits stay as they are, where the original's go on learning."""
    return select(
        ended.table,
        lambda left: ended.accuracy(left.weights),
        lambda left: ended.tune(left.weights),
        ended.seed,
        ended.progress,
        ended.family,
    )


def select(
    table: Table,
    score: Callable[[Left], float],
    tune: Callable[[Left], None],
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    family: CellFamily = DARTS_CELLS,
) -> Any:
    """The genotype that is left.

    Args:
        table: of the space.
        score: of the supernet with these options left, higher is better: validation accuracy.
        tune: train the supernet with these options left for a while; after each edge that had a choice.
        seed: of the order of the edges.
        progress: called with (edges decided, edges in all).
        family: of the space; where it keeps all edges, none is dropped.
    """
    left = Left.all_of(table, family)
    edges = [(kind, i) for kind in table for i in range(len(table[kind]))]
    order = torch.randperm(len(edges), generator=torch.Generator().manual_seed(seed)).tolist()
    for done, place in enumerate(order):
        kind, edge = edges[place]
        options = left.options[kind][edge].nonzero().flatten().tolist()
        scores = {o: score(left.without(kind, edge, o)) for o in options} if len(options) > 1 else {options[0]: 0.0}
        left = left.with_decided(kind, edge, min(scores, key=lambda option: scores[option]))
        if len(options) > 1:
            tune(left)
        if progress:
            progress(done + 1, len(order))
    cells = {}
    for kind in table:
        left, cells[kind] = _edges_kept(table, kind, left, score, family.kept)
    return family.make(cells)


def _edges_kept(
    table: Table, kind: str, left: Left, score: Callable[[Left], float], kept: int | None
) -> tuple[Left, tuple[tuple[Choice, ...], ...]]:
    for target in targets(table[kind]):
        into = [i for i, edge in enumerate(table[kind]) if edge.target == target]
        while kept is not None and len(into) > kept:
            scores = {edge: score(left.without(kind, edge)) for edge in into}
            weakest = max(scores, key=lambda edge: scores[edge])
            left = left.without(kind, weakest)
            into.remove(weakest)
    return left, tuple(tuple(_choices(table, kind, left, target)) for target in targets(table[kind]))


def _choices(table: Table, kind: str, left: Left, target: int) -> Iterator[Choice]:
    for edge, mask in zip(table[kind], left.options[kind].tolist(), strict=True):
        if edge.target == target and any(mask):
            yield edge.operations[mask.index(True)], edge.source
