"""Weighted sum of depthwise convolutions that differ only in kernel size.

The sum of linear maps is one linear map: the kernels, zero-padded to the largest, can be mixed (a few kilobytes)
instead of the feature maps (hundreds of megabytes). Both forms are exact; which one is cheaper depends on the step
(``ops/forms.py``).

Letters: B images, C channels, H x W feature map, K kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.ops.forms import TwoForms, total
from wholenet.ops.fused import Fusable, depthwise_convolution


class KernelMixture(TwoForms, Fusable):
    """``sum_k w_k * depthwise_k(x)`` over odd kernel sizes (seed paper, Eq. 3, for kernels inside one bottleneck).

    Args:
        channels: C.
        kernels: odd kernel sizes, one per candidate operation.

    Raises:
        ValueError: if a kernel size is even, or (in ``forward``) if ``weights`` has not one entry per kernel.
    """

    def __init__(self, channels: int, kernels: Sequence[int]) -> None:
        super().__init__()
        if not kernels or any(k % 2 == 0 for k in kernels):
            raise ValueError(f"kernel sizes must be odd and at least one; found {tuple(kernels)}")
        self.kernels = tuple(kernels)
        self.largest = max(kernels)
        # By name, not by position: a network that keeps some of the kernels finds its weights under the same key.
        self.convs = nn.ModuleDict(
            {f"k{k}": nn.Conv2d(channels, channels, k, padding=k // 2, groups=channels, bias=False) for k in kernels}
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """``x`` [B, C, H, W], ``weights`` [K] -> [B, C, H, W]."""
        if weights.shape != (len(self.kernels),):
            raise ValueError(
                f"weights has shape {tuple(weights.shape)} but this cell offers {len(self.kernels)} kernels "
                f"{self.kernels}; it takes one weight per kernel"
            )
        if self.runs_plain(x, weights):
            return total([conv(x) * weight for conv, weight in zip(self.convs.values(), weights, strict=True)])
        return depthwise_convolution(x, self.merged(weights), self.fused)

    def merged(self, weights: Tensor) -> Tensor:
        """The one kernel that equals the mixture: [C, 1, k, k] with k the largest size."""
        margins = [(self.largest - k) // 2 for k in self.kernels]
        kernels = [cast(nn.Conv2d, conv).weight for conv in self.convs.values()]
        return total([F.pad(k * w, (m, m, m, m)) for k, w, m in zip(kernels, weights, margins, strict=True)])
