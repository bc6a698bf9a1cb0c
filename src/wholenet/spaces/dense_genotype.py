"""A genotype of the dense grid: which cells are left, which operation each has, and which links lead into it.

Letters: L layers, K operations, S slots; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.file_keys import check_keys
from wholenet.files import SHOWN, check_words, shown
from wholenet.spaces.links import LEVELS, STRIDES, Edge, Reach, as_weight, check_connected
from wholenet.spaces.sizes import MAX_LAYERS, operation_names

Place = tuple[int, int]
"""(layer, level): layers count from 1, and 0 is the stems."""


@dataclass(frozen=True)
class DenseCell:
    """One cell of a discrete network."""

    at: Place
    operation: str
    inputs: Mapping[Place, float]
    """Weight of the link from each place."""


@dataclass(frozen=True)
class DenseGenotype:
    """Which cells, links and operations of a dense grid are left.

    Raises:
        ValueError: if it is no sub-network of a dense grid of so many layers: a cell twice or off the grid, a link that
            does not come from an earlier layer, a weight that is not above 0, or a cell that is read and is not there.
    """

    layers: int
    cells: tuple[DenseCell, ...]
    operations: tuple[str, ...]
    """Names of what the supernet chose from."""
    decoding: str = "by hand"
    """How it was made; for people to read."""

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= MAX_LAYERS:
            raise ValueError(f"the genotype has {shown(self.layers)} layers; a grid has 1 to {MAX_LAYERS}")
        operation_names(",".join(self.operations))
        check_words(self.decoding, "the genotype's decoding")
        seen = set[Place]()
        for cell in self.cells:
            layer, level = cell.at
            where = f"the genotype's cell at {_name(cell.at)}"
            if not (1 <= layer <= self.layers and 0 <= level < LEVELS):
                raise ValueError(f"{where} lies off the grid of {self.layers} layers and strides {STRIDES}")
            if cell.at in seen:
                raise ValueError(f"{where} is there twice")
            seen.add(cell.at)
            if cell.operation not in self.operations:
                raise ValueError(
                    f"{where} has the operation {shown(cell.operation)}; the genotype chooses among "
                    f"{', '.join(self.operations)[: 4 * SHOWN]}"
                )
            if not cell.inputs:
                raise ValueError(f"{where} reads from nowhere; leave it out, or give it an input")
            for source, weight in cell.inputs.items():
                if not (0 <= source[0] < layer and 0 <= source[1] < LEVELS):
                    raise ValueError(f"{where} reads {_name(source)}; it can read earlier layers alone (0: the stems)")
                if not 0 < weight < math.inf:
                    raise ValueError(f"{where} reads {_name(source)} with weight {weight}; expected a number above 0")
        check_connected(self.masks(), self.reach)

    @property
    def reach(self) -> Reach:
        """The least that has all its links: the shape of its weights."""
        links = [(cell.at, source) for cell in self.cells for source in cell.inputs]
        return Reach(
            max((at[0] - source[0] for at, source in links), default=1),
            max((1, *(abs(at[1] - source[1]) for at, source in links))),
        )

    @property
    def links(self) -> int:
        """How many are left."""
        return sum(len(cell.inputs) for cell in self.cells)

    def weights(self, reach: Reach | None = None) -> Weights:
        """The weights that make a supernet compute this network: ``alpha`` [L, 4, K] one-hot in the cells that are
        left, ``beta`` [L, 4, S] as in the file; zero elsewhere. S is that of ``reach``; None: of its own."""
        reach = self.reach if reach is None else reach
        alpha = torch.zeros(self.layers, LEVELS, len(self.operations), device="cpu")
        beta = torch.zeros(self.layers, LEVELS, reach.slots, device="cpu")
        for cell in self.cells:
            layer, level = cell.at
            alpha[layer - 1, level, self.operations.index(cell.operation)] = 1
            for (before, source), weight in cell.inputs.items():
                beta[layer - 1, level, Edge(layer - 1, source, level, layer - before, reach).slot] = weight
        return {"alpha": alpha, "beta": beta}

    def masks(self) -> dict[str, Tensor]:
        """The part of the space's masks that is left: what ``Grid`` builds."""
        return {name: weights > 0 for name, weights in self.weights().items()}

    def __str__(self) -> str:
        """How much is left, in a line."""
        return f"{len(self.cells)} of {LEVELS * self.layers} cells, {self.links} links ({self.decoding})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values that people can read; :func:`dense_genotype_from_dict` gives the genotype back."""
        cells = [
            {
                "cell": _name(cell.at),
                "operation": cell.operation,
                "inputs": {_name(source): weight for source, weight in cell.inputs.items()},
            }
            for cell in self.cells
        ]
        return {
            "layers": self.layers,
            "operations": list(self.operations),
            "cells": cells,
            "decoding": self.decoding,
        }


def genotype_of_links(
    alpha: Tensor, links: Mapping[Place, Mapping[Place, float]], decoding: str, operations: Sequence[str]
) -> DenseGenotype:
    """The genotype of the cells that have ``links``, each with the strongest of its operations.

    Args:
        alpha: [L, 4, K].
        links: cell -> weight of the link from each place.
        decoding: how it was made.
        operations: names of the K.
    """
    best = alpha.argmax(-1)
    cells = tuple(
        DenseCell(at, operations[int(best[at[0] - 1, at[1]])], {s: float(f"{w:.6g}") for s, w in inputs.items()})
        for at, inputs in sorted(links.items())
    )
    return DenseGenotype(len(alpha), cells, tuple(operations), decoding)


def dense_genotype_from_dict(content: Any) -> DenseGenotype:
    """The genotype of plain values, which may come from anywhere.

    Raises:
        ValueError: if they are none.
    """
    where = "the genotype of the space 'dense-grid'"
    check_keys(content, {"layers": int, "operations": list, "cells": list, "decoding": str}, where, only=True)
    if not all(isinstance(name, str) for name in content["operations"]):
        raise ValueError(f"{where} has operations: {shown(content['operations'])}; expected a list of names")
    cells = []
    for cell in content["cells"]:
        check_keys(cell, {"cell": str, "operation": str, "inputs": dict}, f"{where}, {shown(cell)}", only=True)
        inputs = {
            _place(name): as_weight(of, "the genotype has a link of weight") for name, of in cell["inputs"].items()
        }
        cells.append(DenseCell(_place(cell["cell"]), cell["operation"], inputs))
    return DenseGenotype(content["layers"], tuple(cells), tuple(content["operations"]), content["decoding"])


def _name(place: Place) -> str:
    """ "LAYER/STRIDE"."""
    layer, level = place
    return f"{layer}/{STRIDES[level] if 0 <= level < LEVELS else 'none'}"


def _place(name: Any) -> Place:
    found = re.fullmatch(r"(0|[1-9][0-9]{0,2})/(4|8|16|32)", name, re.ASCII) if isinstance(name, str) else None
    if found is None:
        raise ValueError(
            f"the genotype has the place {shown(name)}; expected LAYER/STRIDE, such as 3/8, or 0/8, a stem"
        )
    return int(found[1]), STRIDES.index(int(found[2]))
