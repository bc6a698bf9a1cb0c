"""What the lens, the weather and the sensor do to the finished picture, and the bonnet in front of it."""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random

import cv2
import numpy as np

from wholenet.data.sample import IGNORE
from wholenet_scenes.camera import ONE, SHIFT
from wholenet_scenes.canvas import Canvas, fixed
from wholenet_scenes.classes import ROAD
from wholenet_scenes.palette import mix, vary


def finish(canvas: Canvas, rng: Random) -> None:
    """Wet reflections, lights, rain, the car's own bonnet, and the sensor."""
    if canvas.mood.wet > 0:
        mirror_road(canvas, canvas.mood.wet)
    add_glows(canvas)
    if canvas.mood.name == "rain":
        draw_rain(canvas, rng)
    if rng.random() < 0.35:
        draw_bonnet(canvas, rng)
    expose(canvas, rng)


def mirror_road(canvas: Canvas, wet: float) -> None:
    """A wet road shows what stands above the horizon, upside down and smeared."""
    camera = canvas.camera
    first = min(camera.height - 1, max(0, math.ceil(camera.horizon_px)))
    rows = (2 * camera.horizon_px - np.arange(first, camera.height)).astype(int)
    smear = max(3, camera.height // 16 | 1)
    flipped = cv2.blur(canvas.image[rows.clip(0, camera.height - 1)], (max(1, smear // 5), smear))
    ground, share = canvas.image[first:], 0.45 * wet
    road = (canvas.mask[first:] == ROAD).astype(np.uint8)
    cv2.copyTo(cv2.addWeighted(ground, 1 - share, flipped, share, 0), road, ground)


def add_glows(canvas: Canvas) -> None:
    """Add the halo of each light that nothing has covered: painted small, blurred, and enlarged."""
    h, w = canvas.mask.shape
    scale = 64 / h
    halo = np.zeros((64, max(1, round(w * scale)), 3), np.uint8)
    for u, v, z, radius, color, label in canvas.glows:
        if 0 <= u < w and 0 <= v < h and canvas.is_open(u, v, z, label):
            center = (int(u * scale * ONE), int(v * scale * ONE))
            reach = radius * scale
            dim = min(1.0, reach / 0.5)  # a circle cannot be smaller than a pixel: it is made darker instead
            shine = [c * dim * dim for c in color]
            cv2.circle(halo, center, int(max(0.5, reach) * ONE), shine, -1, cv2.LINE_AA, SHIFT)
    if halo.any():
        strength = 1.15 - 0.75 * min(1.0, canvas.mood.light[1])  # a lamp that blinds by night is pale by day
        soft = cv2.addWeighted(halo, 0.4 * strength, cv2.GaussianBlur(halo, (0, 0), 2.6), 1.3 * strength, 0)
        cv2.add(canvas.image, cv2.resize(soft, (w, h), interpolation=cv2.INTER_LINEAR), dst=canvas.image)


def draw_rain(canvas: Canvas, rng: Random) -> None:
    """Slanted streaks across the whole picture, elsewhere in each eye: at one place in both they would look far off."""
    h, w = canvas.mask.shape
    layer = np.zeros((h, w), np.uint8)
    slant = rng.uniform(-0.25, 0.25)
    other = Random(12)
    streaks = []
    for _ in range(110):
        u, v, length = rng.random() * w, rng.random() * h, rng.uniform(0.03, 0.1) * h
        if canvas.is_second:
            u, v = (u + other.random() * w) % w, (v + other.random() * h) % h
        streaks.append(fixed([(u, v), (u + slant * length, v + length)]))
    cv2.polylines(layer, streaks, False, (46,), max(1, h // 300), cv2.LINE_AA, SHIFT)
    cv2.add(canvas.image, cv2.merge([layer, layer, layer]), dst=canvas.image)


def draw_bonnet(canvas: Canvas, rng: Random) -> None:
    """The bonnet of the car that carries the camera; as usual it counts nowhere."""
    h, w = canvas.mask.shape
    top, half = rng.uniform(0.945, 0.975) * h, rng.uniform(0.42, 0.5) * w
    paint = vary(rng, rng.choice(((40, 42, 46), (120, 122, 126), (110, 26, 28), (30, 46, 84))))
    steps = [k / 12 * math.pi for k in range(13)]
    for lift, gain in ((0.0, 0.55), (0.012 * h, 0.9)):
        arc = [(w / 2 - half * math.cos(a), h + 1 - (h - top) * math.sin(a) ** 0.5 + lift) for a in steps]
        color = canvas.tint(mix(paint, canvas.mood.sky_top, 0.25 if lift else 0.0), 1.0, gain)
        shape = fixed([(w / 2 - half, h + 2.0), *arc, (w / 2 + half, h + 2.0)])
        canvas.fill(shape, color, None if lift else IGNORE, math.nan)


@lru_cache(maxsize=8)
def sensor_noise(height: int, width: int, seed: int) -> np.ndarray:
    """Grey noise around 128 with deviation 32: uint8 [height + 61, width + 67, 3], to be cut out at any offset."""
    noise = np.random.default_rng(seed).standard_normal((height + 61, width + 67, 1), np.float32)
    return np.repeat(np.clip(128 + 32 * noise, 0, 255).astype(np.uint8), 3, axis=2)


@lru_cache(maxsize=8)
def darkening(height: int, width: int, strength: float) -> np.ndarray:
    """A vignette as a multiplier: uint8 [height, width, 3], 255 leaves a pixel as it is."""
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.repeat((255 * (1 - strength * (x**2 + y**2) / 2)).astype(np.uint8)[..., None], 3, axis=2)


def expose(canvas: Canvas, rng: Random) -> None:
    """Lens blur, vignette, exposure, white balance and sensor noise."""
    h, w = canvas.mask.shape
    blur, dark, gain = rng.uniform(0.25, 0.7), rng.choice((0.06, 0.15, 0.24)), rng.uniform(0.94, 1.16)
    grain = rng.uniform(1.0, 3.2) * (1.5 if canvas.mood.name == "night" else 1.0) / 32
    balance = np.array(vary(rng, (gain, gain, gain), 0.05))
    top, left = rng.randrange(61), rng.randrange(67)
    table = np.minimum(np.arange(256)[:, None] * balance, 255).astype(np.uint8)[None]
    image = cv2.LUT(cv2.GaussianBlur(canvas.image, (0, 0), blur * max(1.0, h / 256)), table)
    image = cv2.multiply(image, darkening(h, w, dark), scale=1 / 255)
    noise = sensor_noise(h, w, 12 if canvas.is_second else 11)[top : top + h, left : left + w]
    canvas.image[:] = cv2.addWeighted(image, 1.0, noise, grain, -128 * grain)
