"""Whether a pair's images agree with its truth."""

import numpy as np


def mismatch(pair, more=0.0, where=None):
    """Mean difference, in grey levels, between the left image and the right one moved by the disparity and ``more``, at
    visible pixels or ``where``; between pixels of the right image it is interpolated."""
    where = pair.visible if where is None else where
    row, column = np.nonzero(where & np.isfinite(pair.disparity))
    x = (column - pair.disparity[row, column] - more).clip(0, pair.right.shape[1] - 1)
    before = np.minimum(x.astype(int), pair.right.shape[1] - 2)
    share = (x - before)[:, None]
    right = pair.right.astype(float)
    seen = right[row, before] * (1 - share) + right[row, before + 1] * share
    return np.abs(seen - pair.left[row, column]).mean()
