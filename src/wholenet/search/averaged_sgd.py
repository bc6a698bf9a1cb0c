"""SGD that gives way to averaged SGD once it brings nothing more (NT-ASGD; AWD-LSTM, Sec. 4 and its code).

The average is torch's own (``torch.optim.ASGD``) over all steps from then on; the averaged network is scored and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn


def averaging(optimizer: torch.optim.Optimizer) -> torch.optim.ASGD:
    """What goes on where ``optimizer`` stands: its parameters, rates and weight decays, with an average from its first
    step on, and no decay of the rate."""
    groups = [
        {"params": group["params"], "lr": group["lr"], "weight_decay": group["weight_decay"]}
        | ({"scale": group["scale"]} if "scale" in group else {})
        for group in optimizer.param_groups
    ]
    return torch.optim.ASGD(groups, t0=0, lambd=0.0)


def is_averaging(optimizer: torch.optim.Optimizer | Mapping[str, Any]) -> bool:
    """Whether an optimiser, or its saved state, is :func:`averaging`."""
    groups = optimizer["param_groups"] if isinstance(optimizer, Mapping) else optimizer.param_groups
    return "lambd" in groups[0]


def has_average(optimizer: torch.optim.Optimizer) -> bool:
    """Whether there is an average yet: after its first step."""
    return is_averaging(optimizer) and bool(optimizer.state)


@torch.no_grad()
def put_average_into(optimizer: torch.optim.Optimizer, net: nn.Module, own: nn.Module) -> None:
    """Make the average of ``optimizer``, whose parameters are those of ``own``, the weights of its copy ``net``."""
    for parameter, copied in zip(own.parameters(), net.parameters(), strict=True):
        copied.copy_(optimizer.state[parameter]["ax"])


def brings_nothing(losses: Sequence[float], patience: int) -> bool:
    """Whether the last of ``losses``, one per scoring, is above the lowest of those before it, of which the last
    ``patience`` do not count.

    >>> losses = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 4.1, 4.2, 4.3, 4.4, 4.5, 4.6]
    >>> [so_far for so_far in range(1, 13) if brings_nothing(losses[:so_far], 5)]
    [12]
    """
    before = losses[:-1]
    return len(before) > patience and losses[-1] > min(before[: len(before) - patience])
