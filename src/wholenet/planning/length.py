"""How long a run of so many steps takes, part by part, and how many steps fit into a time: arithmetic alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wholenet.planning import rules
from wholenet.planning.timing import Measured
from wholenet.search.config import FitConfig
from wholenet.search.phases import single_stage
from wholenet.search.protocols import PROTOCOLS

END_SECONDS = 8.0
"""Of pictures and the page at the end."""
DRAWN_SECONDS = 4.0
"""Of the pictures alone, at the end of a first stage and of a control."""
SCORING_SHARE = 0.1
"""Of the training's time that validations may take."""
SCORINGS = 10


def count(number: int, noun: str) -> str:
    """ "1 step", "2,000 steps".

    >>> [count(1, "step"), count(2000, "step")]
    ['1 step', '2,000 steps']
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


@dataclass(frozen=True)
class Length:
    """How long a run is."""

    epochs: int
    steps: int
    """Of an epoch."""
    every: int
    """Epochs between two validations."""
    retrain_epochs: int = 0
    """Of a second stage."""

    @property
    def in_all(self) -> int:
        """Steps of all epochs."""
        return self.epochs * self.steps


@dataclass(frozen=True)
class Cost:
    """What the parts of a run cost: what was measured, and what the config asks for.

    The seconds of a run are a sum over its parts, so no part is left out of ``minutes``.
    """

    config: FitConfig
    found: Measured
    images: int
    """To validate on."""
    others: tuple[Cost, ...] = ()
    """Of runs that are as long, differ in their budgets and how these are met, and share the time."""
    retrains: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "retrains", PROTOCOLS[self.config.protocol].retrains)

    @property
    def measured(self) -> tuple[Measured, ...]:
        """Of every run, this one last."""
        return (*(other.found for other in self.others), self.found)

    @property
    def scoring(self) -> float:
        """A validation of the network that the run begins with."""
        return self.images * self.found.scored_image + self._statistics

    def length(self, steps: int, seconds: float) -> Length:
        """That of a run of about so many ``steps``, never more, whose validations are to take no more than their share
        of ``seconds``.

        Raises:
            ValueError: if there is not a step for each phase.
        """
        epochs, each = rules.epochs_for(steps)
        seconds /= 1 + len(self.others)
        scorings = min(SCORINGS, max(1, int(SCORING_SHARE * seconds / max(self.scoring, 1e-9))))
        every = math.ceil(epochs / min(scorings, epochs))
        return Length(epochs, each, every, self._retraining(epochs) if self.retrains else 0)

    def parts(self, length: Length) -> dict[str, float]:
        """Seconds of each part of the run, of all runs, by what people call it."""
        epochs = self.first_stage(length)
        parts = {"training": sum(length.steps * self._step(length, epoch) for epoch in range(epochs))}
        scored = [epoch for epoch in range(epochs) if _scores(epoch, epochs, length.every)]
        parts["validations"] = self._validations([self._left(length, epoch) for epoch in scored])
        parts["training"] += self.found.removal
        if self.retrains:
            parts["second stage"] = length.retrain_epochs * length.steps * self._later
            scorings = math.ceil(length.retrain_epochs / length.every)
            parts["second stage"] += self._validations([1.0] * scorings) + DRAWN_SECONDS
        if self.config.control:
            again = self._control_epochs(length)
            scorings = math.ceil(again / length.every)
            parts["control"] = again * length.steps * self.found.weight_step + self._validations([0.0] * scorings)
            parts["control"] += DRAWN_SECONDS
        paged = self.found.scored_image if self.found.paged_image is None else self.found.paged_image
        parts["the end"] = self.images * paged * max(1.0, self._larger) + END_SECONDS
        for other in self.others:
            for name, seconds in other.parts(length).items():
                parts[name] += seconds
        return parts

    def first_stage(self, length: Length) -> int:
        """Epochs of the first stage, or of the only one."""
        return self._searched(length.epochs) if self.retrains else length.epochs

    def seconds(self, length: Length) -> float:
        """Of all parts."""
        return sum(self.parts(length).values())

    def fitting(self, seconds: float) -> int:
        """The most steps whose run takes no longer than ``seconds``; fewer than three, if not even three fit."""

        def fits(steps: int) -> bool:
            return self.seconds(self.length(steps, seconds)) <= seconds

        if not fits(3):
            return min(2, max(0, int((seconds - 2 * self.scoring - END_SECONDS) / self.found.weight_step)))
        least, most = 3, 6
        while fits(most):
            least, most = most, 2 * most
        while most - least > 1:
            middle = (least + most) // 2
            least, most = (middle, most) if fits(middle) else (least, middle)
        return least

    # ---- of one epoch

    def _left(self, length: Length, epoch: int) -> float:
        """How far the network of an epoch is on its way from the whole (0) to the budget (1)."""
        if not self.config.removes:
            return 0.0
        search = self._phases(length.epochs)[1]
        epochs = max(1, round((self.config.budget_over or 0.0) * (search.end - search.first)))
        return min(1.0, max(0.0, (epoch - search.first) / epochs))

    def _step(self, length: Length, epoch: int) -> float:
        search = self._phases(length.epochs)[1]
        moves = self.config.moves_architecture and search.first <= epoch < search.end
        step = self.found.search_step if moves else self.found.weight_step
        return step * (1 + self._left(length, epoch) * (self._later / self.found.weight_step - 1))

    def _scored(self, left: float) -> float:
        """All images once, at the zoom of the start."""
        later = self.found.scored_image if self.found.later_scored is None else self.found.later_scored
        return self.images * (self.found.scored_image + left * (later - self.found.scored_image))

    def _validations(self, lefts: Sequence[float]) -> float:
        """Of a stage, of networks that are so far on their way; half-way another zoom is tried, where one is, and
        counted as the better one."""
        seconds = sum(map(self._scored, lefts)) + len(lefts) * self._statistics
        if self.config.try_zoom is not None and lefts:
            tried, *later = lefts[(len(lefts) - 1) // 2 :]
            seconds += self._larger * self._scored(tried)
            seconds += max(0.0, self._larger - 1) * sum(map(self._scored, later))
        return seconds

    @property
    def _larger(self) -> float:
        """How many times as many pixels an image has at the other zoom; without one, as many."""
        return ((self.config.try_zoom or self.config.zoom) / self.config.zoom) ** 2

    # ---- of stages

    @property
    def _later(self) -> float:
        return self.found.weight_step if self.found.later_step is None else self.found.later_step

    @property
    def _statistics(self) -> float:
        return self.config.statistics_batches * self.found.passed_batch

    def _phases(self, epochs: int) -> Any:
        return single_stage(epochs, self.config.warmup_share, self.config.search_share)

    def _searched(self, epochs: int) -> int:
        return self._phases(epochs)[1].end

    def _retraining(self, epochs: int) -> int:
        """As many as take the time that the epochs after the search would take in a run of one stage."""
        if self.config.retrain_epochs:
            return self.config.retrain_epochs
        return max(1, round((epochs - self._searched(epochs)) * self.found.weight_step / self._later))

    def _control_epochs(self, length: Length) -> int:
        """As ``search/equal_time.py`` counts them: as many as take the time of the training."""
        epochs = self.first_stage(length)
        seconds = sum(self._step(length, epoch) for epoch in range(epochs)) + length.retrain_epochs * self._later
        return max(1, round(seconds / self.found.weight_step))


def _scores(epoch: int, epochs: int, every: int) -> bool:
    return epoch + 1 == epochs or (epoch + 1) % every == 0
