"""The walls of a house: their style, and the windows, doors and shop fronts in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np

from wholenet_scenes.camera import NEAR_M, ONE, Point
from wholenet_scenes.canvas import Canvas
from wholenet_scenes.classes import BUILDING
from wholenet_scenes.palette import CLOTHES, RGB, WARM, mix, vary
from wholenet_scenes.textures import SHEET_PX_PER_M, sheet

WALLS = (
    (168, 92, 70), (146, 78, 62), (214, 198, 168), (196, 188, 176), (150, 150, 150), (206, 170, 110), (224, 220, 212),
    (128, 146, 132), (142, 156, 176), (196, 138, 116), (110, 104, 100), (180, 160, 128), (222, 188, 170),
    (96, 112, 128),
)  # fmt: skip
ROOFS = ((120, 62, 48), (86, 84, 88), (70, 56, 52), (134, 82, 60), (60, 66, 76))

Cell = tuple[float, float, float, float]
"""A rectangle on a wall: from and to along its foot in shares of it, bottom and top in metres."""


@dataclass(frozen=True)
class Facade:
    """What the walls of one house have in common."""

    wall: RGB
    frame: RGB
    roof: RGB
    kind: str
    floor_m: float
    bay_m: float
    window: Point
    """The share of a bay and of a floor that a window takes."""
    ground: str
    """shop, door or plain."""
    shop: RGB

    @staticmethod
    def draw_from(rng: Random, pitched: bool) -> Facade:
        """A random style."""
        kind = rng.choice(("brick", "brick", "plaster", "plaster", "panel"))
        wall = vary(rng, rng.choice(WALLS[:2] + WALLS[9:11] if kind == "brick" and rng.random() < 0.6 else WALLS))
        office = not pitched and rng.random() < 0.25
        return Facade(
            wall=wall,
            frame=rng.choice(((232, 230, 224), (60, 58, 58), mix(wall, (255, 255, 255), 0.5))),
            roof=vary(rng, rng.choice(ROOFS)),
            kind=kind,
            floor_m=rng.uniform(2.9, 3.5),
            bay_m=rng.uniform(1.8, 2.2) if office else rng.uniform(2.3, 3.4),
            window=(0.88, 0.72) if office else (rng.uniform(0.36, 0.56), rng.uniform(0.42, 0.56)),
            ground=rng.choice(("shop", "shop", "door", "plain")) if not pitched else "door",
            shop=vary(rng, rng.choice(CLOTHES), 0.2),
        )


def window_cells(style: Facade, length: float, height: float) -> list[Cell]:
    """The windows above the ground floor."""
    bays, floors = max(1, round(length / style.bay_m)), max(1, int((height - 0.5) / style.floor_m))
    first = 0 if style.ground == "plain" else min(1, floors - 1)
    half_w, half_h = style.window[0] / bays / 2, style.window[1] * style.floor_m / 2
    middles = [(k + 0.55) * style.floor_m for k in range(first, floors)]
    centers = [(k + 0.5) / bays for k in range(bays)]
    return [(c - half_w, c + half_w, m - half_h, m + half_h) for m in middles for c in centers]


def split_panes(cells: list[Cell]) -> list[Cell]:
    """Each window as two panes, so that its frame shows between them."""
    panes: list[Cell] = []
    for left, right, bottom, top in cells:
        middle, bar = (left + right) / 2, (right - left) * 0.05
        panes += [(left, middle - bar, bottom, top), (middle + bar, right, bottom, top)]
    return panes


class Wall:
    """One wall in the picture; its ground line ``foot`` runs from (x, z) to (x, z)."""

    def __init__(self, canvas: Canvas, style: Facade, foot: tuple[Point, Point], height: float, gain: float) -> None:
        self.canvas, self.style, self.foot, self.height, self.gain = canvas, style, foot, height, gain
        (x0, z0), (x1, z1) = foot
        self.length, self.near, self.z = math.hypot(x1 - x0, z1 - z0), min(z0, z1), 0.5 * (z0 + z1)

    def tint(self, albedo: RGB, gain: float = 1.0) -> RGB:
        """What the camera sees of a colour on this wall."""
        return self.canvas.tint(albedo, self.z, self.gain * gain)

    def quads(self, cells: list[Cell]) -> list[np.ndarray]:
        """Rectangles on the wall as dots: ``Camera.project``, for all at once."""
        camera, ((x0, z0), (x1, z1)) = self.canvas.camera, self.foot
        array = np.array(cells)
        s = array[:, :2]
        z = np.maximum(z0 + (z1 - z0) * s, NEAR_M)
        scale = camera.focal_px * ONE / z
        offset = (x0 - camera.x_m + (x1 - x0) * s + camera.curve_per_m * z * z) * scale * camera.mirror
        base = camera.horizon_px * ONE + camera.eye_m * scale + camera.roll * offset
        quads = np.empty((len(cells), 4, 2), np.int32)
        offset += camera.width / 2 * ONE
        quads[:, :2, 0], quads[:, 2:, 0] = offset, offset[:, ::-1]
        quads[:, :2, 1] = base - scale * array[:, 2:3]
        quads[:, 2:, 1] = (base - scale * array[:, 3:])[:, ::-1]
        return list(quads)


def draw_wall(wall: Wall, rng: Random, street: bool) -> None:
    """A wall with its texture, windows and, towards the street, its ground floor."""
    canvas, height, ((x0, z0), (x1, z1)) = wall.canvas, wall.height, wall.foot
    corners = [(x0, height, z0), (x1, height, z1), (x1, 0.0, z1), (x0, 0.0, z0)]
    dots = canvas.dots(corners)
    window = canvas.window(dots)
    if window is None and not canvas.of_pair:  # of a pair all that rng gives is asked for, in view of one eye or not
        return
    canvas.fill(dots, wall.tint(wall.style.wall), BUILDING, corners)
    first = canvas.dots(corners, canvas.first) if canvas.is_second else dots
    if abs(int(first[0, 0]) - int(first[1, 0])) < 0.04 * ONE * canvas.camera.height:
        return  # a sliver: its windows would be narrower than a pixel or two
    if wall.near < 28 and window is not None:
        h, w = round(min(height, 24) * SHEET_PX_PER_M), round(min(wall.length, 20) * SHEET_PX_PER_M)
        texture = sheet(wall.style.kind, 0.16 if wall.near < 16 else 0.08)[-h:, :w]
        canvas.multiply(window, cv2.merge([canvas.lay(dots, texture, window)] * 3))
    if wall.near < 60:
        draw_windows(wall, rng)
    if street and wall.near < 45:
        draw_ground_floor(wall, rng)


def draw_windows(wall: Wall, rng: Random) -> None:
    """Frames and panes, dark by day and some lit by night."""
    canvas, z, lamps = wall.canvas, wall.z, wall.canvas.mood.lamps
    cells = window_cells(wall.style, wall.length, wall.height)
    if z < 30:
        rim = 0.08 / wall.length
        frames = [(left - rim, right + rim, low - 0.14, high + 0.11) for left, right, low, high in cells]
        canvas.fill(wall.quads(frames), wall.tint(wall.style.frame, 0.92))
    quads = wall.quads(split_panes(cells) if z < 18 else cells)
    each, share = len(quads) // len(cells), lamps * rng.uniform(0.15, 0.55)
    draws = [rng.random() for _ in cells]
    glass = mix((34, 40, 50), canvas.mood.sky_low, 0.15 + 0.3 * rng.random())
    groups = ((canvas.tint(glass, z, 0.9, lit=lamps < 0.5), share, 1.0),
              (canvas.tint(WARM, z, 0.95, lit=True), 0.0, share * 0.6),
              (canvas.tint((226, 214, 196), z, 0.8, lit=True), share * 0.6, share))  # fmt: skip
    for color, low, high in groups:
        group = [quads[k * each + j] for k, draw in enumerate(draws) if low <= draw < high for j in range(each)]
        if group:
            canvas.fill(group, color)


def draw_ground_floor(wall: Wall, rng: Random) -> None:
    """A shop front with glass and sign band, or a door; plinth and cornice."""
    canvas, style, length, height, lamps = wall.canvas, wall.style, wall.length, wall.height, wall.canvas.mood.lamps
    at, half = rng.uniform(0.2, 0.8), 0.55 / length
    count = max(2, round(length / 3))
    open_now = rng.random() < 0.3 + lamps * 0.5
    rows: list[Cell] = [(0, 1, height - 0.35, height), (0, 1, 0, 0.45),
                        (at - half, at + half, 0, 2.2), (0.02, 0.98, 2.5, 3.05)]  # fmt: skip
    glass = [((k + 0.04) / count, (k + 0.92) / count, 0.5, 2.4) for k in range(count)]
    cornice, plinth, door, band, *panes = wall.quads(rows + glass)
    canvas.fill(cornice, wall.tint(mix(style.wall, style.frame, 0.5)))
    canvas.fill(plinth, wall.tint(style.wall, 0.7))
    if style.ground == "shop":
        inside = mix((50, 54, 60), WARM, 0.3 + 0.45 * lamps) if open_now else (44, 50, 58)
        canvas.fill(panes, canvas.tint(inside, wall.z, lit=open_now and lamps > 0.2))
        canvas.fill(band, wall.tint(style.shop))
    canvas.fill(door, wall.tint(mix(style.shop, (70, 50, 40), 0.5), 0.8))
