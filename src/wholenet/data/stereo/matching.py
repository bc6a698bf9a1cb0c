"""Where points of the left image are in the right one, measured without a network: enough to tell whether a pair is
rectified, and which image is which.

Letters: H x W pixels, N points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wholenet.data.stereo.sample import StereoSample

POINTS = 60
"""Of a pair, at most."""
HALF = 7
"""Pixels of a patch on each side of its middle."""
MOST_ROWS = 8
"""Rows up and down that are searched."""
REACH = 1 / 3
"""Of the width, that is searched to each side."""
ALIKE, APART = 0.85, 0.05
"""Correlation that a match must have, and how far every other place must be below it."""
WIDEST = 1280
"""Wider images are measured in a smaller size."""


@dataclass(frozen=True)
class Matches:
    """Points of left images that were found in the right ones, of one pair or several."""

    columns: NDArray[np.float64]
    """[N] x_left - x_right, in pixels."""
    rows: NDArray[np.float64]
    """[N] y_right - y_left."""
    truth: NDArray[np.float64]
    """[N] disparity there by the truth; NaN where it is not known."""

    def __len__(self) -> int:
        return len(self.rows)


def matches(samples: Sequence[StereoSample]) -> Matches:
    """The points with a texture of their own of some pairs, and where the right images have them.

    A patch around each is looked for in the right image, a few rows up and down and a third of the width to both sides,
    by normalised correlation; what is found in two places, or in none, is left out.
    """
    found = [one for sample in samples for one in _of_pair(sample)]
    table = np.array(found, dtype=float).reshape(-1, 3)
    return Matches(table[:, 0], table[:, 1], table[:, 2])


def _of_pair(sample: StereoSample) -> list[tuple[float, float, float]]:
    factor = min(1.0, WIDEST / sample.left.shape[1])
    left, right = (_grey(image, factor) for image in (sample.left, sample.right))
    height, width = left.shape
    rows = min(MOST_ROWS, (height - 2 * HALF - 1) // 4)
    margin = HALF + rows
    if rows < 1 or width <= 2 * HALF + 1:
        return []
    inside = np.zeros(left.shape, np.uint8)
    inside[margin : height - margin, HALF : width - HALF] = 1
    corners = cv2.goodFeaturesToTrack(left, POINTS, 0.02, max(4, height // 16), mask=inside)
    if corners is None:
        return []
    found = []
    for x, y in np.rint(corners.reshape(-1, 2)).astype(int).tolist():
        best = _best(left, right, x, y, rows)
        if best is not None:
            at = (min(int(y / factor), sample.left.shape[0] - 1), min(int(x / factor), sample.left.shape[1] - 1))
            found.append((best[0] / factor, best[1] / factor, float(sample.disparity[at])))
    return found


def _best(left: NDArray, right: NDArray, x: int, y: int, rows: int) -> tuple[int, int] | None:
    """(Columns, rows) to where the right image has the patch around (x, y) of the left one."""
    width = left.shape[1]
    reach = int(width * REACH)
    first, last = max(0, x - HALF - reach), min(width, x + HALF + reach + 1)
    patch = left[y - HALF : y + HALF + 1, x - HALF : x + HALF + 1]
    band = right[y - HALF - rows : y + HALF + rows + 1, first:last]
    score = cv2.matchTemplate(band, patch, cv2.TM_CCOEFF_NORMED)
    score[~np.isfinite(score)] = -1
    _, best, _, (column, row) = cv2.minMaxLoc(score)
    if best < ALIKE:
        return None
    score[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = -1
    if score.max() > best - APART:
        return None
    return x - (first + column + HALF), row - rows


def _grey(image: NDArray[np.uint8], factor: float) -> NDArray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if factor == 1:
        return grey
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
