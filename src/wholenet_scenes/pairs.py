"""Scenes seen by two eyes: the pair, its exact disparity, and what each eye alone sees.

The scene is painted once for each eye, by the same calls with the same draws; the camera alone moves to the right in
the picture. Three things are not as in a scene seen by one eye. The camera does not roll, or rows would not match.
Streets do not bend, as a wall along a bend is no plane. And rain on the glass and grains of the sensor are each eye's
own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from wholenet.data.stereo.sample import StereoSample
from wholenet_scenes.camera import Camera
from wholenet_scenes.canvas import Canvas
from wholenet_scenes.depth import Depth
from wholenet_scenes.moods import Mood
from wholenet_scenes.scene import paint_scene

BASELINE_M = 0.5
"""Between the eyes: as between the cameras of KITTI, where cars a few metres away are tens of pixels apart."""
SAME_PX = 1.0
"""The eyes see the same point if their disparities there differ by no more."""


def draw_pair(
    seed: int, index: int, height: int = 192, width: int = 256, baseline_m: float = BASELINE_M
) -> StereoSample:
    """Scene ``index`` seen by two eyes: the same bits for the same arguments, as :func:`draw_scene` gives.

    Disparity is exact up to the corners of things, which OpenCV places to 1/16 pixel. It is 0 in the sky and on the
    skyline, which are drawn at infinity, and NaN on the bonnet of the eyes' own car. It is that of the surface: a wet
    road has the road's, although it mirrors what lies deeper, and what lies behind the halo of a lamp keeps its own.

    Args:
        seed, index, height, width: as of :func:`draw_scene`.
        baseline_m: from eye to eye, in metres; disparities grow with it.

    Raises:
        ValueError: if ``baseline_m`` is not above 0 and finite.

    >>> pair = draw_pair(seed=0, index=3, height=96, width=128)
    >>> pair.left.shape, pair.disparity.shape
    ((96, 128, 3), (96, 128))
    """
    left, right = (paint_eye(seed, index, height, width, baseline_m, second) for second in (False, True))
    return StereoSample(left.image, right.image, *seen_by_both(left, right, -1), *seen_by_both(right, left, 1))


def paint_eye(seed: int, index: int, height: int, width: int, baseline_m: float, second: bool) -> Canvas:
    """What one eye sees: the first is the left one, where the camera of the scene stands.

    Raises:
        ValueError: as :func:`draw_pair`.
    """
    if not (baseline_m > 0 and math.isfinite(baseline_m)):
        raise ValueError(f"baseline_m={baseline_m}: expected the metres between the eyes, a finite number above 0")
    return paint_scene(seed, index, height, width, partial(_canvas, baseline_m, second))


def _canvas(baseline_m: float, second: bool, camera: Camera, mood: Mood, sun_side: int) -> Canvas:
    first = replace(camera, roll=0.0, curve_per_m=0.0)
    eye = replace(first, x_m=first.x_m + first.mirror * baseline_m) if second else first
    return Canvas(eye, mood, sun_side, Depth(eye, baseline_m), first)


def seen_by_both(one: Canvas, other: Canvas, sign: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Disparity of what ``one`` eye sees, and whether the ``other`` eye sees it too.

    Args:
        one, other: the eyes.
        sign: which way the other eye sees things moved: -1, to the left, if it is the right one; 1 if the left one.

    Returns:
        float32 [H, W], NaN where it is not known; bool [H, W]: in the other eye's picture, and not covered there.
    """
    assert one.depth is not None
    assert other.depth is not None
    disparity = one.depth.disparity()
    found = other.depth.disparity(np.arange(disparity.shape[1]) + sign * disparity)
    return disparity.astype(np.float32), np.abs(found - disparity) <= SAME_PX  # NaN is never near
