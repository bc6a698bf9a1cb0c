"""The search network of Auto-DeepLab (Sec. 3), called with data and relaxed architecture weights.

A node sums over its predecessors: weight of the move times a cell of (predecessor's output, own level's output two
layers back). The cell runs once for each predecessor, with the same weights; ``alpha`` is one table for all cells.

Letters: B images, N blocks, E edges of a cell, O operations, L layers, F filters, G nodes that choose among moves;
level s = 0..3 is stride 4 * 2**s.
A cell of level s is F * 2**s wide, and its output, the N blocks side by side, N times that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.architecture import Weights
from wholenet.ops.forms import TwoForms, total
from wholenet.ops.layers import ConvNorm
from wholenet.ops.leaving import Leaving
from wholenet.ops.norms import BatchNorm
from wholenet.ops.resize import restride
from wholenet.spaces.autodeeplab.genotype import INPUTS, OPERATIONS, edges
from wholenet.spaces.autodeeplab.images import check_images, level_sizes, to_image
from wholenet.spaces.autodeeplab.operations import search_operation
from wholenet.spaces.autodeeplab.trellis import STRIDES, Move, Transitions, beta_mask, levels, moves_into, packed


class Align(TwoForms):
    """What a cell reads, brought to its size and width: ReLU, resize, 1 x 1 convolution, BatchNorm.

    Resize and convolution commute, so that the convolution runs at the smaller size; ReLU and resize do not.

    Args:
        inputs: channels.
        outputs: channels.
        affine: of the BatchNorm.
        resize_first: resize before ReLU, as public code does.
    """

    def __init__(self, inputs: int, outputs: int, *, affine: bool, resize_first: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = BatchNorm(outputs, affine=affine)
        self.resize_first = resize_first

    def forward(self, x: Tensor, size: tuple[int, int], steps: int) -> Tensor:
        """[B, inputs, h, w] and how many levels coarser the cell is -> [B, outputs, *size]."""
        if self.resize_first:
            return self.norm(self.conv(F.relu(restride(x, size, -steps, corners=True))))
        x = F.relu(x)
        if self.plain or steps > 0:
            return self.norm(self.conv(restride(x, size, -steps, corners=True)))
        return self.norm(restride(self.conv(x), size, -steps, corners=True))


class Cell(TwoForms):
    """A node: the mixture of all operations on all edges, run for each predecessor.

    The other form than the plain one runs edges from H-2 once for all predecessors, and all edges out of an input at
    once for all predecessors (``ops/leaving.py``): cells are small here, and calls cost more than what they compute.

    Args:
        level: of the node.
        width: channels of a block.
        two_back: channels of H-2; None where there is no such node, and so no edges from it.
        before: level -> channels, of the predecessors.
        blocks: N.
        affine: of the BatchNorms.
        separable_atrous: see :func:`search_operation`.
        resize_first: see :class:`Align`.
        kept: which operations are there, bool [E, O]; None: all.
    """

    def __init__(
        self,
        level: int,
        width: int,
        two_back: int | None,
        before: Mapping[int, int],
        blocks: int,
        *,
        affine: bool,
        separable_atrous: bool,
        resize_first: bool,
        kept: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.level, self.width, self.blocks = level, width, blocks
        how = {"affine": affine, "resize_first": resize_first}
        names = [list(OPERATIONS)] * len(edges(blocks))
        if kept is not None:
            names = [[OPERATIONS[place] for place in row.nonzero().flatten().tolist()] for row in kept]
        there = {edge: row for row, edge in enumerate(edges(blocks)) if set(names[row]) - {"none"}}
        if all(i for i, _ in there):  # nobody reads it
            two_back = None
        self.two_back = None if two_back is None else Align(two_back, width, **how)
        self.before = nn.ModuleDict({str(level): Align(channels, width, **how) for level, channels in before.items()})
        self.rows = {edge: row for edge, row in there.items() if edge[0] or two_back is not None}
        """Edges that exist, and their rows in ``alpha``."""
        self.edges = nn.ModuleDict()
        for (i, block), row in self.rows.items():
            offered = {
                name: search_operation(name, width, affine=affine, separable_atrous=separable_atrous)
                for name in names[row]
            }
            self.edges[f"{i}_{block}"] = nn.ModuleDict(offered)
        self._seen = 1

    def forward(
        self,
        two_back: Tensor | None,
        before: Mapping[int, Tensor],
        size: tuple[int, int],
        alpha: Tensor,
        beta: Mapping[int, Tensor],
    ) -> Tensor:
        """The node's value.

        Args:
            two_back: H-2 [B, channels, *size], or None.
            before: level -> H-1.
            size: of this node.
            alpha: [E, O].
            beta: level -> weight of the move from there.

        Returns:
            [B, N * width, *size].
        """
        old = None if self.two_back is None or two_back is None else self.two_back(two_back, size, 0)
        ones = {level: self.before[str(level)](x, size, self.level - level) for level, x in before.items()}
        # Views of the other form need sizes, which an exported network does not know.
        plain = bool(self.plain) or torch.compiler.is_compiling()
        self._see(1 if plain else len(ones))
        run = self._plainly if plain else self._together
        outputs = run(old, list(ones.values()), alpha)
        # A weight of zero still runs: one that comes back later must not meet stale BatchNorm statistics.
        return total([beta[level] * out for level, out in zip(ones, outputs, strict=True)])

    def _see(self, times: int) -> None:
        """Let BatchNorms on edges from H-2 count a pass as one per predecessor, which would all be the same."""
        if times != self._seen:
            for i, block in self.rows:
                if not i:
                    for norm in self.edges[f"{i}_{block}"].modules():
                        norm.seen = times  # pyright: ignore[reportArgumentType]
            self._seen = times

    def _plainly(self, old: Tensor | None, ones: Sequence[Tensor], alpha: Tensor) -> list[Tensor]:
        outputs = []
        for one in ones:
            states: dict[int, Tensor] = {1: one} if old is None else {0: old, 1: one}
            for block in range(INPUTS, INPUTS + self.blocks):
                terms = [
                    alpha[row, OPERATIONS.index(name)] * operation(states[i])
                    for (i, target), row in self.rows.items()
                    if target == block
                    for name, operation in self._offered(i, block).items()
                ]
                states[block] = total(terms)
            outputs.append(torch.cat([states[block] for block in range(INPUTS, INPUTS + self.blocks)], dim=1))
        return outputs

    def _together(self, old: Tensor | None, ones: Sequence[Tensor], alpha: Tensor) -> list[Tensor]:
        blocks = range(INPUTS, INPUTS + self.blocks)
        runs = len(ones)
        arrived: dict[int, list[Tensor]] = {block: [] for block in blocks}
        if old is not None:
            for block, part in self._leave(0, old, 1, alpha):
                arrived[block].append(part if runs == 1 else part.repeat(runs, 1, 1, 1))
        state = torch.cat(list(ones))
        states = []
        for i in range(1, INPUTS + self.blocks - 1):
            if i >= INPUTS:
                state = total(arrived[i])
                states.append(state)
            for block, part in self._leave(i, state, runs, alpha):
                arrived[block].append(part)
        states.append(total(arrived[blocks[-1]]))
        return list(torch.cat(states, dim=1).chunk(runs))

    def _leave(self, i: int, x: Tensor, runs: int, alpha: Tensor) -> Iterator[tuple[int, Tensor]]:
        """What arrives at which block from input ``i``."""
        alike = dict[tuple[str, ...], dict[int, int]]()
        for (own, block), row in self.rows.items():
            if own == i:
                alike.setdefault(tuple(self._offered(i, block)), {})[block] = row
        for names, rows in alike.items():
            edges = Leaving([self._offered(i, block) for block in rows], self.width)
            weights = torch.stack([alpha[row] for row in rows.values()])
            if len(names) < len(OPERATIONS):
                columns = weights.unbind(1)
                weights = torch.stack([columns[OPERATIONS.index(name)] for name in names], dim=1)
            yield from zip(rows, edges(x, runs, weights), strict=True)

    def _offered(self, i: int, block: int) -> Mapping[str, nn.Module]:
        found = self.edges[f"{i}_{block}"]
        assert isinstance(found, nn.ModuleDict)
        return dict(found.items())


class Head(nn.Module):
    """Class logits of one level, by what is around each pixel at three distances: 1 x 1, 3 x 3 of rate 96 / stride, the
    whole image; side by side, 1 x 1, BatchNorm, 1 x 1 to classes. No activations, as in public code.

    Args:
        channels: C.
        stride: of the level.
        num_classes: classes to tell apart.
    """

    def __init__(self, channels: int, stride: int, num_classes: int) -> None:
        super().__init__()
        rate = 96 // stride
        self.near = ConvNorm(channels, channels, 1)
        self.far = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate, bias=False), BatchNorm(channels)
        )
        self.all = ConvNorm(channels, channels, 1)
        self.merge = ConvNorm(3 * channels, channels, 1)
        self.classify = nn.Conv2d(channels, num_classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, classes, H, W]."""
        whole = self.all(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.classify(self.merge(torch.cat([self.near(x), self.far(x), whole], dim=1)))


class Trellis(nn.Module):
    """The supernet.

    Args:
        layers: L.
        filters: F.
        blocks: N of each cell.
        num_classes: classes to tell apart.
        in_channels: channels of the input image.
        transitions: which moves' weights sum to one.
        affine: whether the cells' BatchNorms have an affine map.
        separable_atrous: see :func:`search_operation`.
        resize_first: see :class:`Align`.
        kept: the part of the masks to build, :meth:`Subtrellis.masks`; None: all.

    Raises:
        ValueError: if the stem's channels, ``filters * blocks / 2``, are no whole number.
    """

    def __init__(
        self,
        layers: int,
        filters: int,
        blocks: int,
        num_classes: int,
        in_channels: int = 3,
        *,
        transitions: Transitions = "outgoing",
        affine: bool = False,
        separable_atrous: bool = False,
        resize_first: bool = False,
        kept: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        if filters * blocks % 2:
            raise ValueError(
                f"filters={filters} and blocks={blocks}: the stem has half of their product as channels; give an even "
                "number of filters"
            )
        self.layers = layers
        self.transitions: Transitions = transitions
        everything = torch.ones(len(edges(blocks)), len(OPERATIONS), dtype=torch.bool, device="cpu")
        beta = beta_mask(layers, transitions)
        self.masks = {"alpha": everything, "beta": packed(beta, transitions)} if kept is None else kept
        self.row = {(i, j): row for row, (i, j) in enumerate(beta.any(-1).nonzero().tolist())}
        """Rows of ``beta`` by the first two parts of a move's place."""
        width = [filters * 2**level for level in range(len(STRIDES))]
        channels = blocks * filters
        self.stem = nn.Sequential(
            ConvNorm(in_channels, channels // 2, 3, stride=2, activation="relu"),
            ConvNorm(channels // 2, channels // 2, 3, activation="relu"),
            ConvNorm(channels // 2, channels, 3, stride=2, activation="relu"),
        )
        self.moves = dict[tuple[int, int], list[Move]]()
        """By (layer, level) of the node that they lead to: those that are there."""
        for layer in range(1, layers + 1):
            for level in levels(layer):
                into = [move for move in moves_into(layer, level) if self.masks["beta"][self.place_of(move)]]
                if into:
                    self.moves[layer, level] = into
        self.cells = nn.ModuleDict()
        for layer in range(1, layers + 1):
            for level in levels(layer):
                if (layer, level) not in self.moves:
                    continue
                has_two_back = (layer - 2, level) in {(0, 0), *self.moves}
                self.cells[f"{layer}_{level}"] = Cell(
                    level,
                    width[level],
                    blocks * width[level] if has_two_back else None,
                    {move.source: blocks * width[move.source] for move in self.moves[layer, level]},
                    blocks,
                    affine=affine,
                    separable_atrous=separable_atrous,
                    resize_first=resize_first,
                    kept=None if kept is None else kept["alpha"],
                )
        self.heads = nn.ModuleDict(
            {
                str(level): Head(blocks * width[level], STRIDES[level], num_classes)
                for level in levels(layers)
                if (layers, level) in self.moves
            }
        )

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        """Images [B, in_channels, H, W], ``alpha`` [E, O], ``beta`` [G, 3] -> logits [B, classes, H, W].

        Raises:
            ValueError: for images that are too small, or a training batch of one image.
        """
        check_images(x, self.training)
        features = self.features(x, weights)
        return total([to_image(head(features[int(s)]), x, int(s)) for s, head in self.heads.items()])

    def features(self, x: Tensor, weights: Weights) -> dict[int, Tensor]:
        """What the nodes of the last layer hold, by level."""
        alpha, beta = weights["alpha"], weights["beta"]
        stem = self.stem(x)
        sizes = level_sizes(stem)
        before: dict[int, Tensor] = {}
        last = {0: stem}
        for layer in range(1, self.layers + 1):
            now = {}
            for level in levels(layer):
                if (layer, level) not in self.moves:
                    continue
                moves = self.moves[layer, level]
                weight = {move.source: beta[self.place_of(move)] for move in moves}
                read = {move.source: last[move.source] for move in moves}
                now[level] = self.cells[f"{layer}_{level}"](before.get(level), read, sizes[level], alpha, weight)
            before, last = last, now
        return last

    def place_of(self, move: Move) -> tuple[int, int]:
        """Where in ``beta`` a move stands: row, slot."""
        layer, level, slot = move.place(self.transitions)
        return self.row[layer, level], slot
