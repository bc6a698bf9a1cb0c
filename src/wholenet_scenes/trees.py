"""Trees and bushes: a few crowns, painted once, are scaled, tinted and stamped into the picture."""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random

import cv2
import numpy as np

from wholenet_scenes.canvas import Canvas
from wholenet_scenes.classes import VEGETATION
from wholenet_scenes.figures import Spot, cast_shadow, stroke
from wholenet_scenes.palette import RGB, vary

LEAVES = ((92, 128, 52), (70, 112, 54), (112, 136, 60), (58, 96, 60), (126, 128, 54), (176, 128, 48), (160, 92, 48))
RAMP = np.linspace(0, 1, 256, dtype=np.float32)[:, None]


@lru_cache(maxsize=16)
def crown(kind: int) -> tuple[np.ndarray, ...]:
    """A tree crown lit from the upper right: brightness and cover, uint8 [S, S, 2], at S = 160, 80, 40 and 20."""
    rng = Random(kind)
    light, cover = np.full((160, 160), 70, np.uint8), np.zeros((160, 160), np.uint8)
    for step in range(900):
        depth = step / 900
        angle, radius = rng.uniform(0, math.tau), math.sqrt(rng.random()) * (1 - 0.2 * depth)
        lobe = 0.8 + 0.2 * math.sin(angle * (3 + kind % 3) + kind)
        a, b = radius * lobe * math.cos(angle), radius * lobe * math.sin(angle)
        if kind >= 5:  # a cone: as wide as it is low
            a *= 0.45 * (1 + b)
        center = (round(80 + 70 * a), round(80 + 70 * b))
        level = 75 + 85 * depth + 50 * (a - b) + rng.uniform(-38, 38)
        size = round(11 - 8.5 * depth)
        cv2.circle(light, center, size, (min(255.0, max(25.0, level)),), -1, cv2.LINE_AA)
        cv2.circle(cover, center, size, (255,), -1, cv2.LINE_AA)
    levels = [cv2.merge([light, cover])]
    for _ in range(3):
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return tuple(levels)


def stamp(spot: Spot, kind: int, half: float, span: tuple[float, float], albedo: RGB) -> None:
    """Paint a crown ``half`` metres to either side of the spot; ``span``: its lower and its upper end."""
    canvas, reach = spot.canvas, half * spot.up
    left, top, bottom = spot.u - reach, spot.v - span[1] * spot.up, spot.v - span[0] * spot.up
    x, y, w, h = round(left), round(top), max(2, round(spot.u + reach - left)), max(2, round(bottom - top))
    if canvas.of_pair:  # to a fraction of a pixel: its place is its disparity
        x, y, w, h = left, top, max(2.0, 2 * reach), max(2.0, bottom - top)
    x0, x1 = max(0, math.floor(x)), min(canvas.camera.width, math.ceil(x + w))
    y0, y1 = max(0, math.floor(y)), min(canvas.camera.height, math.ceil(y + h))
    if x0 >= x1 or y0 >= y1:
        return
    levels = crown(kind)
    sprite = levels[min(3, max(0, int(math.log2(160 / max(w, h)))))]
    # Only the visible part is scaled: right in front of the camera a crown is many times the picture.
    size = sprite.shape[0]
    matrix = np.array([[size / w, 0, (x0 - x) * size / w], [0, size / h, (y0 - y) * size / h]], np.float32)
    if canvas.sun_side * canvas.camera.mirror < 0:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size - 1
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(sprite, matrix, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    light, cover = cv2.split(part)
    dark, bright = (np.array(canvas.tint(albedo, spot.z, gain), np.float32) for gain in (0.0, 1.9))
    table = (dark + (bright - dark) * RAMP).astype(np.uint8)[None]
    _, solid = cv2.threshold(cover, 110, 255, cv2.THRESH_BINARY)
    cv2.copyTo(cv2.LUT(cv2.merge([light, light, light]), table), solid, canvas.image[y0:y1, x0:x1])
    cv2.copyTo(np.full(solid.shape, VEGETATION, np.uint8), solid, canvas.mask[y0:y1, x0:x1])
    if canvas.depth is not None:
        canvas.depth.faces[y0:y1, x0:x1][solid > 0] = canvas.depth.number(spot.z)


def draw_tree(canvas: Canvas, rng: Random, x: float, z: float) -> None:
    """A tree: trunk, crown and the shadow under it."""
    height = rng.uniform(4.5, 9.5)
    kind = rng.choice((0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6))
    slim = 0.6 if kind >= 5 else rng.uniform(0.75, 1.1)
    albedo = vary(rng, LEAVES[3] if kind >= 5 else rng.choice(LEAVES), 0.2)
    wide, clear = height * 0.36 * slim, height * (0.08 if kind >= 5 else rng.uniform(0.22, 0.32))
    spot = Spot(canvas, x, z)
    if not spot.in_view(wide + 2):
        return
    cast_shadow(canvas, x, z, wide * 0.8, 0.55)
    bark = vary(rng, (92, 74, 58), 0.2)
    spot.poly(stroke((0, 0), (rng.uniform(-0.2, 0.2), clear + height * 0.25), 0.035 * height), bark, VEGETATION)
    stamp(spot, kind, wide, (clear * 0.85, height), albedo)


def draw_bush(canvas: Canvas, rng: Random, x: float, z: float) -> None:
    """A shrub, wider than high."""
    spot = Spot(canvas, x, z)
    wide, high = rng.uniform(0.6, 1.4), rng.uniform(0.7, 1.5)
    albedo = vary(rng, rng.choice(LEAVES[:5]), 0.25)
    stamp(spot, rng.randrange(5), wide, (-0.15, high), albedo)
