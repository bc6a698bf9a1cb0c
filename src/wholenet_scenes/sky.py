"""What lies behind everything: the sky and, where the street ends, the skyline."""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random

import cv2
import numpy as np

from wholenet_scenes.canvas import Canvas, fixed
from wholenet_scenes.classes import BUILDING, SKY, VEGETATION
from wholenet_scenes.moods import Mood
from wholenet_scenes.palette import RGB, mix, vary
from wholenet_scenes.street import FAR_M, Street
from wholenet_scenes.textures import fractal

SKY_SIZE = (56, 112)
"""The sky is smooth: it is painted this small (rows, columns) and enlarged."""


@lru_cache(maxsize=1)
def cloud_noise() -> np.ndarray:
    """One large field of clouds, of which each scene sees a part: float32 [256, 768]."""
    return fractal(7, 256, 768, coarsest=3)


def plane(color: RGB) -> np.ndarray:
    """A colour as float32 [3, 1, 1]: with the channels first, numpy works on whole planes."""
    return np.array(color, np.float32)[:, None, None]


def draw_sky(canvas: Canvas, rng: Random) -> None:
    """A gradient down to the horizon, the sun, clouds, and stars at night. Fills the whole picture."""
    camera, mood = canvas.camera, canvas.mood
    top, low = plane(mood.sky_top), plane(mood.sky_low)
    rows = np.linspace(0, 1, SKY_SIZE[0], dtype=np.float32)[:, None] ** 1.4
    sky = np.repeat(top + (low - top) * rows, SKY_SIZE[1], axis=2)
    add_sun(sky, canvas, rng)
    add_clouds(sky, mood, rng)
    np.minimum(sky, 255, out=sky)
    end = min(camera.height, math.ceil(camera.horizon_px + abs(camera.roll) * camera.width) + 1)
    small = cv2.merge(list(sky.astype(np.uint8)))
    canvas.image[:end] = cv2.resize(small, (camera.width, end), interpolation=cv2.INTER_LINEAR)
    canvas.mask[:] = SKY
    for _ in range(60 if mood.name == "night" else 0):
        u, v, level = rng.random() * camera.width, rng.random() ** 1.5 * camera.horizon_px, rng.uniform(60, 200)
        canvas.image[int(v), int(u)] = (level, level, level)


def add_sun(sky: np.ndarray, canvas: Canvas, rng: Random) -> None:
    """Add the sun and the glow around it to ``sky`` [3, rows, columns], where it is in view at all."""
    mood, (h, w), low = canvas.mood, SKY_SIZE, canvas.mood.name in ("golden", "dusk")
    u = 0.5 + canvas.sun_side * canvas.camera.mirror * rng.uniform(0.1, 0.55)
    v = rng.uniform(0.72, 0.95) if low else rng.uniform(-0.2, 0.35)
    if mood.sun < 0.1:
        return
    y, x = np.ogrid[0 : 1 : h * 1j, 0 : 1 : w * 1j]
    wide = canvas.camera.width / canvas.camera.height
    distance = np.sqrt((((x - u) * wide) ** 2 + ((y - v) * 0.46) ** 2).astype(np.float32))
    light = np.exp(-distance * 5) * 0.5 + 1.2 * np.clip(1.4 - distance * 40, 0, 1)
    color = plane((255, 150, 90) if mood.name == "dusk" else (255, 240, 205))
    sky += light * color * (0.8 if low else 0.6)


def add_clouds(sky: np.ndarray, mood: Mood, rng: Random) -> None:
    """Add clouds: heaps in the blue, or a closed grey cover."""
    left, shape = rng.randrange(500), rng.uniform(0.8, 1.6)
    if mood.clouds < 0.05:
        return
    closed = mood.clouds > 0.8
    field = cv2.resize(cloud_noise()[:, left : left + 260], SKY_SIZE[::-1], interpolation=cv2.INTER_AREA)
    cover = np.clip((field - 1.5 + 2.4 * mood.clouds) * shape, 0, 1) * (0.55 if closed else 0.75)
    lit = plane(mix(mood.sky_low, (255, 255, 255), 0.7 if mood.lamps < 0.3 else 0.1))
    dark = plane(mix(mood.sky_top, (140, 140, 150), 0.5)) * (0.9 if mood.lamps < 0.5 else 0.6)
    body = np.clip(field * 0.35 + 0.35 if closed else 1.1 - 0.4 * field, 0, 1)
    sky += cover * (dark + (lit - dark) * body - sky)


def draw_skyline(canvas: Canvas, rng: Random, street: Street) -> None:
    """The city or the hills behind the end of the street: without them it would end in the open sky."""
    camera = canvas.camera
    unit, u = camera.height / 192, -0.1 * camera.width
    hues: list[tuple[bool, RGB, list[np.ndarray]]] = []
    for _ in range(4):
        green = street.suburb or rng.random() < 0.25
        color = vary(rng, (82, 104, 62) if green else (132, 126, 124), 0.2)
        hues.append((green, canvas.tint(color, FAR_M * rng.uniform(0.5, 1.1)), []))
    while u < 1.1 * camera.width:
        green, _, shapes = rng.choice(hues)
        w, h = rng.uniform(6, 26) * unit, rng.uniform(3, 17) * unit
        base = camera.horizon_px + camera.roll * (u + w / 2 - camera.width / 2) + 2 * unit
        if green:
            w, h = 2 * w, 0.6 * h
            arc = [(u + w * (k / 8), base - h * math.sin(math.pi * (0.15 + 0.7 * k / 8))) for k in range(9)]
            shapes.append(fixed([(u, base), *arc, (u + w, base)]))
        else:
            shapes.append(fixed([(u, base), (u, base - h), (u + w, base - h), (u + w, base)]))
        u += w
    for green, color, shapes in hues:
        if shapes:
            canvas.fill(shapes, color, VEGETATION if green else BUILDING, math.inf)
