"""The entropy penalty on the architecture (seed paper, Sec. 3.3, Eq. 4) and its schedule f(t)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wholenet.architecture import Architecture

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _progress: 1.0,
    "linear": lambda progress: progress,
}
"""f(t) by name, of progress in [0, 1] from the epoch where the penalty starts to the end of the search phase."""


@dataclass(frozen=True)
class EntropyPenalty:
    """``f(t) * sum_name c_name * H_name`` with H the entropy summed over groups, in nats.

    The paper prints the sum of p ln p, which is -H; minimising that would *raise* the entropy, against its aim and its
    Fig. 3. This adds +H, so a positive magnitude lowers it.

    Args:
        magnitudes: c per architecture parameter ("alpha", "beta"); zero or absent is no penalty.
        schedule: "constant" (a step from 0 to 1 at ``start``) or "linear" (0 at ``start``, 1 at ``end``).
        start: time, in epochs, before which f is 0. The paper: 15 % of all epochs.
        end: time, in epochs, at which the search phase ends.
    """

    magnitudes: dict[str, float] = field(default_factory=dict)
    schedule: str = "constant"
    start: float = 0.0
    end: float = 1.0

    def factor(self, time: float) -> float:
        """f at ``time`` in epochs (fractions count)."""
        if time < self.start:
            return 0.0
        length = self.end - self.start
        return SCHEDULES[self.schedule](min(1.0, (time - self.start) / length) if length > 0 else 1.0)

    def __call__(self, arch: Architecture, time: float) -> Tensor:
        """The term to add to the architecture loss: a scalar, differentiable in the logits."""
        factor = self.factor(time)
        active = {name: c for name, c in self.magnitudes.items() if c * factor}
        if not active:
            return torch.zeros((), device=next(arch.parameters()).device)
        entropies = arch.entropies()
        return torch.stack([c * factor * entropies[name] for name, c in active.items()]).sum()
