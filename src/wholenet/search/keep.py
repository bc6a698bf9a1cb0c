"""Which epoch's network a run keeps as ``model/``: the last one's, or that of the best validation score so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wholenet.search.records import Record
from wholenet.tasks.score import Score


def best_record(records: Sequence[Record], score: Score) -> Record | None:
    """The record of the best score, of several equal ones the latest; None if no epoch was scored.

    A score that is not a number is worse than all others. Where a budget makes the network smaller on the way, only
    epochs of the size that the last of the ``records`` has count.

    >>> error = Score("error", "error", higher=False)
    >>> best_record([{"epoch": 0, "error": 0.5}, {"epoch": 1, "error": 0.5}, {"epoch": 2, "error": None}], error)
    {'epoch': 1, 'error': 0.5}
    """
    scored = [r for r in records if r[score.name] is not None and r.get("macs") == records[-1].get("macs")]
    return max(reversed(scored), key=lambda record: rank(record[score.name], score), default=None)


def is_best(value: float, records: Sequence[Record], score: Score, macs: int | None = None) -> bool:
    """Whether ``value`` is at least as good as the score of each of the ``records`` before, of networks that cost the
    same ``macs``; None without a budget."""
    before = best_record([record for record in records if record.get("macs") == macs], score)
    return before is None or rank(value, score) >= rank(before[score.name], score)


def say_kept(records: Sequence[Record], score: Score) -> str:
    """One line: which epoch was kept, and by how much it is better than the last one that was scored.

    >>> records = [{"epoch": 0, "miou": 0.5}, {"epoch": 1, "miou": 0.25}]
    >>> say_kept(records, Score("miou", "mIoU", percent=True))
    'kept epoch 1 of 2: 50.0 % mIoU in validation, 25.0 points better than the last (25.0 % mIoU, in model-last)'
    """
    best, last = best_record(records, score), records[-1]
    assert best is not None, "the last epoch is always scored"
    kept = f"kept epoch {best['epoch'] + 1} of {len(records)}: {score.say(best[score.name])} in validation"
    if best is last:
        return f"{kept}, the last one"
    gain: Any = abs(best[score.name] - last[score.name])
    by = f"{100 * gain:.1f} points" if score.percent else f"{gain:.4g}"
    return f"{kept}, {by} better than the last ({score.say(last[score.name])}, in model-last)"


def rank(value: float, score: Score) -> float:
    """The larger, the better; a score that is not a number is worse than all others."""
    if math.isnan(value):
        return -math.inf
    return value if score.higher else -value
