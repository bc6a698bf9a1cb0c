"""The ground: land, pavements, road and all that is painted on it."""

from __future__ import annotations

import math
from random import Random

import cv2
import numpy as np

from wholenet_scenes.camera import Point3
from wholenet_scenes.canvas import Canvas, fixed
from wholenet_scenes.classes import PAVEMENT, ROAD, VEGETATION
from wholenet_scenes.depth import GROUND
from wholenet_scenes.palette import RGB, mix, vary
from wholenet_scenes.street import FAR_M, Street
from wholenet_scenes.textures import sheet

NEAREST = 1.6
"""Where the ground begins, in metres: below the lower edge of any picture."""


def strip(z0: float, z1: float, left: float, right: float) -> list[Point3]:
    """A piece of the ground between two lines along the street; finely cut, as the street may bend."""
    steps = max(1, min(9, round(6 * math.log(z1 / z0))))
    zs = [z0 * (z1 / z0) ** (k / steps) for k in range(steps + 1)]
    return [(left, 0.0, z) for z in zs] + [(right, 0.0, z) for z in reversed(zs)]


def draw_ground(canvas: Canvas, street: Street, rng: Random) -> None:
    """Everything flat: land, pavements, road, cross street, markings; then texture and haze over all of it."""
    camera = canvas.camera
    land = (96, 118, 62) if street.suburb or rng.random() < 0.3 else (140, 136, 130)
    stone, tar = vary(rng, (158, 152, 146), 0.2), vary(rng, (98, 98, 102), 0.28)
    edge = camera.horizon_px - camera.roll * camera.width / 2, camera.horizon_px + camera.roll * camera.width / 2
    below = fixed([(0, edge[0]), (camera.width, edge[1]), (camera.width, camera.height), (0, camera.height)])
    canvas.fill(below, canvas.tint(land, 2.0), VEGETATION if land[1] > land[0] else PAVEMENT, GROUND)

    def paint(points: list[Point3], albedo: RGB, label: int) -> None:
        canvas.face(points, canvas.tint(albedo, 2.0), label)

    outer = street.half + street.walk
    paint(strip(NEAREST, FAR_M, -outer, outer), stone, PAVEMENT)
    if street.verge:
        grass = vary(rng, (98, 120, 62), 0.15)
        for side in (-1, 1):
            paint(strip(NEAREST, FAR_M, side * (street.half + 0.4), side * (street.half + 1.3)), grass, VEGETATION)
    if street.crossing is not None:
        paint(strip(street.crossing - 2.5, street.crossing + 11.5, -90, 90), stone, PAVEMENT)
        paint(strip(street.crossing, street.crossing + 9, -90, 90), tar, ROAD)
    paint(strip(NEAREST, FAR_M, -street.half, street.half), tar, ROAD)
    for side in (-1, 1):
        draw_kerb(canvas, street, side, stone)
    draw_markings(canvas, street, rng)
    draw_cracks(canvas, street, rng, tar)
    texture_ground(canvas, street, rng)
    haze_ground(canvas)
    if canvas.mood.name == "night":
        for reach in (19.0, 14.0, 10.0):  # our own headlights
            x = canvas.first.x_m
            canvas.shade([(x - 1.3, 0.0, 2.0), (x + 1.3, 0.0, 2.0), (x + 3.2, 0.0, reach), (x - 3.2, 0.0, reach)], 1.28)
    draw_building_shadow(canvas, street, rng)


def draw_kerb(canvas: Canvas, street: Street, side: int, stone: RGB) -> None:
    """The raised edge of the pavement, lit from above, and the gutter's dark line below it."""
    edge, spans = side * street.half, [(NEAREST, 60.0)]
    if street.crossing is not None:
        spans = [(NEAREST, street.crossing), (street.crossing + 9, 60.0)]
    gutter, top = canvas.tint((70, 70, 72), 3.0), canvas.tint(mix(stone, (255, 255, 255), 0.35), 3.0)
    for z0, z1 in spans:
        canvas.face(strip(z0, z1, edge - side * 0.22, edge), gutter)
        canvas.face(strip(z0, z1, edge, edge + side * 0.25), top, PAVEMENT)


def draw_markings(canvas: Canvas, street: Street, rng: Random) -> None:
    """Lane lines, stop line and zebra crossing."""
    white = canvas.tint((226, 224, 216), 3.0, rng.uniform(0.75, 1.0))
    dashes: list[np.ndarray] = []
    step, on = rng.choice(((6.0, 3.0), (4.5, 2.5), (9.0, 4.5)))
    lanes = (0.0,) if street.half < 5 else (0.0, street.half / 2, -street.half / 2)
    for lane in lanes:
        z = rng.uniform(NEAREST, 5.0)
        while z < 70:
            if not street.blocked(z, z + on):
                dashes.append(canvas.dots(strip(z, z + on, lane - 0.08, lane + 0.08)))
            z += step
    for side in (-1, 1) if rng.random() < 0.5 else ():
        edge = side * (street.half - (2.3 if street.parking else 0.5))
        stop = street.crossing if street.crossing is not None else 60.0
        dashes.append(canvas.dots(strip(NEAREST, stop, edge - 0.07, edge + 0.07)))
    if street.zebra is not None:
        bars = int(street.half * 2)
        for k in range(bars):
            x = -street.half + (k + 0.25) * street.half * 2 / bars
            dashes.append(canvas.dots(strip(street.zebra, street.zebra + 3.0, x, x + 0.5)))
    elif street.crossing is not None:
        dashes.append(canvas.dots(strip(street.crossing - 1.6, street.crossing - 1.1, 0, street.half)))
    canvas.fill(dashes, white)


def draw_cracks(canvas: Canvas, street: Street, rng: Random, tar: RGB) -> None:
    """Repaired patches and manhole covers on the road."""
    for _ in range(rng.randrange(5)):
        x, z, w = rng.uniform(-street.half, street.half - 1.5), rng.uniform(3, 22), rng.uniform(0.6, 1.8)
        color = canvas.tint(tar, 3.0, rng.uniform(0.72, 1.14))
        canvas.face(strip(z, z + rng.uniform(1, 5), x, min(street.half, x + w)), color)
    for _ in range(rng.randrange(3)):
        x, z = rng.uniform(-street.half + 1, street.half - 1), rng.uniform(4, 16)
        cover = [(x + 0.36 * math.cos(a), 0.0, z + 0.36 * math.sin(a)) for a in np.linspace(0, 6.0, 12).tolist()]
        canvas.face(cover, canvas.tint((54, 52, 50), 3.0))


def texture_ground(canvas: Canvas, street: Street, rng: Random) -> None:
    """Asphalt or cobbles on the road, slabs on the pavement: sheets laid on the ground, each where its class is."""
    first = max(0, math.floor(canvas.camera.horizon_px))
    below = (slice(first, canvas.camera.height), slice(0, canvas.camera.width))
    dots = canvas.dots([(-10, 0, 26), (10, 0, 26), (10, 0, 2), (-10, 0, 2)])
    road = sheet("cobbles", 0.14) if street.cobbled else sheet("asphalt", rng.choice((0.08, 0.12)))
    slabs = sheet(rng.choice(("tiles", "tiles", "cobbles", "asphalt")), 0.11)
    grain = canvas.lay(dots, slabs, below)
    np.copyto(grain, canvas.lay(dots, road, below), where=canvas.mask[below] == ROAD)
    canvas.multiply(below, cv2.merge([grain] * 3))


def haze_ground(canvas: Canvas) -> None:
    """Haze by row: on flat ground a row is a distance."""
    camera, mood = canvas.camera, canvas.mood
    first = min(camera.height, max(0, math.ceil(camera.horizon_px)))
    rows = np.arange(first, camera.height, dtype=np.float32) + 0.5 - np.float32(camera.horizon_px)
    z = camera.focal_px * camera.eye_m / np.maximum(rows, 0.5)
    keep = (np.exp(-mood.haze_per_m * z) * 256).astype(np.uint16)[:, None, None]
    veil = np.array(mood.haze, np.uint16) * (256 - keep)
    ground = canvas.image[first:] * keep
    for channel in range(3):  # twice as fast as all three at once
        ground[..., channel] += veil[..., channel]
    ground >>= 8
    canvas.image[first:] = ground


def draw_building_shadow(canvas: Canvas, street: Street, rng: Random) -> None:
    """The shadow of one side's houses on the ground, with an edge as ragged as their roofs."""
    reach, z = rng.uniform(0.5, 2.2) * street.half, 2.0
    points: list[Point3] = [(canvas.sun_side * 14.0, 0.0, z)]
    while z < 90:
        length = rng.uniform(5, 16)
        x = canvas.sun_side * (street.line - reach * rng.uniform(0.6, 1.2))
        points += [(x, 0.0, z), (x, 0.0, z + length)]
        z += length
    points.append((canvas.sun_side * 14.0, 0.0, z))
    if canvas.mood.sun > 0.3:
        canvas.shade(points, 1 - 0.45 * canvas.mood.sun)
