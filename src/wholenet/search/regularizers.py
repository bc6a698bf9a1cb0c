"""Terms on the architecture that cures of DARTS add to its loss: beta-decay, and the zero-one loss of Fair DARTS.

Called like the entropy penalty of the seed paper (``search/penalty.py``): (architecture, time in epochs) -> scalar.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wholenet.architecture import Architecture


@dataclass(frozen=True)
class BetaDecay:
    """``lambda(t)`` times the mean over groups of the log of the summed exponentials of their logits (beta-DARTS).

    Its gradient in a logit is that option's weight: the strong are pulled down more than the weak, so it works against
    one-hot weights, the opposite of an entropy penalty. ``lambda`` rises linearly from 0.
    """

    magnitude: float = 50.0
    """lambda at ``end``; the paper's 0.5 per epoch over 100 epochs."""
    end: float = 100.0
    """Time, in epochs, at which it is reached."""

    def factor(self, time: float) -> float:
        """lambda at ``time`` in epochs."""
        return self.magnitude * min(1.0, max(0.0, time) / self.end)

    def __call__(self, arch: Architecture, time: float) -> Tensor:
        """The term to add: a scalar, differentiable in the logits."""
        sums = [
            logits.masked_fill(~arch.mask(name), -torch.inf).logsumexp(-1).flatten()
            for name, logits in arch.logits.items()
        ]
        return self.factor(time) * torch.cat(sums).mean()


@dataclass(frozen=True)
class ZeroOne:
    """``-magnitude`` times the mean of (gate - 1/2)^2 over all gates (Fair DARTS): pushes each gate to 0 or 1.

    For an architecture whose weights are gates (:func:`wholenet.architecture.masked_sigmoid`). At exactly one half its
    gradient is zero; the task has to break the tie.
    """

    magnitude: float = 10.0

    def __call__(self, arch: Architecture, time: float) -> Tensor:  # noqa: ARG002
        """The term to add: a scalar, from 0 (all gates one half) to ``-magnitude`` / 4 (all 0 or 1)."""
        gates = torch.cat([weights[arch.mask(name)] for name, weights in arch().items()])
        return -self.magnitude * (gates - 0.5).square().mean()
