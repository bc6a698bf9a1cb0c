"""Logits to weights as Discretization-aware Architecture Search (DA2S) has them, which draw towards what its discrete
network keeps: one operation on an edge, two edges into a node.

Letters: O options of a group (last axis).
"""

from __future__ import annotations

import torch
from torch import Tensor

CAP = 1.0
"""A logit of an edge counts no more than this."""
KEPT = 2
"""Edges into a node that its cell keeps; with no more there is nothing to choose."""
STEEP_BELOW = -1.0


def sharpened(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax of the logits times two, and of the cube of that where it is below -1: what falls behind falls fast.

    Args:
        logits: [..., O].
        mask: boolean [..., O], the options that exist.

    Returns:
        Weights [..., O] that sum to 1 in each group, 0 for options that do not exist.
    """
    return strengths(logits).masked_fill(~mask, -torch.inf).softmax(-1)


def strengths(logits: Tensor) -> Tensor:
    """What :func:`sharpened` takes the softmax of.

    >>> strengths(torch.tensor([-1.0, -0.5, 0.5])).tolist()
    [-8.0, -1.0, 1.0]
    """
    doubled = 2 * logits
    return torch.where(doubled < STEEP_BELOW, doubled**3, doubled)


def capped(logits: Tensor, mask: Tensor) -> Tensor:
    """Weights of the n edges into each node: n times the softmax of their logits, each no more than ``CAP``.

    Two edges at the cap stay equally strong, so the weights of a node end as two of n / 2, not as one of n. Where no
    more than ``KEPT`` edges exist, all have weight 1.

    >>> capped(torch.tensor([7.0, 9.0, -999.0]), torch.ones(3, dtype=torch.bool)).tolist()
    [1.5, 1.5, 0.0]
    """
    number = mask.sum(-1, keepdim=True)
    weights = number * logits.clamp(max=CAP).masked_fill(~mask, -torch.inf).softmax(-1)
    return torch.where(number > KEPT, weights, mask.to(weights))
