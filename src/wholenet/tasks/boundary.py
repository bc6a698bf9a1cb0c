"""How well the boundaries of classes are found: the boundary F-measure, from counts that add up over images.

Source: Csurka, Larlus and Perronnin, *What is a good evaluation measure for semantic segmentation?*, BMVC 2013, Sec. 3.
A boundary pixel is matched where the other mask has one of the same class within a tolerance of 0.75 % of the image's
diagonal. Precision is the matched share of the predicted boundary, recall that of the true one, F their harmonic mean.
The paper averages F over images; here the pixels of all images are counted first, as in the other scores, so that an
image in which a class has three boundary pixels does not count as much as one in which it has three thousand.

Letters: K classes, H x W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from wholenet.data.sample import IGNORE

TOLERANCE = 0.0075
"""Share of the image's diagonal."""


@dataclass(frozen=True)
class BoundaryCounts:
    """Boundary pixels of one class, over all images."""

    true: int
    true_matched: int
    """Those with a predicted one within the tolerance."""
    predicted: int
    predicted_matched: int
    """Those with a true one within the tolerance."""

    @property
    def f(self) -> float | None:
        """The F-measure, in [0, 1]; None for a class without any boundary."""
        if not self.true + self.predicted:
            return None
        if not self.true_matched * self.predicted_matched:
            return 0.0
        precision, recall = self.predicted_matched / self.predicted, self.true_matched / self.true
        return 2 * precision * recall / (precision + recall)


def tolerance_of(height: int, width: int) -> int:
    """The tolerance in whole pixels, rounded up: at least 1, and 17 of Cityscapes' 1024 x 2048."""
    return math.ceil(TOLERANCE * math.hypot(height, width))


def boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels, bool [H, W], next to one of another class, above, below, left or right. The edge of the image and that of
    ignored pixels are no boundary: nobody knows what is behind it.
    """
    edge = np.zeros(mask.shape, bool)
    for this, other, marks in (
        (mask[1:], mask[:-1], (edge[1:], edge[:-1])),
        (mask[:, 1:], mask[:, :-1], (edge[:, 1:], edge[:, :-1])),
    ):
        differs = (this != other) & (this != IGNORE) & (other != IGNORE)
        for marked in marks:
            marked |= differs
    return edge


def count_boundaries(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """The counts of :class:`BoundaryCounts` for every class, int64 [K, 4].

    Args:
        truth: uint8 [H, W], train ids, and ``IGNORE`` where nothing counts, in the prediction neither.
        prediction: uint8 [H, W], train ids.
        num_classes: K.
    """
    prediction = np.where(truth == IGNORE, IGNORE, prediction)
    tolerance = tolerance_of(*truth.shape)
    counts = np.zeros((num_classes, 4), np.int64)
    true_edge, predicted_edge = boundary(truth), boundary(prediction)
    for c in np.union1d(truth[true_edge], prediction[predicted_edge]):
        true, predicted = true_edge & (truth == c), predicted_edge & (prediction == c)
        counts[c] = (
            true.sum(),
            _matched(true, predicted, tolerance),
            predicted.sum(),
            _matched(predicted, true, tolerance),
        )
    return counts


def _matched(points: np.ndarray, others: np.ndarray, tolerance: int) -> int:
    """How many of ``points`` have one of ``others`` within the tolerance, in a straight line."""
    if not others.any() or not points.any():
        return 0
    rows, columns = (np.flatnonzero((points | others).any(axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    away = cv2.distanceTransform((~others[part]).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return int((away[points[part]] <= tolerance).sum())
