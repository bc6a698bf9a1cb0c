"""The cell spaces of image classification: DARTS, and S1 to S4 of RobustDARTS, on which DARTS fails.

The tables first, then the one network that walks over them. A table says, for each of the two types of cell, which
edges there are and what each offers: fourteen edges with a choice in the supernet, eight with one operation in a
discrete network.

Letters: B images, H x W pixels, O operations that an edge offers; a cell's nodes 0 and 1 are the outputs of the two
cells before it, 2 to 5 its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wholenet.architecture import Weights
from wholenet.ops.candidates import CANDIDATES, FactorizedReduce, ReluConvNorm, drop_path
from wholenet.ops.forms import total

TYPES = ("normal", "reduce")
"""Types of cell; a reduction cell halves the size and doubles the channels."""
INPUTS, NODES = 2, 4
"""Nodes of a cell that come from outside, and its own."""
PAIRS = [(source, target) for target in range(INPUTS, INPUTS + NODES) for source in range(target)]
"""From each node to each later one of the cell's own: fourteen, by target and then by source."""


@dataclass(frozen=True)
class CellEdge:
    """From node ``source`` to node ``target``, with the operations that it offers."""

    source: int
    target: int
    operations: tuple[str, ...]


Table = Mapping[str, tuple[CellEdge, ...]]
"""The edges of each type of cell, by target and then by source."""


def edges(offered: Sequence[tuple[str, ...]]) -> tuple[CellEdge, ...]:
    """All edges from earlier nodes to later ones, with what each offers."""
    return tuple(CellEdge(*pair, operations) for pair, operations in zip(PAIRS, offered, strict=True))


def uniform(*operations: str) -> Table:
    """The same choice on every edge."""
    return {kind: edges([operations] * len(PAIRS)) for kind in TYPES}


_SHORT = {
    "skip": "skip_connect",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "sep3": "sep_conv_3x3",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}


def _pairs(text: str) -> tuple[CellEdge, ...]:
    """ "skip dil3, ..." -> edges."""
    return edges([tuple(_SHORT[name] for name in pair.split()) for pair in text.split(",")])


SPACES: dict[str, Table] = {
    "darts": uniform(
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
    # What was left of the DARTS space after the two weightiest operations of each edge were kept.
    "s1": {
        "normal": _pairs(
            "skip dil3, skip dil5, skip dil5, skip sep3, skip dil3, max skip, skip sep3, skip sep3, skip dil3, "
            "skip sep3, max skip, skip dil5, dil3 dil5, dil3 dil5"
        ),
        "reduce": _pairs(
            "max avg, max dil3, max avg, max avg, skip dil5, max avg, max sep3, skip dil3, skip dil5, "
            "max avg, max avg, skip dil5, skip dil5, skip dil5"
        ),
    },
    "s2": uniform("skip_connect", "sep_conv_3x3"),
    "s3": uniform("none", "skip_connect", "sep_conv_3x3"),
    "s4": uniform("noise", "sep_conv_3x3"),
}
"""Search spaces by name."""


def masks(table: Table) -> dict[str, Tensor]:
    """The choices of a search space: "normal" and "reduce", [14, O] each, all real."""
    return {
        kind: torch.ones(len(table[kind]), len(table[kind][0].operations), dtype=torch.bool, device="cpu")
        for kind in TYPES
    }


def reductions(cells: int) -> tuple[int, int]:
    """Positions of the reduction cells, counted from 0.

    >>> reductions(8), reductions(20)
    ((2, 5), (6, 13))
    """
    return cells // 3, 2 * cells // 3


class CellMixture(nn.Module):
    """The operations that an edge offers, mixed by its weights (DARTS, Eq. 2); one alone needs no weight."""

    def __init__(self, operations: Sequence[str], channels: int, stride: int, *, search: bool) -> None:
        super().__init__()
        self.operations = nn.ModuleDict({name: CANDIDATES[name](channels, stride, search) for name in operations})
        self.search = search

    def forward(self, x: Tensor, weights: Tensor | None, drop: float) -> Tensor:
        """``x`` [B, C, H, W], ``weights`` [O] or None -> [B, C, H / stride, W / stride]; paths drop with ``drop``."""
        operations = list(self.operations.values())
        if weights is not None:
            return drop_path(total([w * run(x) for w, run in zip(weights, operations, strict=True)]), drop)
        (only,) = operations
        return only(x) if isinstance(only, nn.Identity) else drop_path(only(x), drop)


class Cell(nn.Module):
    """A cell: both inputs brought to its channels and size, four nodes that sum their edges, and these side by side.

    Args:
        table: the edges of its type.
        inputs: channels of the outputs of the two cells before, the earlier one first.
        channels: C of its nodes; its output has 4 C.
        reduces: whether it halves the size.
        after_reduction: whether the cell before it did, so that the one before that is still of the larger size.
        search: whether it is part of a search supernet.
    """

    def __init__(
        self,
        table: Sequence[CellEdge],
        inputs: tuple[int, int],
        channels: int,
        *,
        reduces: bool,
        after_reduction: bool,
        search: bool,
    ) -> None:
        super().__init__()
        self.edges = tuple(table)
        affine = not search
        self.first = (
            FactorizedReduce(inputs[0], channels, affine=affine)
            if after_reduction
            else ReluConvNorm(inputs[0], channels, 1, affine=affine)
        )
        self.second = ReluConvNorm(inputs[1], channels, 1, affine=affine)
        self.mixtures = nn.ModuleDict()
        for edge in table:
            stride = 2 if reduces and edge.source < INPUTS else 1
            key = f"{edge.source}_{edge.target}"
            self.mixtures[key] = CellMixture(edge.operations, channels, stride, search=search)

    def forward(self, before: Tensor, last: Tensor, weights: Tensor | None, drop: float) -> Tensor:
        """The outputs of the two cells before, and weights [edges, O] -> [B, 4 C, H, W] of this cell's size."""
        nodes = [self.first(before), self.second(last)]
        for target in range(INPUTS, INPUTS + NODES):
            terms = [
                self.mixtures[f"{edge.source}_{target}"](
                    nodes[edge.source], None if weights is None else weights[i], drop
                )
                for i, edge in enumerate(self.edges)
                if edge.target == target
            ]
            nodes.append(total(terms))
        return torch.cat(nodes[INPUTS:], dim=1)


class AuxiliaryHead(nn.Sequential):
    """A second classifier on 8 x 8 maps, for training alone (DARTS' code, CIFAR)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3, padding=0, count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, num_classes),
        )


class DartsNet(nn.Module):
    """Stem, cells, mean over the image, linear classifier; called with data and architecture weights.

    Args:
        table: what each type of cell offers: an entry of ``SPACES``, or the edges of a discrete network.
        num_classes: classes to tell apart.
        channels: C of the first cells; doubled in each reduction cell.
        cells: how many; two of them reduce (:func:`reductions`).
        search: a supernet (BatchNorm without affine map in the cells, paths drop by edge), or a network to train.
        auxiliary: add the auxiliary head, on the second reduction cell; 32 x 32 images.
        in_channels: of the images.

    Raises:
        ValueError: for fewer than three cells, which have no place for two reductions.
    """

    def __init__(
        self,
        table: Table,
        num_classes: int,
        *,
        channels: int = 16,
        cells: int = 8,
        search: bool = True,
        auxiliary: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if cells < 3:
            raise ValueError(f"cells={cells}: two of them reduce, so there must be at least 3")
        self.masks = masks(table) if search else {}
        self.drop_path = 0.0
        """Probability that a path is dropped, in training mode."""
        stem = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        self.cells = nn.ModuleList()
        self.kinds: list[str] = []
        before, last, after_reduction = stem, stem, False
        for i in range(cells):
            reduces = i in reductions(cells)
            if reduces:
                channels *= 2
            self.kinds.append("reduce" if reduces else "normal")
            self.cells.append(
                Cell(
                    table[self.kinds[-1]],
                    (before, last),
                    channels,
                    reduces=reduces,
                    after_reduction=after_reduction,
                    search=search,
                )
            )
            before, last, after_reduction = last, NODES * channels, reduces
            if auxiliary and i == reductions(cells)[1]:
                self.auxiliary = AuxiliaryHead(last, num_classes)
        self.classify = nn.Linear(last, num_classes)

    def forward(self, x: Tensor, weights: Weights | None = None) -> Tensor:
        """Images [B, in_channels, H, W]; of a supernet, weights "normal", "reduce" [14, O] -> logits [B, classes]."""
        return self.classify(self._features(x, weights)[0].mean((2, 3)))

    def with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images -> the logits of both classifiers, each [B, classes]."""
        features, reduced = self._features(x, None)
        return self.classify(features.mean((2, 3))), self.auxiliary(reduced)

    def _features(self, x: Tensor, weights: Weights | None) -> tuple[Tensor, Tensor]:
        """The last cell's output, and that of the second reduction cell."""
        drop = self.drop_path if self.training else 0.0
        before = last = reduced = self.stem(x)
        for i, (cell, kind) in enumerate(zip(self.cells, self.kinds, strict=True)):
            before, last = last, cell(before, last, None if weights is None else weights[kind], drop)
            if i == reductions(len(self.cells))[1]:
                reduced = last
        return last, reduced
