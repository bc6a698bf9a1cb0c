"""Flat figures that face the camera, their shapes, and the shadows they cast."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from wholenet_scenes.camera import NEAR_M, ONE, SHIFT, Point
from wholenet_scenes.canvas import CIRCLE, Canvas
from wholenet_scenes.palette import RGB


class Spot:
    """A flat figure's own frame: metres from the point on the ground where it stands, facing the camera."""

    def __init__(self, canvas: Canvas, x: float, z: float, unit_m: float = 1.0, flip: bool = False) -> None:
        self.canvas = canvas
        self.z = z
        self.u, self.v = canvas.camera.pixel(x, 0.0, z)
        self.up = canvas.camera.focal_px / max(z, NEAR_M) * unit_m
        self.right = self.up * canvas.camera.mirror * (-1 if flip else 1)

    def in_view(self, half: float) -> bool:
        """Whether a figure that reaches ``half`` to either side is in the picture; of pairs all are painted, as the
        other eye may see one, or the one's shadow."""
        middle = self.canvas.camera.width / 2
        return self.canvas.of_pair or abs(self.u - middle) < middle + half * self.up

    def dots(self, points: Sequence[Point]) -> np.ndarray:
        """Where points of the figure lie on the canvas."""
        u, v, right, up = self.u * ONE, self.v * ONE, self.right * ONE, self.up * ONE
        pixels: list[float] = []
        for a, b in points:
            pixels.append(u + a * right)
            pixels.append(v - b * up)
        return np.array(pixels).astype(np.int32).reshape(-1, 2)

    def poly(
        self, points: Sequence[Point], albedo: RGB, label: int | None = None, gain: float = 1.0, lit: bool = False
    ) -> None:
        """Fill one polygon."""
        self.canvas.fill(self.dots(points), self.canvas.tint(albedo, self.z, gain, lit), label, self.z)

    def polys(self, shapes: Iterable[Sequence[Point]], albedo: RGB, label: int, gain: float = 1.0) -> None:
        """Fill several polygons with one colour. They may not overlap: OpenCV leaves a hole where two of a call do."""
        self.canvas.fill(
            [self.dots(points) for points in shapes], self.canvas.tint(albedo, self.z, gain), label, self.z
        )

    def rings(self, centers: Sequence[Point], radius: float, width: float, albedo: RGB, label: int) -> None:
        """Outlines of circles."""
        dots = [self.dots(round_shape(center, (radius, radius))) for center in centers]
        thick = max(1, round(width * self.up))
        cv2.polylines(self.canvas.image, dots, True, self.canvas.tint(albedo, self.z), thick, cv2.LINE_AA, SHIFT)
        cv2.polylines(self.canvas.mask, dots, True, (label,), thick, cv2.LINE_8, SHIFT)
        if (depth := self.canvas.depth) is not None:
            cv2.polylines(depth.faces, dots, True, (depth.number(self.z),), thick, cv2.LINE_8, SHIFT)


def round_shape(center: Point, radii: Point) -> list[Point]:
    """An ellipse as a polygon."""
    return [(center[0] + radii[0] * c, center[1] + radii[1] * s) for c, s in CIRCLE]


def box(left: float, right: float, low: float, high: float) -> list[Point]:
    """A rectangle as a polygon."""
    return [(left, low), (right, low), (right, high), (left, high)]


def stroke(start: Point, end: Point, width: float) -> list[Point]:
    """A straight stroke of the given width as a polygon."""
    (a, b), (c, d) = start, end
    scale = width / 2 / (math.hypot(c - a, d - b) or 1.0)
    p, q = (d - b) * scale, (a - c) * scale
    return [(a + p, b + q), (a - p, b - q), (c - p, d - q), (c + p, d + q)]


def cast_shadow(canvas: Canvas, x: float, z: float, half: float, strength: float) -> None:
    """A round shadow on the ground, away from the sun and longer the lower it stands; under clouds a faint one."""
    sun = canvas.mood.sun
    if z > 40:
        return
    reach = 1.2 * sun * half
    points = [(x - canvas.sun_side * reach + (half + reach) * c, 0.0, z + half * 0.7 * s) for c, s in CIRCLE]
    canvas.shade(points, 1 - strength * (0.35 + 0.65 * sun) * min(1.0, 25 / z))
