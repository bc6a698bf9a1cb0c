"""What a candidate operation may declare of itself, so that a cell computes what its operations have in common once.

An operation that has an attribute ``shares`` promises that it computes exactly what that says. One that has none is run
as it is: the fast forms of cells (``ops/cell_forms.py``, ``ops/mixture.py``) never look into an operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Nothing:
    """Zeros, whatever the input."""


@dataclass(frozen=True)
class Itself:
    """The input."""


@dataclass(frozen=True)
class Fixed:
    """A layer without weights and without state, which is the same for all operations of one name."""

    layer: nn.Module


@dataclass(frozen=True)
class Pooled:
    """BatchNorm of a pooling, which is the same for all operations of one name."""

    pool: nn.Module
    norm: nn.BatchNorm2d


@dataclass(frozen=True)
class Stage:
    """ReLU, depthwise convolution, pointwise convolution, BatchNorm; convolutions without bias."""

    spatial: nn.Conv2d
    """A square odd kernel, padded so that stride 1 keeps the size; of the first stage, dilation 1 or 2."""
    across: nn.Conv2d
    norm: nn.BatchNorm2d


@dataclass(frozen=True)
class Separable:
    """Stages one after the other, the stride of the operation in the first."""

    stages: Sequence[Stage]


@dataclass(frozen=True)
class Dense:
    """ReLU, a convolution of stride 1 without bias, BatchNorm."""

    convolution: nn.Conv2d
    norm: nn.BatchNorm2d


@dataclass(frozen=True)
class Halved:
    """ReLU, two pointwise convolutions of stride 2 side by side, the second a pixel off, and BatchNorm."""

    even: nn.Conv2d
    odd: nn.Conv2d
    norm: nn.BatchNorm2d


Shares = Nothing | Itself | Fixed | Pooled | Separable | Dense | Halved


def shares_of(operation: object) -> Shares | None:
    """What ``operation`` declares; None if it declares nothing."""
    found = getattr(operation, "shares", None)
    return found if isinstance(found, Shares) else None


@dataclass(frozen=True, eq=False)
class Kernel:
    """Depthwise convolution by ``weight``, zero-padded to the same size, without bias: of the grid's cell."""

    weight: Tensor
    """[C, 1, h, w], h and w odd: a parameter, or what is computed of some."""
    dilation: int = 1
    """Pixels from one tap to the next."""

    def __post_init__(self) -> None:
        shape = tuple(self.weight.shape)
        if len(shape) != 4 or shape[1] != 1 or not shape[2] % 2 or not shape[3] % 2 or self.dilation < 1:
            raise ValueError(
                f"a kernel {list(shape)} of dilation {self.dilation}; expected [C, 1, h, w] with odd h and w, and a "
                "dilation of at least 1"
            )

    def applied(self, x: Tensor) -> Tensor:
        """``x`` [B, C, H, W] -> the same shape."""
        height, width = self.weight.shape[2:]
        padding = (self.dilation * (height // 2), self.dilation * (width // 2))
        return F.conv2d(x, self.weight, None, 1, padding, self.dilation, len(self.weight))


def kernel_of(operation: nn.Module) -> Kernel | None:
    """The kernel that ``operation`` declares; None if it declares none."""
    found = getattr(operation, "shares", None)
    return found if isinstance(found, Kernel) else None
