"""The training loop of one epoch, and the state that it moves.

Letters: B images, C channels, H x W pixels.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from wholenet.search.penalty import EntropyPenalty
from wholenet.search.phases import Phase
from wholenet.search.steps import (
    Batch,
    Loss,
    NotFinite,
    architecture_gradient,
    architecture_step,
    decayed_rate,
    set_rate,
    simultaneous_step,
    weight_step,
)
from wholenet.spaces.supernet import Supernet


@dataclass(frozen=True)
class Step:
    """What one step did."""

    step: int
    """Position in the epoch, from 0."""
    lr: float
    loss: float
    arch_loss: float | None
    """Without the penalty; None where the architecture did not move."""
    data_seconds: float
    """Time spent waiting for batches."""


@dataclass
class Tally:
    """What the steps of an epoch came to so far: sums, so that an epoch may be left and taken up again."""

    steps: int = 0
    """Also the number of the next one."""
    arch_steps: int = 0
    lr: float = 0.0
    """Of the first step."""
    loss: float = 0.0
    arch_loss: float = 0.0
    data_seconds: float = 0.0
    seconds: float = 0.0
    """Of training; counted by who trains."""

    def add(self, step: Step) -> None:
        """Count a step in."""
        self.lr = self.lr if self.steps else step.lr
        self.steps += 1
        self.loss += step.loss
        self.data_seconds += step.data_seconds
        if step.arch_loss is not None:
            self.arch_steps += 1
            self.arch_loss += step.arch_loss

    def record(self, batch: int) -> dict[str, float | None]:
        """Its part of the epoch's record; means over the steps. ``batch``: images in a step."""
        return {
            "lr": self.lr,
            "loss": self.loss / self.steps,
            "arch_loss": self.arch_loss / self.arch_steps if self.arch_steps else None,
            "seconds": self.seconds,
            "data_seconds": self.data_seconds,
            "images_per_second": self.steps * batch / self.seconds,
        }


@dataclass
class TrainState:
    """All that a run changes as it goes: saved in a checkpoint, restored from it."""

    model: Supernet
    weight_optimizer: torch.optim.SGD
    arch_optimizer: torch.optim.Optimizer
    epoch: int = 0
    """Epochs finished: trained, scored and recorded."""
    weight_steps: int = 0
    """Weight steps taken: also the number of the next batch of the weights' stream."""
    arch_steps: int = 0
    """Architecture steps taken, and the number of the next batch of theirs."""
    tally: Tally = field(default_factory=Tally)
    """Of the epoch under way."""

    def end_epoch(self) -> None:
        """The epoch under way is finished."""
        self.epoch += 1
        self.tally = Tally()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values only."""
        return {
            "model": self.model.state_dict(),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "arch_optimizer": self.arch_optimizer.state_dict(),
            "epoch": self.epoch,
            "weight_steps": self.weight_steps,
            "arch_steps": self.arch_steps,
            "tally": asdict(self.tally),
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.arch_optimizer.load_state_dict(state["arch_optimizer"])
        self.epoch, self.weight_steps, self.arch_steps = state["epoch"], state["weight_steps"], state["arch_steps"]
        self.tally = Tally(**state["tally"])
        torch.set_rng_state(state["torch_random"].cpu())
        if torch.cuda.is_available() and len(state["cuda_random"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([random.cpu() for random in state["cuda_random"]])


@dataclass(frozen=True)
class Schedule:
    """How long the run is and how its rates move."""

    epochs: int
    steps_per_epoch: int
    lr: float
    lr_schedule: str


def train_epoch(
    state: TrainState,
    phase: Phase,
    schedule: Schedule,
    loss: Loss,
    penalty: EntropyPenalty,
    weight_batches: Iterator[tuple[Tensor, Tensor]],
    arch_batches: Iterator[tuple[Tensor, Tensor]],
    device: torch.device,
    *,
    simultaneous: bool = False,
    arch_updates_statistics: bool = False,
) -> Iterator[Step]:
    """Train what is left of an epoch, yielding after each step: a weight step, and in the search phase an architecture
    step after it.

    Seed paper, Sec. 3.2. The two steps draw their batches separately; if ``simultaneous``, one batch and one backward
    pass serve both. Outside the search phase the architecture is frozen: not a bit of it moves, weight decay and Adam's
    momenta included. ``state.end_epoch()`` is left to the caller, who may have more to do before.

    Raises:
        Diverged: if a loss or a gradient is not finite, before it moves anything; or a weight is not, at the end.
    """
    model = state.model.train()
    if phase.moves_architecture:
        model.arch.unfreeze()
    else:
        model.arch.freeze()
    for step in range(state.tally.steps, schedule.steps_per_epoch):
        time_in_epochs = state.epoch + step / schedule.steps_per_epoch
        lr = decayed_rate(schedule.lr, time_in_epochs / schedule.epochs, schedule.lr_schedule)
        set_rate(state.weight_optimizer, lr)
        penalty_now = partial(penalty, time=time_in_epochs)
        both = phase.moves_architecture and simultaneous
        batch, waited = next_batch(weight_batches, device)
        gradient: list[Tensor] = []
        with diverging("weights", state.weight_steps, state.epoch, step, lr):
            if both:
                weight_loss, gradient = simultaneous_step(model, batch, loss, state.weight_optimizer, penalty_now)
            else:
                weight_loss = weight_step(model, batch, loss, state.weight_optimizer)
        state.weight_steps += 1

        arch_loss = weight_loss if both else None
        if phase.moves_architecture:
            with diverging("architecture", state.arch_steps, state.epoch, step, lr):
                if not both:
                    batch, arch_waited = next_batch(arch_batches, device)
                    waited += arch_waited
                    arch_loss, gradient = architecture_gradient(
                        model, batch, loss, penalty_now, update_statistics=arch_updates_statistics
                    )
                architecture_step(model.arch, gradient, state.arch_optimizer)
            state.arch_steps += 1
        done = Step(step, lr, weight_loss.item(), None if arch_loss is None else arch_loss.item(), waited)
        state.tally.add(done)
        yield done
    check_finite(model, state.epoch)
    model.arch.freeze()


class Diverged(FloatingPointError):
    """Training came to a number that is not finite.

    Args:
        message: which, where.
        stream: "weights" or "architecture": whose batch it was on.
        batch: the number of that batch in its stream.
    """

    def __init__(self, message: str, stream: str, batch: int) -> None:
        super().__init__(message)
        self.stream = stream
        self.batch = batch


@contextmanager
def diverging(stream: str, batch: int, epoch: int, step: int, lr: float) -> Iterator[None]:
    """Within the block, say of a number that is not finite on which batch and in which step it came up.

    Raises:
        Diverged: with that.
    """
    try:
        yield
    except NotFinite as error:
        where = f"in epoch {epoch + 1}, step {step} (learning rate {lr:.3g})"
        raise Diverged(f"{error} {where}, on batch {batch} of the {stream}", stream, batch) from error


def next_batch(batches: Iterator[tuple[Tensor, Tensor]], device: torch.device) -> tuple[Batch, float]:
    """The next batch, on ``device``, and the seconds that it was waited for."""
    start = time.perf_counter()
    images, targets = next(batches)
    batch = Batch(images.to(device, memory_format=torch.channels_last), targets.to(device))
    return batch, time.perf_counter() - start


ADVICE = "The run would come to it again: start anew with a lower --lr, or without what is wrong in the data"


def check_finite(model: torch.nn.Module, epoch: int) -> None:
    """Make sure that no weight of ``model`` got lost in ``epoch`` (from 0).

    Raises:
        FloatingPointError: if one did (named).
    """
    if broken := [name for name, value in model.named_parameters() if not value.isfinite().all()]:
        raise FloatingPointError(
            f"after epoch {epoch + 1}, {broken[0]} and {len(broken) - 1} more hold values that are not finite; "
            f"the last checkpoint is from before. {ADVICE}"
        )
