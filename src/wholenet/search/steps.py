"""One weight step and one architecture step (seed paper, Sec. 3.2): who moves, and what must not.

Letters: B images, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

from wholenet import parallel
from wholenet.architecture import Architecture, Weights
from wholenet.ops.statistics import still_statistics
from wholenet.spaces.supernet import Supernet

Loss = Callable[[Any, Tensor], Tensor]
"""(network output, target) -> scalar."""
Seen = Callable[[Any], None]
"""Told the output of a step's pass: what reads on where it ended keeps its state."""


class Batch(NamedTuple):
    """Images [B, C, H, W], or what else a task takes, and their targets, on the model's device."""

    images: Any
    """A tensor, or a named tuple of tensors, any of which may be None."""
    targets: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """This batch on ``device``; images are laid out for speed."""
        return Batch(moved(self.images, device), self.targets.to(device))


def told(output: Any, seen: Seen | None) -> Any:
    """``output``, once ``seen`` was told of it."""
    if seen is not None:
        seen(output)
    return output


def moved(inputs: Any, device: torch.device | str) -> Any:
    """Inputs of a network on ``device``, images laid out for speed: a tensor, or a named tuple of tensors and Nones."""
    if inputs is None:
        return None
    if not isinstance(inputs, Tensor):
        return inputs._make(moved(part, device) for part in inputs)
    layout = torch.channels_last if inputs.dim() == 4 else torch.preserve_format
    return inputs.to(device, memory_format=layout)


def weight_step(
    model: Supernet,
    batch: Batch,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    *,
    weights: Weights | None = None,
    clip: float = 0.0,
    seen: Seen | None = None,
) -> Tensor:
    """Move the weights against the gradient of the loss on ``batch``; the architecture is constant here.

    Args:
        model: in training mode.
        batch: to learn from.
        loss: (output, target) -> scalar.
        optimizer: of the weights.
        weights: architecture weights to take instead of the model's own (random, disturbed).
        clip: norm that the gradient of all weights is cut to; 0 leaves it.
        seen: told the network's output.

    Returns:
        The loss before the step, over all processes, detached.
    """
    with torch.no_grad():
        architecture = model.arch.drawn() if weights is None else weights
    value = loss(told(model.execution(batch.images, model.arch.gated(architecture)), seen), batch.targets)
    return descend(value, model.net, optimizer, clip, model.arch.gates().values())


def descend(
    value: Tensor,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    clip: float = 0.0,
    gates: Iterable[Tensor] = (),
) -> Tensor:
    """Move the weights of ``net`` against the gradient of ``value``, cut to the norm ``clip``; 0 leaves it. ``gates``:
    what else has a gradient, which is summed over all processes too.

    Returns:
        The value, over all processes, detached.

    Raises:
        NotFinite: if either is not a finite number, before anything has moved.
    """
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    sum_gradients([*net.parameters(), *gates])
    whole = parallel.summed(value)  # where it is lost in one process, all of them stop
    refuse_nonfinite({"loss": whole}, _gradients(net))
    if clip:
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()
    return whole


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Make every gradient the sum over all processes, of which each has that of its part of the loss."""
    parallel.sum_each(parameter.grad for parameter in parameters if parameter.grad is not None)


class NotFinite(FloatingPointError):
    """What a step was about to move by is not a finite number; nothing has moved.

    Args:
        term: that is not.
        value: what it is.
    """

    def __init__(self, term: str, value: float) -> None:
        super().__init__(f"the {term} became {value}")


def refuse_nonfinite(terms: Mapping[str, Tensor], gradients: Iterable[tuple[str, Tensor | None]]) -> None:
    """Make sure that a step is about to move by finite numbers.

    Args:
        terms: of the loss, by name: scalars.
        gradients: by the name of what they are to move; None for what stays.

    Raises:
        NotFinite: naming the first term, or else the first gradient, that is not finite.
    """
    moved = [(name, gradient) for name, gradient in gradients if gradient is not None]
    norm = torch.nn.utils.get_total_norm([gradient for _, gradient in moved])
    if norm.is_meta:  # no numbers: the step is only being counted (search/cost.py)
        return
    # One wait for the device: what is not finite anywhere makes the sum so.
    if sum((term.detach() for term in terms.values()), norm).isfinite():
        return
    for name, value in terms.items():
        if not value.isfinite():
            raise NotFinite(name, value.item())
    for name, gradient in moved:
        if not gradient.isfinite().all():
            raise NotFinite(f"gradient of {name}", gradient.sum().item())
    raise NotFinite("norm of the gradient", norm.item())


def _gradients(module: nn.Module) -> Iterator[tuple[str, Tensor | None]]:
    return ((name, parameter.grad) for name, parameter in module.named_parameters())


def architecture_gradient(
    model: Supernet, batch: Batch, loss: Loss, *, update_statistics: bool = False, seen: Seen | None = None
) -> tuple[Tensor, list[Tensor]]:
    """First-order gradient of the loss in the logits alone: the weights are constants, so none of theirs is computed.

    Unless ``update_statistics``, BatchNorm normalises by the batch, but its running statistics keep describing what the
    weight steps saw.

    Returns:
        The loss (detached) and one gradient per logit tensor.

    Raises:
        NotFinite: if either is not a finite number.
    """
    still = nullcontext() if update_statistics else still_statistics(model.net)
    with constant(model.net), still:  # the backward pass too: it may run parts of the forward pass again
        value = loss(told(model.execution(batch.images, model.arch.drawn()), seen), batch.targets)
        gradient = list(torch.autograd.grad(value, list(model.arch.parameters())))
        parallel.sum_each(gradient)
        whole = parallel.summed(value)
        refuse_nonfinite({"loss": whole}, zip(model.arch.logits, gradient, strict=True))
        return whole, gradient


def with_penalties(arch: Architecture, gradient: list[Tensor], terms: Mapping[str, Tensor]) -> list[Tensor]:
    """``gradient``, one per logit tensor of ``arch``, plus that of each of ``terms``, scalars that the logits give.

    Raises:
        NotFinite: if a term is not a finite number; it is named.
    """
    for name, term in terms.items():
        if not term.requires_grad:  # a constant, as a penalty is before it starts
            refuse_nonfinite({name: term}, zip(arch.logits, gradient, strict=True))
            continue
        own = torch.autograd.grad(term, list(arch.parameters()), materialize_grads=True)
        refuse_nonfinite({name: term}, zip(arch.logits, own, strict=True))
        gradient = [g + o for g, o in zip(gradient, own, strict=True)]
    return gradient


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
    penalties: Callable[[Architecture], Mapping[str, Tensor]] | None = None,
    *,
    clip: float = 0.0,
    seen: Seen | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """One backward pass for both: move the weights, and return what :func:`architecture_gradient` would have, taken on
    the same batch before the weights have seen it, with that of the ``penalties``.

    With exact fusion the logits' gradient is a by-product of the weights' (a few inner products of kernels and of
    BatchNorm's affine maps), so an epoch of search costs an epoch of warm-up. Not the paper's alternation: there the
    gradient is taken on another batch, after the weights have moved.

    Raises:
        NotFinite: if a term of the loss or a gradient is not a finite number, before anything has moved.
    """
    value = loss(told(model.execution(batch.images, model.arch.gated(model.arch.drawn())), seen), batch.targets)
    optimizer.zero_grad(set_to_none=True)
    logits = list(model.arch.parameters())
    value.backward()
    sum_gradients([*model.parameters(), *model.arch.gates().values()])
    whole = parallel.summed(value)
    refuse_nonfinite({"loss": whole}, _gradients(model))
    gradient = [parameter.grad for parameter in logits if parameter.grad is not None]
    for parameter in logits:
        parameter.grad = None
    gradient = with_penalties(model.arch, gradient, {} if penalties is None else penalties(model.arch))
    if clip:
        torch.nn.utils.clip_grad_norm_(model.net.parameters(), clip)
    optimizer.step()
    return whole, gradient


def architecture_step(
    arch: Architecture, gradient: list[Tensor], optimizer: torch.optim.Optimizer, clip: float = 0.0
) -> None:
    """Move the logits with ``optimizer`` along a gradient that :func:`architecture_gradient` computed, cut to the norm
    ``clip``; 0 leaves it.

    Raises:
        NotFinite: if it is not finite; then nothing has moved.
    """
    for logits, g in zip(arch.parameters(), gradient, strict=True):
        logits.grad = g
    refuse_nonfinite({}, _gradients(arch))
    if clip:
        torch.nn.utils.clip_grad_norm_(arch.parameters(), clip)
    arch.moving(optimizer.step, gradient)
    optimizer.zero_grad(set_to_none=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group, times its "scale" if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1)


def sgd(parameters: ParamsT, lr: float, momentum: float, weight_decay: float) -> torch.optim.Optimizer:
    """Stochastic gradient descent, its weight decay a part of the gradient."""
    return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)


def adamw(parameters: ParamsT, lr: float, momentum: float, weight_decay: float) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, Alg. 2): each step takes lr times the decay of a
    weight from it, beside what its gradient does. ``momentum`` is beta1; beta2 is 0.999."""
    return torch.optim.AdamW(parameters, lr=lr, betas=(momentum, 0.999), weight_decay=weight_decay)


OPTIMIZERS: dict[str, Callable[[ParamsT, float, float, float], torch.optim.Optimizer]] = {"sgd": sgd, "adamw": adamw}
"""Of the weights, by the names of ``TrainConfig.optimizer``: (parameters, rate, momentum, weight decay)."""


def make_optimizers(
    model: Supernet,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    arch_lr: float,
    arch_weight_decay: float,
    arch_betas: tuple[float, float] = (0.9, 0.999),
    apart: nn.Module | None = None,
    scale: float = 1.0,
    optimizer: str = "sgd",
) -> tuple[torch.optim.Optimizer, torch.optim.Adam]:
    """SGD for the weights, Adam (coupled weight decay) for the logits: seed paper, Sec. 4.1. ``optimizer`` may name
    another one for the weights: one of :data:`OPTIMIZERS`.

    The parameters of ``apart``, a part of the network, are a group of their own, whose rate is ``scale`` times that of
    the others whenever :func:`set_rate` sets it.
    """
    groups: list[dict[str, Any]] = [{"params": list(model.net.parameters())}]
    if apart is not None:
        own = {id(parameter) for parameter in apart.parameters()}
        groups = [{"params": [p for p in model.net.parameters() if id(p) not in own]}]
        groups.append({"params": list(apart.parameters()), "scale": scale, "lr": lr * scale})
    weights = OPTIMIZERS[optimizer](groups, lr, momentum, weight_decay)
    # As a group, which may be empty: a discrete network may have nothing to choose.
    own_logits = [{"params": list(model.arch.parameters())}]
    logits = torch.optim.Adam(own_logits, lr=arch_lr, weight_decay=arch_weight_decay, betas=arch_betas)
    return weights, logits
