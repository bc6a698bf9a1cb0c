"""Differences of runs that share a seed, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import mean, stdev

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t for 1 to 9 degrees of freedom: 2.5 % lie above."""


@dataclass(frozen=True)
class Difference:
    """A mean difference and its 95 % interval by Student's t; without bounds for a single pair."""

    mean: float
    low: float
    high: float
    n: int

    def shown(self, scale: float = 100.0, digits: int = 1) -> str:
        """Times ``scale``, which makes points of shares.

        >>> paired([0.31, 0.32, 0.33], [0.30, 0.30, 0.30]).shown()
        '+2.0 (-0.5 to +4.5)'
        """
        mean, low, high = (f"{scale * value:+.{digits}f}" for value in (self.mean, self.low, self.high))
        return mean if self.n < 2 else f"{mean} ({low} to {high})"

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves zero out; never for a single pair."""
        return self.n > 1 and not self.low <= 0 <= self.high

    def bounds(self) -> list[float] | float:
        """Plain values: the mean and its interval, or of a single pair the mean."""
        return [self.mean, self.low, self.high] if self.n > 1 else self.mean


def paired_where_both(ours: Sequence[float | None], theirs: Sequence[float | None]) -> Difference | None:
    """:func:`paired`, over the seeds that both have; None if there are none."""
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    return paired([a for a, _ in both], [b for _, b in both]) if both else None


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """``ours`` minus ``theirs``, seed by seed.

    Raises:
        ValueError: for other than equally many, or none.
    """
    gains = [a - b for a, b in zip(ours, theirs, strict=True)]
    center, n = mean(gains), len(gains)
    if n < 2:
        return Difference(center, -inf, inf, n)
    half = T_975[min(n - 1, len(T_975)) - 1] * stdev(gains) / sqrt(n)  # of more, a little too wide
    return Difference(center, center - half, center + half, n)
