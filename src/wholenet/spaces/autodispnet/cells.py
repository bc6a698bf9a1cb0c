"""A cell of AutoDispNet: its inputs brought to its channels and size, three nodes that sum their edges, and these side
by side. It walks over a table of edges (``genotype.py``), those of a supernet or of a discrete network.

Letters: B images, C channels of the cell, H x W feature map, E edges, O operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from wholenet.ops.cell_forms import Path, shared_cell
from wholenet.ops.forms import TwoForms, total
from wholenet.spaces.autodispnet.genotype import stride_of, targets
from wholenet.spaces.autodispnet.layout import CellAt
from wholenet.spaces.autodispnet.operations import MAKES, Convolution, Style, Upsampling
from wholenet.spaces.cell_tables import CellEdge


class Cell(TwoForms):
    """A cell. Of a supernet, the fast form pools a node once for all edges that leave it, and sums skips and poolings
    as one product (``ops/cell_forms.py``).

    Args:
        at: its type and its channels C.
        table: the edges of its type.
        inputs: channels of each input: of the two cells before, the earlier one first; of an upsampling cell also of
            the prediction and of the encoder's features.
        style: of its layers.
        older: how far the first input is from the size of the second: "same", or "reduce" or "upsample" once.
        search: it is a supernet's: in the place of operations that an edge has no more, or never had, nothing runs.
    """

    def __init__(
        self,
        at: CellAt,
        table: Sequence[CellEdge],
        inputs: Sequence[int],
        style: Style,
        *,
        older: str,
        search: bool,
    ) -> None:
        super().__init__()
        self.at, self.edges, self.search = at, tuple(table), search
        channels = at.channels
        first, *others = inputs
        if older == "upsample":
            of_first: nn.Module = Upsampling(first, channels, style)
        else:
            kernel, stride = (3, 2) if older == "reduce" else (1, 1)
            of_first = Convolution(first, channels, kernel, stride, style)
        self.inputs = nn.ModuleList([of_first, *(Convolution(width, channels, 1, 1, style) for width in others)])
        self.upsampled = nn.ModuleList()
        if at.kind == "upsample":
            self.upsampled.extend(Upsampling(channels, channels, style) for _ in range(2))
        self.operations = nn.ModuleDict()
        for edge in self.edges:
            stride = stride_of(at.kind, edge.source)
            made = {n: MAKES[n if n in edge.left else "none"](channels, stride, style) for n in edge.operations}
            self.operations[f"{edge.source}_{edge.target}"] = nn.ModuleDict(made)

    def forward(self, inputs: Sequence[Tensor], weights: Tensor | None) -> Tensor:
        """The inputs, and of a supernet weights [E, O] -> [B, 3 C, H, W] of this cell's size."""
        nodes = [layer(x) for layer, x in zip(self.inputs, inputs, strict=True)]
        for i, layer in enumerate(self.upsampled):
            nodes[i] = layer(nodes[i])
        if weights is None or self.runs_plain(nodes[0], weights):
            own = self._edge_by_edge(nodes, weights)
        else:
            own = shared_cell(nodes, self._paths(), weights, 1, 0.0)
        return torch.cat(own, dim=1)

    def _edge_by_edge(self, nodes: list[Tensor], weights: Tensor | None) -> list[Tensor]:
        """The cell's own nodes, every operation of every edge by itself."""
        for target in targets(self.at.kind):
            terms = []
            for row, (edge, operations) in enumerate(zip(self.edges, self.operations.values(), strict=True)):
                if edge.target != target:
                    continue
                every = [run(nodes[edge.source]) for run in cast(nn.ModuleDict, operations).values()]
                terms += every if weights is None else [w * x for w, x in zip(weights[row], every, strict=True)]
            nodes.append(total(terms))
        return nodes[len(self.inputs) :]

    def _paths(self) -> list[Path]:
        return [
            Path(edge.source, edge.target, stride_of(self.at.kind, edge.source), dict(operations.items()), None)
            for edge, operations in zip(
                self.edges, cast(Sequence[nn.ModuleDict], self.operations.values()), strict=True
            )
        ]
