"""The third plane of a canvas: which flat face each pixel shows, and how far the two eyes see it apart.

A point at z metres is seen d = baseline * focal length / z pixels apart. 1/z of a flat face is affine in column and
row, so d is too, without any rounding; a figure that faces the camera has one z, and what lies at infinity d = 0. All
that is stored per pixel is the number of the face; disparities are worked out at the end, of the faces that are left.

Letters: H, W height and width in pixels; F faces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wholenet_scenes.camera import NEAR_M, SHIFT, Camera, Point3

Place = float | Sequence[Point3]
"""Where a face stands: the world points at its corners, or its distance in metres if it faces the camera; infinite for
what moves with the camera's direction alone, NaN for what is of no interest."""

GROUND: Place = ((0.0, 0.0, 1e9), (1.0, 0.0, NEAR_M), (-1.0, 0.0, NEAR_M))
"""All of the ground, up to the horizon."""


class Depth:
    """Which face each pixel shows, and how far apart a second eye, ``baseline_m`` beside this one, sees it.

    Raises:
        ValueError: for a camera that rolls, whose eyes would see a point in different rows, or a street that bends,
            where walls are no planes.
    """

    def __init__(self, camera: Camera, baseline_m: float) -> None:
        if camera.roll or camera.curve_per_m:
            raise ValueError(
                f"a pair needs a camera with roll 0 in a straight street; found roll {camera.roll} and bend "
                f"{camera.curve_per_m}"
            )
        self.camera, self.baseline_m = camera, baseline_m
        self.faces = np.zeros((camera.height, camera.width), np.int32)
        """[H, W]; face 0 is the sky's."""
        self.places: list[Place] = [math.inf]
        self.level = [False]
        """Of each face, whether it lies on the ground."""
        self.laws: dict[int, tuple[float, float, float, float, float]] = {}
        """What ``law`` was asked for."""

    def number(self, place: Place) -> int:
        """The number of a new face."""
        self.level.append(not isinstance(place, float | int) and all(y == 0 for _, y, _ in place))
        self.places.append(GROUND if self.level[-1] else place)  # its edges' pixels, too, lie on the ground beside it
        return len(self.places) - 1

    def fill(self, polygons: Sequence[np.ndarray], place: Place) -> None:
        """Fill polygons, as ``Canvas.fill`` fills the mask."""
        cv2.fillPoly(self.faces, polygons, (self.number(place),), cv2.LINE_8, SHIFT)

    def is_ground(self, window: tuple[slice, slice]) -> NDArray[np.bool_]:
        """Whether each pixel of a part of the picture shows the ground."""
        return np.array(self.level)[self.faces[window]]

    def is_nearer(self, column: int, row: int, z: float) -> bool:
        """Whether a pixel shows something that is at least half a pixel of disparity nearer than ``z`` metres."""
        start, by_column, by_row, low, high = self.law(int(self.faces[row, column]))
        found = min(high, max(low, start + by_column * column + by_row * row))
        return found > self.baseline_m * self.camera.focal_px / z + 0.5

    def disparity(self, columns: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """How far apart the eyes see what the canvas shows, in pixels: [H, W], NaN where it is not known.

        Args:
            columns: where to look in each row, [H, W] or [W], between pixels too: the face is that of the nearest
                pixel, and what it has at the very column is given. NaN beside the picture. None: at every pixel.
        """
        height, width = self.faces.shape
        rows, faces, beside = np.arange(height, dtype=np.float64)[:, None], self.faces, None
        if columns is None:
            columns = np.arange(width, dtype=np.float64)
        else:
            beside = ~((columns >= 0) & (columns <= width - 1))
            nearest = np.rint(np.where(beside, 0, columns)).astype(np.intp)
            faces = np.take_along_axis(faces, np.broadcast_to(nearest, faces.shape), axis=1)
        table = np.zeros((5, len(self.places)))
        for face in np.flatnonzero(np.bincount(self.faces.ravel())).tolist():
            table[:, face] = self.law(face)
        start, by_column, by_row, low, high = (column[faces] for column in table)
        by_column *= columns
        by_row *= rows
        start += by_column
        start += by_row
        np.clip(start, low, high, out=start)
        if beside is not None:
            start[np.broadcast_to(beside, start.shape)] = np.nan
        return start

    def law(self, face: int) -> tuple[float, float, float, float, float]:
        """Disparity of a face at column 0 and row 0, its steps per column and per row, the least and the most of it."""
        if face not in self.laws:
            self.laws[face] = self._law(self.places[face])
        return self.laws[face]

    def _law(self, place: Place) -> tuple[float, float, float, float, float]:
        camera = self.camera
        scale = self.baseline_m * camera.focal_px
        if isinstance(place, float | int):
            fixed = scale / max(place, NEAR_M)
            return fixed, 0.0, 0.0, fixed, fixed
        # In the camera's frame: to the right in the picture, down, ahead.
        points = [(camera.mirror * (x - camera.x_m), camera.eye_m - y, max(z, NEAR_M)) for x, y, z in place]
        ends = [scale / z for _, _, z in points]
        a, b, c = normal(points)
        # The face is a X + b Y + c Z = k, so 1 / Z = (a X/Z + b Y/Z + c) / k, where X/Z and Y/Z are columns and rows.
        k = sum(a * x + b * y + c * z for x, y, z in points) / len(points)
        if abs(k) < 1e-9 * math.hypot(a, b, c):  # seen exactly from its edge: a line of no width
            return sum(ends) / len(ends), 0.0, 0.0, min(ends), max(ends)
        by_column, by_row = self.baseline_m * a / k, self.baseline_m * b / k
        start = scale * c / k - by_column * camera.width / 2 - by_row * camera.horizon_px
        return start, by_column, by_row, min(ends), max(ends)


def normal(points: Sequence[Point3]) -> Point3:
    """At right angles to a flat polygon, as long as the polygon's area is large (Newell's formula)."""
    a = b = c = 0.0
    for (x0, y0, z0), (x1, y1, z1) in zip(points, [*points[1:], points[0]], strict=True):
        a += (y0 - y1) * (z0 + z1)
        b += (z0 - z1) * (x0 + x1)
        c += (x0 - x1) * (y0 + y1)
    return a, b, c
