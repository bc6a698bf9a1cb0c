"""Masks as polygons, in a GeoJSON file: one feature per connected region, its holes kept.

Coordinates are pixels: x to the right, y down, from the upper left corner of the image, so that the pixel in row r and
column c is the square from (c, r) to (c + 1, r + 1). Polygons run along the edges of pixels. They cover exactly the
pixels of their class, and filling those whose centre lies inside gives the mask back.

Source: RFC 7946 for the form. It knows longitude and latitude alone; programs that show images take pixels instead.

Letters: H x W pixels, N corners.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from wholenet.data.sample import Classes

UNITS = "pixels: x to the right, y down, from the upper left corner of the image"


@dataclass(frozen=True)
class Region:
    """Pixels of one class that hang together, above, below, left or right."""

    train_id: int
    pixels: int
    rings: tuple[np.ndarray, ...]
    """int [N, 2], (x, y): the outline, and one for each hole. The first corner is the last again; of the outline the
    area by the shoelace formula is positive, of holes negative."""


def regions(mask: np.ndarray) -> Iterator[Region]:
    """The regions of a mask of train ids, uint8 [H, W], class by class."""
    for train_id in np.unique(mask).tolist():
        # Not by 8 neighbours: an outline would meet itself where pixels touch at a corner, and be no valid polygon.
        count, labels, boxes, _ = cv2.connectedComponentsWithStats((mask == train_id).astype(np.uint8), connectivity=4)
        for label in range(1, count):
            left, top, width, height, pixels = boxes[label].tolist()
            inside = labels[top : top + height, left : left + width] == label
            yield Region(train_id, pixels, _rings(inside, left, top))


def _rings(inside: np.ndarray, left: int, top: int) -> tuple[np.ndarray, ...]:
    """The outline and the holes of a region, bool [h, w], whose upper left corner is at (left, top).

    OpenCV's contours run through the centres of the border's pixels. Of a map of twice the size each pixel has four,
    one for each corner, and halving their numbers upwards gives the corners themselves.
    """
    twice = inside.astype(np.uint8).repeat(2, 0).repeat(2, 1)
    contours, hierarchy = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    is_hole = [parent >= 0 for *_, parent in hierarchy[0]]
    found = [_corners((contour[:, 0] + 1) // 2 + (left, top)) for contour in contours]
    rings = [
        (hole, ring if (_area(ring) > 0) != hole else ring[::-1]) for hole, ring in zip(is_hole, found, strict=True)
    ]
    return tuple(ring for _, ring in sorted(rings, key=lambda pair: pair[0]))


def _corners(points: np.ndarray) -> np.ndarray:
    """A closed path of unit steps, or none, without the points at which it goes straight on; closed."""
    points = points[(points != np.roll(points, 1, 0)).any(1)]
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    corners = points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return np.concatenate([corners, corners[:1]])


def _area(ring: np.ndarray) -> int:
    """Twice the signed area of a closed ring, by the shoelace formula."""
    (x, y), (next_x, next_y) = ring[:-1].T.astype(np.int64), ring[1:].T.astype(np.int64)
    return int((x * next_y - next_x * y).sum())


def to_geojson(mask: np.ndarray, classes: Classes, image: str) -> dict[str, Any]:
    """The polygons of a mask, uint8 [H, W], of the image of that name, as a FeatureCollection."""
    features = [
        {
            "type": "Feature",
            "properties": {
                "class": classes.names[region.train_id],
                "class_index": region.train_id,
                "pixels": region.pixels,
            },
            "geometry": {"type": "Polygon", "coordinates": [ring.tolist() for ring in region.rings]},
        }
        for region in regions(mask)
    ]
    height, width = mask.shape
    about = {"name": image, "height": height, "width": width, "units": UNITS}
    return {"type": "FeatureCollection", "image": about, "features": features}


def write_polygons(path: Path, mask: np.ndarray, classes: Classes, image: str) -> None:
    """Write :func:`to_geojson`; ``path`` should end in .geojson."""
    path.write_text(json.dumps(to_geojson(mask, classes, image), separators=(",", ":")) + "\n")
