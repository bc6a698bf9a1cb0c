"""One step of a run in each of the orders that the papers have: who moves first, on whose batch. By name they are in
``search/parts.py``.

Letters: B images, C channels, H x W pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from wholenet import parallel
from wholenet.architecture import Architecture, Weights
from wholenet.ops.statistics import still_statistics
from wholenet.search.gradients import Bilevel, TakeGradient, first_order
from wholenet.search.penalties import Penalty
from wholenet.search.schedule import Now
from wholenet.search.state import TrainState
from wholenet.search.steps import (
    Batch,
    Loss,
    NotFinite,
    Seen,
    architecture_step,
    set_rate,
    simultaneous_step,
    weight_step,
    with_penalties,
)

Batches = Iterator[tuple[Any, Tensor]]
"""Inputs, and targets."""
ADVICE = (
    "The run would come to it again: start anew, with another --out, with a lower --lr or "
    "without what is wrong in the data"
)


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


@dataclass(frozen=True)
class Parts:
    """What a method is made of, as far as its steps go."""

    update: Moves
    """Who moves first."""
    gradient: TakeGradient = first_order
    """Of the architecture; not asked where one backward pass serves both."""
    own_batches: bool = True
    """Whether the architecture learns from batches of its own, or from those of the weights."""
    penalties: Mapping[str, Penalty] = field(default_factory=dict)
    """Terms on the architecture, by the name that an error gives them."""
    weights: Callable[[Turn, Batch], Weights | None] | None = None
    """Architecture weights to take in weight steps instead of the model's own (None: that): disturbed, or random."""
    clip: float = 0.0
    """Norm that the gradient of all weights is cut to; 0 leaves it."""
    arch_clip: float = 0.0
    """Norm that the gradient of the architecture is cut to, with its penalties; 0 leaves it."""
    at: Callable[[Now], None] | None = None
    """Told the time before each step: sets what moves with it inside the network."""
    weight_loss: Callable[[Batch], Loss] | None = None
    """What weight steps minimise on a batch, where that is not the loss: it with terms on what the network gives."""
    virtual_clip: float = 0.0
    """``clip`` of the virtual step that second-order gradients look through."""
    rate: Callable[[TrainState, Batch], float] | None = None
    """Factor on the weights' rate in a step on this batch."""


@dataclass
class Turn:
    """One step: what may move, what it learns from, and how long it has waited for that."""

    state: TrainState
    parts: Parts
    loss: Loss
    streams: Mapping[str, Batches]
    """Of the weights, and of the architecture."""
    device: torch.device
    now: Now
    waited: float = 0.0
    """Seconds."""
    drawn: dict[str, Batch] = field(default_factory=dict)

    def batch(self, stream: str) -> Batch:
        """The batch of this step in ``stream``, on the device; drawn once."""
        if stream not in self.drawn:
            start = time.perf_counter()
            images, targets = next(self.streams[stream])
            batch = Batch(images, targets).to(self.device)
            if (hidden := self.state.carried.get(stream)) is not None:
                batch = batch._replace(images=batch.images._replace(hidden=parallel.own_rows(hidden)))
            self.drawn[stream] = batch
            self.waited += time.perf_counter() - start
        return self.drawn[stream]

    def weight_loss(self) -> Loss:
        """What the weights learn in this step."""
        own = self.parts.weight_loss
        return self.loss if own is None else own(self.batch("weights"))

    def seen(self, stream: str) -> Seen | None:
        """What keeps the state that the network has after the batch of ``stream``, for the next one to begin with: of
        networks that read on, whose inputs and outputs have a field ``hidden``."""
        if not hasattr(self.batch(stream).images, "hidden"):
            return None

        def keep(output: Any) -> None:
            self.state.carried[stream] = parallel.all_rows(output.hidden)

        return keep

    def penalties(self, arch: Architecture) -> dict[str, Tensor]:
        """The terms on the architecture at this time."""
        return {name: penalty(arch, self.now.time) for name, penalty in self.parts.penalties.items()}

    @contextmanager
    def naming_batch(self, stream: str) -> Iterator[None]:
        """Within the block, say of a number that is not finite on which batch and in which step it came up.

        Raises:
            Diverged: with that.
        """
        try:
            yield
        except NotFinite as error:
            now, batch = self.now, self.state.weight_steps if stream == "weights" else self.state.arch_steps
            where = f"in epoch {now.epoch + 1}, step {now.step} (learning rate {now.lr:.3g})"
            raise Diverged(f"{error} {where}, on batch {batch} of the {stream}", stream, batch) from error


Moves = Callable[[Turn], tuple[Tensor, Tensor | None]]
"""-> the loss of the weights, and that of the architecture, without its penalties; None where it did not move."""


def weights_alone(turn: Turn) -> tuple[Tensor, None]:
    """A weight step; the architecture is frozen (warm-up, fine-tuning, discrete networks)."""
    return move_weights(turn, turn.weight_loss()), None


def weights_stay(turn: Turn) -> tuple[Tensor, None]:
    """A weight step at a rate of 0: the gradients of the run's loss alone are there to be looked at. BatchNorm's
    statistics follow the batches, but not in the first epoch of a run: its network is scored then as it came."""
    set_rate(turn.state.weight_optimizer, 0.0)
    with still_statistics(turn.state.model.net) if turn.now.epoch == 0 else nullcontext():
        return move_weights(turn, turn.loss), None


def weights_first(turn: Turn) -> tuple[Tensor, Tensor]:
    """A weight step, then an architecture step (seed paper, Sec. 3.2)."""
    value = move_weights(turn, turn.weight_loss())
    return value, move_architecture(turn)


def architecture_first(turn: Turn) -> tuple[Tensor, Tensor]:
    """An architecture step, then a weight step (DARTS, Alg. 1)."""
    above = move_architecture(turn)
    return move_weights(turn, turn.weight_loss()), above


def together(turn: Turn) -> tuple[Tensor, Tensor]:
    """Both out of one backward pass on the weights' batch (ours): the architecture's step is free."""
    state = turn.state
    with turn.naming_batch("weights"):
        value, gradient = simultaneous_step(
            state.model,
            turn.batch("weights"),
            turn.weight_loss(),
            state.weight_optimizer,
            turn.penalties,
            clip=turn.parts.clip,
            seen=turn.seen("weights"),
        )
        architecture_step(state.model.arch, gradient, state.arch_optimizer, turn.parts.arch_clip)
    state.weight_steps += 1
    state.arch_steps += 1
    return value, value


def move_weights(turn: Turn, loss: Loss) -> Tensor:
    """The weights' part of a step, by ``loss``: its value."""
    state, batch, parts = turn.state, turn.batch("weights"), turn.parts
    with turn.naming_batch("weights"):
        weights = None if parts.weights is None else parts.weights(turn, batch)
        value = weight_step(
            state.model,
            batch,
            loss,
            state.weight_optimizer,
            weights=weights,
            clip=parts.clip,
            seen=turn.seen("weights"),
        )
    state.weight_steps += 1
    return value


def move_architecture(turn: Turn) -> Tensor:
    """The architecture's part of a step, by the method's gradient and penalties: the loss, without these."""
    state, model = turn.state, turn.state.model
    stream = "architecture" if turn.parts.own_batches else "weights"
    own = turn.seen(stream) if turn.parts.own_batches else None
    batches = turn.batch("weights"), turn.batch(stream)
    at = Bilevel(model, *batches, turn.loss, state.weight_optimizer, own, turn.parts.virtual_clip)
    with turn.naming_batch(stream):
        value, gradient = turn.parts.gradient(at)
        gradient = with_penalties(model.arch, gradient, turn.penalties(model.arch))
        architecture_step(model.arch, gradient, state.arch_optimizer, turn.parts.arch_clip)
    state.arch_steps += 1
    return value
