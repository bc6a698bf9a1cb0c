"""What a network that estimates disparity is called with, and what it gives.

Letters: N pairs, C channels, H, W height and width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Pair(NamedTuple):
    """Inputs: rectified pairs."""

    left: Tensor
    """[N, C, H, W]."""
    right: Tensor
    """Likewise."""


class Disparities(NamedTuple):
    """Outputs: one estimate at each level, from fine to coarse, all in pixels of the full resolution, 0 or more."""

    full: Tensor
    """[N, H, W]: the finest level, enlarged to the inputs' size; what people get."""
    levels: tuple[Tensor, ...]
    """[N, h, w] each, of which the first is what ``full`` was enlarged from; what is learned from."""
