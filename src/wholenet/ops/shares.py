"""What a candidate operation may declare of itself, so that a cell computes what its edges have in common once.

An operation that has an attribute ``shares`` promises that it computes exactly what that says. One that has none is run
as it is: the fast form of a cell (``ops/cell_forms.py``) never looks into an operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Nothing:
    """Zeros, whatever the input."""


@dataclass(frozen=True)
class Itself:
    """The input."""


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
class Halved:
    """ReLU, two pointwise convolutions of stride 2 side by side, the second a pixel off, and BatchNorm."""

    even: nn.Conv2d
    odd: nn.Conv2d
    norm: nn.BatchNorm2d


Shares = Nothing | Itself | Pooled | Separable | Halved


def shares_of(operation: nn.Module) -> Shares | None:
    """What ``operation`` declares; None if it declares nothing."""
    found = getattr(operation, "shares", None)
    return found if isinstance(found, Shares) else None
