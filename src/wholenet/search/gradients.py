"""The ways to take an architecture gradient. By name they are in ``search/parts.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wholenet.search.steps import Batch, Loss, Seen, architecture_gradient
from wholenet.search.unrolled import VirtualStep, unrolled_gradient
from wholenet.spaces.supernet import Supernet


@dataclass(frozen=True)
class Bilevel:
    """What an architecture gradient may look at; nothing of it moves."""

    model: Supernet
    train: Batch
    """What the weights are about to learn from."""
    validation: Batch
    """What the architecture learns from."""
    loss: Loss
    optimizer: torch.optim.Optimizer
    """Of the weights."""
    seen: Seen | None = None
    """Told the output on the validation batch."""
    clip: float = 0.0
    """Norm that gradients in the weights are cut to in a virtual step; 0 leaves them."""


TakeGradient = Callable[[Bilevel], tuple[Tensor, list[Tensor]]]
"""-> the loss (detached), and one gradient per logit tensor."""


def first_order(at: Bilevel) -> tuple[Tensor, list[Tensor]]:
    """Of the validation loss at the weights as they are (DARTS, Sec. 2.3, xi = 0)."""
    return architecture_gradient(at.model, at.validation, at.loss, seen=at.seen)


def moving_statistics(at: Bilevel) -> tuple[Tensor, list[Tensor]]:
    """The same, and BatchNorm's running statistics move with it."""
    return architecture_gradient(at.model, at.validation, at.loss, update_statistics=True, seen=at.seen)


def one_level(at: Bilevel) -> tuple[Tensor, list[Tensor]]:
    """Of the training loss, on the batch that the weights are about to learn from."""
    return architecture_gradient(at.model, at.train, at.loss)


def mixed_level(at: Bilevel, weight: float = 1.0) -> tuple[Tensor, list[Tensor]]:
    """Of the training loss plus ``weight`` times the validation loss (MiLeNAS, Eqs. 5 and 6: lambda; its code has the
    factor on the training loss). The loss is that on the validation batch."""
    value, above = first_order(at)
    _, below = one_level(at)
    return value, [b + weight * a for a, b in zip(above, below, strict=True)]


def second_order(at: Bilevel, implicit: Literal["difference", "exact"] = "difference") -> tuple[Tensor, list[Tensor]]:
    """Of the validation loss after one more step of the weights (DARTS, Sec. 2.3)."""
    step = VirtualStep.of(at.optimizer, at.clip)
    return unrolled_gradient(at.model, at.train, at.validation, at.loss, step, implicit, seen=at.seen)


def second_order_exact(at: Bilevel) -> tuple[Tensor, list[Tensor]]:
    """The same, with the product of second derivatives by differentiating twice."""
    return second_order(at, "exact")
