"""Disturbed architecture weights in weight steps, so that the network learns to bear a discretization (SmoothDARTS).

The disturbance acts on the relaxed weights, not on the logits, and is at most eps in each; afterwards they are brought
back to [0, 1] and to a sum of 1. The logits are untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wholenet import parallel
from wholenet.architecture import Architecture, Weights, rescaled
from wholenet.ops.draws import Draws
from wholenet.search.search_config import SearchConfig
from wholenet.search.steps import Batch, Loss, constant
from wholenet.search.updates import Turn
from wholenet.spaces.supernet import Supernet

ATTACK_STEPS = 7
"""Of the adversarial disturbance, each 2 / 7 of eps long."""


@dataclass(frozen=True)
class Perturbation:
    """SmoothDARTS' disturbance, growing linearly over the run from a tenth of ``end``.

    Random: uniform in [-eps, eps]. Adversarial: from such a start, projected gradient ascent on the training loss, the
    network in eval mode, taken only if the loss went up (Sec. 3.2 and 3.3, and its code); noise is the same in all of
    these passes.
    """

    kind: Literal["random", "adversarial"]
    end: float = 0.3
    """eps at the end of the run."""

    def reach(self, progress: float) -> float:
        """eps at ``progress`` in [0, 1] of the run.

        >>> [round(Perturbation("random").reach(p), 3) for p in (0, 0.5, 1)]
        [0.03, 0.165, 0.3]
        """
        return self.end * (0.1 + 0.9 * progress)

    def __call__(self, model: Supernet, batch: Batch, loss: Loss, progress: float) -> Weights:
        """Weights to take a weight step at, without gradient; of ``model`` nothing moves."""
        reach = self.reach(progress)
        with torch.no_grad():
            weights = model.arch()
            start = {name: (torch.rand_like(w) * 2 - 1) * reach for name, w in weights.items()}
        if self.kind == "random":
            return disturbed(model.arch, weights, start)
        return self._attacked(model, batch, loss, weights, start, reach)

    def _attacked(
        self, model: Supernet, batch: Batch, loss: Loss, weights: Weights, start: Weights, reach: float
    ) -> Weights:
        training = model.training
        model.eval()
        draws = Draws(batch.targets.device)

        def value(at: Weights) -> Tensor:
            with draws.same():
                return loss(model.net(batch.images, at), batch.targets)

        try:
            with constant(model.net):
                offset = start
                for _ in range(ATTACK_STEPS):
                    offset = {name: o.requires_grad_() for name, o in offset.items()}
                    here = value(disturbed(model.arch, weights, offset))
                    gradients = parallel.summed_each(torch.autograd.grad(here, list(offset.values())))
                    step = 2 * reach / ATTACK_STEPS
                    offset = {
                        name: (o.detach() + step * g.sign()).clamp(-reach, reach)
                        for (name, o), g in zip(offset.items(), gradients, strict=True)
                    }
                with torch.no_grad():
                    worse = disturbed(model.arch, weights, offset)
                    return worse if parallel.summed(value(worse)) > parallel.summed(value(weights)) else weights
        finally:
            model.train(training)


def disturbed(arch: Architecture, weights: Weights, offset: Weights) -> Weights:
    """``weights`` + ``offset``, brought back to a choice: in [0, 1], zero where there is no option, and of sum 1.

    A group of which nothing is above 0 any more (an even choice among many, all pushed down) stays as it was.
    """

    def choice(name: str, w: Tensor) -> Tensor:
        moved = (w + offset[name]).clamp(0, 1) * arch.mask(name)
        return torch.where(moved.sum(-1, keepdim=True) > 0, rescaled(moved), w)

    return {name: choice(name, w) for name, w in weights.items()}


def perturbed(config: SearchConfig) -> Callable[[Turn, Batch], Weights | None] | None:
    """The weights that weight steps take as ``config`` disturbs them, while the architecture moves; None if it does
    not. Before and after the search weights learn at the architecture as it is."""
    if config.perturbation == "none":
        return None
    perturb = Perturbation(config.perturbation, config.perturbation_end)

    def weights(turn: Turn, batch: Batch) -> Weights | None:
        model = turn.state.model
        return perturb(model, batch, turn.loss, turn.now.progress) if model.arch.moves else None

    return weights
