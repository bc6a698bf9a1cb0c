"""The one network of the cell spaces: it walks over a table of edges (``spaces/cell_tables.py``), the fourteen of a
supernet, each with a choice, or the eight of a discrete network, each with one operation.

Letters: B images, H x W pixels, O operations that an edge offers; a cell's nodes 0 and 1 are the outputs of the two
cells before it, 2 to 5 its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.architecture import CAPPED, Weights
from wholenet.ops.candidates import CANDIDATES, FactorizedReduce, ReluConvNorm, Skip, Zero, drop_out, drop_path
from wholenet.ops.cell_forms import Operation, Path, shared_cell
from wholenet.ops.forms import TwoForms, total
from wholenet.ops.layers import shuffle_channels
from wholenet.ops.norms import BatchNorm
from wholenet.spaces.cell_masks import table_masks
from wholenet.spaces.cell_tables import INPUTS, NODES, TYPES, CellEdge, Table


def masks(table: Table, *, edge_weights: bool = False) -> dict[str, Tensor]:
    """The choices of a search space, as boolean masks.

    "normal" and "reduce" [14, O], all real but for what was removed. With ``edge_weights`` also "normal_edges" and
    "reduce_edges" [4, 5]: for each node which of the nodes before it are there, PC-DARTS' beta.
    """
    found = table_masks(table)
    if edge_weights:
        before = torch.ones(NODES, INPUTS + NODES - 1, dtype=torch.bool, device="cpu").tril(INPUTS - 1)
        found |= {f"{kind}_edges": before.clone() for kind in TYPES}
    return found


def option_weights(weights: Weights, kind: str) -> Tensor:
    """What each option of a cell of type ``kind`` counts, [14, O]: its weight, times that of its edge if edges have
    any (PC-DARTS, Eq. 2 and 3)."""
    options = weights[kind]
    if f"{kind}_edges" not in weights:
        return options
    # Row by row: indexing by a list would wait for a GPU.
    rows = weights[f"{kind}_edges"]
    of_edges = torch.cat([rows[node, : INPUTS + node] for node in range(NODES)])
    return options * of_edges[:, None]


def reductions(cells: int) -> tuple[int, int]:
    """Positions of the reduction cells, counted from 0.

    >>> reductions(8), reductions(20)
    ((2, 5), (6, 13))
    """
    return cells // 3, 2 * cells // 3


@dataclass(frozen=True, kw_only=True)
class CellStyle:
    """How the cells of a network are built."""

    search: bool
    """Of a supernet: operations mixed, a BatchNorm behind each pooling, paths drop by edge."""
    affine: bool
    """BatchNorm's affine map."""
    groups: int = 1
    """One in so many channels goes through the operations, the others bypass them (PC-DARTS, Sec. 3.1)."""
    auxiliary_skip: bool = False
    """A skip connection on each edge, beside the choice (DARTS-, Sec. 3.2)."""


@dataclass
class CellState:
    """What a network's cells do in a pass besides what they are called with."""

    drop_path: float = 0.0
    """Probability that a path is dropped, in training mode."""
    auxiliary_skip: float = 0.0
    """Strength of the auxiliary skips, where there are any."""
    skip_dropout: float = 0.0
    """Dropout on what skip connections that keep the size let through, in training mode (P-DARTS)."""


class CellMixture(nn.Module):
    """The operations that an edge offers, mixed by its weights (DARTS, Eq. 2); one alone needs no weight. In the place
    of one that was removed nothing runs."""

    def __init__(self, edge: CellEdge, channels: int, stride: int, style: CellStyle) -> None:
        super().__init__()
        self.stride = stride
        self.groups = style.groups
        width = channels // style.groups
        build = (width, stride, style.search, style.affine)
        self.operations = nn.ModuleDict(
            {
                name: Zero(stride) if name in edge.removed else CANDIDATES.called(name).make(*build)
                for name in edge.operations
            }
        )
        self.auxiliary = CANDIDATES["skip_connect"].make(*build) if style.auxiliary_skip else None

    def forward(self, x: Tensor, weights: Tensor | None, state: CellState) -> Tensor:
        """``x`` [B, C, H, W], ``weights`` [O] or None -> [B, C, H / stride, W / stride]."""
        operations = list(self.running(state).values())
        drop = state.drop_path if self.training else 0.0
        if weights is None:
            (only,) = self.operations.values()
            return only(x) if isinstance(only, nn.Identity) else drop_path(only(x), drop)
        through = x[:, : x.shape[1] // self.groups]
        terms = [w * run(through) for w, run in zip(weights, operations, strict=True)]
        if self.auxiliary is not None:
            terms.append(state.auxiliary_skip * self.auxiliary(through))
        mixed = total(terms)
        if self.groups > 1:
            bypass = x[:, through.shape[1] :]
            bypass = bypass if self.stride == 1 else F.max_pool2d(bypass, 2)
            mixed = shuffle_channels(torch.cat([mixed, bypass], dim=1), self.groups)
        return drop_path(mixed, drop)

    def running(self, state: CellState) -> dict[str, Operation]:
        """The operations by name, as they run in a pass: in training, skips may lose some of what they let through."""
        if not self.training or not state.skip_dropout:
            return dict(self.operations.items())
        dropping = partial(drop_out, probability=state.skip_dropout)
        return {name: dropping if isinstance(layer, Skip) else layer for name, layer in self.operations.items()}


class Cell(TwoForms):
    """A cell: both inputs brought to its channels and size, four nodes that sum their edges, and these side by side.

    Of a supernet, the fast form computes what edges have in common once (``ops/cell_forms.py``). While paths drop, the
    plain one runs.

    Args:
        table: the edges of its type.
        inputs: channels of the outputs of the two cells before, the earlier one first.
        channels: C of its nodes; its output has 4 C.
        reduces: whether it halves the size.
        after_reduction: whether the cell before it did, so that the one before that is still of the larger size.
        style: how it is built.
    """

    def __init__(
        self,
        table: Sequence[CellEdge],
        inputs: tuple[int, int],
        channels: int,
        style: CellStyle,
        *,
        reduces: bool,
        after_reduction: bool,
    ) -> None:
        super().__init__()
        self.edges = tuple(table)
        self.first = (
            FactorizedReduce(inputs[0], channels, affine=style.affine)
            if after_reduction
            else ReluConvNorm(inputs[0], channels, 1, affine=style.affine)
        )
        self.second = ReluConvNorm(inputs[1], channels, 1, affine=style.affine)
        self.mixtures = nn.ModuleDict()
        for edge in table:
            stride = 2 if reduces and edge.source < INPUTS else 1
            self.mixtures[f"{edge.source}_{edge.target}"] = CellMixture(edge, channels, stride, style)

    def forward(self, before: Tensor, last: Tensor, weights: Tensor | None, state: CellState) -> Tensor:
        """The outputs of the two cells before, and weights [edges, O] -> [B, 4 C, H, W] of this cell's size."""
        nodes = [self.first(before), self.second(last)]
        drops = self.training and state.drop_path > 0  # edge by edge, so that edges cannot be summed before
        if weights is None or drops or self.runs_plain(last, weights):
            self._plainly(nodes, weights, state)
            return torch.cat(nodes[INPUTS:], dim=1)
        return torch.cat(self._sharing(nodes, weights, state), dim=1)

    def _plainly(self, nodes: list[Tensor], weights: Tensor | None, state: CellState) -> None:
        """Add to ``nodes`` the cell's own, every operation of every edge by itself."""
        for target in range(INPUTS, INPUTS + NODES):
            terms = [
                self.mixtures[f"{edge.source}_{target}"](
                    nodes[edge.source], None if weights is None else weights[i], state
                )
                for i, edge in enumerate(self.edges)
                if edge.target == target
            ]
            nodes.append(total(terms))

    def _sharing(self, nodes: list[Tensor], weights: Tensor, state: CellState) -> list[Tensor]:
        """The cell's own nodes, with what its edges have in common computed once."""
        mixtures = [cast(CellMixture, self.mixtures[f"{edge.source}_{edge.target}"]) for edge in self.edges]
        paths = [
            Path(edge.source, edge.target, m.stride, m.running(state), m.auxiliary)
            for edge, m in zip(self.edges, mixtures, strict=True)
        ]
        return shared_cell(nodes, paths, weights, mixtures[0].groups, state.auxiliary_skip)


class AuxiliaryHead(nn.Sequential):
    """A second classifier on 8 x 8 maps, for training alone (DARTS' code, CIFAR)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3, padding=0, count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            BatchNorm(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            BatchNorm(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, num_classes),
        )


class DartsNet(nn.Module):
    """Stem, cells, mean over the image, linear classifier; called with data and architecture weights.

    Args:
        table: what each type of cell offers: an entry of ``TABLES``, or the edges of a discrete network.
        num_classes: classes to tell apart.
        channels: C of the first cells; doubled in each reduction cell.
        cells: how many; two of them reduce (:func:`reductions`).
        search: a supernet, or a network to train.
        affine: BatchNorm's affine map in the cells; None: a discrete network has it, a supernet has not.
        auxiliary: add the auxiliary head, on the second reduction cell; 32 x 32 images.
        groups: see :class:`CellStyle`; of a supernet.
        edge_weights: edges have weights of their own (:func:`masks`); of a supernet.
        capped_edges: these are capped (:func:`wholenet.discretization_aware.capped`), where they are a softmax else.
        auxiliary_skip: see :class:`CellStyle`; of a supernet.
        in_channels: of the images.

    Raises:
        ValueError: for fewer than three cells, which have no place for two reductions; for channels that cannot be
            divided into ``groups``.
    """

    def __init__(
        self,
        table: Table,
        num_classes: int,
        *,
        channels: int = 16,
        cells: int = 8,
        search: bool = True,
        affine: bool | None = None,
        auxiliary: bool = False,
        groups: int = 1,
        edge_weights: bool = False,
        capped_edges: bool = False,
        auxiliary_skip: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if cells < 3:
            raise ValueError(f"cells={cells}: two of them reduce, so there must be at least 3")
        if channels % (2 * groups):
            raise ValueError(
                f"channels={channels}: expected a multiple of {2 * groups} (2 halves of {groups} group(s))"
            )
        self.masks = masks(table, edge_weights=edge_weights) if search else {}
        self.competing = [name for name in self.masks if name.endswith("_edges")]
        """Choices whose options compete whatever the relaxation: edges have a softmax (PC-DARTS)."""
        self.relaxations = dict.fromkeys(self.competing if capped_edges else (), CAPPED)
        """Those that have a relaxation of their own (DA2S)."""
        self.nodes = {kind: torch.tensor([e.target for e in table[kind]], device="cpu") for kind in TYPES if search}
        """The node that each row of a mask leads to."""
        self.state = CellState()
        style = CellStyle(
            search=search,
            affine=not search if affine is None else affine,
            groups=groups,
            auxiliary_skip=auxiliary_skip,
        )
        stem = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, stem, 3, padding=1, bias=False), BatchNorm(stem))
        self.cells = nn.ModuleList()
        self.kinds: list[str] = []
        self.auxiliary: AuxiliaryHead | None = None
        before, last, after_reduction = stem, stem, False
        for i in range(cells):
            reduces = i in reductions(cells)
            if reduces:
                channels *= 2
            self.kinds.append("reduce" if reduces else "normal")
            cell = Cell(
                table[self.kinds[-1]],
                (before, last),
                channels,
                style,
                reduces=reduces,
                after_reduction=after_reduction,
            )
            self.cells.append(cell)
            before, last, after_reduction = last, NODES * channels, reduces
            if auxiliary and i == reductions(cells)[1]:
                self.auxiliary = AuxiliaryHead(last, num_classes)
        self.classify = nn.Linear(last, num_classes)

    def forward(self, x: Tensor, weights: Weights | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Images [B, in_channels, H, W]; of a supernet, weights as its masks -> logits [B, classes]; in training with
        an auxiliary head, those of both."""
        features, reduced = self._features(x, weights)
        logits = self.classify(features.mean((2, 3)))
        return (logits, self.auxiliary(reduced)) if self.training and self.auxiliary is not None else logits

    def _features(self, x: Tensor, weights: Weights | None) -> tuple[Tensor, Tensor]:
        """The last cell's output, and that of the second reduction cell."""
        options: dict[str, Tensor | None] = dict.fromkeys(TYPES)
        if weights:
            options = {kind: option_weights(weights, kind) for kind in TYPES}
        before = last = reduced = self.stem(x)
        for i, (cell, kind) in enumerate(zip(self.cells, self.kinds, strict=True)):
            before, last = last, cell(before, last, options[kind], self.state)
            if i == reductions(len(self.cells))[1]:
                reduced = last
        return last, reduced
