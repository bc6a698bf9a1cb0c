"""One epoch on a cell space: architecture step, then weight step, as DARTS has them.

Letters: B images, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from wholenet.architecture import Architecture, Weights
from wholenet.search.cell_config import CellConfig
from wholenet.search.gradients import GRADIENTS, Bilevel, Gradient, with_penalty
from wholenet.search.loop import Step, TrainState, check_finite, diverging, next_batch
from wholenet.search.perturbation import Perturb, Perturbation
from wholenet.search.phases import Phase
from wholenet.search.random_search import random_genotype, weights_of
from wholenet.search.regularizers import BetaDecay, ZeroOne
from wholenet.search.steps import Batch, Loss, architecture_step, set_rate, weight_step
from wholenet.spaces.cell_model import CellSupernet
from wholenet.spaces.darts import SPACES

Batches = Iterator[tuple[Tensor, Tensor]]
Penalty = Callable[[Architecture, float], Tensor]
"""(architecture, time in epochs) -> the term to add."""


@dataclass(frozen=True)
class Parts:
    """What a method is made of, as far as the loop goes."""

    gradient: Gradient
    takes_validation_batches: bool
    penalty: Penalty | None = None
    perturb: Perturb | None = None
    sample: Callable[[], Weights] | None = None
    """Random weights for each step, where nothing is learned about the architecture."""


def parts_of(config: CellConfig, model: CellSupernet) -> Parts:
    """The parts that ``config`` names."""
    table = SPACES[config.space]
    like = next(iter(model.arch.logits.values()))
    penalties: dict[str, Penalty | None] = {"none": None, "beta-decay": BetaDecay(), "zero-one": ZeroOne()}
    return Parts(
        gradient=GRADIENTS[config.gradient],
        takes_validation_batches=config.takes_validation_batches,
        penalty=penalties[config.regularizer],
        perturb=None if config.perturbation == "none" else Perturbation(config.perturbation, config.perturbation_end),
        sample=None if config.sampling == "none" else lambda: weights_of(random_genotype(table), table, like),
    )


@dataclass(frozen=True)
class CellSchedule:
    """How long the run is, and what moves with its epochs."""

    epochs: int
    steps_per_epoch: int
    lr: float
    lr_end: float
    clip: float = 0.0
    drop_path: float = 0.0
    """At the end."""
    auxiliary_skip: float = 1.0
    """At the start (DARTS-)."""

    def rate(self, epoch: int) -> float:
        """Learning rate of the weights: a cosine from ``lr`` to ``lr_end``, one value per epoch.

        >>> schedule = CellSchedule(50, 391, 0.025, 0.001, 5.0, 0.2)
        >>> [round(schedule.rate(epoch), 8) for epoch in (0, 1, 49)]
        [0.025, 0.02497632, 0.00102368]
        """
        return self.lr_end + (self.lr - self.lr_end) * (1 + math.cos(math.pi * epoch / self.epochs)) / 2

    def rise(self, epoch: int) -> float:
        """From 0 in the first epoch to 1 in the last: of drop-path and cutout.

        >>> round(0.2 * CellSchedule(50, 391, 0.025, 0.001, 5.0, 0.2).rise(1), 8)
        0.00408163
        """
        return epoch / max(1, self.epochs - 1)


def search_epoch(
    state: TrainState,
    phase: Phase,
    parts: Parts,
    schedule: CellSchedule,
    loss: Loss,
    weight_batches: Batches,
    arch_batches: Batches,
    device: torch.device,
) -> Iterator[Step]:
    """Train what is left of an epoch, yielding after each step: in the search phase an architecture step, then a weight
    step. ``state.end_epoch()`` is left to the caller, who may have more to do before.

    Raises:
        Diverged: if a loss or a gradient is not finite, before it moves anything; or a weight is not, at the end.
    """
    model: CellSupernet = state.model.train()
    model.arch.requires_grad_(phase.moves_architecture)
    epoch, lr = state.epoch, schedule.rate(state.epoch)
    set_rate(state.weight_optimizer, lr)
    set_strengths(model, schedule, epoch)
    for step in range(state.tally.steps, schedule.steps_per_epoch):
        time = epoch + step / schedule.steps_per_epoch
        batch, waited = next_batch(weight_batches, device)
        arch_loss = None
        if phase.moves_architecture:
            above, stream, number = batch, "weights", state.weight_steps
            if parts.takes_validation_batches:
                above, arch_waited = next_batch(arch_batches, device)
                waited += arch_waited
                stream, number = "architecture", state.arch_steps
            with diverging(stream, number, epoch, step, lr):
                arch_loss, gradient = parts.gradient(Bilevel(model, batch, above, loss, state.weight_optimizer))
                if parts.penalty is not None:
                    gradient = with_penalty(model.arch, gradient, parts.penalty(model.arch, time))
                architecture_step(model.arch, gradient, state.arch_optimizer)
            state.arch_steps += 1
        with diverging("weights", state.weight_steps, epoch, step, lr):
            weights = _weights_of_step(model, parts, batch, loss, time / schedule.epochs)
            value = weight_step(model, batch, loss, state.weight_optimizer, weights=weights, clip=schedule.clip)
        state.weight_steps += 1
        done = Step(step, lr, value.item(), None if arch_loss is None else arch_loss.item(), waited)
        state.tally.add(done)
        yield done
    check_finite(model, epoch)
    model.arch.freeze()


def set_strengths(model: CellSupernet, schedule: CellSchedule, epoch: int) -> None:
    """Drop-path, which rises over the epochs, and the auxiliary skip, which fades to nothing."""
    model.net.state.drop_path = schedule.drop_path * schedule.rise(epoch)
    model.net.state.auxiliary_skip = schedule.auxiliary_skip * (1 - schedule.rise(epoch))


def _weights_of_step(model: CellSupernet, parts: Parts, batch: Batch, loss: Loss, progress: float) -> Weights | None:
    if parts.sample is not None:
        return parts.sample()
    return None if parts.perturb is None else parts.perturb(model, batch, loss, progress)
