"""The networks of NAS-Bench-201: a supernet with all operations on each edge, and those of single cells.

A stem, three stages of equal cells with 16, 32 and 64 channels, a residual block between two stages that halves the
size, mean over the image, linear classifier.

Letters: B images, C channels, H x W feature map, O operations that an edge offers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.architecture import Weights
from wholenet.ops.candidates import ReluConvNorm, Skip, Zero
from wholenet.ops.cell_forms import Path, shared_cell
from wholenet.ops.forms import TwoForms, total
from wholenet.ops.norms import BatchNorm
from wholenet.ops.shares import Dense, Fixed
from wholenet.spaces.cell_masks import table_masks
from wholenet.spaces.cell_tables import CellEdge, Table
from wholenet.spaces.darts import CellMixture, CellState, CellStyle
from wholenet.spaces.nb201.genotype import KIND, NODES

STAGES = 3
CELLS = 5 * STAGES
"""Of the benchmark's networks."""
EDGES_KIND = f"{KIND}_edges"


class DenseConvolution(ReluConvNorm):
    """ReLU, convolution, BatchNorm, from C channels to C."""

    @property
    def shares(self) -> Dense:
        """All of it."""
        return Dense(cast(nn.Conv2d, self[1]), cast(BatchNorm, self[2]))


class Average(nn.AvgPool2d):
    """3 x 3 average of what lies in the image, without BatchNorm."""

    def __init__(self) -> None:
        super().__init__(3, stride=1, padding=1, count_include_pad=False)

    @property
    def shares(self) -> Fixed:
        """All of it."""
        return Fixed(self)


MAKE: dict[str, Callable[[int, bool], nn.Module]] = {
    "none": lambda _channels, _affine: Zero(1),
    "skip_connect": lambda _channels, _affine: Skip(),
    "nor_conv_1x1": lambda channels, affine: DenseConvolution(channels, channels, 1, affine=affine),
    "nor_conv_3x3": lambda channels, affine: DenseConvolution(channels, channels, 3, affine=affine),
    "avg_pool_3x3": lambda _channels, _affine: Average(),
}
"""(channels, affine map of the BatchNorm) -> operation; all of stride 1."""


def masks(table: Table, *, edge_weights: bool = False) -> dict[str, Tensor]:
    """The choices of a ``table`` of the space, as boolean masks.

    "cell" [6, O], all real but for what was removed; O is five, but for what searches before left. With
    ``edge_weights`` also "cell_edges" [3, 3]: for each node which of the nodes before it are there (PC-DARTS).
    """
    found = table_masks(table)
    if edge_weights:
        found[EDGES_KIND] = torch.ones(NODES - 1, NODES - 1, dtype=torch.bool, device="cpu").tril()
    return found


def option_weights(weights: Weights) -> Tensor:
    """What each option counts, [6, O]: its weight, times that of its edge if edges have any (PC-DARTS)."""
    if EDGES_KIND not in weights:
        return weights[KIND]
    rows = weights[EDGES_KIND]
    return weights[KIND] * torch.cat([rows[node, : node + 1] for node in range(NODES - 1)])[:, None]


class Mixture(CellMixture):
    """The operations of an edge, mixed by its weights; one alone needs no weight. In the place of one that was removed
    nothing runs."""

    def __init__(self, edge: CellEdge, channels: int, style: CellStyle) -> None:
        nn.Module.__init__(self)
        self.stride = 1
        self.groups = style.groups
        makes = {name: MAKE["none" if name in edge.removed else name] for name in edge.operations}
        made = {name: make(channels // style.groups, style.affine) for name, make in makes.items()}
        self.operations = nn.ModuleDict(made)
        self.auxiliary = Skip() if style.auxiliary_skip else None


class Nb201Cell(TwoForms):
    """A cell: node 0 is its input, each other node the sum of the edges from all before it, the last one its output.

    Of a supernet, the fast form computes what edges have in common once (``ops/cell_forms.py``). While paths drop, the
    plain one runs.

    Args:
        edges: what each edge offers.
        channels: C.
        style: how it is built.
    """

    def __init__(self, edges: Sequence[CellEdge], channels: int, style: CellStyle) -> None:
        super().__init__()
        self.edges = tuple(edges)
        self.mixtures = nn.ModuleList(Mixture(edge, channels, style) for edge in edges)

    def forward(self, x: Tensor, weights: Tensor | None, state: CellState) -> Tensor:
        """``x`` [B, C, H, W], ``weights`` [6, O] or None of a discrete network -> [B, C, H, W]."""
        drops = self.training and state.drop_path > 0  # edge by edge
        if weights is None or drops or self.runs_plain(x, weights):
            return self._plainly(x, weights, state)
        mixtures = [cast(Mixture, mixture) for mixture in self.mixtures]
        paths = [
            Path(edge.source, edge.target, 1, m.running(state), m.auxiliary)
            for edge, m in zip(self.edges, mixtures, strict=True)
        ]
        return shared_cell([x], paths, weights, mixtures[0].groups, state.auxiliary_skip)[-1]

    def _plainly(self, x: Tensor, weights: Tensor | None, state: CellState) -> Tensor:
        """Every operation of every edge by itself."""
        nodes = [x]
        for target in range(1, NODES):
            terms = [
                self.mixtures[i](nodes[edge.source], None if weights is None else weights[i], state)
                for i, edge in enumerate(self.edges)
                if edge.target == target
            ]
            nodes.append(total(terms))
        return nodes[-1]


class Reduction(nn.Module):
    """The residual block between two stages: [B, C, H, W] -> [B, 2 C, H / 2, W / 2], H and W even."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolve = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False),
            BatchNorm(2 * channels),
            nn.ReLU(),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, bias=False),
            BatchNorm(2 * channels),
        )
        self.shrink = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.shrink(x) + self.convolve(x)


class Nb201Net(nn.Module):
    """Called with data and architecture weights.

    Args:
        table: ``TABLE``, or what searches left of it, or the edges of a discrete network.
        num_classes: classes to tell apart.
        channels: C of the first stage; doubled from stage to stage.
        cells: of all stages together.
        search: a supernet, or a network to train.
        affine: BatchNorm's affine map in the cells; None: a discrete network has it, a supernet has not.
        groups: one in so many channels goes through the operations (PC-DARTS); of a supernet.
        edge_weights: edges have weights of their own; of a supernet.
        auxiliary_skip: a skip connection on each edge, beside the choice (DARTS-); of a supernet.
        in_channels: of the images.

    Raises:
        ValueError: for cells that do not make three equal stages, or channels that cannot be divided into ``groups``.
    """

    def __init__(
        self,
        table: Table,
        num_classes: int,
        *,
        channels: int = 16,
        cells: int = CELLS,
        search: bool = True,
        affine: bool | None = None,
        groups: int = 1,
        edge_weights: bool = False,
        auxiliary_skip: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if not cells or cells % STAGES:
            raise ValueError(f"cells={cells}: expected a multiple of {STAGES}, as many in each of the stages of nb201")
        if channels % groups:
            raise ValueError(f"channels={channels}: expected a multiple of groups={groups}")
        self.masks = masks(table, edge_weights=edge_weights) if search else {}
        self.competing = [EDGES_KIND] if EDGES_KIND in self.masks else []
        """Choices whose options compete whatever the relaxation: edges have a softmax (PC-DARTS)."""
        self.nodes = {KIND: torch.tensor([edge.target for edge in table[KIND]], device="cpu")} if search else {}
        """The node that each row of a mask leads to."""
        self.state = CellState()
        style = CellStyle(
            search=search,
            affine=not search if affine is None else affine,
            groups=groups,
            auxiliary_skip=auxiliary_skip,
        )
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), BatchNorm(channels))
        self.layers = nn.ModuleList()
        for stage in range(STAGES):
            self.layers.extend(Nb201Cell(table[KIND], channels, style) for _ in range(cells // STAGES))
            if stage < STAGES - 1:
                self.layers.append(Reduction(channels))
                channels *= 2
        self.last = nn.Sequential(BatchNorm(channels), nn.ReLU())
        self.classify = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor, weights: Weights | None = None) -> Tensor:
        """Images [B, in_channels, H, W]; of a supernet, weights as its masks -> logits [B, classes]."""
        options = option_weights(weights) if weights else None
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x, options, self.state) if isinstance(layer, Nb201Cell) else layer(x)
        return self.classify(F.adaptive_avg_pool2d(self.last(x), 1).flatten(1))
