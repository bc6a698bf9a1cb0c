"""Training on a few links of each cell, drawn anew in every pass, in the place of all of them.

Links are drawn one after the other, each with its weight's share of those that are left (the k largest of the log
weights plus Gumbel noise). What was drawn is weighed in one of two ways: so that its weights sum to one, as those of a
discrete network do; or each weight over the probability that its link is drawn, so that the sum is, on average, that
over all links.

Letters: n links of a cell, k drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wholenet.spaces.dense_settings import MOST_UNBIASED


def drawn(weights: Tensor, k: int) -> list[int]:
    """Which of the links of ``weights`` [n] this pass takes, ascending; from torch's global generator of the CPU, so
    that all processes of a run draw the same. A link of weight zero is drawn after all others.

    Of a tensor without numbers, whose step is only being counted, links that are spread evenly.
    """
    n = len(weights)
    if k >= n:
        return list(range(n))
    if weights.is_meta:
        return [place * n // k for place in range(k)]
    noise = -torch.empty(n, dtype=torch.float64).exponential_().log()
    return sorted((weights.detach().cpu().double().log() + noise).topk(k).indices.tolist())


def weighed(weights: Tensor, chosen: list[int], *, unbiased: bool = False) -> list[Tensor]:
    """What the ``chosen`` of the links of ``weights`` [n] are multiplied with: scalars, differentiable in them."""
    if len(chosen) == len(weights):
        return list(weights)
    if unbiased:
        likely = inclusion(weights.detach(), len(chosen))
        return [weights[i] / likely[i] for i in chosen]
    own = [weights[i] for i in chosen]
    whole = sum(own[1:], own[0])
    return [weight / whole for weight in own]


def inclusion(weights: Tensor, k: int) -> Tensor:
    """The probability that each link of ``weights`` [n] is among the k drawn, [n]; they sum to k.

    Raises:
        ValueError: for a k above ``MOST_UNBIASED``.

    >>> [round(p, 6) for p in inclusion(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), 2).tolist()]
    [0.839286, 0.675, 0.485714]
    """
    if k > MOST_UNBIASED:
        raise ValueError(f"k={k}: the probabilities of being drawn are computed up to {MOST_UNBIASED}")
    if k >= len(weights):
        return torch.ones_like(weights)
    share = weights / weights.sum()
    other = ~torch.eye(len(share), dtype=torch.bool, device=share.device)
    tiny = torch.finfo(share.dtype).tiny
    found = share
    # order[i, j, ...]: the probability of the first, the second, ... draw, each another link.
    order, left, distinct = share, 1 - share, torch.ones_like(share, dtype=torch.bool)
    for draw in range(1, k):
        last = share.view(*[1] * draw, -1)
        distinct = distinct[..., None].repeat(*[1] * draw, len(share))
        for before in range(draw):
            shape = [1] * (draw + 1)
            shape[before] = shape[draw] = len(share)
            distinct = distinct & other.view(shape)
        order = torch.where(distinct, order[..., None] * last / left[..., None].clamp_min(tiny), 0.0)
        left = left[..., None] - last
        found = found + order.flatten(0, -2).sum(0)
    return found
