"""How long a run is, and what moves with its time: the weights' rate, and what rises or fades over the epochs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

DECAYS: dict[str, Callable[[float, float], float]] = {
    "poly": lambda done, whole: (1 - done / whole) ** 0.9,
    "constant": lambda _done, _whole: 1.0,
    "cosine": lambda done, whole: (1 + math.cos(math.pi * done / whole)) / 2,
}
"""What is left of a learning rate when ``done`` of ``whole`` is over, by name: from 1 to 0."""


class Now(NamedTuple):
    """Where in its time a run is."""

    epoch: int
    step: int
    """Of the epoch, from 0."""
    time: float
    """In epochs; fractions count."""
    epochs: int
    """Of the whole run."""
    lr: float
    """Of the weights."""

    @property
    def progress(self) -> float:
        """Share of the run that is over."""
        return self.time / self.epochs

    @property
    def rise(self) -> float:
        """From 0 in the first epoch to 1 in the last, one value per epoch.

        >>> round(0.2 * Now(1, 0, 1.0, 50, 0.025).rise, 8)
        0.00408163
        """
        return self.epoch / max(1, self.epochs - 1)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A run's length and rates. One decay spans all its phases; a restart at fine-tuning would be a second stage."""

    epochs: int
    steps_per_epoch: int
    lr: float
    """At the start."""
    lr_end: float = 0.0
    decay: str = "poly"
    """One of ``DECAYS``."""
    by_epoch: bool = False
    """Whether the rate is one value per epoch (DARTS) or moves with every step."""
    warmup: int = 0
    """Steps at the start in which it rises linearly to what it would be without them."""
    before: int = 0
    """Epochs of the same decay that are over when this run begins: of a search in two runs."""
    after: int = 0
    """Epochs of the same decay that follow it."""
    still: int = 0
    """Epochs at the start in which the weights stay: the rate is 0, and all else begins after them."""

    def rate(self, time: float) -> float:
        """Learning rate of the weights at ``time`` in epochs.

        Raises:
            ValueError: for a decay that is unknown.

        >>> darts = Schedule(epochs=50, steps_per_epoch=391, lr=0.025, lr_end=0.001, decay="cosine", by_epoch=True)
        >>> [round(darts.rate(epoch), 8) for epoch in (0, 1, 1.5, 49)]
        [0.025, 0.02497632, 0.02497632, 0.00102368]
        >>> second = Schedule(epochs=40, before=30, steps_per_epoch=9, lr=0.025, lr_end=0.001, decay="cosine")
        >>> [round(second.rate(epoch), 7) for epoch in (0, 39)]
        [0.0156703, 0.0010121]
        >>> late = Schedule(epochs=5, steps_per_epoch=9, lr=1.0, decay="cosine", still=3)
        >>> [late.rate(epoch) for epoch in (2.9, 3, 4)]
        [0.0, 1.0, 0.5]
        """
        if self.decay not in DECAYS:
            raise ValueError(f"unknown decay {self.decay!r} of the learning rate; known: {', '.join(DECAYS)}")
        if time < self.still:
            return 0.0
        done = math.floor(time) if self.by_epoch else time
        whole = self.before + self.epochs + self.after
        left = DECAYS[self.decay](self.before + done - self.still, whole - self.still)
        return self.lr_end + (self.lr - self.lr_end) * left

    def now(self, epoch: int, step: int = 0) -> Now:
        """The moment before ``step`` of ``epoch``, both from 0.

        >>> schedule = Schedule(epochs=10, steps_per_epoch=2, lr=1.0, warmup=4)
        >>> [schedule.now(*at).lr / schedule.rate(at[0] + at[1] / 2) for at in ((0, 0), (0, 1), (1, 1), (2, 0))]
        [0.25, 0.5, 1.0, 1.0]
        """
        time = epoch + step / self.steps_per_epoch
        done = (epoch - self.still) * self.steps_per_epoch + step
        lr = self.rate(time) * ((done + 1) / self.warmup if 0 <= done < self.warmup else 1)
        return Now(epoch, step, time, self.epochs, lr)
