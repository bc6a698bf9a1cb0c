"""The candidate operations of the cell spaces, by name: those of DARTS and its code, of RobustDARTS, and of users.

Ours take ReLU first, convolution, BatchNorm last, and keep the number of channels. In a search supernet a BatchNorm
follows each pooling; in a discrete network none does. BatchNorms of a supernet have an affine map only if the supernet
is the final model too.

Letters: B images, C channels, H x W feature map; stride 1 or 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wholenet.ops.draws import drawn_for_all, dropped
from wholenet.ops.norms import BatchNorm
from wholenet.ops.shares import Halved, Itself, Nothing, Pooled, Separable, Stage
from wholenet.ops.strided import StridedPointwise
from wholenet.plugins import load_plugins
from wholenet.registry import Registry, is_name

Make = Callable[[int, int, bool, bool], nn.Module]
"""(channels C, stride, search, affine) -> a layer, [B, C, H, W] -> [B, C, H / stride, W / stride], which leaves its
input as it was. ``search``: it is one candidate of a supernet, not all that there is on its edge; ``affine``: its
BatchNorms have an affine map."""


@dataclass(frozen=True)
class CellOperation:
    """A candidate operation of the cell spaces. What its layers declare (``shares``, see ``ops/shares.py``) is computed
    together with others; one that declares nothing runs as it is.

    Raises:
        ValueError: for a name that is none, or that torch has no room for.
    """

    name: str
    make: Make

    def __post_init__(self) -> None:
        if not is_name(self.name) or "." in self.name:  # weights are found by it, at the dots between names
            raise ValueError(f"operation {self.name!r}: expected a name of letters, digits, '-' and '_'")
        if hasattr(nn.ModuleDict(), self.name):
            raise ValueError(f"operation {self.name!r}: torch has something of that name; give it another")


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution, BatchNorm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, affine: bool) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            BatchNorm(outputs, affine=affine),
        )


class SeparableConvolutions(nn.Sequential):
    """Depthwise separable convolutions one after the other, each ReLU, depthwise, pointwise, BatchNorm.

    Args:
        channels: C.
        kernel: an odd size.
        strides: of each.
        dilation: of each.
        affine: of the BatchNorms.
    """

    def __init__(self, channels: int, kernel: int, strides: Sequence[int], *, dilation: int = 1, affine: bool) -> None:
        padding = dilation * (kernel - 1) // 2
        options = {"padding": padding, "dilation": dilation, "groups": channels, "bias": False}
        layers: list[nn.Module] = []
        for stride in strides:
            layers += [
                nn.ReLU(),
                nn.Conv2d(channels, channels, kernel, stride, **options),
                nn.Conv2d(channels, channels, 1, bias=False),
                BatchNorm(channels, affine=affine),
            ]
        super().__init__(*layers)

    @property
    def shares(self) -> Separable:
        """All of it."""
        layers = list(self)
        return Separable([Stage(*layers[i + 1 : i + 4]) for i in range(0, len(layers), 4)])  # pyright: ignore[reportArgumentType]


def separable(kernel: int) -> Make:
    """Two depthwise separable convolutions, the stride in the first."""
    return lambda channels, stride, _search, affine: SeparableConvolutions(channels, kernel, (stride, 1), affine=affine)


def dilated(kernel: int) -> Make:
    """One depthwise separable convolution with dilation 2."""
    return lambda channels, stride, _search, affine: SeparableConvolutions(
        channels, kernel, (stride,), dilation=2, affine=affine
    )


class PooledNorm(nn.Sequential):
    """Pooling and BatchNorm."""

    def __init__(self, pool: nn.Module, channels: int, *, affine: bool) -> None:
        super().__init__(pool, BatchNorm(channels, affine=affine))

    @property
    def shares(self) -> Pooled:
        """All of it."""
        pool, norm = self
        return Pooled(pool, norm)  # pyright: ignore[reportArgumentType]


def pooling(layer: Callable[..., nn.Module], **options: bool) -> Make:
    """3 x 3 pooling; what lies beside the image does not count."""

    def make(channels: int, stride: int, search: bool, affine: bool) -> nn.Module:
        pool = layer(3, stride=stride, padding=1, **options)
        return PooledNorm(pool, channels, affine=affine) if search else pool

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
        self.even, self.odd = (StridedPointwise(inputs, outputs // 2, 2) for _ in range(2))
        self.norm = BatchNorm(outputs, affine=affine)

    @property
    def shares(self) -> Halved:
        """All of it."""
        return Halved(self.even, self.odd, self.norm)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / 2, W / 2]; H and W even."""
        x = self.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))


class Skip(nn.Identity):
    """The input itself."""

    shares = Itself()


class Zero(nn.Module):
    """Nothing: zeros of the right size. Its weight in a mixture only takes from the others'."""

    shares = Nothing()

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
        return drawn_for_all(x[:, :, :: self.stride, :: self.stride].detach(), torch.Tensor.normal_)


def skip(channels: int, stride: int, _search: bool, affine: bool) -> nn.Module:
    """The input itself; where the size halves, a factorized reduction."""
    return Skip() if stride == 1 else FactorizedReduce(channels, channels, affine=affine)


def factorized(kernel: int) -> Make:
    """A row, then a column of a kernel, both dense."""

    def make(channels: int, stride: int, _search: bool, affine: bool) -> nn.Module:
        margin = kernel // 2
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, kernel), (1, stride), padding=(0, margin), bias=False),
            nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), padding=(margin, 0), bias=False),
            BatchNorm(channels, affine=affine),
        )

    return make


_MAKES: dict[str, Make] = {
    "none": lambda _channels, stride, _search, _affine: Zero(stride),
    "max_pool_3x3": pooling(nn.MaxPool2d),
    "avg_pool_3x3": pooling(nn.AvgPool2d, count_include_pad=False),
    "skip_connect": skip,
    "sep_conv_3x3": separable(3),
    "sep_conv_5x5": separable(5),
    "sep_conv_7x7": separable(7),
    "dil_conv_3x3": dilated(3),
    "dil_conv_5x5": dilated(5),
    "conv_7x1_1x7": factorized(7),
    "noise": lambda _channels, stride, _search, _affine: Noise(stride),
}
CANDIDATES: Registry[CellOperation] = Registry(
    "cell operation", {name: CellOperation(name, make) for name, make in _MAKES.items()}, load_plugins
)
"""By the names that the literature has for them; :func:`wholenet.register` adds to them."""


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zero each sample of ``x`` [B, C, H, W] with ``probability``; divide what is kept by that of keeping it."""
    if probability == 0:
        return x
    return dropped(x, 1 - probability, x.new_empty(len(x), 1, 1, 1))


def drop_out(x: Tensor, probability: float) -> Tensor:
    """Zero each number of ``x`` [B, C, H, W] with ``probability``; divide what is kept by that of keeping it."""
    return dropped(x, 1 - probability)
