"""Depthwise convolution, whose weight gradient, for 5 x 5 kernels on a CPU, is the slowest part of a cell's training.

Letters: B images, C channels, H x W feature map, K kernel size.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

WIDE, NARROW = 5, 3
"""A width of kernels for which oneDNN has no fast weight gradient, and the largest for which it has one."""


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """``x`` [B, C, H, W] and ``weight`` [C, 1, K, K] -> [B, C, H / stride, W / stride]; differentiable any number of
    times."""
    if (
        weight.shape[3] == WIDE
        and dilation == 1
        and weight.requires_grad
        and x.device.type == "cpu"
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")  # which would hand a gradient of another type to what it saved
    ):
        return _Wide.apply(x, weight, stride)  # pyright: ignore[reportReturnType]
    padding = dilation * (weight.shape[3] - 1) // 2
    return F.conv2d(x, weight, None, stride, padding, dilation, len(weight))


class _Wide(torch.autograd.Function):
    """Kernels five wide, whose gradient is put together from two of kernels three wide: columns 0 to 2, and 2 to 4."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, WIDE // 2, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        beside = WIDE // 2
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _gradient(0, grad, x, weight, ctx.stride, beside)
        if ctx.needs_input_grad[1]:
            # With two columns of zeros on the left the kernel's first three stay inside, with two on the right its last
            # three. Rows are padded here as well: the fast kernel takes no map that is lower than the kernel.
            left, right = (
                _gradient(1, grad, F.pad(x, (*sides, beside, beside)), weight[..., :NARROW], ctx.stride, 0)
                for sides in ((beside, 0), (0, beside))
            )
            of_weight = torch.cat([left, right[..., 1:]], dim=3)
        return of_x, of_weight, None


def _gradient(of: int, grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Of a depthwise convolution in its input (0) or its weight (1), whose values do not count then; differentiable."""
    wanted = [of == 0, of == 1, False]
    return torch.ops.aten.convolution_backward.default(
        grad, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight), wanted
    )[of]
