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
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from wholenet.data.sample import IGNORE

TOLERANCE = 0.0075
"""Share of the image's diagonal."""
BLOCK = 128
"""Pixels of the side of the parts that an image is looked at in."""


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
    height, width = truth.shape
    tolerance = tolerance_of(height, width)
    counts = np.zeros((num_classes, 4), np.int64)
    edges = [np.where(boundary(mask), mask, IGNORE) for mask in (truth, prediction)]
    for seen, inner in _blocks(height, width, tolerance):
        true, predicted = (edge[seen] for edge in edges)
        for c in np.union1d(true[inner], predicted[inner]):
            if c != IGNORE:
                counts[c] += _counts(true == c, predicted == c, inner, tolerance)
    return counts


def _blocks(height: int, width: int, margin: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Parts of the image with a margin around them, and within these the parts themselves: in most there are few of the
    classes, and distances of the others need not be found."""
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            above, before = max(0, top - margin), max(0, left - margin)
            seen = slice(above, top + BLOCK + margin), slice(before, left + BLOCK + margin)
            yield seen, (slice(top - above, top - above + BLOCK), slice(left - before, left - before + BLOCK))


def _counts(
    true: np.ndarray, predicted: np.ndarray, inner: tuple[slice, slice], tolerance: int
) -> tuple[int, int, int, int]:
    """The counts of one class in the inner part of a block."""
    return (
        int(true[inner].sum()),
        _matched(true, predicted, inner, tolerance),
        int(predicted[inner].sum()),
        _matched(predicted, true, inner, tolerance),
    )


def _matched(points: np.ndarray, others: np.ndarray, inner: tuple[slice, slice], tolerance: int) -> int:
    """How many of the ``points`` in the inner part have one of ``others`` within the tolerance, in a straight line."""
    if not points[inner].any() or not others.any():
        return 0
    away = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return int((away[inner][points[inner]] <= tolerance).sum())
