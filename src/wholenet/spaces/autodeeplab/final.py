"""The discrete network of Auto-DeepLab, as the authors' release trains it: one path of cells, atrous pyramid, decoder.

It is no part of the supernet: a cell reads the path's own layer before the last, wherever that was, which the supernet,
reading its own level, cannot.

Letters: B images, L layers, F filters; level s = 0..3 is stride 4 * 2**s; a cell of level s is F * 2**s wide, and its
output, the blocks side by side, as many times that as it has blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.architecture import Weights
from wholenet.ops.dpc import DensePredictionCell
from wholenet.ops.draws import dropped
from wholenet.ops.forms import total
from wholenet.ops.layers import ConvNorm
from wholenet.ops.norms import BatchNorm
from wholenet.ops.resize import restride
from wholenet.spaces.autodeeplab.genotype import INPUTS, Block, PathGenotype
from wholenet.spaces.autodeeplab.images import check_images, level_sizes, to_image
from wholenet.spaces.autodeeplab.operations import FinalOperation
from wholenet.spaces.autodeeplab.trellis import STRIDES

BACKBONE_EPS = 1e-3
"""Of BatchNorms in stem and cells (the release)."""
KEPT_IN_HEAD = 0.9
"""Share of the pyramid's numbers that training keeps."""


class FinalCell(nn.Module):
    """A cell of the path.

    Args:
        blocks: what each block adds up.
        width: channels of a block.
        one_back: channels of H-1.
        two_back: channels of H-2.
        levels: of H-2, of H-1 and of the cell. Where the last is coarser than the one before, operations on H-1 and H-2
            halve.
        separable_atrous: depthwise separable atrous convolutions.
    """

    def __init__(
        self,
        blocks: tuple[Block, ...],
        width: int,
        one_back: int,
        two_back: int,
        *,
        levels: tuple[int, int, int],
        separable_atrous: bool,
    ) -> None:
        super().__init__()
        self.blocks, self.levels = blocks, levels
        self.one_back = _relu_conv(one_back, width)
        self.two_back = _relu_conv(two_back, width) if two_back != width else None
        self.operations = nn.ModuleDict()
        for block, choices in enumerate(blocks, INPUTS):
            for i, name in choices:
                stride = 2 if levels[2] > levels[1] and i < INPUTS else 1
                operation = FinalOperation(name, width, stride, separable_atrous=separable_atrous)
                self.operations[f"{i}_{block}"] = operation

    def forward(self, one: Tensor, two: Tensor, sizes: Sequence[tuple[int, int]], dropped: float) -> Tensor:
        """H-1 and H-2, the sizes of all levels, and the probability that an operation's output is dropped ->
        [B, blocks * width, *sizes[level]]."""
        two_level, one_level, level = self.levels
        read = min(level, one_level)
        one = restride(one, sizes[read], one_level - read, corners=True)
        two = restride(two, sizes[read], two_level - read, corners=True)
        states = [two if self.two_back is None else self.two_back(two), self.one_back(one)]
        for block, choices in enumerate(self.blocks, INPUTS):
            states.append(total([self.operations[f"{i}_{block}"](states[i], dropped) for i, _ in choices]))
        return torch.cat(states[INPUTS:], dim=1)


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: 1 x 1, 3 x 3 of three rates, the whole image; side by side, 1 x 1.

    Args:
        inputs: channels.
        outputs: channels of each branch, and of the result.
        stride: of the features: 6, 12 and 18 are the rates at 16, twice as much at 8.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.near = ConvNorm(inputs, outputs, 1, activation="relu")
        self.far = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, padding=rate, dilation=rate, bias=False), BatchNorm(outputs), nn.ReLU()
            )
            for rate in (96 // stride * times for times in (1, 2, 3))
        )
        self.all = ConvNorm(inputs, outputs, 1, activation="relu")
        self.merge = ConvNorm(5 * outputs, outputs, 1, activation="relu")

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        whole = self.all(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        x = self.merge(torch.cat([self.near(x), *(branch(x) for branch in self.far), whole], dim=1))
        return dropped(x, KEPT_IN_HEAD) if self.training else x


class FinalNet(nn.Module):
    """The network of a genotype. Its masks are empty: there is nothing to choose.

    Args:
        genotype: path and cell.
        filters: F.
        head: channels of pyramid and decoder, a multiple of 16; the stem has a quarter of them, its last layer half.
        num_classes: classes to tell apart.
        in_channels: channels of the input image.
        path_keep: probability with which, at the end of training, the last cell keeps the output of an operation.
        separable_atrous: depthwise separable atrous convolutions.
        dpc: the dense prediction cell in the place of the pyramid.
    """

    def __init__(
        self,
        genotype: PathGenotype,
        filters: int,
        head: int,
        num_classes: int,
        in_channels: int = 3,
        *,
        path_keep: float = 1.0,
        separable_atrous: bool = False,
        dpc: bool = False,
    ) -> None:
        super().__init__()
        self.masks: dict[str, Tensor] = {}
        self.path, self.path_keep, self.time = genotype.path, path_keep, 0.0
        narrow = head // 4
        self.stem = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), BatchNorm(outputs, eps=BACKBONE_EPS)
            )
            for inputs, outputs, stride in ((in_channels, narrow, 2), (narrow, narrow, 1), (narrow, 2 * narrow, 2))
        )
        channels = [narrow, 2 * narrow]
        at = (-1, 0, *self.path)
        self.cells = nn.ModuleList()
        for levels in zip(at, at[1:], at[2:], strict=False):
            width = filters * 2 ** levels[2]
            two, one = channels[-2:]
            cell = FinalCell(genotype.cell, width, one, two, levels=levels, separable_atrous=separable_atrous)
            self.cells.append(cell)
            channels.append(len(genotype.cell) * width)
        for module in self.cells.modules():
            if isinstance(module, BatchNorm):
                module.eps = BACKBONE_EPS
        self.fine = low_layer(self.path)
        """The layer whose output the decoder reads at stride 4; 0 is the stem."""
        self.pyramid = (DensePredictionCell if dpc else Pyramid)(channels[-1], head, STRIDES[self.path[-1]])
        low = 3 * head // 16
        self.low = ConvNorm(channels[self.fine + 1], low, 1, activation="relu")
        self.decoder = nn.Sequential(
            ConvNorm(head + low, head, 3, activation="relu"), ConvNorm(head, head, 3, activation="relu")
        )
        self.classify = nn.Conv2d(head, num_classes, 1)

    def forward(self, x: Tensor, _weights: Weights) -> Tensor:
        """Images [B, in_channels, H, W] -> logits [B, classes, H, W].

        Raises:
            ValueError: for images that are too small, or a training batch of one image.
        """
        check_images(x, self.training)
        first, second, third = self.stem
        two = second(F.relu(first(x)))
        one = third(F.relu(two))
        sizes = level_sizes(one)
        found = [one]
        for number, cell in enumerate(self.cells, 1):
            dropped = 1 - self.keep(number) if self.training else 0.0
            two, one = one, cell(one, two, sizes, dropped)
            found.append(one)
        wide = restride(self.pyramid(F.relu(one)), sizes[0], self.path[-1], corners=True)
        logits = self.classify(self.decoder(torch.cat([self.low(found[self.fine]), wide], dim=1)))
        return to_image(logits, x, 0)

    def keep(self, cell: int) -> float:
        """Probability with which cell ``cell``, from 1, keeps an operation's output at this ``time``: it falls with the
        depth and with the time (scheduled drop path)."""
        deepest = 1 - cell / len(self.path) * (1 - self.path_keep)
        return 1 - min(1.0, self.time) * (1 - deepest)


def low_layer(path: tuple[int, ...]) -> int:
    """The layer at stride 4 that the decoder reads: the last before the path leaves it for the end; 0 is the stem.

    The release reads the third layer of its own path. Where the path ends at stride 4, the last layer but one that has
    it (ours).

    >>> low_layer((0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1)), low_layer((1, 2)), low_layer((0, 1, 0))
    (3, 0, 1)
    """
    return max((layer for layer, level in enumerate(path[:-1], 1) if level == 0), default=0)


def _relu_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), BatchNorm(outputs))
