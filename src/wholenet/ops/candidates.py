"""The candidate operations of the DARTS spaces, by name (DARTS and its code; RobustDARTS).

All take ReLU first, convolution, BatchNorm last, and keep the number of channels. In a search supernet a BatchNorm
follows each pooling; in a discrete network none does. BatchNorms of a supernet have an affine map only if the supernet
is the final model too.

Letters: B images, C channels, H x W feature map; stride 1 or 2.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Make = Callable[[int, int, bool, bool], nn.Module]
"""(channels, stride, search, affine) -> operation."""


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution, BatchNorm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, affine: bool) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, affine=affine),
        )


def depthwise_separable(channels: int, kernel: int, stride: int, *, dilation: int, affine: bool) -> list[nn.Module]:
    """ReLU, depthwise convolution, pointwise convolution, BatchNorm."""
    padding = dilation * (kernel - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding=padding, dilation=dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


def separable(kernel: int) -> Make:
    """Two depthwise separable convolutions, the stride in the first."""

    def make(channels: int, stride: int, _search: bool, affine: bool) -> nn.Module:
        first, second = (depthwise_separable(channels, kernel, s, dilation=1, affine=affine) for s in (stride, 1))
        return nn.Sequential(*first, *second)

    return make


def dilated(kernel: int) -> Make:
    """One depthwise separable convolution with dilation 2."""

    def make(channels: int, stride: int, _search: bool, affine: bool) -> nn.Module:
        return nn.Sequential(*depthwise_separable(channels, kernel, stride, dilation=2, affine=affine))

    return make


def pooling(layer: Callable[..., nn.Module], **options: bool) -> Make:
    """3 x 3 pooling; what lies beside the image does not count."""

    def make(channels: int, stride: int, search: bool, affine: bool) -> nn.Module:
        pool = layer(3, stride=stride, padding=1, **options)
        return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=affine)) if search else pool

    return make


class FactorizedReduce(nn.Module):
    """Half the size without skipping pixels: two 1 x 1 convolutions of stride 2, one a pixel off, side by side.

    Args:
        inputs: channels of the input.
        outputs: channels of the output, an even number.
        affine: of the BatchNorm.
    """

    def __init__(self, inputs: int, outputs: int, *, affine: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.even, self.odd = (nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / 2, W / 2]; H and W even."""
        x = self.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))


class Zero(nn.Module):
    """Nothing: zeros of the right size. Its weight in a mixture only takes from the others'."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> zeros [B, C, H / stride, W / stride]."""
        return x[:, :, :: self.stride, :: self.stride] * 0


class Noise(nn.Module):
    """Standard normal numbers whatever the input, fresh in every call, in evaluation too: harmful by construction
    (RobustDARTS, space S4)."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> N(0, 1) of [B, C, H / stride, W / stride]."""
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])


def skip(channels: int, stride: int, _search: bool, affine: bool) -> nn.Module:
    """The input itself; where the size halves, a factorized reduction."""
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=affine)


CANDIDATES: dict[str, Make] = {
    "none": lambda _channels, stride, _search, _affine: Zero(stride),
    "max_pool_3x3": pooling(nn.MaxPool2d),
    "avg_pool_3x3": pooling(nn.AvgPool2d, count_include_pad=False),
    "skip_connect": skip,
    "sep_conv_3x3": separable(3),
    "sep_conv_5x5": separable(5),
    "sep_conv_7x7": separable(7),
    "dil_conv_3x3": dilated(3),
    "dil_conv_5x5": dilated(5),
    "noise": lambda _channels, stride, _search, _affine: Noise(stride),
}
"""Operations by the names that the literature has for them."""


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zero each sample of ``x`` [B, C, H, W] with ``probability``; divide what is kept by that of keeping it."""
    if probability == 0:
        return x
    kept = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(1 - probability)
    return x * (kept / (1 - probability))
