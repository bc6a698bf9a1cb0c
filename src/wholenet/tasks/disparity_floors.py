"""What networks that estimate disparity have to be better than: the median of the training data, and block matching."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wholenet.data.sample import DataError
from wholenet.data.splits import spread
from wholenet.data.stereo.sample import StereoSplit
from wholenet.tasks.block_matching import BlockMatcher
from wholenet.tasks.disparity import DisparityErrors, DisparityScores, Errors

PARTS = 256
"""Of a pixel, in which disparities are counted, as KITTI's files have them."""
MOST = 1 << 12
"""Pixels; larger disparities count as this."""


@dataclass(frozen=True)
class Known:
    """Of the disparities of a split."""

    median: float
    """To 1/256 of a pixel."""
    largest: float
    pixels: int


@dataclass(frozen=True)
class DisparityFloors:
    """How answers without a network do on a split."""

    constant: float
    """The median of the training data, in pixels: the constant answer of the least mean absolute error there."""
    median: DisparityScores
    """Of that, everywhere."""
    sgbm: DisparityScores
    """Of OpenCV's StereoSGBM, holes filled (:mod:`wholenet.tasks.block_matching`)."""
    sgbm_matched: Errors | None
    """Of its matches alone; None where it found none."""

    @property
    def epe(self) -> dict[str, float]:
        """End-point errors on all pixels, by what people call them."""
        return {"median": self.median.all.epe, "SGBM": self.sgbm.all.epe}


def known_of(split: StereoSplit, pairs: int | None = None) -> Known:
    """Look at all disparities of a split that are known; one pair is in memory at a time.

    Args:
        split: the pairs.
        pairs: so many of them, spread evenly; None is all.

    Raises:
        DataError: if there are none.
    """
    counts, largest = np.zeros(PARTS * MOST + 1, np.int64), 0.0
    for index in spread(len(split), pairs):
        disparity = split[index].disparity
        known = disparity[~np.isnan(disparity)].astype(np.float64)
        if known.size:
            largest = max(largest, float(known.max()))
            found = np.bincount(np.rint(known.clip(0, MOST) * PARTS).astype(np.int64))
            counts[: len(found)] += found
    below = counts.cumsum()
    total = int(below[-1])
    if not total:
        raise DataError(f"no disparity is known in the {len(split)} pairs of train; expected some pixels with truth")
    halves = [int(np.searchsorted(below, rank)) for rank in ((total + 1) // 2, total // 2 + 1)]
    return Known(sum(halves) / 2 / PARTS, largest, total)


def floors_of(known: Known, held_out: StereoSplit, pairs: int | None = None) -> DisparityFloors:
    """How the median and block matching do on what is held out.

    Args:
        known: what the training data says of disparities; the range that is searched for matches is that of its
            largest one.
        held_out: what is scored.
        pairs: so many of them, spread evenly; None is all.

    Raises:
        ValueError: if no pixel's truth is known.
    """
    matcher = BlockMatcher(known.largest, known.median)
    median, sgbm, alone = DisparityErrors(), DisparityErrors(), DisparityErrors()
    for index in spread(len(held_out), pairs):
        sample = held_out[index]
        truth: NDArray[np.float32] = sample.disparity
        found = matcher(sample.left, sample.right)
        median.update(np.full_like(truth, known.median), truth, sample.visible)
        sgbm.update(found.disparity, truth, sample.visible)
        alone.update(found.disparity, np.where(found.matched, truth, np.float32(math.nan)))
    matched = alone.scores().all if alone.sums[0, -1] else None
    return DisparityFloors(known.median, median.scores(), sgbm.scores(), matched)
