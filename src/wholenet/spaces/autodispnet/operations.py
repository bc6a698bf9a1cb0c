"""The layers of AutoDispNet: convolution, leaky ReLU and then, but in the published networks, BatchNorm.

Convolutions have a bias. Their weights begin normal, of variance 2 over the number of inputs (He).

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from wholenet.ops.candidates import Skip, Zero
from wholenet.ops.norms import BatchNorm
from wholenet.ops.shares import Fixed

SLOPE = 0.1
"""Of leaky ReLU below zero."""


class Style(NamedTuple):
    """How the cells of a network are built."""

    norm: bool
    """A BatchNorm after each activation."""
    affine: bool
    """It has an affine map."""


def begun(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """``layer`` with the weights of before training."""
    if layer.weight.is_meta:  # nothing is there to be filled, which takes torch long
        return layer
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def activated(style: Style, channels: int) -> list[nn.Module]:
    """What follows a convolution."""
    norm = [BatchNorm(channels, affine=style.affine)] if style.norm else []
    return [nn.LeakyReLU(SLOPE), *norm]


class Convolution(nn.Sequential):
    """A full convolution, activated: [B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, style: Style) -> None:
        layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
        super().__init__(begun(layer), *activated(style, outputs))


class Upsampling(nn.Sequential):
    """A 4 x 4 transposed convolution, activated: [B, inputs, H, W] -> [B, outputs, 2 H, 2 W]."""

    def __init__(self, inputs: int, outputs: int, style: Style) -> None:
        layer = nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1)
        super().__init__(begun(layer), *activated(style, outputs))


class SeparableConvolutions(nn.Sequential):
    """Depthwise separable convolutions one after the other, each activated; the depthwise part has no bias.

    Args:
        channels: C.
        kernel: an odd size.
        strides: of each.
        dilation: of each.
        style: of the network.
    """

    def __init__(
        self, channels: int, kernel: int, strides: tuple[int, ...], style: Style, *, dilation: int = 1
    ) -> None:
        padding = dilation * (kernel // 2)
        options = {"padding": padding, "dilation": dilation, "groups": channels, "bias": False}
        layers: list[nn.Module] = []
        for stride in strides:
            layers += [
                begun(nn.Conv2d(channels, channels, kernel, stride, **options)),
                begun(nn.Conv2d(channels, channels, 1)),
                *activated(style, channels),
            ]
        super().__init__(*layers)


class MaxPooling(nn.MaxPool2d):
    """3 x 3."""

    @property
    def shares(self) -> Fixed:
        """All of it."""
        return Fixed(self)


class MeanPooling(nn.AvgPool2d):
    """3 x 3; what lies beside the image does not count."""

    @property
    def shares(self) -> Fixed:
        """All of it."""
        return Fixed(self)


Make = Callable[[int, int, Style], nn.Module]
"""(channels C, stride, style) -> [B, C, H, W] -> [B, C, H / stride, W / stride]."""


def _separable(kernel: int) -> Make:
    return lambda channels, stride, style: SeparableConvolutions(channels, kernel, (stride, 1), style)


def _dilated(kernel: int) -> Make:
    return lambda channels, stride, style: SeparableConvolutions(channels, kernel, (stride,), style, dilation=2)


def _skip(channels: int, stride: int, style: Style) -> nn.Module:
    """The input itself; where the size halves, a full 3 x 3 convolution."""
    return Skip() if stride == 1 else Convolution(channels, channels, 3, stride, style)


MAKES: dict[str, Make] = {
    "none": lambda _channels, stride, _style: Zero(stride),
    "max_pool_3x3": lambda _channels, stride, _style: MaxPooling(3, stride, padding=1),
    "avg_pool_3x3": lambda _channels, stride, _style: MeanPooling(3, stride, padding=1, count_include_pad=False),
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
}
"""The candidates of an edge."""


class Prediction(nn.Module):
    """A 3 x 3 convolution to one channel: disparities in pixels of the full resolution, 0 or more.

    Args:
        inputs: channels.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.convolution = begun(nn.Conv2d(inputs, 1, 3, padding=1))

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """[B, inputs, H, W] and, of a stage that refines, the stage before's estimate [B, 1, H, W] -> [B, 1, H, W]."""
        found = self.convolution(x)
        return (found if before is None else found + before).relu()
