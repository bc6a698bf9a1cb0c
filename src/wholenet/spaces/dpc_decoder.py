"""A head for grids with the dense prediction cell, where the plain one only adds what the levels say.

Letters: B images, C_s channels of level s, h x w the map at stride 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wholenet.ops.dpc import STRIDE, DensePredictionCell
from wholenet.ops.layers import ConvNorm
from wholenet.ops.resize import restride
from wholenet.spaces.links import STRIDES

LEVEL = STRIDES.index(STRIDE)
"""At which the cell looks: its rates were searched there."""


class DpcDecoder(nn.Module):
    """All levels at stride 16, concatenated, through the cell; at stride 4 beside the finest level (1 x 1 to 3/16 of
    the width: 48 of 256), two 3 x 3 convolutions and 1 x 1 to class logits: DeepLabv3+'s decoder.

    Args:
        channels: C_s, by level.
        width: of the cell and the convolutions, at least 16.
        num_classes: classes to tell apart.
    """

    def __init__(self, channels: Sequence[int], width: int, num_classes: int) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.cell = DensePredictionCell(sum(channels), width)
        low = max(1, 3 * width // 16)
        self.low = ConvNorm(channels[0], low, 1, activation="relu")
        self.first = ConvNorm(width + low, width, 3, activation="relu")
        self.second = ConvNorm(width, width, 3, activation="relu")
        self.classify = nn.Conv2d(width, num_classes, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Four maps [B, C_s, h / (s / 4), w / (s / 4)] -> [B, classes, h, w]."""
        finest, seen = features[0], features[LEVEL]
        size = (seen.shape[-2], seen.shape[-1])
        wide = self.cell(torch.cat([restride(f, size, i - LEVEL) for i, f in enumerate(features)], dim=1))
        wide = restride(wide, (finest.shape[-2], finest.shape[-1]), LEVEL)
        return self.classify(self.second(self.first(torch.cat([wide, self.low(finest)], dim=1))))
