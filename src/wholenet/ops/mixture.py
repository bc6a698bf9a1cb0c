"""Weighted sum of the candidate operations of a cell, as one convolution as far as they are one.

The sum of linear maps is one linear map: the kernels of depthwise convolutions, zero-padded to the largest, can be
mixed (a few kilobytes) instead of the feature maps (hundreds of megabytes); a dilated kernel is a larger one with zeros
between its taps. Both forms are exact; which one is cheaper depends on the step (``ops/forms.py``).

Letters: B images, C channels, H x W feature map, K operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.ops.forms import TwoForms, total
from wholenet.ops.fused import Fusable, depthwise_convolution
from wholenet.ops.operations import Operation
from wholenet.ops.shares import Kernel, kernel_of


class OperationMixture(TwoForms, Fusable):
    """``sum_k w_k * operation_k(x)`` (seed paper, Eq. 3, for kernels inside one bottleneck).

    Operations that declare a kernel (``ops/shares.py``) run as one convolution, all others side by side.

    Args:
        channels: C.
        operations: the candidates.

    Raises:
        ValueError: if there are none, or (in ``forward``) if ``weights`` has not one entry per operation.
    """

    def __init__(self, channels: int, operations: Sequence[Operation]) -> None:
        super().__init__()
        if not operations:
            raise ValueError("a cell needs at least one operation to choose from")
        self.names = tuple(operation.name for operation in operations)
        # By name, not by position: a network that keeps some of them finds its weights under the same key.
        self.convs = nn.ModuleDict({operation.key: operation.make(channels) for operation in operations})
        declared = {key: kernel_of(layer) for key, layer in self.convs.items()}
        self.alone = tuple(key for key, kernel in declared.items() if kernel is None)
        """Keys of those that declare nothing."""
        steps = [k.dilation for k in declared.values() if k is not None and max(k.weight.shape[2:]) > 1]
        self.dilation = math.gcd(*steps) or 1
        """Of the merged kernel: the largest that has room for the taps of all."""

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """``x`` [B, C, H, W], ``weights`` [K] -> [B, C, H, W]."""
        if weights.shape != (len(self.names),):
            raise ValueError(
                f"weights has shape {tuple(weights.shape)} but this cell offers {len(self.names)} operations "
                f"({', '.join(self.names)}); it takes one weight per operation"
            )
        layers = zip(self.convs.items(), weights, strict=True)
        if self.runs_plain(x, weights):
            return total([layer(x) * weight for (_, layer), weight in layers])
        terms = [layer(x) * weight for (key, layer), weight in layers if key in self.alone]
        if len(terms) == len(self.names):
            return total(terms)
        dilation = 1 if self.fused else self.dilation
        return total([depthwise_convolution(x, self.merged(weights, dilation), self.fused, dilation), *terms])

    def merged(self, weights: Tensor, dilation: int) -> Tensor:
        """The one kernel that equals the operations that declare one, [C, 1, k, k].

        Args:
            weights: [K], of all operations.
            dilation: of that kernel: :attr:`dilation`, or a divisor of it.
        """
        kernels: list[Tensor] = []
        largest = 1
        for layer, weight in zip(self.convs.values(), weights, strict=True):  # torch.compile follows no more than this
            kernel = kernel_of(layer)
            if kernel is not None:
                kernels.append(spread(kernel, dilation) * weight)
                largest = max(largest, *kernels[-1].shape[2:])
        return total([_padded(kernel, largest) for kernel in kernels])


def spread(kernel: Kernel, dilation: int) -> Tensor:
    """``kernel`` as one of less dilation, a divisor of its own: larger, with zeros between its taps.

    >>> import torch
    >>> spread(Kernel(torch.ones(1, 1, 1, 3), dilation=2), 1).flatten().tolist()
    [1.0, 0.0, 1.0, 0.0, 1.0]
    """
    height, width = kernel.weight.shape[2:]
    if (step := kernel.dilation // dilation) == 1 or height == width == 1:
        return kernel.weight
    apart = F.pad(kernel.weight[:, :, :, None, :, None], (0, step - 1, 0, 0, 0, step - 1)).flatten(4, 5).flatten(2, 3)
    return apart[:, :, : step * (height - 1) + 1, : step * (width - 1) + 1]


def _padded(kernel: Tensor, side: int) -> Tensor:
    """``kernel`` [C, 1, h, w] in the middle of zeros [C, 1, side, side]."""
    above, left = ((side - length) // 2 for length in kernel.shape[2:])
    return F.pad(kernel, (left, left, above, above))
