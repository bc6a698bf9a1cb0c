"""The training loop of one epoch, of any space, task and method."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from wholenet.search.phases import Phase
from wholenet.search.schedule import Schedule
from wholenet.search.state import Step, TrainState
from wholenet.search.steps import Loss, set_rate
from wholenet.search.updates import ADVICE, Batches, Parts, Turn, weights_alone, weights_stay


def train_epoch(
    state: TrainState,
    phase: Phase,
    schedule: Schedule,
    parts: Parts,
    loss: Loss,
    weight_batches: Batches,
    arch_batches: Batches,
    device: torch.device,
) -> Iterator[Step]:
    """Train what is left of an epoch, yielding after each step: a weight step, and where the phase moves the
    architecture a step of its, in the order of ``parts.update``.

    Outside the search the architecture is frozen: not a bit of it moves, weight decay and Adam's momenta included.
    ``state.end_epoch()`` is left to the caller, who may have more to do before.

    Raises:
        Diverged: if a loss or a gradient is not finite, before it moves anything.
        FloatingPointError: if a weight is not, at the end.
    """
    model = state.model.train()
    model.arch.requires_grad_(phase.moves_architecture)
    model.arch.progress = phase.progress(state.epoch)
    if phase.moves_architecture or state.arch_steps:  # before the search too, weights learn at what it will draw
        model.arch.draws = phase.moves_architecture
    alone = weights_alone if phase.moves_weights else weights_stay
    update = parts.update if phase.moves_architecture else alone
    streams = {"weights": weight_batches, "architecture": arch_batches}
    for step in range(state.tally.steps, schedule.steps_per_epoch):
        now = schedule.now(state.epoch, step)
        set_rate(state.weight_optimizer, now.lr)
        if parts.at is not None:
            parts.at(now)
        turn = Turn(state, parts, loss, streams, device, now)
        if parts.rate is not None:
            set_rate(state.weight_optimizer, now.lr * parts.rate(state, turn.batch("weights")))
        value, above = update(turn)
        if state.average is not None:
            state.average.update(model.net)
        done = Step(step, now.lr, value.item(), None if above is None else above.item(), turn.waited)
        state.tally.add(done)
        yield done
    check_finite(model, state.epoch)
    model.arch.freeze()


def check_finite(model: torch.nn.Module, epoch: int) -> None:
    """Make sure that no weight of ``model``, and no statistic, got lost in ``epoch`` (from 0).

    Raises:
        FloatingPointError: if one did (named).
    """
    if broken := [name for name, value in model.state_dict().items() if not value.isfinite().all()]:
        raise FloatingPointError(
            f"after epoch {epoch + 1}, {broken[0]} and {len(broken) - 1} more hold values that are not finite; "
            f"what was saved is from before. {ADVICE}"
        )
