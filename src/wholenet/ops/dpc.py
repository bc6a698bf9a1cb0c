"""The dense prediction cell (Chen et al., NeurIPS 2018), as the authors' release has it: five separable convolutions of
different rates, found by search, in the place of an atrous pyramid.

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wholenet.ops.draws import dropped
from wholenet.ops.layers import ConvNorm
from wholenet.ops.norms import BatchNorm

FEATURES = -1
"""As what a branch reads: the cell's input."""
BRANCHES = ((FEATURES, (1, 6)), (0, (18, 15)), (1, (6, 3)), (0, (1, 1)), (0, (6, 21)))
"""What each branch reads, an earlier branch by its number, and its rate (height, width), at stride 16."""
STRIDE = 16
"""That the rates are for."""
KEPT = 0.9
"""Of the branches' outputs in training."""


class RatedConv(nn.Module):
    """A 3 x 3 depthwise convolution of a rate for each axis, and a 1 x 1 convolution, each with BatchNorm and ReLU.

    Args:
        inputs: channels.
        outputs: channels.
        rate: (height, width).
    """

    def __init__(self, inputs: int, outputs: int, rate: tuple[int, int]) -> None:
        super().__init__()
        depthwise = nn.Conv2d(inputs, inputs, 3, padding=rate, dilation=rate, groups=inputs, bias=False)
        self.depthwise = nn.Sequential(depthwise, BatchNorm(inputs), nn.ReLU(inplace=True))
        self.pointwise = ConvNorm(inputs, outputs, 1, activation="relu")

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        return self.pointwise(self.depthwise(x))


class DensePredictionCell(nn.Module):
    """The branches side by side, dropout, and 1 x 1 to the width of one.

    Args:
        inputs: channels.
        outputs: channels, 256 in the paper.
        stride: of the features; rates are in proportion to that of 16, at least 1.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = STRIDE) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            RatedConv(
                inputs if source == FEATURES else outputs,
                outputs,
                (max(1, height * STRIDE // stride), max(1, width * STRIDE // stride)),
            )
            for source, (height, width) in BRANCHES
        )
        self.project = ConvNorm(len(BRANCHES) * outputs, outputs, 1, activation="relu")

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        found: list[Tensor] = []
        for branch, (source, _) in zip(self.branches, BRANCHES, strict=True):
            found.append(branch(x if source == FEATURES else found[source]))
        h = torch.cat(found, dim=1)
        if self.training:
            h = dropped(h, KEPT)
        return self.project(h)
