"""Auto-DeepLab's supernet laid flat for inference: alpha and BatchNorm folded into convolutions, those merged.

The same function, up to the rounding of the last digits, in a twentieth of the operations, each of which costs whoever
traces it the same. Operations of weight zero go, and moves, and the nodes that then nobody reads.

All that comes into a block is linear in maps that many edges share, but for its separable and atrous convolutions. Of
the latter, those into one block are one convolution of all that the block reads; separable ones run side by side, and
their last 1 x 1 convolutions are one with all skips and poolings. A cell runs once, its predecessors behind each other
in the batch: BatchNorm is fixed here.

Letters: B images, N blocks, C channels, H x W pixels; P predecessors, F channels of a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.deploy.fold import conv_of, flat, fused, laid_flat
from wholenet.ops.forms import total
from wholenet.ops.resize import restride
from wholenet.ops.shares import Dense, Itself, Nothing, Pooled, Separable, Stage, shares_of
from wholenet.ops.zoom import seen_at
from wholenet.spaces.autodeeplab.genotype import INPUTS, OPERATIONS
from wholenet.spaces.autodeeplab.images import level_sizes, to_image
from wholenet.spaces.autodeeplab.supernet import Align, Cell, Trellis
from wholenet.spaces.autodeeplab.trellis import levels
from wholenet.spaces.supernet import Supernet

Node = tuple[int, int]
"""(layer, level)."""


def fold_trellis(model: Supernet) -> FoldedTrellis:
    """:func:`wholenet.deploy.folds.fold` of a supernet of Auto-DeepLab's."""
    return laid_flat(model, FoldedTrellis)


class FoldedTrellis(nn.Module):
    """What :func:`fold_trellis` makes.

    Args:
        net: the trained network, in float64; parts of it are taken over.
        alpha: float64 [E, O].
        beta: float64 [G, 3].
        zoom: at which it sees images.
    """

    def __init__(self, net: Trellis, alpha: Tensor, beta: Tensor, zoom: float = 1.0) -> None:
        super().__init__()
        self.zoom = zoom
        self.layers = net.layers
        self.stem = flat(net.stem)
        self.heads = nn.ModuleDict({level: flat(head) for level, head in net.heads.items()})
        self.moves = live_moves(net, beta)
        self.cells = nn.ModuleDict()
        for (layer, level), moves in self.moves.items():
            cell = cast(Cell, net.cells[f"{layer}_{level}"])
            self.cells[f"{layer}_{level}"] = FoldedCell(cell, alpha, moves)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes, H, W]."""
        return seen_at(self.zoom, self._logits, x)

    def _logits(self, x: Tensor) -> Tensor:
        stem = self.stem(x)
        sizes = level_sizes(stem)
        found: dict[Node, Tensor] = {(0, 0): stem}
        for (layer, level), moves in self.moves.items():
            read = [found[layer - 1, source] for source in moves]
            cell = cast(FoldedCell, self.cells[f"{layer}_{level}"])
            old = found[layer - 2, level] if cell.two_back is not None else None
            found[layer, level] = cell(old, read, sizes[level])
        last = {level: found[self.layers, int(level)] for level in self.heads}
        return total([to_image(head(last[level]), x, int(level)) for level, head in self.heads.items()])


def live_moves(net: Trellis, beta: Tensor) -> dict[Node, dict[int, float]]:
    """The nodes that count, from the first layer on, and into each the moves that do: source level -> weight.

    A node all of whose moves have the weight zero keeps one of them.
    """
    found: dict[Node, dict[int, float]] = {}
    read = {(net.layers, level) for level in levels(net.layers)}
    for layer in range(net.layers, 0, -1):
        for level in levels(layer):
            if (layer, level) not in read or (layer, level) not in net.moves:
                continue
            moves = {move.source: beta[net.place_of(move)].item() for move in net.moves[layer, level]}
            live = {source: weight for source, weight in moves.items() if weight} or dict(list(moves.items())[:1])
            found[layer, level] = live
            read |= {(layer - 1, source) for source in live} | {(layer - 2, level)}
    return dict(sorted(found.items()))


class FoldedAlign(nn.Module):
    """What a cell reads, brought to its size and width.

    Args:
        align: the trained one.
        steps: levels that the cell is coarser than what it reads.
    """

    def __init__(self, align: Align, steps: int) -> None:
        super().__init__()
        self.conv = fused(align.conv.weight, align.norm)
        self.steps, self.resize_first = steps, align.resize_first

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """[B, C, h, w] -> [B, F, *size]."""
        if self.resize_first:
            return self.conv(F.relu(restride(x, size, -self.steps, corners=True)))
        if self.steps > 0:
            return self.conv(restride(F.relu(x), size, -self.steps, corners=True))
        return restride(self.conv(F.relu(x)), size, -self.steps, corners=True)  # a resized constant is itself


class FoldedCell(nn.Module):
    """A node.

    Args:
        cell: the trained cell.
        alpha: [E, O].
        moves: of each predecessor that counts, its level and the weight of the move.
    """

    def __init__(self, cell: Cell, alpha: Tensor, moves: Mapping[int, float]) -> None:
        super().__init__()
        operations: dict[int, list[Weighed]] = {block: [] for block in range(INPUTS, INPUTS + cell.blocks)}
        for (i, block), row in cell.rows.items():
            offered = cast(nn.ModuleDict, cell.edges[f"{i}_{block}"])
            for name, operation in offered.items():
                if weight := alpha[row, OPERATIONS.index(name)]:
                    operations[block].append(Weighed(i, name, operation, weight))
        from_old = [own for into in operations.values() for own in into if own.source == 0]
        self.two_back = FoldedAlign(cell.two_back, 0) if cell.two_back is not None and from_old else None
        self.before = nn.ModuleList(
            FoldedAlign(cast(Align, cell.before[str(source)]), cell.level - source) for source in moves
        )
        self.blocks = nn.ModuleList(FoldedBlock(into, cell.width) for into in operations.values())
        self.register_buffer("beta", torch.tensor(list(moves.values()), dtype=torch.float64).view(-1, 1, 1, 1, 1))

    beta: Tensor

    def forward(self, two_back: Tensor | None, before: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """H-2 [B, C, *size], or None, and P times H-1 -> [B, N F, *size]."""
        runs = len(before)
        aligned = [align(x, size) for align, x in zip(self.before, before, strict=True)]
        states = {1: Source(_behind(aligned))}
        if self.two_back is not None:
            states[0] = Source(_behind([self.two_back(two_back, size)] * runs))
        for i, block in enumerate(self.blocks, INPUTS):
            states[i] = Source(block(states))
        out = torch.cat([states[i].x for i in range(INPUTS, INPUTS + len(self.blocks))], dim=1)
        if runs == 1:
            return out * self.beta[0]
        return (out.view(runs, before[0].shape[0], out.shape[1], *size) * self.beta).sum(0)


def _behind(maps: Sequence[Tensor]) -> Tensor:
    return maps[0] if len(maps) == 1 else torch.cat(list(maps))


class Weighed(NamedTuple):
    """An operation on an edge into a block."""

    source: int
    name: str
    operation: nn.Module
    weight: Tensor


class Source:
    """What a block reads, and what several blocks make of it.

    Args:
        x: [P B, F, H, W].
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.made: dict[str, Tensor] = {"skip": x}

    def by(self, name: str, layer: nn.Module) -> Tensor:
        """``layer`` of it, made once under this name."""
        if name not in self.made:
            self.made[name] = layer(self.x)
        return self.made[name]


RELU, SKIP = nn.ReLU(), nn.Identity()


class FoldedBlock(nn.Module):
    """The sum of all operations that lead into a block.

    Args:
        operations: of weights other than zero.
        width: F.
    """

    def __init__(self, operations: Sequence[Weighed], width: int) -> None:
        super().__init__()
        self.width = width
        self.linear: list[tuple[int, str]] = []
        """Maps that are summed as they are, or pooled: source and name."""
        self.pools = nn.ModuleDict()
        self.atrous: list[int] = []
        """Sources of the atrous convolutions."""
        self.separable: list[tuple[int, ...]] = []
        """Sources of separable convolutions that run side by side: those of equal rates, stage by stage."""
        self.stages = nn.ModuleList()
        self._fold(operations)

    def _fold(self, operations: Sequence[Weighed]) -> None:
        lasts: list[tuple[Tensor, Tensor | None]] = []  # weight and bias of parts of the last 1 x 1 convolution
        dense: dict[int, list[tuple[Tensor, Tensor]]] = {}
        rates: set[int] = set()
        chains: dict[tuple[int, ...], list[tuple[int, Sequence[Stage], Tensor]]] = {}
        for source, name, operation, weight in operations:
            one = weight.new_ones(self.width)
            match shares_of(operation):
                case Nothing():
                    pass
                case Itself():
                    self.linear.append((source, "skip"))
                    lasts.append((torch.diag(one * weight), None))
                case Pooled(pool, norm):
                    self.linear.append((source, name))
                    self.pools[name] = pool
                    own = fused(torch.diag(one)[:, :, None, None], norm, weight)
                    lasts.append((own.weight.flatten(1), own.bias))
                case Dense(convolution, norm):
                    own = fused(convolution.weight, norm, weight)
                    dense.setdefault(source, []).append((own.weight, cast(Tensor, own.bias)))
                    rates.add(_rate(convolution))
                case Separable(stages):
                    own_rates = tuple(_rate(stage.spatial) for stage in stages)
                    chains.setdefault(own_rates, []).append((source, stages, weight))
                case other:
                    raise TypeError(f"operation {name!r} declares {other}, which a block of this space does not fold")
        for many in chains.values():
            self.separable.append(tuple(source for source, _, _ in many))
            layers, own = _side_by_side(many)
            self.stages.append(layers)
            lasts += own
        self.atrous = list(dense)
        if len(rates) > 1:
            raise TypeError(f"convolutions of the rates {sorted(rates)} lead into one block, which are not merged")
        self.dense = _merged(list(dense.values()), rates.pop()) if dense else None
        self.last: nn.Conv2d | None = None
        if lasts:
            weight = torch.cat([part for part, _ in lasts], dim=1)[:, :, None, None]
            bias = total([weight.new_zeros(self.width), *(bias for _, bias in lasts if bias is not None)])
            self.last = conv_of(weight, bias)

    def forward(self, states: Mapping[int, Source]) -> Tensor:
        """The block's value [P B, F, H, W]."""
        terms: list[Tensor] = []
        if self.dense is not None:
            terms.append(self.dense(_beside([states[i].by("relu", RELU) for i in self.atrous])))
        if self.last is not None:
            maps = [states[i].by(name, SKIP if name == "skip" else self.pools[name]) for i, name in self.linear]
            for sources, stages in zip(self.separable, self.stages, strict=True):
                maps.append(stages(_beside([states[i].by("relu", RELU) for i in sources])))
            terms.append(self.last(_beside(maps)))
        return total(terms) if terms else states[1].x * 0


def _beside(maps: Sequence[Tensor]) -> Tensor:
    return maps[0] if len(maps) == 1 else torch.cat(list(maps), dim=1)


def _side_by_side(
    chains: Sequence[tuple[int, Sequence[Stage], Tensor]],
) -> tuple[nn.Sequential, list[tuple[Tensor, Tensor | None]]]:
    """Separable convolutions of equally many stages, up to their last 1 x 1 convolutions; and those."""
    layers: list[nn.Module] = []
    count = len(chains[0][1])
    for at in range(count):
        own = [stages[at] for _, stages, _ in chains]
        if at:
            layers.append(RELU)
        rate = _rate(own[0].spatial)
        kernel = torch.cat(_padded([stage.spatial.weight for stage in own]))
        margin = rate * (kernel.shape[-1] // 2)
        layers.append(conv_of(kernel, None, padding=margin, dilation=rate, groups=len(kernel)))
        if at < count - 1:
            across = [fused(stage.across.weight, stage.norm) for stage in own]
            weight = torch.cat([conv.weight for conv in across])
            layers.append(conv_of(weight, torch.cat([cast(Tensor, c.bias) for c in across]), groups=len(own)))
    lasts = [fused(stages[-1].across.weight, stages[-1].norm, weight) for _, stages, weight in chains]
    return nn.Sequential(*layers), [(last.weight.flatten(1), last.bias) for last in lasts]


def _rate(layer: nn.Conv2d) -> int:
    return layer.dilation[0]


def _merged(convolutions: Sequence[Sequence[tuple[Tensor, Tensor]]], rate: int) -> nn.Conv2d:
    """Atrous convolutions of one ``rate``, of each source some, as one of all sources side by side."""
    every = iter(_padded([weight for of_source in convolutions for weight, _ in of_source]))
    weight = torch.cat([total([next(every) for _ in of_source]) for of_source in convolutions], dim=1)
    bias = total([bias for of_source in convolutions for _, bias in of_source])
    return conv_of(weight, bias, padding=rate * (weight.shape[-1] // 2), dilation=rate)


def _padded(kernels: Sequence[Tensor]) -> list[Tensor]:
    """Kernels [., ., k, k], each in the middle of zeros, of the size of the largest."""
    largest = max(kernel.shape[-1] for kernel in kernels)
    return [F.pad(kernel, [(largest - kernel.shape[-1]) // 2] * 4) for kernel in kernels]
