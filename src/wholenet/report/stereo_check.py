"""What the splits of pairs with disparity hold, as a table and as JSON."""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from wholenet.data.stereo.facts import PairFacts, counted
from wholenet.data.stereo.review import StereoReview


def splits_of_stereo(review: StereoReview) -> dict[str, dict[str, Any]]:
    """Split -> pairs that were read, smallest and largest size, disparities in pixels, and shares in [0, 1]; what
    cannot be read is left out."""
    return {name: _of_split(facts) for name, facts in review.facts.items()}


def stereo_tables(review: StereoReview) -> list[Table]:
    """A row for each split."""
    if not review.facts:
        return []
    table = Table("split", "pairs", "height x width", "disparity, median", "largest", "unknown", "hidden", box=None)
    for name, own in splits_of_stereo(review).items():
        sizes = ["x".join(map(str, own[key])) for key in ("smallest", "largest") if own[key]]
        table.add_row(
            name,
            str(own["pairs"]),
            " to ".join(dict.fromkeys(sizes)) or "-",
            "-" if own["median_disparity"] is None else f"{own['median_disparity']} px",
            "-" if own["largest_disparity"] is None else f"{own['largest_disparity']:.1f} px",
            _percent(own["unknown_share"]),
            _percent(own["hidden_share"]),
        )
    return [table]


def _of_split(facts: tuple[PairFacts, ...]) -> dict[str, Any]:
    sizes = [pair.size for pair in facts if pair.size is not None]
    truths = [pair.truth for pair in facts if pair.truth is not None]
    known = sum(truth.known for truth in truths)
    told = [truth for truth in truths if truth.visible is not None and truth.known]
    counts = counted(facts)
    seen = sum(truth.visible or 0 for truth in told)
    return {
        "pairs": len(facts),
        "smallest": list(min(sizes, key=lambda size: size[0] * size[1])) if sizes else [],
        "largest": list(max(sizes, key=lambda size: size[0] * size[1])) if sizes else [],
        "median_disparity": _median(counts) if known else None,
        "largest_disparity": max(max(-truth.low, truth.high) for truth in truths) if known else None,
        "unknown_share": 1 - known / sum(truth.pixels for truth in truths) if truths else None,
        "hidden_share": 1 - seen / sum(truth.known for truth in told) if told else None,
    }


def _median(counts: NDArray[np.int64]) -> int:
    """To a whole pixel, as if the disparities of a bin lay evenly in it."""
    below = np.concatenate([[0], np.cumsum(counts)])
    n = int(np.searchsorted(below, below[-1] / 2, side="left")) - 1
    return max(0, floor(n - 0.5 + (below[-1] / 2 - below[n]) / counts[n]))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
