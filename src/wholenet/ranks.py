"""How alike two orders are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rank_correlation(one: Sequence[float] | NDArray, other: Sequence[float] | NDArray) -> float | None:
    """Spearman's rank correlation of two times N values, in [-1, 1]; equal values share the middle of their ranks. None
    where either has one value alone, and so no order.

    >>> rank_correlation([1.0, 2.0, 9.0], [5.0, 4.0, 1.0])
    -1.0
    >>> rank_correlation([1.0, 1.0, 2.0], [3.0, 4.0, 4.0])
    0.5
    """
    ranks = [_ranks(values) for values in (one, other)]
    if any(not np.ptp(found) for found in ranks):
        return None
    return round(float(np.asarray(np.corrcoef(ranks)).ravel()[1]), 12)


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
