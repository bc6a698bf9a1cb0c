"""Disturbed architecture weights in weight steps, so that the network learns to bear a discretization (SmoothDARTS).

The disturbance acts on the relaxed weights, not on the logits, and is at most eps in each; afterwards they are brought
back to [0, 1] and to a sum of 1. The logits are untouched.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wholenet import parallel
from wholenet.architecture import Architecture, Weights, rescaled
from wholenet.ops.draws import Draws
from wholenet.search.parts import PERTURBATIONS
from wholenet.search.search_config import SearchConfig
from wholenet.search.steps import Batch, Loss, constant
from wholenet.search.updates import Turn
from wholenet.spaces.supernet import Supernet

ATTACK_STEPS = 7
"""Of the adversarial disturbance, each 2 / 7 of eps long."""


def reach(end: float, progress: float) -> float:
    """How far a weight may move at ``progress`` in [0, 1] of a run: linearly from a tenth of ``end`` to all of it.

    >>> [round(reach(0.3, progress), 3) for progress in (0, 0.5, 1)]
    [0.03, 0.165, 0.3]
    """
    return end * (0.1 + 0.9 * progress)


def at_random(model: Supernet, _batch: Batch | None, _loss: Loss | None, reach: float) -> Weights:
    """Uniform in [-reach, reach] (SmoothDARTS, Sec. 3.2). Of ``model`` nothing moves."""
    weights, start = _start(model, reach)
    return disturbed(model.arch, weights, start)


def attacked(model: Supernet, batch: Batch, loss: Loss, reach: float) -> Weights:
    """From a random start, projected gradient ascent on the training loss, the network in eval mode, taken only if the
    loss went up (SmoothDARTS, Sec. 3.3, and its code); noise is the same in all of these passes."""
    weights, start = _start(model, reach)
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


def _start(model: Supernet, reach: float) -> tuple[Weights, Weights]:
    """The weights of ``model``, and a random offset of each."""
    with torch.no_grad():
        weights = model.arch()
        return weights, {name: (torch.rand_like(w) * 2 - 1) * reach for name, w in weights.items()}


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
    disturb = PERTURBATIONS.called(config.perturbation).weights
    if disturb is None:
        return None

    def weights(turn: Turn, batch: Batch) -> Weights | None:
        model = turn.state.model
        if not model.arch.moves:
            return None
        found = disturb(model, batch, turn.loss, reach(config.perturbation_end, turn.now.progress))
        check_shapes(config.perturbation, found, model.arch)
        return found

    return weights


def check_shapes(name: str, weights: Weights, arch: Architecture) -> None:
    """Make sure that the perturbation called ``name`` gave ``weights`` that can stand for those of ``arch``.

    Raises:
        ValueError: if it did not.
    """
    found, expected = ({n: tuple(w.shape) for n, w in those.items()} for those in (weights, arch.logits))
    if found != expected:
        raise ValueError(f"perturbation {name!r} gave weights of the shapes {found}; expected {expected}")
