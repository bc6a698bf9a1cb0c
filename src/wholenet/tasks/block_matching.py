"""Disparity by OpenCV's semi-global block matching, which learns nothing, as a floor for networks that do.

Hirschmueller, "Stereo Processing by Semiglobal Matching and Mutual Information" (2008), as StereoSGBM has it.

Letters: H, W height and width of a pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

BLOCK = 5
"""Side of what is compared, in pixels."""
PENALTIES = 8 * 3 * BLOCK**2, 32 * 3 * BLOCK**2
"""For neighbours that differ by one pixel, and by more, of three channels: 600 and 2400."""
UNIQUE = 10
"""Per cent by which the best match must be better than the second."""
BETWEEN_EYES = 1
"""Pixels by which matches from left to right and back may differ."""
SPECKLE, SPECKLE_RANGE = 100, 2
"""Patches of so few pixels are no match, where neighbours belong to one patch if they differ by so little."""
STEP = 16
"""The range of disparities is a multiple of this, and matches come in as many parts of a pixel."""


@dataclass(frozen=True)
class Matched:
    """What matching finds in a pair."""

    disparity: NDArray[np.float32]
    """[H, W], in pixels, 0 or more; everywhere: see :func:`filled`."""
    matched: NDArray[np.bool_]
    """[H, W]: where a match was found."""


def range_for(max_disparity: float) -> int:
    """The least range of OpenCV's that holds disparities up to one.

    >>> [range_for(most) for most in (0, 15, 15.5, 22, 59.9)]
    [16, 16, 32, 32, 64]
    """
    return STEP * max(1, math.ceil((max_disparity + 1) / STEP))


class BlockMatcher:
    """Matches pairs.

    Args:
        max_disparity: the largest that can be found, in pixels, rounded up to what OpenCV takes (:func:`range_for`).
        otherwise: the answer for a pair in which nothing is matched.

    Raises:
        ValueError: for a largest disparity that is no number from 0 on.
    """

    def __init__(self, max_disparity: float, otherwise: float = 0.0) -> None:
        if not 0 <= max_disparity < math.inf:
            raise ValueError(f"max_disparity={max_disparity}: expected the largest disparity of the data, 0 or more")
        self.range, self.otherwise = range_for(max_disparity), otherwise
        self._matcher = cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=self.range,
            blockSize=BLOCK,
            P1=PENALTIES[0],
            P2=PENALTIES[1],
            disp12MaxDiff=BETWEEN_EYES,
            uniquenessRatio=UNIQUE,
            speckleWindowSize=SPECKLE,
            speckleRange=SPECKLE_RANGE,
        )

    def __call__(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Matched:
        """Match RGB [H, W, 3] with RGB [H, W, 3].

        OpenCV leaves out as many columns at the left as the range is wide; so both images are continued there by their
        first column, and no pixel is left out.
        """
        continued = [cv2.copyMakeBorder(image, 0, 0, self.range, 0, cv2.BORDER_REPLICATE) for image in (left, right)]
        found = self._matcher.compute(*continued)[:, self.range :].astype(np.float32) / STEP
        matched = found >= 0
        return Matched(filled(np.where(matched, found, np.float32(np.nan)), self.otherwise), matched)


def filled(disparity: NDArray[np.float32], otherwise: float = 0.0) -> NDArray[np.float32]:
    """[H, W] with NaN for what is not known -> the same with the lower one of the nearest known values left and right,
    since what is hidden lies behind; in rows of which nothing is known, of those above and below.

    >>> filled(np.array([[np.nan, 5, np.nan, np.nan, 3, np.nan]], np.float32)).tolist()
    [[5.0, 5.0, 3.0, 3.0, 3.0, 3.0]]
    """
    for turned in (False, True):
        part = disparity.T if turned else disparity
        part = np.fmin(_carried(part), _carried(part[:, ::-1])[:, ::-1])
        disparity = part.T if turned else part
    return np.where(np.isnan(disparity), np.float32(otherwise), disparity)


def _carried(disparity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each value that is not known as the last known one to its left, if there is one."""
    known = ~np.isnan(disparity)
    last = np.maximum.accumulate(np.where(known, np.arange(disparity.shape[1]), 0), axis=1)
    return np.take_along_axis(disparity, last, 1)
