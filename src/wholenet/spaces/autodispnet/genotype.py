"""Cells of AutoDispNet as data: which edges there are and what each offers, what is kept of them, published cells.

Three types of cell, each with three nodes of its own. Normal and reduction cells have two inputs, the outputs of the
two cells before. Upsampling cells have four: these two, the prediction before, and the encoder's features of their
level.

Source: AutoDispNet (Saikia et al., ICCV 2019) and its code (lmb-freiburg/autodispnet); docs/autodispnet.md.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from wholenet.architecture import Weights
from wholenet.file_keys import check_keys
from wholenet.files import shown
from wholenet.spaces.cell_masks import table_masks
from wholenet.spaces.cell_tables import OPERATIONS, CellEdge, Table
from wholenet.spaces.sizes import DISPARITY_NAMES, RANDOM_DISPARITY_CELLS

CHOSEN = OPERATIONS[1:]
"""What a discrete cell may have."""
DILATED = ("dil_conv_3x3", "dil_conv_5x5")
NODES = 3
"""Of a cell, its own: its output is these side by side."""
INPUTS = {"normal": 2, "reduce": 2, "upsample": 4}
"""Of each type of cell, the nodes that come from outside."""
KINDS = tuple(INPUTS)
BEFORE = 2
"""The inputs that are outputs of cells before: the first ones; in a reduction cell their edges have stride 2."""
KEPT = 2
"""Edges into a node that discretisation keeps; into the first of an upsampling cell all four."""

Choice = tuple[str, int]
"""(operation, source): the inputs are 0, 1, ..., and the cell's own nodes follow."""
Nodes = tuple[tuple[Choice, ...], ...]


def kept(kind: str, target: int) -> int:
    """Edges into node ``target`` that discretisation keeps."""
    return INPUTS[kind] if kind == "upsample" and target == INPUTS[kind] else KEPT


def targets(kind: str) -> range:
    """The nodes of a cell that are its own."""
    return range(INPUTS[kind], INPUTS[kind] + NODES)


def stride_of(kind: str, source: int) -> int:
    """Of the edges that leave node ``source``."""
    return 2 if kind == "reduce" and source < BEFORE else 1


def search_table(*, strided_dilation: bool) -> Table:
    """The edges of a supernet, by target and then by source: nine, nine and fifteen.

    Args:
        strided_dilation: edges of stride 2 offer dilated convolutions too.
    """

    def without(kind: str, source: int) -> frozenset[str]:
        return frozenset() if strided_dilation or stride_of(kind, source) == 1 else frozenset(DILATED)

    return {
        kind: tuple(
            CellEdge(source, target, OPERATIONS, without(kind, source))
            for target in targets(kind)
            for source in range(target)
        )
        for kind in KINDS
    }


@dataclass(frozen=True)
class DisparityGenotype:
    """Discrete cells.

    Raises:
        ValueError: if a cell has not three nodes, a node reads nothing, what does not come before it, or the same
            twice, or an operation has no such name.
    """

    normal: Nodes
    reduce: Nodes
    upsample: Nodes

    def __post_init__(self) -> None:
        for kind in KINDS:
            nodes: Nodes = getattr(self, kind)
            if len(nodes) != NODES:
                raise ValueError(f"the {kind} cell has {len(nodes)} nodes of its own; expected {NODES}")
            for target, choices in zip(targets(kind), nodes, strict=True):
                sources = [source for _, source in choices]
                if not choices or len(set(sources)) < len(sources) or not all(0 <= i < target for i in sources):
                    read = ", ".join(map(shown, sources)) or "nothing"
                    raise ValueError(
                        f"the {kind} cell's node {target} reads {read}; expected some of 0 to {target - 1}, each at "
                        "most once"
                    )
                for name, _ in choices:
                    if name not in CHOSEN:
                        raise ValueError(
                            f"the {kind} cell's node {target} has the operation {shown(name)}; expected one of "
                            f"{', '.join(CHOSEN)}"
                        )

    def table(self) -> Table:
        """The edges of the discrete network, each with its operation."""
        return {
            kind: tuple(
                CellEdge(source, target, (name,))
                for target, choices in zip(targets(kind), getattr(self, kind), strict=True)
                for name, source in choices
            )
            for kind in KINDS
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :func:`genotype_from_dict` gives the genotype back."""
        return {kind: [[list(choice) for choice in node] for node in getattr(self, kind)] for kind in KINDS}

    def __str__(self) -> str:
        cells = {kind: getattr(self, kind) for kind in KINDS}
        nodes = {
            kind: " | ".join(" ".join(f"{name}:{source}" for name, source in node) for node in cell)
            for kind, cell in cells.items()
        }
        return "; ".join(f"{kind} {text}" for kind, text in nodes.items())


def genotype_from_dict(values: Any) -> DisparityGenotype:
    """The genotype of plain values, which may come from anywhere.

    Raises:
        ValueError: if they are none.
    """
    check_keys(values, dict.fromkeys(KINDS, list | tuple), "the genotype", only=True)
    return DisparityGenotype(**{kind: tuple(_node(kind, node) for node in values[kind]) for kind in KINDS})


def _node(kind: str, node: Any) -> tuple[Choice, ...]:
    if not isinstance(node, list | tuple):
        raise ValueError(f"the {kind} cell has the node {shown(node)}; expected a list of [operation, source]")
    for choice in node:
        pair = isinstance(choice, list | tuple) and len(choice) == 2
        if not pair or not isinstance(choice[0], str) or type(choice[1]) is not int:
            raise ValueError(f"the {kind} cell has the edge {shown(choice)}; expected [operation, source]")
    return tuple((name, source) for name, source in node)


def decode(weights: Weights, table: Table) -> DisparityGenotype:
    """The discrete cells of a supernet's weights: on each edge its strongest operation but ``none``; into each node the
    two edges whose operation is strongest, into the first of an upsampling cell all. Of equals the earlier.

    Args:
        weights: as the supernet's masks.
        table: its edges; what one does not offer is not chosen.
    """
    found = {}
    for kind, edges in table.items():
        best: dict[int, list[tuple[float, Choice]]] = {target: [] for target in targets(kind)}
        for edge, row in zip(edges, weights[kind].tolist(), strict=True):
            known = [(row[OPERATIONS.index(name)], name) for name in edge.left if name != "none"]
            weight, name = max(known, key=lambda option: option[0])
            best[edge.target].append((weight, (name, edge.source)))
        found[kind] = tuple(
            tuple(choice for _, choice in sorted(into, key=lambda option: -option[0])[: kept(kind, target)])
            for target, into in best.items()
        )
    return DisparityGenotype(**found)


def check_offered(genotype: DisparityGenotype, table: Table) -> None:
    """Make sure that a supernet of the edges ``table`` offers what ``genotype`` holds.

    Raises:
        ValueError: if it does not.
    """
    for kind, edges in genotype.table().items():
        offered = {(edge.source, edge.target): edge.left for edge in table[kind]}
        for edge in edges:
            if edge.operations[0] not in offered[edge.source, edge.target]:
                raise ValueError(
                    f"the {kind} cell has {edge.operations[0]} from node {edge.source} to {edge.target}, an edge of "
                    "stride 2, where the published space offers no dilated convolution; leave --published out"
                )


def one_hot(genotype: DisparityGenotype) -> Weights:
    """Weights of a supernet that computes what these cells do: one at each choice, zero elsewhere, ``none`` on edges
    that are left out."""
    found = {kind: torch.zeros(mask.shape, device="cpu") for kind, mask in table_masks(_WHOLE).items()}
    for kind, edges in genotype.table().items():
        chosen = {(edge.source, edge.target): edge.operations[0] for edge in edges}
        for row, edge in zip(found[kind], _WHOLE[kind], strict=True):
            row[OPERATIONS.index(chosen.get((edge.source, edge.target), "none"))] = 1.0
    return found


def random_cells(seed: int) -> DisparityGenotype:
    """Cells drawn from all that a search can come to: every set of sources and every operation equally likely, but for
    dilated convolutions with stride 2, which the published space has not."""
    draw = random.Random(seed)

    def node(kind: str, target: int) -> tuple[Choice, ...]:
        sources = sorted(draw.sample(range(target), kept(kind, target)))
        return tuple(
            (draw.choice([name for name in CHOSEN if stride_of(kind, source) == 1 or name not in DILATED]), source)
            for source in sources
        )

    return DisparityGenotype(**{kind: tuple(node(kind, target) for target in targets(kind)) for kind in KINDS})


_WHOLE = search_table(strided_dilation=True)
_SHORT = {"skip": "skip_connect", "max": "max_pool_3x3", "avg": "avg_pool_3x3"}
_SHORT |= {f"{kind}{size}": f"{kind}_conv_{size}x{size}" for kind in ("sep", "dil") for size in (3, 5)}


def written(normal: str, reduce: str, upsample: str) -> DisparityGenotype:
    """Cells in short: "skip:0 sep5:1 | ..." says of each node its operations and sources.

    >>> written("skip:0 sep5:1 | max:0 | avg:0", "max:1 | skip:2 | skip:3", "dil3:0 | max:0 | max:1").normal[0]
    (('skip_connect', 0), ('sep_conv_5x5', 1))
    """

    def nodes(text: str) -> Nodes:
        pairs: Sequence[Sequence[list[str]]] = [[edge.split(":") for edge in part.split()] for part in text.split("|")]
        return tuple(tuple((_SHORT[name], int(source)) for name, source in node) for node in pairs)

    return DisparityGenotype(nodes(normal), nodes(reduce), nodes(upsample))


_KNOWN: Mapping[str, DisparityGenotype] = {
    "autodispnet": written(
        "skip:0 sep5:1 | sep3:2 skip:0 | dil3:2 dil3:0",
        "sep5:1 sep3:0 | sep5:2 skip:0 | skip:1 sep5:3",
        "sep3:3 dil3:2 sep3:1 skip:0 | sep3:3 sep3:4 | sep3:2 dil5:4",
    ),
    **{name: random_cells(seed) for seed, name in enumerate(RANDOM_DISPARITY_CELLS)},
}
PUBLISHED: dict[str, DisparityGenotype] = {name: _KNOWN[name] for name in DISPARITY_NAMES}
"""Cells that are known by a name."""
