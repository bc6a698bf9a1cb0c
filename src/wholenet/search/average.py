"""An exponential moving average of a network's weights, which moves less from step to step than they do."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """The average of the parameters of ``net``; what is not learned (BatchNorm's statistics) is not averaged.

    In update n, from 1, the average keeps a share of min(``decay``, (1 + n) / (10 + n)), so that it soon forgets where
    the weights began (as TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``).

    Args:
        net: at the start.
        decay: the share that is kept, in (0, 1).
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.values = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}

    def update(self, net: nn.Module) -> None:
        """Move towards the weights of ``net``, after a step."""
        self.updates += 1
        kept = min(self.decay, (1 + self.updates) / (10 + self.updates))
        now = [parameter.detach() for parameter in net.parameters()]
        get_ema_multi_avg_fn(kept)(list(self.values.values()), now, self.updates)

    @torch.no_grad()
    def put_into(self, net: nn.Module) -> None:
        """Make the average the weights of ``net``."""
        for name, parameter in net.named_parameters():
            parameter.copy_(self.values[name])

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values only."""
        return {"updates": self.updates, "values": dict(self.values)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` gave."""
        self.updates = state["updates"]
        for name, value in self.values.items():
            value.copy_(state["values"][name])
