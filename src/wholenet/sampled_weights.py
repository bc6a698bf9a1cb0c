"""Architecture weights that are drawn: a distribution over them is what is learned, and each step of training takes a
sample of it.

Every draw is a function of (logits, mask, progress), with progress in [0, 1] of the search, and is differentiable in
the logits. Random numbers come from torch's global generator of the logits' device: a checkpoint holds its state, and
the processes that train one network have it in common, so that all of them draw the same.

Letters: O options of a group (last axis).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Gamma

Draw = Callable[[Tensor, Tensor, float], Tensor]
"""(logits [..., O], mask [..., O], progress) -> the weights [..., O] of one step; 0 for options that do not exist."""

TEMPERATURES: dict[str, Callable[[float, float, float], float]] = {
    "linear": lambda start, end, progress: start + (end - start) * progress,
    "geometric": lambda start, end, progress: start * (end / start) ** progress,
}
"""(at the start, at the end, progress) -> temperature, by name."""


@dataclass(frozen=True)
class Temperature:
    """A temperature that falls over the search, one value per epoch.

    >>> [round(Temperature(10, 0.1, "linear")(progress), 6) for progress in (0, 0.5, 1)]
    [10.0, 5.05, 0.1]
    >>> [round(Temperature(2.5, 0.025, "geometric")(progress), 6) for progress in (0, 0.5, 1)]
    [2.5, 0.25, 0.025]
    """

    start: float
    end: float
    fall: str
    """One of ``TEMPERATURES``."""

    def __call__(self, progress: float) -> float:
        """The temperature at ``progress`` in [0, 1]."""
        return TEMPERATURES[self.fall](self.start, self.end, progress)


@dataclass(frozen=True)
class Concrete:
    """Softmax of (log p + Gumbel noise) / temperature, p the softmax of the logits (SNAS, Sec. 2.3).

    A sample is a mixture; the lower the temperature, the nearer to one option. At any temperature an option is the
    largest with probability p.
    """

    temperature: Temperature

    def __call__(self, logits: Tensor, mask: Tensor, progress: float) -> Tensor:
        """One sample."""
        return (disturbed_by_gumbel(logits, mask) / self.temperature(progress)).softmax(-1)


@dataclass(frozen=True)
class StraightThrough:
    """One option alone, drawn with the softmax of the logits; its gradient is that of the :class:`Concrete` sample of
    the same noise (GDAS, Sec. 3.2)."""

    temperature: Temperature

    def __call__(self, logits: Tensor, mask: Tensor, progress: float) -> Tensor:
        """One sample: exactly one-hot."""
        noisy = disturbed_by_gumbel(logits, mask)
        return _as_if(_one_hot(noisy.argmax(-1), noisy), (noisy / self.temperature(progress)).softmax(-1))


def path(logits: Tensor, mask: Tensor, progress: float) -> Tensor:  # noqa: ARG001
    """One option alone, drawn with p, the softmax of the logits: a binary gate g for each, of which one is open
    (ProxylessNAS, Eqs. 2 and 3).

    The gradient in a logit is sum_j dL/dg_j p_j (delta_ij - p_i), Eq. 4: that of the softmax, with the loss taken at
    the path that was drawn. All paths run, those that are shut with weight 0 (mode "full").
    """
    noisy = disturbed_by_gumbel(logits, mask)
    return _as_if(_one_hot(noisy.argmax(-1), noisy), logits.masked_fill(~mask, -math.inf).softmax(-1))


def path_of_two(logits: Tensor, mask: Tensor, progress: float) -> Tensor:  # noqa: ARG001
    """The same among two options: they are drawn with p, without replacement, and one of them with the softmax of their
    two logits; no other logit has a gradient (ProxylessNAS, Sec. 3.2.1; mode "two")."""
    pair = torch.zeros_like(mask)
    pair.scatter_(-1, disturbed_by_gumbel(logits, mask).topk(min(2, mask.shape[-1]), -1).indices, True)
    return path(logits, pair & mask, 0.0)


def only_the_pair(before: Tensor, after: Tensor, gradient: Tensor) -> Tensor:
    """Logits after a step of :func:`path_of_two`: those without a gradient are as before, and the others shifted alike,
    so that the probabilities of all that were not drawn stay as they were (ProxylessNAS, Sec. 3.2.1).

    Args:
        before: logits [..., O].
        after: where an optimiser moved them.
        gradient: that it moved them by.

    >>> before, gradient = torch.tensor([0.0, 0.5, -1.0]).double(), torch.tensor([-1.0, 0.0, 1.0]).double()
    >>> found = only_the_pair(before, torch.tensor([0.1, 0.4, -1.3]).double(), gradient)
    >>> [round(p, 8) for p in (before.softmax(-1)[1].item(), found.softmax(-1)[1].item())]
    [0.54654939, 0.54654939]
    """
    moved = gradient != 0
    total = [logits.masked_fill(~moved, -math.inf).logsumexp(-1, keepdim=True) for logits in (after, before)]
    return torch.where(moved, after - total[0] + total[1], before)


def dirichlet(logits: Tensor, mask: Tensor, progress: float) -> Tensor:  # noqa: ARG001
    """A mixture from the Dirichlet distribution of :func:`concentrations` (DrNAS, Sec. 2.2), by pathwise derivatives:
    independent gamma variates, normalised."""
    options = concentrations(logits)
    variates = Gamma(options, torch.ones_like(options), validate_args=False).rsample() * mask
    return variates / variates.sum(-1, keepdim=True).clamp_min(torch.finfo(logits.dtype).tiny)


def dirichlet_mean(logits: Tensor, mask: Tensor) -> Tensor:
    """The mean of :func:`dirichlet`: each concentration over the sum of its group.

    >>> dirichlet_mean(torch.tensor([0.0, 2.0, 9.0]), torch.tensor([True, True, False])).tolist()
    [0.25, 0.75, 0.0]
    """
    options = concentrations(logits) * mask
    return options / options.sum(-1, keepdim=True)


def concentrations(logits: Tensor) -> Tensor:
    """Those of a Dirichlet distribution, ELU(logit) + 1: positive, and 1 at a logit of 0 (DrNAS' code)."""
    return torch.nn.functional.elu(logits) + 1


def most_likely(logits: Tensor, mask: Tensor) -> Tensor:
    """The most likely option alone; options that are equally likely share: where nothing was learned, all are there.

    >>> most_likely(torch.tensor([[0.1, 0.3, 9.0], [0.2, 0.2, 0.0]]), torch.tensor([[True, True, False]] * 2)).tolist()
    [[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]
    """
    existing = logits.masked_fill(~mask, -math.inf)
    largest = (existing == existing.amax(-1, keepdim=True)) & mask
    return largest / largest.sum(-1, keepdim=True).to(logits.dtype)


def disturbed_by_gumbel(logits: Tensor, mask: Tensor) -> Tensor:
    """log p + Gumbel noise, p the softmax of the logits: its largest entry is an option drawn with p. Minus infinity
    for options that do not exist."""
    exponential = torch.empty_like(logits).exponential_().clamp_min(torch.finfo(logits.dtype).tiny)
    return logits.masked_fill(~mask, -math.inf).log_softmax(-1) - exponential.log()


def _one_hot(choice: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like).scatter_(-1, choice.unsqueeze(-1), 1.0)


def _as_if(value: Tensor, soft: Tensor) -> Tensor:
    """``value`` to the bit, with the gradient of ``soft``."""
    return value + (soft - soft.detach())
