"""Disparity: the error of each level that is learned from, and the errors that networks are compared by.

Letters: N pairs, H, W height and width of the images, h, w of a level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wholenet import parallel
from wholenet.data.stereo.sample import StereoSample
from wholenet.spaces.autodispnet.pair import Disparities
from wholenet.tasks.score import Score

EPE = Score("epe", "EPE", higher=False)
"""End-point error: the mean absolute error in pixels."""
LOST = "the network's disparities are not finite, so there is nothing to score"
FINEST = 0.32
"""Weight of the finest level; each coarser one has half of the one before."""
OFF = (1.0, 2.0, 3.0)
"""Pixels beyond which an estimate counts as wrong."""
RELATIVE = 0.05
"""Of the truth, which an error must exceed too to count in D1 (KITTI 2015)."""


def target_of(sample: StereoSample) -> NDArray[np.float32]:
    """What :class:`DisparityLoss` takes of a pair, [2, H, W]: its disparity, NaN where it is not known; and 1 where the
    right image sees the point, 0 where it does not, NaN where that is not known."""
    unknown = np.full(sample.disparity.shape, np.nan, np.float32)
    visible = unknown if sample.visible is None else sample.visible.astype(np.float32)
    return np.stack([sample.disparity.astype(np.float32, copy=False), visible])


class DisparityLoss:
    """The sum over levels of the mean absolute error in pixels, weighted 0.32, 0.16, 0.08, 0.04, 0.02 from fine to
    coarse. Estimates are enlarged to the images' size, bilinearly between the centres of pixels. In float32 at least.

    The mean is over pixels whose truth is known, 0 (not NaN) where a batch has none; what the network says elsewhere
    changes neither value nor gradient, not even if it is no number. The weights are constant, so that curvature is that
    of one function. After the multi-scale loss of DispNet (Mayer et al., CVPR 2016), whose weights follow a schedule.

    Where several processes train, each one's part of the mean over all their pixels: the parts sum to it.
    """

    def __call__(self, output: Disparities, target: Tensor) -> Tensor:
        """``target`` float [N, 2, H, W] as of :func:`target_of` -> scalar."""
        truth = target[:, 0]
        known = ~truth.isnan()
        truth = truth.where(known, 0)
        total = truth.new_zeros(())
        for level, estimate in enumerate(output.levels):
            wide = estimate.float() if estimate.dtype in (torch.bfloat16, torch.float16) else estimate
            error = (enlarged(wide, truth.shape[-2:]).where(known, 0) - truth).abs().sum()
            total = total + FINEST * 0.5**level * error
        return total / parallel.summed(known.sum()).clamp(min=1)


def enlarged(estimate: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """[N, h, w] -> [N, H, W], bilinearly between the centres of pixels; values stay as they are."""
    height, width = size
    if estimate.shape[-2:] == (height, width):
        return estimate
    return F.interpolate(estimate[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]


@dataclass(frozen=True)
class Errors:
    """Of some pixels; shares in [0, 1]."""

    epe: float
    """Mean absolute error, in pixels."""
    over_1: float
    """Share of pixels that are off by more than one."""
    over_2: float
    over_3: float
    d1: float
    """Share of pixels that are off by more than 3 pixels and by more than 5 % of the truth."""
    pixels: int


@dataclass(frozen=True)
class DisparityScores:
    """Over all pixels of all pairs alike: never a mean of means."""

    all: Errors
    """Where the truth is known."""
    visible: Errors | None
    """Where the right image sees the point as well; None where the data does not say that of any."""
    pairs: int


class DisparityErrors:
    """Sums of errors over a whole data set, in float64."""

    def __init__(self) -> None:
        self.sums = np.zeros((2, len(OFF) + 3))
        """Of all and of visible pixels: absolute error, how many are beyond each of ``OFF``, count in D1, and count."""
        self.pairs = 0

    def update(
        self,
        prediction: NDArray[np.floating],
        truth: NDArray[np.floating],
        visible: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add one pair: [H, W] each, ``truth`` NaN where it is not known, ``visible`` None where the data does not say.

        Raises:
            ValueError: if the sizes differ.
            FloatingPointError: for a prediction that is not finite.
        """
        for name, other in (("the truth", truth), ("what is visible", visible)):
            if other is not None and other.shape != prediction.shape:
                raise ValueError(
                    f"the prediction is {prediction.shape} but {name} is {other.shape}; both must be H x W"
                )
        if not np.isfinite(prediction).all():
            raise FloatingPointError(LOST)
        known = ~np.isnan(truth)
        self.sums[0] += _sums(prediction[known], truth[known])
        if visible is not None:
            self.sums[1] += _sums(prediction[known & visible], truth[known & visible])
        self.pairs += 1

    def add(self, other: DisparityErrors) -> None:
        """Add the sums of others."""
        self.sums += other.sums
        self.pairs += other.pairs

    def over_processes(self) -> DisparityErrors:
        """The sum of those of all processes."""
        total = DisparityErrors()
        total.sums = parallel.summed(torch.from_numpy(self.sums)).numpy()
        total.pairs = int(parallel.summed(torch.tensor(self.pairs)))
        return total

    def scores(self) -> DisparityScores:
        """What the sums come to.

        Raises:
            ValueError: where no pixel's truth is known.
        """
        every, visible = (_errors(sums) for sums in self.sums)
        if every is None:
            raise ValueError(f"no pixel of the {self.pairs} pairs has a known disparity, so there is nothing to score")
        return DisparityScores(every, visible, self.pairs)


def _sums(prediction: NDArray[np.floating], truth: NDArray[np.floating]) -> NDArray[np.float64]:
    truth = truth.astype(np.float64)
    error = np.abs(prediction - truth)
    wrong = [(error > limit).sum() for limit in OFF]
    d1 = ((error > OFF[-1]) & (error > RELATIVE * np.abs(truth))).sum()
    return np.array([error.sum(), *wrong, d1, error.size], np.float64)


def _errors(sums: NDArray[np.float64]) -> Errors | None:
    *found, pixels = sums.tolist()
    return Errors(*(value / pixels for value in found), pixels=int(pixels)) if pixels else None
