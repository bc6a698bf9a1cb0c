"""The discrete networks inside the cell spaces: two edges into each node, one operation on each."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wholenet.architecture import Weights
from wholenet.spaces.darts import INPUTS, NODES, TYPES, CellEdge, Table

KEPT = 2
"""Edges into each node."""
Choice = tuple[str, int]
"""(operation, source)."""


@dataclass(frozen=True)
class CellGenotype:
    """A normal and a reduction cell, each as eight (operation, source): two for node 2, two for node 3, and so on.

    Raises:
        ValueError: if there are not eight, or one comes from a node that is not before it.
    """

    normal: tuple[Choice, ...]
    reduce: tuple[Choice, ...]

    def __post_init__(self) -> None:
        for kind in TYPES:
            choices: tuple[Choice, ...] = getattr(self, kind)
            if len(choices) != KEPT * NODES:
                raise ValueError(
                    f"the {kind} cell has {len(choices)} edges; expected {KEPT} into each of {NODES} nodes"
                )
            for edge in _edges(choices):
                if not 0 <= edge.source < edge.target:
                    raise ValueError(
                        f"the {kind} cell's node {edge.target} reads node {edge.source}; it can read 0 to "
                        f"{edge.target - 1}"
                    )

    def table(self) -> Table:
        """What :class:`wholenet.spaces.darts.DartsNet` builds, with ``search=False``."""
        return {"normal": _edges(self.normal), "reduce": _edges(self.reduce)}


def _edges(choices: tuple[Choice, ...]) -> tuple[CellEdge, ...]:
    return tuple(CellEdge(source, INPUTS + i // KEPT, (name,)) for i, (name, source) in enumerate(choices))


def discretize(weights: Weights, table: Table) -> CellGenotype:
    """The rule of DARTS (Sec. 2.4): into each node the two edges whose best operation is strongest, with that one.

    ``none`` is never chosen, though it takes its share of the weights; ``noise`` may be. The stronger edge comes
    first; of equally strong ones, the earlier source, and the earlier operation.

    Args:
        weights: "normal" and "reduce" [14, O], of a supernet.
        table: of its space.
    """
    return CellGenotype(**{kind: tuple(_strongest(weights[kind], table[kind])) for kind in TYPES})


def _strongest(weights: Tensor, edges: tuple[CellEdge, ...]) -> list[Choice]:
    best = []
    for edge, row in zip(edges, weights.tolist(), strict=True):
        offered = [(weight, name) for weight, name in zip(row, edge.operations, strict=True) if name != "none"]
        best.append((edge, *max(offered, key=lambda option: option[0])))  # the first of equals
    chosen: list[Choice] = []
    for target in range(INPUTS, INPUTS + NODES):
        into = [(edge.source, weight, name) for edge, weight, name in best if edge.target == target]
        into.sort(key=lambda option: -option[1])  # stable: the earlier of equals stays first
        chosen += [(name, source) for source, _, name in into[:KEPT]]
    return chosen


def _published(normal: str, reduce: str) -> CellGenotype:
    """ "sep3:1 skip:0 ..." of both cells."""
    names = {"sep3": "sep_conv_3x3", "skip": "skip_connect", "max": "max_pool_3x3", "avg": "avg_pool_3x3"}
    names["dil3"] = "dil_conv_3x3"

    def choices(text: str) -> tuple[Choice, ...]:
        pairs = (pair.split(":") for pair in text.split())
        return tuple((names[name], int(source)) for name, source in pairs)

    return CellGenotype(choices(normal), choices(reduce))


PUBLISHED: dict[str, CellGenotype] = {
    "darts-v1": _published(
        "sep3:1 sep3:0 skip:0 sep3:1 skip:0 sep3:1 sep3:0 skip:2",
        "max:0 max:1 skip:2 max:0 max:0 skip:2 skip:2 avg:0",
    ),
    "darts-v2": _published(
        "sep3:0 sep3:1 sep3:0 sep3:1 sep3:1 skip:0 skip:0 dil3:2",
        "max:0 max:1 skip:2 max:1 max:0 skip:2 skip:2 max:1",
    ),
}
"""Cells that DARTS found on CIFAR-10, by its first-order and its second-order gradient (its code's V1 and V2)."""
