"""The grid supernet of the seed paper (Sec. 3.1): L layers by four resolutions, every cell fed by its neighbours.

The network walks over the table of ``spaces/links.py``: which edges exist. With another reach the same network is the
dense grid. How the paper's open points were settled, and the parameter and FLOP counts that settle them, is in
docs/architecture.md.

Letters: B images, H x W input pixels, K operations, L layers, S slots; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.architecture import Weights
from wholenet.ops.bottleneck import CELLS, BareCell, MixtureCell
from wholenet.ops.draws import dropped
from wholenet.ops.forms import TwoForms, total
from wholenet.ops.layers import ConvNorm, PartialChannels, ScaledNorm, make_activation
from wholenet.ops.norms import BatchNorm
from wholenet.ops.operations import Operation, operations_called
from wholenet.ops.recompute import recomputed
from wholenet.ops.resize import restride
from wholenet.spaces.dpc_decoder import DpcDecoder
from wholenet.spaces.encoder import Encoder
from wholenet.spaces.links import LEVELS, NEAR, Edge, Reach, check_connected, has_cell, kept_edges, masks
from wholenet.spaces.reach import FINEST
from wholenet.spaces.sampled_links import drawn, weighed
from wholenet.spaces.sizes import HEAD, OPERATIONS, SKIP_KEPT, SKIP_WIDTH, GridSize, check_head, operation_names

DEFAULT = operation_names(OPERATIONS)
"""Names of the candidate operations where none are given."""
PAPER_EDGE_SLOTS = 7
"""Entries per cell in the paper's edge tensor: the reading that gives its Table 1 value, (2 ln 2 + 2 ln 3) / 28."""


class Stem(nn.Sequential):
    """Image to features at a quarter of its size: 3 x 3 convolutions of stride 2, 1, 2 (Auto-DeepLab's stem).

    ``left``: of its ``channels`` and of those inside, where some were removed.
    """

    def __init__(self, in_channels: int, channels: int, activation: str, left: tuple[int, int] | None = None) -> None:
        channels, half = (channels, channels // 2) if left is None else left
        super().__init__(
            ConvNorm(in_channels, half, 3, stride=2, activation=activation),
            ConvNorm(half, half, 3, activation=activation),
            ConvNorm(half, channels, 3, stride=2, activation=activation),
        )


class Transition(TwoForms):
    """One term of Eq. 1: a neighbour's output brought to this cell's size and channels by P (resize, 1 x 1 convolution,
    BatchNorm), times the weight of the edge.

    Resizing and a 1 x 1 convolution commute, so the convolution runs at the smaller of the two sizes; in the plain
    form it runs after the resize, as papers count it.
    """

    def __init__(self, inputs: int, outputs: int, up: int) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = ScaledNorm(outputs)

    def forward(self, x: Tensor, size: tuple[int, int], weight: Tensor) -> Tensor:
        """``x`` [B, C, h, w] and the edge's weight, a scalar -> [B, C', *size]."""
        if self.plain or self.up < 0:
            return self.norm(self.conv(restride(x, size, self.up)), weight)
        return self.norm(restride(self.conv(x), size, self.up), weight)


class Decoder(TwoForms):
    """The four levels at stride 4, concatenated, 1 x 1 to a common width, 1 x 1 to class logits at stride 4.

    A 1 x 1 convolution of a concatenation is a sum of 1 x 1 convolutions, each of which can run before its level is
    enlarged; the plain form enlarges and concatenates first.

    Args:
        channels: C_s of each map that is read: of the four levels, and after them of what else there is.
        width: common to all.
        num_classes: classes to tell apart.
        activation: before the last convolution.
        kept: share of the maps before that, each whole, that training keeps.
    """

    def __init__(
        self, channels: Sequence[int], width: int, num_classes: int, activation: str, kept: float = 1.0
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.kept = kept
        self.merge = nn.Conv2d(sum(channels), width, 1, bias=False)
        self.norm = BatchNorm(width)
        self.activation = make_activation(activation)
        self.classify = nn.Conv2d(width, num_classes, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps [B, C_s, h / (s / 4), w / (s / 4)], the finest first -> [B, classes, h, w]."""
        size = _size(features[0])
        if self.plain:
            merged = self.merge(torch.cat([restride(f, size, i % LEVELS) for i, f in enumerate(features)], dim=1))
        else:
            parts = self.merge.weight.split(self.channels, dim=1)
            seen = [F.conv2d(f, part) for f, part in zip(features, parts, strict=True)]
            merged = total([restride(part, size, i % LEVELS) for i, part in enumerate(seen)])
        merged = self.activation(self.norm(merged))
        if self.kept < 1 and self.training:
            merged = dropped(merged, self.kept, merged.new_empty(*merged.shape[:2], 1, 1))
        return self.classify(merged)


class Before(NamedTuple):
    """What a cell may read."""

    layers: list[dict[int, Tensor]]
    """Outputs of earlier layers by level, the nearest last; as many as its reach goes back."""
    brought: dict[str, Tensor] | None
    """Where edges share their P, what it has made so far, by its name."""


class Grid(nn.Module):
    """The network of the grid space, called with data and relaxed architecture weights.

    Args:
        size: L, F, E, S and the decoder's width.
        num_classes: classes to tell apart.
        in_channels: channels of the input image.
        cell: one of ``CELLS``: "mixture" (operations mixed inside one bottleneck) or "separate" (one for each).
        activation: "relu", "relu6" or "hardswish".
        operations: the candidates; None: those called ``DEFAULT``.
        kept: the part of :func:`masks` to build; all of it is the supernet, one operation per cell a discrete network.
            What is left out has no weights and costs nothing; what is there has the supernet's name for it.
        widths: expanded channels that are left of the bottlenecks of "mixture" cells, by (layer, level); of those that
            are not named, all.
        levels: channels that are left of the feature maps of each level, and inside its stem; None: all.
        encoder: a pretrained one, whose maps take the place of what the four stems make of the image; each goes through
            one 1 x 1 convolution to the grid's channels.
        reach: how far back, and to which levels, cells read.
        tied: all edges from one cell to one level have one P, which then runs once.
        sampled: k, links of each cell that a pass in training takes, drawn by their weights; None: all.
        unbiased: each weight of a drawn link over the probability that it is drawn; else they sum to one.
        head: "plain": levels are added up; "skip": with the maps of the encoder; "dpc": with the dense prediction cell.

    Raises:
        ValueError: for an unknown cell, kept edges that lead nowhere, an encoder of images that are not RGB, or a head
            that reads one where there is none.
    """

    def __init__(
        self,
        size: GridSize,
        num_classes: int,
        in_channels: int = 3,
        *,
        cell: str = "mixture",
        activation: str = "hardswish",
        operations: Sequence[Operation] | None = None,
        kept: dict[str, Tensor] | None = None,
        widths: Mapping[tuple[int, int], int] | None = None,
        levels: Sequence[tuple[int, int]] | None = None,
        encoder: Encoder | None = None,
        reach: Reach = NEAR,
        tied: bool = False,
        sampled: int | None = None,
        unbiased: bool = False,
        head: str = HEAD,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"unknown cell {cell!r}; known: {', '.join(CELLS)}")
        if encoder is not None and in_channels != 3:
            raise ValueError(
                f"a pretrained stem sees RGB images, and these have {in_channels} channels; leave stem out with them"
            )
        whole = [size.filters * 2**level for level in range(LEVELS)]
        check_head(head, pretrained=encoder is not None)
        levels = [(c, c // 2) for c in whole] if levels is None else levels
        channels = [features for features, _ in levels]
        self.layers = size.layers
        self.recompute = False
        """Whether training keeps only the cells' outputs and computes what is inside again in the backward pass: the
        same numbers, for a fraction of the memory and about one more forward pass."""
        operations = operations_called(DEFAULT) if operations is None else operations
        self.operations = tuple(operation.name for operation in operations)
        """What the last axis of ``alpha`` holds."""
        self.reach = reach
        self.tied = tied and reach.layers > 1  # else no two edges start in one cell and end at one level
        self.sampled, self.unbiased = sampled, unbiased
        self.masks = masks(size.layers, len(operations), reach) if kept is None else kept
        check_connected(self.masks, reach)
        self.edges = [
            [kept_edges(self.masks, layer, level, reach) for level in range(LEVELS)] for layer in range(size.layers)
        ]
        read = {edge.source for row in self.edges for edges in row for edge in edges if edge.back > edge.layer}
        self.stem_frozen = False
        self.encoder = encoder
        self.stems = nn.ModuleDict(
            {
                str(i): (
                    Stem(in_channels, whole[i], activation, levels[i])
                    if encoder is None
                    else ConvNorm(encoder.channels[i], c, 1)
                )
                for i, c in enumerate(channels)
                if i in read
            }
        )
        self.transitions = nn.ModuleDict()
        self.cells = nn.ModuleDict()
        self.offered = [[there.nonzero().flatten().tolist() for there in row] for row in self.masks["alpha"]]
        for layer in range(size.layers):
            for level in range(LEVELS):
                if not has_cell(self.masks, layer, level):
                    continue
                for edge in self.edges[layer][level]:
                    if (key := self.transition_of(edge)) not in self.transitions:
                        self.transitions[key] = Transition(
                            channels[edge.source], channels[edge.target], edge.source - edge.target
                        )
                offered = [operations[i] for i in self.offered[layer][level]]
                inside = None if widths is None else widths.get((layer, level))
                left = None if inside is None else (channels[level] // size.sampling, inside)
                block = _block(cell, whole[level] // size.sampling, size.expansion, offered, activation, left)
                self.cells[f"{layer}_{level}"] = PartialChannels(block, channels[level], size.sampling)
        self.skips = head == "skip"
        """Whether the decoder reads the encoder's maps, too."""
        maps = encoder.channels if encoder is not None and self.skips else []
        self.decoder = _decoder(head, channels, maps, size.head, num_classes, activation)

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        """Images [B, in_channels, H, W], ``alpha`` [L, 4, K], ``beta`` [L, 4, S] -> logits [B, classes, H, W]."""
        features, sizes, maps = self._stem(x)
        before = Before([features], {} if self.tied else None)
        for layer in range(self.layers):
            features = {
                level: self._cell(before, layer, level, weights, sizes[level])
                for level in range(LEVELS)
                if f"{layer}_{level}" in self.cells
            }
            before = Before([*before.layers, features][-self.reach.layers :], before.brought)
        outputs = [features[level] for level in range(LEVELS)]
        if self.skips:
            outputs += maps
        if self.skips or isinstance(self.decoder, DpcDecoder):  # which draw, and what draws is not computed twice
            return restride(self.decoder(outputs), _size(x), FINEST)
        logits = self._kept_small(self.decoder, (self.decoder,), outputs)
        return restride(logits, _size(x), FINEST)

    def transition_of(self, edge: Edge) -> str:
        """The name of the edge's P."""
        return edge.first.key if self.tied else edge.key

    @property
    def stem(self) -> nn.Module:
        """What makes features of the image, and can be frozen: the encoder, or else the stems."""
        return self.stems if self.encoder is None else self.encoder

    def freeze_stem(self, frozen: bool) -> None:
        """Let the stem stay as it is from here on, its statistics too, or move again."""
        self.stem_frozen = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> Grid:
        """As ever; a frozen stem stays in eval mode."""
        super().train(mode)
        if self.stem_frozen:
            self.stem.eval()
        return self

    def _stem(self, x: Tensor) -> tuple[dict[int, Tensor], list[tuple[int, int]], list[Tensor]]:
        """:func:`stem_features`, of which a frozen stem keeps nothing for the backward pass, and an encoder's maps."""
        run: Callable[..., Any] = partial(stem_features, self.stems) if self.encoder is None else self.encoder
        found: Any  # of an encoder maps, of the stems what they come to
        if self.stem_frozen:
            with torch.no_grad():
                found = run(x)
        else:
            found = self._kept_small(run, (self.stem,), x)
        features, sizes = found if self.encoder is None else level_features(self.stems, found)
        return features, sizes, [] if self.encoder is None else found

    def _cell(self, before: Before, layer: int, level: int, weights: Weights, size: tuple[int, int]) -> Tensor:
        alpha, beta = weights["alpha"][layer, level], weights["beta"][layer, level]
        offered = self.offered[layer][level]
        if len(offered) < len(alpha):
            # Indexing by a list would wait for a GPU.
            alpha = torch.stack([alpha[i] for i in offered]) if offered else alpha[:0]
        edges = self.edges[layer][level]
        if self.sampled is not None and self.training and self.sampled < len(edges):
            there = torch.stack([beta[edge.slot] for edge in edges])
            chosen = drawn(there, self.sampled)
            edges = [edges[i] for i in chosen]
            scales = weighed(there, chosen, unbiased=self.unbiased)
        else:
            scales = [beta[edge.slot] for edge in edges]
        transitions = [self.transitions[self.transition_of(edge)] for edge in edges]
        cell = self.cells[f"{layer}_{level}"]
        if before.brought is not None:
            parts = [self._brought(before, edge, size) for edge in edges]
            mixed = total([scale * part for scale, part in zip(scales, parts, strict=True)])
            return self._kept_small(lambda x: cell(x, alpha), (cell,), mixed)

        def run(sources: list[Tensor]) -> Tensor:
            # An edge of weight zero still runs: one that comes back later must not meet stale BatchNorm statistics.
            terms = zip(transitions, sources, scales, strict=True)
            return cell(total([transition(x, size, scale) for transition, x, scale in terms]), alpha)

        sources = [before.layers[-edge.back][edge.source] for edge in edges]
        return self._kept_small(run, (cell, *transitions), sources)

    def _brought(self, before: Before, edge: Edge, size: tuple[int, int]) -> Tensor:
        """What P makes of the source of ``edge`` where one P serves several edges: made by the first that asks."""
        assert before.brought is not None
        key = self.transition_of(edge)
        if key not in before.brought:
            x = before.layers[-edge.back][edge.source]
            before.brought[key] = self.transitions[key](x, size, x.new_ones(()))
        return before.brought[key]

    def _kept_small(self, run: Callable[..., Any], parts: Sequence[nn.Module], argument: Any) -> Any:
        """``run(argument)``, recomputed in the backward pass if that is how this network trains."""
        if self.recompute and self.training and torch.is_grad_enabled():
            return recomputed(run, parts, argument)
        return run(argument)


def _decoder(
    head: str, channels: Sequence[int], maps: Sequence[int], width: int, num_classes: int, activation: str
) -> Decoder | DpcDecoder:
    """What makes logits of levels of so many ``channels``, and of an encoder's ``maps`` of so many."""
    if head == "dpc":
        return DpcDecoder(channels, width, num_classes)
    if maps:
        return Decoder([*channels, *maps], max(SKIP_WIDTH, width), num_classes, activation, SKIP_KEPT)
    return Decoder(channels, width, num_classes, activation)


def _block(
    cell: str,
    width: int,
    expansion: int,
    offered: Sequence[Operation],
    activation: str,
    left: tuple[int, int] | None,
) -> nn.Module:
    """What a cell does to ``width`` channels; ``left`` are the channels that are left of these, and inside."""
    if not offered:
        return BareCell()
    if left is not None:
        return MixtureCell(width, expansion, offered, activation, left=left)
    return CELLS[cell](width, expansion, offered, activation)


def stem_features(stems: nn.ModuleDict, x: Tensor) -> tuple[dict[int, Tensor], list[tuple[int, int]]]:
    """Features of the levels that have a stem (by the name of its level), and the sizes of all levels."""
    # Halving step by step averages all pixels; one bilinear step to an eighth would look at one pixel in sixteen.
    height, width = _size(x)
    features, sizes = {}, []
    for level in range(LEVELS):
        if level:
            x = restride(x, (_halved(height, level), _halved(width, level)), -1)
        if str(level) in stems:
            features[level] = stems[str(level)](x)
        sizes.append(
            _size(features[level])
            if level in features
            else (_halved(height, level + FINEST), _halved(width, level + FINEST))
        )
    return features, sizes


def level_features(stems: nn.ModuleDict, maps: Sequence[Tensor]) -> tuple[dict[int, Tensor], list[tuple[int, int]]]:
    """:func:`stem_features` out of an encoder's maps [B, C_i, h_i, w_i], one per level; sizes are what these have."""
    features = {level: stems[str(level)](x) for level, x in enumerate(maps) if str(level) in stems}
    return features, [_size(x) for x in maps]


def _halved(length: int, times: int) -> int:
    """``length`` halved so many times, rounded up each time."""
    return (length + 2**times - 1) // 2**times


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]
