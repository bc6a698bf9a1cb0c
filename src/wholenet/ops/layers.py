"""The small layers that every network here is made of.

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.ops.forms import TwoForms
from wholenet.ops.fused import Fusable, norm_activation
from wholenet.ops.norms import BatchNorm

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "hardswish": lambda: nn.Hardswish(inplace=True),
}


def make_activation(name: str) -> nn.Module:
    """A fresh activation module.

    Raises:
        ValueError: if the name is not in ``ACTIVATIONS``.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def lay_out(net: nn.Module) -> None:
    """Put the convolution weights of ``net`` into channels_last layout, which is how everything here runs."""
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


class ConvNorm(Fusable, nn.Sequential):
    """Convolution without bias, BatchNorm, and an activation if one is named."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, activation: str | None = None
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
            BatchNorm(outputs),
        ]
        if activation is not None:
            layers.append(make_activation(activation))
        super().__init__(*layers)

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """[B, inputs, H, W] -> [B, outputs, H', W']."""
        conv, norm, *activation = self
        return norm_activation(conv(x), cast(nn.BatchNorm2d, norm), activation[0] if activation else None, self.fused)


class ScaledNorm(TwoForms, BatchNorm):
    """BatchNorm whose output is multiplied by a scalar: an edge's weight. The fast form puts it into the affine map,
    so that no feature map is multiplied."""

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``x`` [B, C, H, W] and a scalar -> ``scale`` * BatchNorm(x)."""
        if self.plain:
            return super().forward(x) * scale
        return self.normalized(x, self.weight * scale, self.bias * scale)


class SqueezeExcite(nn.Module):
    """Channel gates from the spatial mean (squeeze-and-excitation; MobileNetV3 form with a hard sigmoid)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [B, C, H, W] -> the same shape."""
        return gated(x, self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))


def gated(x: Tensor, strengths: Tensor) -> Tensor:
    """``x`` [B, C, H, W] times the hard sigmoid of ``strengths`` [B, C, 1, 1]."""
    # In a form that torch can differentiate twice.
    return x * (F.relu6(strengths + 3) / 6)


def shuffle_channels(x: Tensor, groups: int) -> Tensor:
    """Interleave ``groups`` equal blocks of channels (PC-DARTS, Sec. 3.1), so that other channels come first next time.

    >>> shuffle_channels(torch.arange(6.0).view(1, 6, 1, 1), 2).flatten().tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)


class PartialChannels(nn.Module):
    """Send the first ``C / groups`` channels through ``cell``, let the others bypass it, then shuffle.

    Channel sampling of PC-DARTS and DCNAS; ``groups`` = 1 / S is 1 for no sampling, when the cell sees everything.
    """

    def __init__(self, cell: nn.Module, channels: int, groups: int) -> None:
        super().__init__()
        self.cell = cell
        self.groups = groups
        self.sampled = channels // groups

    def forward(self, x: Tensor, *args: Tensor) -> Tensor:
        """``x`` [B, C, H, W] and what the cell takes besides -> [B, C, H, W]."""
        if self.groups == 1:
            return self.cell(x, *args)
        through, bypass = x[:, : self.sampled], x[:, self.sampled :]
        return shuffle_channels(torch.cat([self.cell(through, *args), bypass], dim=1), self.groups)
