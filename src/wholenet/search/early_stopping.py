"""When a search should have stopped: the rule of RobustDARTS, on the dominant eigenvalue's history.

The eigenvalue is averaged over a window; where the average has grown too fast over some evaluations, the architecture
from before it grew is taken. The paper and its code say this differently; both readings are here by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

Evaluation = tuple[int, float]
"""(epoch, dominant eigenvalue)."""


@dataclass(frozen=True)
class StoppingRule:
    """Stop if the newest average is more than ``growth`` times the one ``lag`` evaluations before.

    Raises:
        ValueError: for a window, lag or growth that makes no rule.
    """

    window: int
    """Evaluations in an average."""
    lag: int
    """Evaluations between the two averages."""
    growth: float
    centred: bool
    """Whether an average belongs to the evaluation in its middle, or to its last."""
    earliest: int
    """Epoch that may be gone back to at the earliest."""

    def __post_init__(self) -> None:
        if self.window < 1 or self.lag < 1 or self.growth <= 0:
            raise ValueError(f"{self}: window and lag must be at least 1, growth above 0")
        if self.centred and self.window % 2 == 0:
            raise ValueError(f"window={self.window} has no middle; centred averages take an odd number")

    def goes_back_to(self, history: Sequence[Evaluation]) -> int | None:
        """The epoch whose architecture is to be taken, if the rule fires at the last evaluation of ``history``.

        Evaluations are at even distances; do not ask at a last one that is not.
        """
        older = len(history) - self.lag
        if older < self.window:
            return None
        values = [value for _, value in history]
        newest, earlier = fmean(values[-self.window :]), fmean(values[older - self.window : older])
        epoch = history[older - 1 - (self.window // 2 if self.centred else 0)][0]
        return epoch if epoch >= self.earliest and newest > self.growth * earlier else None

    def least_epochs(self, every: int) -> int:
        """Epochs of the shortest search in which the rule can fire, with an evaluation ``every`` so many epochs and
        none counted after the last.

        >>> RULES["code"].least_epochs(2), RULES["paper"].least_epochs(1)
        (24, 11)
        """
        evaluations = self.window + self.lag
        before = self.lag + 1 + (self.window // 2 if self.centred else 0)
        while (evaluations - before) * every < self.earliest:
            evaluations += 1
        return (evaluations - 1) * every + 2

    def first(self, history: Sequence[Evaluation]) -> int | None:
        """What the rule says the first time that it fires as ``history`` unfolds; None if it never does."""
        for known in range(1, len(history) + 1):
            epoch = self.goes_back_to(history[:known])
            if epoch is not None:
                return epoch
        return None


RULES = {
    # Evaluations two epochs apart; 1.3 is a little less than 1 / 0.75.
    "code": StoppingRule(window=5, lag=4, growth=1.3, centred=True, earliest=10),
    # An evaluation every epoch.
    "paper": StoppingRule(window=5, lag=5, growth=1 / 0.75, centred=False, earliest=0),
}
"""Both readings of RobustDARTS: its code's constants, and the paper's."""
