"""The two streams of a run whose samples are drawn one by one in a random order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from wholenet.data.splits import Numbered
from wholenet.data.stream import Order, batches
from wholenet.search.draw import order_of
from wholenet.search.phases import Phase
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import Batch
from wholenet.search.task_config import TaskConfig
from wholenet.search.updates import Batches


class DrawnStreams:
    """Batch k of each stream is always the same.

    Args:
        weights: samples that the weights learn from.
        architecture: likewise the architecture.
        make: (samples, the rest of :class:`wholenet.data.stream.Order`) -> a stream, whose items are (inputs, targets).
        config: of the run.
        schedule: how long it is.
        device: where single batches are wanted.
        name: (samples, index) -> what people find one by.
    """

    def __init__(
        self,
        weights: Numbered[Any],
        architecture: Numbered[Any],
        make: Callable[..., Order],
        *,
        config: TaskConfig,
        schedule: Schedule,
        device: torch.device,
        name: Callable[[Numbered[Any], int], str] = lambda _samples, index: f"sample {index}",
    ) -> None:
        self.weights, self.architecture = weights, architecture
        self.make = make
        self.config = config
        self.total = schedule.epochs * schedule.steps_per_epoch
        self.device = device
        self.name = name

    def epoch(self, state: TrainState, phase: Phase) -> tuple[Batches, Batches]:
        """The batches of the epoch to come: for the weights, and for the architecture."""
        del phase
        return self._drawn("weights", state.weight_steps), self._drawn("architecture", state.arch_steps)

    def names(self, stream: str, number: int) -> list[str]:
        """The samples of a batch by their place in what the stream draws from, over all processes."""
        whole = {**order_of(self.config, stream), "shares": 1, "share": 0}
        samples = self._of(stream)
        order = Order(len(samples), batches=number + 1, **whole)
        return [self.name(samples, index) for index in order.indices(number)]

    def one(self, stream: str, number: int, epoch: int) -> Batch:  # noqa: ARG002
        """Batch ``number`` of a stream, on the device."""
        x, y = self._stream(stream, number + 1)[number]
        return Batch(x, y).to(self.device)

    def _of(self, stream: str) -> Numbered[Any]:
        return self.architecture if stream == "architecture" else self.weights

    def _stream(self, stream: str, length: int) -> Order:
        return self.make(self._of(stream), batches=length, **order_of(self.config, stream))

    def _drawn(self, stream: str, first: int) -> Batches:
        own = self._stream(stream, self.total)
        return batches(own, first, self.config.workers, pinned=self.device.type == "cuda")
