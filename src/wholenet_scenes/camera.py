"""Where the camera stands, and what of the world falls on which pixel.

World coordinates are metres: x to the right, y up, z away from the camera; the ground is y = 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

Point = tuple[float, float]
Point3 = tuple[float, float, float]

NEAR_M = 1.5
SHIFT = 4
"""Fixed-point bits of OpenCV's drawing calls: without them distant objects jump from pixel to pixel."""
ONE = 1 << SHIFT


@dataclass(frozen=True)
class Camera:
    """A pinhole ``eye_m`` above the road, looking along z. ``mirror`` = -1 flips left and right."""

    height: int
    width: int
    focal_px: float
    horizon_px: float
    eye_m: float
    x_m: float
    curve_per_m: float
    """The street bends by ``curve_per_m * z**2`` metres: a parabola is a circle near enough."""
    roll: float
    mirror: int

    def project(self, points: Iterable[Point3]) -> list[float]:
        """Column and row of each point in turn, ``ONE`` to a pixel; what is nearer than ``NEAR_M`` is pushed out."""
        focal, mirror, x_m, curve, roll = self.focal_px * ONE, self.mirror, self.x_m, self.curve_per_m, self.roll
        middle, horizon, eye_m = self.width / 2 * ONE, self.horizon_px * ONE, self.eye_m
        pixels: list[float] = []
        for x, y, z in points:
            z = z if z > NEAR_M else NEAR_M
            scale = focal / z
            offset = mirror * scale * (x - x_m + curve * z * z)
            pixels.append(middle + offset)
            pixels.append(horizon + scale * (eye_m - y) + roll * offset)
        return pixels

    def pixel(self, x: float, y: float, z: float) -> Point:
        """Column and row of one point, in pixels."""
        u, v = self.project([(x, y, z)])
        return u / ONE, v / ONE


def draw_camera(rng: Random, half_road: float, height: int, width: int) -> Camera:
    """A camera in a car, mostly in the right lane, sometimes on the left of the road or on a pavement."""
    place = rng.uniform(0.25, 0.6) if rng.random() < 0.85 else rng.uniform(0.9, 1.15)
    return Camera(
        height=height,
        width=width,
        focal_px=height * rng.uniform(0.95, 1.25),
        horizon_px=height * rng.uniform(0.40, 0.52),
        eye_m=rng.uniform(1.35, 2.3),
        x_m=half_road * place,
        curve_per_m=rng.choice((0.0, 0.0, rng.uniform(-0.0012, 0.0012))),
        roll=rng.gauss(0, 0.012),
        mirror=rng.choice((-1, 1, 1)),
    )
