"""A genotype of Auto-DeepLab: one path through the trellis, and one cell for all its layers (Sec. 3.3).

Letters: L layers, B blocks, E edges of a cell, O operations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from wholenet.architecture import Weights
from wholenet.files import check_words, shown
from wholenet.spaces.autodeeplab.settings import MAX_BLOCKS, Transitions
from wholenet.spaces.autodeeplab.trellis import LEVELS, best_path, unpacked
from wholenet.spaces.sizes import MAX_LAYERS

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "atrous_conv_3x3",
    "atrous_conv_5x5",
)
"""What an edge chooses among, in the order of ``alpha``."""
KEPT = 2
"""Edges into each block."""
INPUTS = 2
"""Of a cell: 0 is the layer before the last, H-2, 1 is the last, H-1. Blocks follow as 2, 3, ..."""
Choice = tuple[int, str]
"""(input, operation)."""
Block = tuple[Choice, ...]


def edges(blocks: int) -> list[tuple[int, int]]:
    """(input, block) of all edges of a cell, in the order of ``alpha``: by block, then by input; B (B + 3) / 2.

    >>> len(edges(5)), edges(2)
    (20, [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)])
    """
    return [(i, block) for block in range(INPUTS, INPUTS + blocks) for i in range(block)]


@dataclass(frozen=True)
class PathGenotype:
    """A path and a cell.

    Raises:
        ValueError: if the path jumps over a level or leaves the trellis, a block reads what does not come before it or
            the same twice, or an operation has no such name.
    """

    path: tuple[int, ...]
    """Levels of layers 1 to L: 0 is stride 4, 3 is stride 32."""
    cell: tuple[Block, ...]
    """Of each block, what it adds up."""
    decoding: str = "by hand"
    """How it was made; for people to read."""

    def __post_init__(self) -> None:
        check_words(self.decoding, "the genotype's decoding")
        if not 1 <= len(self.path) <= MAX_LAYERS or not 1 <= len(self.cell) <= MAX_BLOCKS:
            raise ValueError(
                f"the genotype has {len(self.path)} layers and {len(self.cell)} blocks; expected 1 to {MAX_LAYERS} and "
                f"1 to {MAX_BLOCKS}"
            )
        for layer, (source, target) in enumerate(pairwise((0, *self.path)), 1):
            if not 0 <= target < LEVELS or abs(source - target) > 1:
                raise ValueError(
                    f"the genotype's path goes from level {source} to {target} in layer {layer}; expected a level in 0 "
                    f"to {LEVELS - 1}, at most one from the one before (the stem has level 0)"
                )
        for block, choices in enumerate(self.cell, INPUTS):
            read = [i for i, _ in choices]
            name = name_of(block)
            if not choices or len(set(read)) < len(read) or not all(0 <= i < block for i in read):
                raise ValueError(
                    f"the genotype's {name} reads {', '.join(map(name_of, read)) or 'nothing'}; expected some of "
                    f"{', '.join(name_of(i) for i in range(block))}, each at most once"
                )
            for _, operation in choices:
                if operation not in OPERATIONS[1:]:
                    known = ", ".join(OPERATIONS[1:])
                    raise ValueError(f"the genotype's {name} has the operation {shown(operation)}; known: {known}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values that people can read; :func:`genotype_from_dict` gives the genotype back."""
        blocks = [" + ".join(f"{name}({name_of(i)})" for i, name in choices) for choices in self.cell]
        return {"path": " ".join(map(str, self.path)), "cell": blocks, "decoding": self.decoding}

    def __str__(self) -> str:
        """In a line."""
        return f"path {' '.join(map(str, self.path))}, {len(self.cell)} blocks ({self.decoding})"


def genotype_from_dict(content: Any) -> PathGenotype:
    """The genotype of plain values, which may come from anywhere.

    Raises:
        ValueError: if they are none.

    >>> genotype_from_dict({"path": "0 1", "cell": ["skip_connect(H-2) + avg_pool_3x3(H-1)"]}).cell
    (((0, 'skip_connect'), (1, 'avg_pool_3x3')),)
    """
    if not isinstance(content, Mapping) or not {"path", "cell"} <= set(content):
        raise ValueError("this is no genotype of the space 'autodeeplab' (it has no `path` and `cell`)")
    if unknown := sorted(set(map(str, content)) - {"path", "cell", "decoding"}):
        raise ValueError(f"the genotype has {shown(unknown[0])}; expected path, cell and decoding")
    path, cell, decoding = content["path"], content["cell"], content.get("decoding", "by hand")
    if not isinstance(path, str) or re.fullmatch(r"[0-9]( [0-9]){0,999}", path) is None:
        raise ValueError(f"the genotype's path is {shown(path)}; expected levels such as 0 0 1")
    if not isinstance(cell, list | tuple) or not all(isinstance(block, str) for block in cell):
        raise ValueError(f"the genotype's cell is {shown(cell)}; expected a list of blocks")
    return PathGenotype(tuple(map(int, path.split())), tuple(_block(text) for text in cell), decoding)


def name_of(i: int) -> str:
    """What the input or block ``i`` of a cell is called: H-2 and H-1 are the cell's inputs."""
    return f"H-{INPUTS - i}" if i < INPUTS else f"block{i - INPUTS + 1}"


def _block(text: str) -> Block:
    """ "avg_pool_3x3(H-1) + skip_connect(block1)" -> what the block adds up."""
    choices = []
    for part in text.split(" + "):
        found = re.fullmatch(r"(\w{1,40})\((?:H-([12])|block([1-9][0-9]?))\)", part, re.ASCII)
        if found is None:
            raise ValueError(
                f"the genotype's cell has {shown(part)}; expected an operation and what it reads, such as "
                "sep_conv_3x3(H-1) or skip_connect(block2)"
            )
        name, back, block = found.groups()
        choices.append((INPUTS - int(back) if back else INPUTS + int(block) - 1, name))
    return tuple(choices)


def decoded_cell(alpha: Tensor) -> tuple[Block, ...]:
    """The cell that ``alpha`` [E, O], softmaxed, comes to: into each block the two edges whose best operation is
    strongest, with that one; ``none`` is never chosen. Of equally strong ones the earlier."""
    rows = alpha.detach().double().tolist()
    blocks = next(b for b in range(1, MAX_BLOCKS + 1) if len(edges(b)) == len(rows))
    into: dict[int, list[tuple[float, int, str]]] = {}
    for (i, block), row in zip(edges(blocks), rows, strict=True):
        best = max(range(1, len(OPERATIONS)), key=row.__getitem__)
        into.setdefault(block, []).append((row[best], i, OPERATIONS[best]))
    cell = []
    for offered in into.values():
        strongest = sorted(offered, key=lambda edge: -edge[0])[:KEPT]
        cell.append(tuple(sorted((i, name) for _, i, name in strongest)))
    return tuple(cell)


def decode(
    weights: Weights, _decoding: str, _tau: float, layers: int, transitions: Transitions = "outgoing"
) -> PathGenotype:
    """The genotype of the ``weights`` of a supernet of so many ``layers``: the most probable path, and
    :func:`decoded_cell`."""
    return PathGenotype(
        best_path(unpacked(weights["beta"].detach().cpu(), layers, transitions), transitions),
        decoded_cell(weights["alpha"]),
        f"best-path {transitions}",
    )


def _published() -> PathGenotype:
    """The authors' release (tensorflow/models, hnasnet); its path and cell give the published counts."""
    short = {"sep3": "sep_conv_3x3", "sep5": "sep_conv_5x5", "atr3": "atrous_conv_3x3", "atr5": "atrous_conv_5x5"}
    cell = "0 atr5 1 sep3, 0 sep3 1 atr3, 0 sep3 3 sep3, 2 sep5 4 sep5, 3 sep5 5 atr5"
    blocks = []
    for block in cell.split(","):
        left, first, right, second = block.split()
        blocks.append(((int(left), short[first]), (int(right), short[second])))
    return PathGenotype((0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1), tuple(blocks), "published")


PUBLISHED = {"autodeeplab": _published()}
"""By name: what Auto-DeepLab found on Cityscapes."""
