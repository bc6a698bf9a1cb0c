"""Which links a grid has, as data: from which earlier layers and levels a cell may read.

The grid of the seed paper reads the layer before it, from the level above to the one below; the dense grid reads
further back and further apart. Everything else walks over this table.

Letters: L layers, K operations, S slots; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from wholenet.files import shown
from wholenet.spaces.reach import LEVELS, STRIDES, Reach
from wholenet.spaces.sizes import OPERATIONS, operation_names

PAPERS = len(operation_names(OPERATIONS))
"""K where none is given."""


NEAR = Reach()
"""That of the seed paper."""


def as_weight(value: Any, where: str) -> float:
    """The weight of a link, which may come from anywhere; in text too, since YAML reads some numbers as text.

    Raises:
        ValueError: if it is no number. That it has to be above 0 is for its genotype to say.
    """
    try:
        return float("" if isinstance(value, bool) else value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{where} {shown(value)}; expected a number above 0") from error


@dataclass(frozen=True)
class Edge:
    """To the cell at (``layer``, ``target``) from level ``source``, ``back`` layers before. Layer -1 is the stems."""

    layer: int
    source: int
    target: int
    back: int = 1
    reach: Reach = NEAR
    """Of the grid that it belongs to."""

    @property
    def slot(self) -> int:
        """Position in ``beta[layer, target]``: by layer, the nearest first, then by level, the finest first."""
        return (self.back - 1) * self.reach.offsets + self.source - self.target + self.reach.levels

    @property
    def key(self) -> str:
        """Its name in a network."""
        near = f"{self.layer}_{self.source}_{self.target}"
        return near if self.back == 1 else f"{near}_{self.back}"

    @property
    def place(self) -> int:
        """What it reads, as a number: the level of the layer before, and 4 more for each layer further back."""
        return (self.back - 1) * LEVELS + self.source

    @property
    def origin(self) -> str:
        """What it reads, for people: "LAYER/STRIDE", layers counted from 1; "0/8" is a stem."""
        return f"{self.layer - self.back + 1}/{STRIDES[self.source]}"

    @property
    def first(self) -> Edge:
        """Of all edges from the same cell to the same level, that of the first layer that may read it."""
        return Edge(self.layer - self.back + 1, self.source, self.target, 1, self.reach)


def incoming(layer: int, target: int, reach: Reach = NEAR) -> list[Edge]:
    """The edges into one cell, in the order of their slots.

    >>> [edge.source for edge in incoming(0, 3)]
    [2, 3]
    >>> [(edge.back, edge.source) for edge in incoming(1, 0, Reach(2, 1))]
    [(1, 0), (1, 1), (2, 0), (2, 1)]
    """
    finest, coarsest = max(0, target - reach.levels), min(LEVELS - 1, target + reach.levels)
    return [
        Edge(layer, source, target, back, reach)
        for back in range(1, min(reach.layers, layer + 1) + 1)
        for source in range(finest, coarsest + 1)
    ]


@lru_cache(maxsize=4096)
def by_place(layer: int, target: int, reach: Reach = NEAR) -> Mapping[int, Edge]:
    """:func:`incoming` by the number of what each reads, ascending.

    >>> list(by_place(1, 0, Reach(2, 1)))
    [0, 1, 4, 5]
    """
    return {edge.place: edge for edge in incoming(layer, target, reach)}


def masks(layers: int, operations: int = PAPERS, reach: Reach = NEAR) -> dict[str, Tensor]:
    """The choices of the space: ``alpha`` [L, 4, K], all real; ``beta`` [L, 4, S], true where an edge exists."""
    # On the CPU even where a network is being built on another device: a mask is structure, not weights.
    beta = torch.zeros(layers, LEVELS, reach.slots, dtype=torch.bool, device="cpu")
    for layer in range(layers):
        for target in range(LEVELS):
            beta[layer, target, [edge.slot for edge in incoming(layer, target, reach)]] = True
    return {"alpha": torch.ones(layers, LEVELS, operations, dtype=torch.bool, device="cpu"), "beta": beta}


def has_cell(kept: Mapping[str, Tensor], layer: int, target: int) -> bool:
    """Whether the cell is there: it has an incoming edge. Without an operation its residual path alone is."""
    return bool(kept["beta"][layer, target].any())


def kept_edges(kept: Mapping[str, Tensor], layer: int, target: int, reach: Reach = NEAR) -> list[Edge]:
    """The incoming edges of one cell that ``kept`` has."""
    there = kept["beta"][layer, target].tolist()
    return [edge for edge in incoming(layer, target, reach) if there[edge.slot]]


def check_connected(kept: Mapping[str, Tensor], reach: Reach = NEAR) -> None:
    """Make sure that the decoder finds all four levels and that every edge has a source.

    Raises:
        ValueError: if a cell that is read from is not there (named).
    """
    last = len(kept["beta"]) - 1
    needed = [(last, level, "the decoder") for level in range(LEVELS)]
    for layer in range(1, last + 1):
        for target in range(LEVELS):
            reader = f"the cell at layer {layer + 1}, stride {STRIDES[target]}"
            edges = kept_edges(kept, layer, target, reach)
            needed += [(layer - edge.back, edge.source, reader) for edge in edges if edge.back <= layer]
    for layer, level, reader in needed:
        if not has_cell(kept, layer, level):
            raise ValueError(
                f"{reader} reads the cell at layer {layer + 1}, stride {STRIDES[level]}, which is not there"
            )
