"""A 1 x 1 convolution that skips pixels, whose weight gradient, for few channels on a CPU, writes past its memory.

oneDNN 3.12 (of torch 2.13) gathers the pixels that count in a workspace for C channels, but steps through it by blocks
of 8 channels (AVX2) or 16 (AVX-512): https://github.com/uxlfoundation/oneDNN/issues/6035. Only channels_last maps, and
only strides above 1, meet it.

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 16
"""Channels of oneDNN's widest block; a map of fewer is thinned out before it is convolved."""


class StridedPointwise(nn.Conv2d):
    """A 1 x 1 convolution without bias that reads each ``stride``-th row and column.

    Args:
        inputs: C.
        outputs: C' of the output.
        stride: in pixels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H / stride, W / stride], rounded up."""
        if input.device.type != "cpu" or self.in_channels >= BLOCK:
            return super().forward(input)
        rows, columns = self.stride
        return F.conv2d(input[:, :, ::rows, ::columns], self.weight)
