"""One weight step and one architecture step (seed paper, Sec. 3.2): who moves, and what must not.

Letters: B images, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wholenet.architecture import Architecture, Weights
from wholenet.ops.statistics import still_statistics
from wholenet.spaces.supernet import Supernet

Loss = Callable[[Tensor, Tensor], Tensor]
"""(network output, target) -> scalar."""


class Batch(NamedTuple):
    """Images [B, C, H, W] and their targets, on the model's device."""

    images: Tensor
    targets: Tensor


def weight_step(
    model: Supernet,
    batch: Batch,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    *,
    weights: Weights | None = None,
    clip: float = 0.0,
) -> Tensor:
    """Move the weights against the gradient of the loss on ``batch``; the architecture is constant here.

    Args:
        model: in training mode.
        batch: to learn from.
        loss: (output, target) -> scalar.
        optimizer: of the weights.
        weights: architecture weights to take instead of the model's own (random, disturbed).
        clip: norm that the gradient of all weights is cut to; 0 leaves it.

    Returns:
        The loss before the step, detached.
    """
    with torch.no_grad():
        architecture = model.arch() if weights is None else weights
    value = loss(model.execution(batch.images, architecture), batch.targets)
    descend(value, model.net, optimizer, clip)
    return value.detach()


def descend(value: Tensor, net: nn.Module, optimizer: torch.optim.Optimizer, clip: float = 0.0) -> None:
    """Move the weights of ``net`` against the gradient of ``value``, cut to the norm ``clip``; 0 leaves it."""
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    if clip:
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()


def architecture_gradient(
    model: Supernet,
    batch: Batch,
    loss: Loss,
    penalty: Callable[[Architecture], Tensor] | None = None,
    *,
    update_statistics: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """First-order gradient of the loss in the logits alone: the weights are constants, so none of theirs is computed.

    Unless ``update_statistics``, BatchNorm normalises by the batch, but its running statistics keep describing what the
    weight steps saw.

    Returns:
        The task loss (detached, without the penalty) and one gradient per logit tensor.
    """
    still = nullcontext() if update_statistics else still_statistics(model.net)
    with constant(model.net), still:  # the backward pass too: it may run parts of the forward pass again
        value = loss(model.execution(batch.images, model.arch()), batch.targets)
        total = value if penalty is None else value + penalty(model.arch)
        return value.detach(), list(torch.autograd.grad(total, list(model.arch.parameters())))


@contextmanager
def constant(net: nn.Module) -> Iterator[None]:
    """Within the block, no parameter of ``net`` asks for a gradient."""
    moving = [parameter for parameter in net.parameters() if parameter.requires_grad]
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)


def simultaneous_step(
    model: Supernet,
    batch: Batch,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    penalty: Callable[[Architecture], Tensor] | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """One backward pass for both: move the weights, and return what :func:`architecture_gradient` would have, taken on
    the same batch before the weights have seen it.

    With exact fusion the logits' gradient is a by-product of the weights' (a few inner products of kernels and of
    BatchNorm's affine maps), so an epoch of search costs an epoch of warm-up. Not the paper's alternation: there the
    gradient is taken on another batch, after the weights have moved.
    """
    value = loss(model.execution(batch.images, model.arch()), batch.targets)
    total = value if penalty is None else value + penalty(model.arch)
    optimizer.zero_grad(set_to_none=True)
    logits = list(model.arch.parameters())
    total.backward()
    gradient = [parameter.grad for parameter in logits if parameter.grad is not None]
    for parameter in logits:
        parameter.grad = None
    optimizer.step()
    return value.detach(), gradient


def architecture_step(arch: Architecture, gradient: list[Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Move the logits with ``optimizer`` along a gradient that :func:`architecture_gradient` computed."""
    for logits, g in zip(arch.parameters(), gradient, strict=True):
        logits.grad = g
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def decayed_rate(base: float, progress: float, schedule: str, power: float = 0.9) -> float:
    """Learning rate at ``progress`` in [0, 1] of the whole run: "poly" (1 - p)**power, or "cosine", both to zero.

    One schedule spans all three phases; a restart at fine-tuning would be a second stage.

    >>> decayed_rate(0.1, 0.5, "cosine")
    0.05
    """
    if schedule == "poly":
        return base * (1 - progress) ** power
    if schedule == "cosine":
        return base * (1 + math.cos(math.pi * progress)) / 2
    raise ValueError(f"unknown learning rate schedule {schedule!r}; known: poly, cosine")


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def make_optimizers(
    model: Supernet,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    arch_lr: float,
    arch_weight_decay: float,
    arch_betas: tuple[float, float] = (0.9, 0.999),
) -> tuple[torch.optim.SGD, torch.optim.Adam]:
    """SGD for the weights, Adam (coupled weight decay) for the logits: seed paper, Sec. 4.1."""
    weights = torch.optim.SGD(model.net.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    logits = torch.optim.Adam(model.arch.parameters(), lr=arch_lr, weight_decay=arch_weight_decay, betas=arch_betas)
    return weights, logits
