"""The canvas: one call paints a thing into the image and into the mask, and of a pair into the plane of depth.

Colours are albedos (RGB 0..255 in white light); the canvas turns them into what the camera sees, through light and
haze. "Dots" are int32 [N, 2], columns and rows as the fixed-point numbers that OpenCV draws (``ONE`` to a pixel).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from wholenet.data.sample import IGNORE
from wholenet_scenes.camera import ONE, SHIFT, Camera, Point, Point3
from wholenet_scenes.depth import Depth, Place
from wholenet_scenes.moods import Mood
from wholenet_scenes.palette import RGB

CIRCLE = tuple((math.cos(k * math.pi / 5), math.sin(k * math.pi / 5)) for k in range(10))
"""The directions to the corners of what is drawn as a circle."""


def fixed(points: Sequence[Point] | np.ndarray) -> np.ndarray:
    """Pixels to the fixed-point integers that OpenCV draws, in the memory order that it insists on."""
    return (np.asarray(points) * ONE).astype(np.int32, order="C")


class Canvas:
    """An image and its mask, painted by the same calls: whatever covers a thing in one covers it in the other.

    Of one eye of a pair it also holds ``depth``, painted by the same calls again, and the camera of the pair's
    ``first`` eye: what is chosen by how things look from the camera must be chosen for both eyes alike.
    """

    def __init__(
        self, camera: Camera, mood: Mood, sun_side: int, depth: Depth | None = None, first: Camera | None = None
    ) -> None:
        self.camera = camera
        self.depth = depth
        self.first = camera if first is None else first
        self.mood = mood
        self.sun_side = sun_side
        """-1: the light comes from the left, 1: from the right."""
        self.image = np.zeros((camera.height, camera.width, 3), np.uint8)
        self.mask = np.full((camera.height, camera.width), IGNORE, np.uint8)
        self.glows: list[tuple[float, float, float, float, RGB, int]] = []
        """(column, row, distance in metres, radius, colour, label it must not be covered in), the others in pixels;
        added after everything."""

    def tint(self, albedo: RGB, z: float, gain: float = 1.0, lit: bool = False) -> RGB:
        """What the camera sees of a colour at distance z. ``lit`` things shine by themselves."""
        keep = math.exp(-self.mood.haze_per_m * z)
        veil = 1 - keep
        r, g, b = (1.0, 1.0, 1.0) if lit else self.mood.light
        haze = self.mood.haze
        return (
            min(255.0, albedo[0] * r * gain) * keep + haze[0] * veil,
            min(255.0, albedo[1] * g * gain) * keep + haze[1] * veil,
            min(255.0, albedo[2] * b * gain) * keep + haze[2] * veil,
        )

    @property
    def of_pair(self) -> bool:
        """Whether it is one eye's of a pair."""
        return self.depth is not None

    @property
    def is_second(self) -> bool:
        """Whether it is the second eye's of a pair."""
        return self.first is not self.camera

    def fill(
        self,
        dots: np.ndarray | Sequence[np.ndarray],
        color: RGB,
        label: int | None = None,
        place: Place | None = None,
    ) -> None:
        """Fill polygons. Without a label: a detail on something that has one already, and lies where that does.

        ``place``: where what has a label stands, all of it on one face; None if ``depth`` is told otherwise.
        """
        polygons = [dots] if isinstance(dots, np.ndarray) else dots
        cv2.fillPoly(self.image, polygons, color, cv2.LINE_AA, SHIFT)
        if label is not None:
            cv2.fillPoly(self.mask, polygons, (label,), cv2.LINE_8, SHIFT)
            if self.depth is not None and place is not None:
                self.depth.fill(polygons, place)

    def dots(self, points: Sequence[Point3], camera: Camera | None = None) -> np.ndarray:
        """Where the camera, or another one, sees world points."""
        return np.array((camera or self.camera).project(points)).astype(np.int32).reshape(-1, 2)

    def face(self, points: Sequence[Point3], color: RGB, label: int | None = None) -> None:
        """Fill one flat world polygon."""
        self.fill(self.dots(points), color, label, points)

    def faces(self, shapes: Sequence[Sequence[Point3]], color: RGB, label: int | None = None) -> None:
        """Fill several flat world polygons with one colour. They may not overlap: OpenCV leaves a hole there."""
        polygons = [self.dots(points) for points in shapes]
        self.fill(polygons, color, label)
        if self.depth is not None and label is not None:
            for dots, points in zip(polygons, shapes, strict=True):
                self.depth.fill([dots], points)

    def window(self, dots: np.ndarray) -> tuple[slice, slice] | None:
        """The part of the picture around dots, or None if they lie outside."""
        left, top, wide, high = cv2.boundingRect(dots)
        x0, y0 = max(0, (left >> SHIFT) - 1), max(0, (top >> SHIFT) - 1)
        x1 = min(self.camera.width, ((left + wide) >> SHIFT) + 2)
        y1 = min(self.camera.height, ((top + high) >> SHIFT) + 2)
        return (slice(y0, y1), slice(x0, x1)) if y0 < y1 and x0 < x1 else None

    def multiply(self, window: tuple[slice, slice], gains: np.ndarray) -> None:
        """Multiply a part of the picture by ``gains``: uint8 [H, W, 3], 128 is neutral."""
        cv2.multiply(self.image[window], gains, dst=self.image[window], scale=1 / 128)

    def shade(self, points: Sequence[Point3], gain: float) -> None:
        """Multiply a world polygon on the ground by ``gain`` (at most 2): a shadow, or a pool of light."""
        if abs(gain - 1) < 0.03:
            return
        dots = self.dots(points)
        window = self.window(dots)
        if window is None:
            return
        rows, columns = window
        gains = np.full((rows.stop - rows.start, columns.stop - columns.start, 3), 128, np.uint8)
        level = 128 * gain
        # A shadow is a little blue, lit by the sky alone; a lamp's light a little yellow.
        color = (level, level, min(255.0, level * 0.9 + 13))
        offset = (-columns.start * ONE, -rows.start * ONE)
        cv2.fillPoly(gains, [dots + np.array(offset, np.int32)], color, cv2.LINE_AA, SHIFT)
        if self.depth is not None:  # on what stands behind, its two eyes' shadows would not fit
            gains[~self.depth.is_ground(window)] = 128
        self.multiply(window, gains)

    def lay(self, dots: np.ndarray, sheet: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
        """A sheet in perspective, its four corners at ``dots``: what falls into the window, 128 beside it."""
        h, w = sheet.shape
        rows, columns = window
        source = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
        target = (dots / ONE - (columns.start, rows.start)).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        return cv2.warpPerspective(sheet, matrix, size, borderMode=cv2.BORDER_CONSTANT, borderValue=(128,))

    def glow(self, x: float, y: float, z: float, radius_m: float, color: RGB, label: int) -> None:
        """Remember a light at a world point; it shines if nothing covers it in the end (``is_open``)."""
        u, v = self.camera.pixel(x, y, z)
        self.glows.append((u, v, z, radius_m * self.camera.focal_px / z, color, label))

    def is_open(self, u: float, v: float, z: float, label: int) -> bool:
        """Whether what shines at a pixel of the picture, ``z`` metres away on something of ``label``, is covered by
        nothing of another label; and of a pair by nothing nearer, which its halo would not fit."""
        if self.mask[int(v), int(u)] != label:
            return False
        return self.depth is None or not self.depth.is_nearer(int(u), int(v), z)
