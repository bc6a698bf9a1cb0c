"""Coarse annotations out of fine ones, in the manner of Cityscapes' own, for data that has none.

Cityscapes' coarse annotations (Cordts et al., CVPR 2016) are polygons drawn in minutes, well inside the objects:
boundaries stay unlabelled and small objects are left out. The defaults keep 69 % of the labels of CamVid's train split.

Letters: H x W pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from wholenet.data.sample import IGNORE, Sample, SegmentationData

MARGIN = 0.01
"""How far polygons are drawn inside their regions at least, as a share of the image's height."""
TOLERANCE = 0.0125
"""How far the straight edges of a polygon may stray from the outline that they simplify, as a share of the height."""
SMALLEST = 0.001
"""Area of the smallest polygon drawn, as a share of the image's."""


class Coarsened:
    """A data set under coarse annotations made from its fine ones; a ``SegmentationData``."""

    def __init__(self, data: SegmentationData) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        sample = self.data[index]
        return sample._replace(mask=coarsen(sample.mask))


def coarsen(
    mask: np.ndarray, *, margin: float = MARGIN, tolerance: float = TOLERANCE, smallest: float = SMALLEST
) -> np.ndarray:
    """The mask as one would draw it in a hurry, uint8 [H, W]: each label is that of ``mask``, or ``IGNORE``.

    The outline of every connected region is simplified to a polygon (Douglas and Peucker, 1973), the polygon shrunk by
    ``margin`` and by the ``tolerance`` that it may stray outwards, and dropped where too little is left. Edges of the
    image do not shrink: people draw up to them. Simplifying comes first because a wider margin then labels a subset of
    the pixels. Distances count along rows and columns, so that straight edges shrink to straight edges; with Euclidean
    ones every dent would become an arc.

    Args:
        mask: uint8 [H, W], train ids and ``IGNORE``.
        margin: the least distance of a label from all pixels that have another one in ``mask``, as a share of H.
        tolerance: how far a polygon may stray from the outline that it simplifies, as a share of H.
        smallest: share of the image's area below which a region is left out.

    Raises:
        ValueError: if ``mask`` has another type or shape, or a share is not in [0, 1).
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"a mask is uint8 [H, W]; found {mask.dtype} {list(mask.shape)}")
    for name, share in (("margin", margin), ("tolerance", tolerance), ("smallest", smallest)):
        if not 0 <= share < 1:
            raise ValueError(f"{name}={share}: expected a share of the image, in [0, 1)")
    height, width = mask.shape
    coarse = np.full_like(mask, IGNORE)
    for label in np.unique(mask[mask != IGNORE]).tolist():
        for window, region in _regions(mask == label, smallest * height * width):
            polygon = _polygon(region, tolerance * height)
            # The second term hardly ever acts; it makes certain what simplifying on a raster only nearly promises.
            inner = _shrunk(polygon, (margin + tolerance) * height) & _shrunk(region, margin * height)
            for part, drawn in _regions(inner, smallest * height * width):
                coarse[window][part][drawn] = label
    return coarse


def _regions(pixels: np.ndarray, smallest: float) -> list[tuple[tuple[slice, slice], np.ndarray]]:
    """The connected regions of at least ``smallest`` pixels among ``pixels``, bool [H, W]: where, and which there.

    Each comes in a window one pixel wider than itself wherever the image goes on, so that shrinking it there spares
    the edges of the image and nothing else.
    """
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8), connectivity=8)
    regions = []
    for number, (left, top, wide, high, area) in enumerate(stats.tolist()):
        if number > 0 and area >= smallest:  # 0 is all the rest
            window = slice(max(top - 1, 0), top + high + 1), slice(max(left - 1, 0), left + wide + 1)
            regions.append((window, numbers[window] == number))
    return regions


def _polygon(region: np.ndarray, tolerance: float) -> np.ndarray:
    """The region, bool [H, W], within outlines (its own and those of its holes) simplified by ``tolerance`` pixels."""
    outlines, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    polygon = np.zeros(region.shape, np.uint8)
    cv2.fillPoly(polygon, [cv2.approxPolyDP(outline, tolerance, closed=True) for outline in outlines], (1,))
    return polygon.astype(bool)


def _shrunk(pixels: np.ndarray, by: float) -> np.ndarray:
    """Those of ``pixels``, bool [H, W], that are more than ``by`` pixels, in rows and columns, from all others.

    Where there are no others, OpenCV gives the largest float as the distance, and all pixels stay.
    """
    return cv2.distanceTransform(pixels.astype(np.uint8), cv2.DIST_C, 3) > by
