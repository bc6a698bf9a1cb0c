"""Recurrent cells as data: what each node does with which earlier node; those that were published, and controls.

Source: DARTS, Sec. 2.2 and 3.1.2, and its code (quark0/darts, folder rnn).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from wholenet.architecture import Weights
from wholenet.file_keys import check_keys
from wholenet.files import shown
from wholenet.spaces.recurrent.settings import MOST_NODES
from wholenet.spaces.sizes import FUSED, RANDOM_CELLS, RECURRENT_NAMES

OPERATIONS = ("none", "tanh", "relu", "sigmoid", "identity")
"""In the order of the columns of alpha."""
NONE = 0
"""The column of ``none``."""
CHOSEN = OPERATIONS[1:]
"""What a discrete cell may have."""


@dataclass(frozen=True)
class RecurrentGenotype:
    """A discrete cell."""

    cell: tuple[tuple[str, int], ...]
    """Of each node, from node 1: its operation, and its predecessor, an earlier node (0 is that of the input)."""
    output: tuple[int, ...]
    """The nodes whose mean the cell gives."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :func:`genotype_from_dict` gives the genotype back."""
        return {"cell": [list(node) for node in self.cell], "output": list(self.output)}

    def __str__(self) -> str:
        nodes = " ".join(f"{name}:{source}" for name, source in self.cell)
        every = self.output == tuple(range(1, len(self.cell) + 1))
        return nodes if every else f"{nodes}, mean of nodes {', '.join(map(str, self.output))}"


@dataclass(frozen=True)
class FusedGenotype:
    """A control that no search made: torch's own LSTM or GRU."""

    fused: str
    """ "lstm" or "gru"."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"fused": self.fused}

    def __str__(self) -> str:
        return self.fused


Genotype = RecurrentGenotype | FusedGenotype


def genotype_from_dict(values: Any) -> Genotype:
    """The genotype of plain values, which may come from anywhere.

    Raises:
        ValueError: for an operation that is unknown, a predecessor that does not come before, too many nodes.
    """
    if isinstance(values, Mapping) and "fused" in values:
        check_keys(values, {"fused": str}, "the genotype", only=True)
        if values["fused"] not in FUSED:
            raise ValueError(f"fused is {shown(values['fused'])}; expected one of {', '.join(FUSED)}")
        return FusedGenotype(values["fused"])
    check_keys(values, {"cell": list | tuple, "output": list | tuple}, "the genotype", only=True)
    nodes, output = values["cell"], values["output"]
    if not 1 <= len(nodes) <= MOST_NODES:
        raise ValueError(f"the cell has {len(nodes)} nodes; expected 1 to {MOST_NODES}")
    cell = tuple(_node(number, node) for number, node in enumerate(nodes, 1))
    known = [type(node) is int and 1 <= node <= len(cell) for node in output]
    if not output or not all(known) or len(set(output)) != len(output):
        raise ValueError(f"output is {shown(output)}; expected different nodes from 1 to {len(cell)}")
    return RecurrentGenotype(cell, tuple(output))


def _node(number: int, node: Any) -> tuple[str, int]:
    if not isinstance(node, list | tuple) or len(node) != 2:
        raise ValueError(f"node {number} is {shown(node)}; expected an operation and a predecessor")
    name, source = node
    if name not in CHOSEN:
        raise ValueError(f"node {number} has the operation {shown(name)}; expected one of {', '.join(CHOSEN)}")
    if type(source) is not int or not 0 <= source < number:
        raise ValueError(f"node {number} has the predecessor {shown(source)}; expected a node from 0 to {number - 1}")
    return name, source


def edges(nodes: int) -> list[tuple[int, int]]:
    """(source, target) of each edge, by target, then by source: the rows of alpha.

    >>> edges(3)
    [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    """
    return [(source, target) for target in range(1, nodes + 1) for source in range(target)]


def rows(nodes: int) -> list[slice]:
    """The rows of alpha that lead into each node, from node 1.

    >>> rows(3)
    [slice(0, 1, None), slice(1, 3, None), slice(3, 6, None)]
    """
    ends = list(accumulate(range(1, nodes + 1)))
    return [slice(end - node, end) for node, end in enumerate(ends, 1)]


def decode(weights: Weights, _decoding: str = "", _tau: float = 0.0) -> RecurrentGenotype:
    """The discrete cell of weights {"alpha": [edges, 5]}: each node takes the predecessor whose strongest operation
    other than ``none`` is strongest, and that operation; of equals the first (DARTS' code)."""
    alpha = weights["alpha"].detach().cpu()[:, NONE + 1 :]
    nodes = round(((8 * len(alpha) + 1) ** 0.5 - 1) / 2)
    cell = []
    for into in rows(nodes):
        strongest = alpha[into].max(-1)
        source = _first_largest(strongest.values)
        cell.append((CHOSEN[_first_largest(alpha[into][source])], source))
    return RecurrentGenotype(tuple(cell), tuple(range(1, nodes + 1)))


def _first_largest(values: torch.Tensor) -> int:
    found = values.tolist()
    return found.index(max(found))


def one_hot(genotype: RecurrentGenotype, none: float = 1.0) -> Weights:
    """Weights of a supernet that has this cell: one at each node's choice, ``none`` on its other edges."""
    alpha = torch.zeros(len(edges(len(genotype.cell))), len(OPERATIONS), device="cpu")
    alpha[:, NONE] = none
    for into, (name, source) in zip(rows(len(genotype.cell)), genotype.cell, strict=True):
        alpha[into.start + source] = 0.0
        alpha[into.start + source, OPERATIONS.index(name)] = 1.0
    return {"alpha": alpha}


def random_cell(seed: int, nodes: int = 8) -> RecurrentGenotype:
    """A cell drawn from all that a search can come to: every predecessor and every operation equally likely."""
    source = random.Random(seed)
    cell = tuple(
        (CHOSEN[int(source.random() * len(CHOSEN))], int(source.random() * node)) for node in range(1, nodes + 1)
    )
    return RecurrentGenotype(cell, tuple(range(1, nodes + 1)))


def _written(text: str, output: tuple[int, ...] | None = None) -> RecurrentGenotype:
    cell = tuple((name, int(source)) for name, source in (node.split(":") for node in text.split()))
    return RecurrentGenotype(cell, output or tuple(range(1, len(cell) + 1)))


_ENAS = "tanh:0 tanh:1 relu:1 tanh:3 tanh:3 relu:3 relu:4 relu:7 relu:8 relu:8 relu:8"
_KNOWN: dict[str, Genotype] = {
    "darts-rnn-v1": _written("relu:0 relu:1 tanh:2 relu:3 relu:4 identity:1 relu:5 relu:1"),
    "darts-rnn-v2": _written("sigmoid:0 relu:1 relu:1 identity:1 tanh:2 sigmoid:5 tanh:3 relu:5"),
    "enas-rnn": _written(_ENAS, (2, 5, 6, 9, 10, 11)),
    **{name: FusedGenotype(name) for name in FUSED},
    **{name: random_cell(seed) for seed, name in enumerate(RANDOM_CELLS)},
}
PUBLISHED: dict[str, Genotype] = {name: _KNOWN[name] for name in RECURRENT_NAMES}
"""Cells that are known by a name."""
