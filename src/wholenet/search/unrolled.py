"""The second-order architecture gradient of DARTS (Sec. 2.3): through one step of the weights.

The weights take a virtual step on training data, and the validation loss is looked at there. How the step itself
depends on the architecture is a product of mixed second derivatives with a vector: by the difference of two gradients,
as the original has it, or exactly, by differentiating twice.

All passes over the training batch drop the same paths and draw the same noise. Otherwise the sides of the difference
would differ by these, however short the step between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import functional_call

from wholenet import parallel
from wholenet.ops.draws import Draws
from wholenet.ops.recompute import nothing_recomputed
from wholenet.ops.statistics import still_statistics
from wholenet.search.steps import Batch, Loss, Seen, told
from wholenet.spaces.supernet import Supernet

RADIUS = 0.01
"""Length of the difference step, in weights (DARTS' code)."""


@dataclass(frozen=True)
class VirtualStep:
    """How the weights would move: SGD with momentum and weight decay, as the optimiser's next step."""

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    buffers: Sequence[Tensor | None] = ()
    """The optimiser's momentum, one per parameter of the network; none before the first step."""
    clip: float = 0.0
    """Norm that the gradients of both losses in the weights are cut to, before weight decay, as DARTS' recurrent code
    does (its coefficient may exceed 1, this one may not); 0 leaves them, as its convolutional code does."""

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, clip: float = 0.0) -> VirtualStep:
        """What ``optimizer``, SGD of one group of parameters, would do next.

        Raises:
            TypeError: if it is another.
        """
        if not isinstance(optimizer, torch.optim.SGD):
            raise TypeError(f"the virtual step is SGD's, and the weights are moved by {type(optimizer).__name__}")
        (group,) = optimizer.param_groups
        buffers = [optimizer.state[p].get("momentum_buffer") for p in group["params"]]
        return cls(group["lr"], group["momentum"], group["weight_decay"], buffers, clip)

    def cut(self, gradients: Sequence[Tensor]) -> tuple[list[Tensor], Tensor | float]:
        """``gradients`` cut to :attr:`clip`, and the factor that does it, at most 1."""
        if not self.clip:
            return list(gradients), 1.0
        norm = torch.nn.utils.get_total_norm(list(gradients))
        factor = (self.clip / (norm + 1e-6)).clamp(max=1.0)
        return [g * factor for g in gradients], factor

    def moved(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
        """The weights after the step."""
        buffers = self.buffers or [None] * len(weights)
        steps = [g + self.weight_decay * w for g, w in zip(gradients, weights, strict=True)]
        steps = [s if b is None else s + self.momentum * b for s, b in zip(steps, buffers, strict=True)]
        return [w - self.lr * s for w, s in zip(weights, steps, strict=True)]


def unrolled_gradient(
    model: Supernet,
    train: Batch,
    validation: Batch,
    loss: Loss,
    step: VirtualStep,
    implicit: Literal["difference", "exact"] = "difference",
    *,
    seen: Seen | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Gradient in the logits of the validation loss after a virtual step on ``train``. Nothing of ``model`` moves.

    ``seen`` is told the output on ``validation``.

    Of torch's global generators it takes what one pass over each batch takes, whatever ``implicit`` is.

    Returns:
        The validation loss there, over all processes (detached), and one gradient per logit tensor.

    Raises:
        ValueError: for an unknown ``implicit``.
    """
    if implicit not in ("difference", "exact"):
        raise ValueError(f"implicit={implicit!r}: expected difference or exact")
    names = [name for name, _ in model.net.named_parameters()]
    weights = [parameter.detach() for parameter in model.net.parameters()]
    logits = list(model.arch.parameters())
    draws = Draws(weights[0].device)

    def output_at(batch: Batch, values: Sequence[Tensor]) -> Any:
        state = dict(zip(names, values, strict=True))
        return functional_call(model.net, state, (batch.images, model.arch.drawn()))

    def train_loss_at(values: Sequence[Tensor]) -> Tensor:
        with draws.same():
            return loss(output_at(train, values), train.targets)

    with still_statistics(model.net), nothing_recomputed(model.net):
        exact = implicit == "exact"
        here = [w.clone().requires_grad_() for w in weights]
        gradients = torch.autograd.grad(train_loss_at(here), here, create_graph=exact, materialize_grads=True)
        summed, factor = step.cut(parallel.summed_each([g.detach() for g in gradients]))
        there = [w.requires_grad_() for w in step.moved(weights, summed)]
        value = loss(told(output_at(validation, there), seen), validation.targets)
        both = parallel.summed_each(torch.autograd.grad(value, [*logits, *there], materialize_grads=True))
        direct, vector = both[: len(logits)], step.cut(both[len(logits) :])[0]
        if exact:
            through = torch.autograd.grad(gradients, logits, vector, materialize_grads=True)
        else:
            through = _difference(train_loss_at, weights, logits, vector)
        through = parallel.summed_each(through)
    return parallel.summed(value), [d - step.lr * factor * t for d, t in zip(direct, through, strict=True)]


def _difference(
    loss_at: Callable[[Sequence[Tensor]], Tensor],
    weights: Sequence[Tensor],
    logits: Sequence[Tensor],
    vector: Sequence[Tensor],
) -> list[Tensor]:
    """Mixed second derivative times ``vector``, by a central difference of ``RADIUS`` in all weights together."""
    length = torch.stack([v.norm() for v in vector]).norm()
    radius = RADIUS / length.clamp_min(torch.finfo(length.dtype).tiny)
    sides = []
    for sign in (1, -1):
        moved = [w + sign * radius * v for w, v in zip(weights, vector, strict=True)]
        sides.append(torch.autograd.grad(loss_at(moved), list(logits), materialize_grads=True))
    return [(up - down) / (2 * radius) for up, down in zip(*sides, strict=True)]
