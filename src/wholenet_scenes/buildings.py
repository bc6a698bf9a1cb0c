"""Houses: walls, roofs and awnings put together."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from wholenet_scenes.camera import Point
from wholenet_scenes.canvas import Canvas
from wholenet_scenes.classes import BUILDING
from wholenet_scenes.palette import mix
from wholenet_scenes.walls import Facade, Wall, draw_wall


def draw_roof(canvas: Canvas, style: Facade, xs: Point, zs: Point, height: float, gain: float) -> None:
    """A pitched roof with its gable towards the camera and a chimney."""
    (x0, x1), (z0, z1) = xs, zs
    ridge, top = (x0 + x1) / 2, height + 2.8
    slope = [(x0, height, z0), (ridge, top, z0), (ridge, top, z1), (x0, height, z1)]
    low, high, left, right, z = top - 0.6, top + 0.9, ridge - 0.4, ridge + 0.4, z0 + 2
    chimney = [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]
    gable = [(x0, height, z0), (ridge, top, z0), (x1, height, z0)]
    canvas.face(slope, canvas.tint(style.roof, z0, gain), BUILDING)
    canvas.face(chimney, canvas.tint(mix(style.roof, style.wall, 0.5), z0, 0.8), BUILDING)
    canvas.face(gable, canvas.tint(style.wall, z0, 0.88), BUILDING)


def draw_awning(canvas: Canvas, style: Facade, x: float, zs: Point, side: int) -> None:
    """A striped roof of cloth over a shop window, out over the pavement."""
    (z0, z1), stripes = zs, 8
    edge = [z0 + (z1 - z0) * (0.1 + 0.8 * k / stripes) for k in range(stripes + 1)]
    out = x - side * 1.1
    bands = [[(x, 2.95, a), (x, 2.95, b), (out, 2.35, b), (out, 2.35, a)] for a, b in pairwise(edge)]
    canvas.faces(bands[::2], canvas.tint(style.shop, z0, 0.95), BUILDING)
    canvas.faces(bands[1::2], canvas.tint((226, 220, 208), z0, 0.95), BUILDING)


def draw_building(
    canvas: Canvas,
    rng: Random,
    x: float,
    z: float,
    length: float,
    height: float,
    side: int,
    pitched: bool,
    flush: bool,
) -> None:
    """A house along the street, from z to z + length, its street front at x.

    ``side`` -1 is left of the road; ``flush`` says that a house of at least this height touches it in front.
    """
    style = Facade.draw_from(rng, pitched)
    back, start = x + side * (9.0 if pitched else 14.0), max(z, 2.0)
    lit = 1 + canvas.mood.sun * (0.16 if side != canvas.sun_side else -0.34)
    if pitched:
        draw_roof(canvas, style, (x, back), (start, z + length), height, lit)
    if z > 3 and not flush:
        draw_wall(Wall(canvas, style, ((x, z), (back, z)), height, 1 - 0.12 * canvas.mood.sun), rng, street=False)
    foot = ((x, z + length), (x, start)) if side < 0 else ((x, start), (x, z + length))
    draw_wall(Wall(canvas, style, foot, height, lit), rng, street=True)
    if style.ground == "shop" and rng.random() < 0.5 and 4 < z < 40:
        draw_awning(canvas, style, x, (z, z + length), side)
