"""How many epochs a run without architecture steps manages in the time of one that searched.

Architecture steps of their own cost time: a control that trained for as many epochs would get less computing. So it
gets as many epochs as fit into the time that the searched run took. How many that is depends on measured time, so it
may differ by one or two between machines; the control's config says what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any


def equal_time_epochs(records: Sequence[dict[str, Any]], retraining: Sequence[dict[str, Any]] = ()) -> int:
    """:func:`equal_time` in whole epochs, at least one."""
    return max(1, round(equal_time(records, retraining)))


def equal_time(records: Sequence[dict[str, Any]], retraining: Sequence[dict[str, Any]] = ()) -> float:
    """Epochs that a run without architecture steps manages in the time of the run that wrote ``records``, and of the
    second stage that wrote ``retraining``.

    >>> epochs = [{"arch_loss": None, "seconds": 10.0}] * 6 + [{"arch_loss": 1.0, "seconds": 16.0}] * 4
    >>> equal_time(epochs)
    12.4

    One epoch of search, in which something else took the machine for 80 seconds:

    >>> equal_time([*epochs[:6], {"arch_loss": 1.0, "seconds": 96.0, "steady_seconds": 16.0}])
    7.6
    """
    plain = [_seconds(record) for record in records if record["arch_loss"] is None]
    searched = [_seconds(record) for record in records if record["arch_loss"] is not None]
    if not plain:
        raise ValueError(
            "no epoch of the run left its architecture alone, so the time of such an epoch is not known; give the run "
            "a warm-up (warmup_share above 0) to compare it with a control of equal time"
        )
    # Medians: the first epoch starts workers and warms caches.
    seconds = sum(len(part) * median(part) for part in (searched, list(map(_seconds, retraining))) if part)
    return len(plain) + seconds / median(plain)


def _seconds(record: dict[str, Any]) -> float:
    """Of an epoch whose steps all took their median: a stall is none of its cost. Older records know only the sum."""
    return record.get("steady_seconds", record["seconds"])
