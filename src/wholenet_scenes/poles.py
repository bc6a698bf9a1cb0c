"""What stands on poles: lamps, signs, boards, traffic lights, and plain posts."""

from __future__ import annotations

import math
from random import Random

from wholenet_scenes.canvas import CIRCLE, Canvas
from wholenet_scenes.classes import POLE, SIGN, TRAFFIC_LIGHT
from wholenet_scenes.figures import Spot, box, round_shape, stroke
from wholenet_scenes.palette import WARM, mix, vary

METAL = ((96, 100, 104), (70, 74, 78), (150, 152, 154), (52, 62, 56))


def draw_lamp(canvas: Canvas, rng: Random, x: float, z: float, side: int) -> None:
    """A street lamp with its arm towards the road; ``side`` -1 stands left of it."""
    spot = Spot(canvas, x, z)
    if not spot.in_view(2.5):
        return
    metal = vary(rng, METAL[rng.randrange(4)])
    height, width = 7.0, 0.17
    foot, post = box(-width * 0.7, width * 0.7, 0.0, 1.2), stroke((0, 1.2), (0, height), width)
    spot.polys([foot, post, stroke((0, height), (-side * 1.6, height + 0.35), width * 0.7)], metal, POLE)
    on = rng.random() < canvas.mood.lamps * 1.5
    tip = -side * 1.75
    low, high = height + 0.28, height + 0.48
    head = [(tip - 0.4, low), (tip + 0.4, low), (tip + 0.3, high), (tip - 0.3, high)]
    spot.poly(head, WARM if on else (170, 172, 174), POLE, lit=on)
    if on:
        canvas.glow(x + tip, height + 0.36, z, 0.55, (255, 196, 116), POLE)
        if z < 50 and canvas.mood.light[1] < 0.55:
            for wide in (1.0, 0.55):
                pool = [(x + tip * 1.3 + 4.5 * wide * c, 0.0, z + 4.0 * wide * s) for c, s in CIRCLE]
                canvas.shade(pool, 1.45)


def draw_bollard(canvas: Canvas, rng: Random, x: float, z: float) -> None:
    """A plain low post."""
    Spot(canvas, x, z).poly(stroke((0, 0), (0, 0.95), rng.uniform(0.13, 0.2)), vary(rng, rng.choice(METAL)), POLE)


def draw_sign(canvas: Canvas, rng: Random, x: float, z: float) -> None:
    """A traffic sign on its pole: disc, triangle, octagon, diamond or board; some are seen from behind."""
    spot = Spot(canvas, x, z)
    height, r = rng.uniform(2.1, 2.7), rng.uniform(0.38, 0.52)
    spot.poly(stroke((0, 0), (0, height + r * 0.4), 0.1), METAL[rng.randrange(3)], POLE)
    corners = rng.choice((14, 14, 3, 8, 4, 0))
    rim, inner = rng.choice((((190, 24, 30), (238, 236, 230)), ((236, 236, 232), (24, 72, 160)),
                             ((190, 24, 30), (190, 30, 34)), ((30, 30, 30), (240, 190, 30))))  # fmt: skip
    if rng.random() < 0.15:
        rim = inner = (126, 128, 130)
    for radius, color, label in ((r, rim, SIGN), (r * 0.74, inner, None)):
        if corners:
            turn = math.pi / 2 + (math.pi / corners if corners == 8 else 0)
            angles = [turn + math.tau * k / corners for k in range(corners)]
            shape = [(radius * math.cos(a), height + radius * math.sin(a)) for a in angles]
        else:
            shape = box(-radius * 0.9, radius * 0.9, height - radius, height + radius)
        spot.poly(shape, color, label, 0.95)
    if rim != inner:
        spot.poly(stroke((-r * 0.4, height), (r * 0.4, height), r * 0.22), mix(rim, (20, 20, 20), 0.6))


def draw_board(canvas: Canvas, rng: Random, x: float, z: float) -> None:
    """A large direction board on two posts."""
    spot = Spot(canvas, x, z)
    low, wide, high = rng.uniform(2.0, 2.8), rng.uniform(1.0, 1.7), rng.uniform(0.9, 1.4)
    for post in (-wide * 0.7, wide * 0.7):
        spot.poly(stroke((post, 0), (post, low), 0.11), METAL[0], POLE)
    board = rng.choice(((28, 74, 150), (24, 104, 66), (236, 200, 60), (232, 232, 228)))
    ink = (240, 240, 236) if sum(board) < 380 else (30, 30, 30)
    spot.poly(box(-wide, wide, low, low + high), board, SIGN)
    for k in range(3):
        y = low + high * (0.22 + 0.28 * k)
        spot.poly(stroke((-wide * 0.8, y), (wide * rng.uniform(0.0, 0.7), y), 0.12), ink)


def draw_traffic_light(canvas: Canvas, rng: Random, x: float, z: float, side: int, arm: bool = False) -> None:
    """A traffic light on a post beside the road, or hanging over it from an arm."""
    spot = Spot(canvas, x, z)
    metal, lit = METAL[rng.randrange(3)], rng.choice((0, 0, 1, 2, 2))
    cases = [(0.0, 2.3)]
    spot.poly(stroke((0, 0), (0, 5.6 if arm else 3.2), 0.16), metal, POLE)
    if arm:
        spot.poly(stroke((0, 5.5), (-side * 3.2, 5.6), 0.14), metal, POLE)
        cases.append((-side * 3.0, 4.7))
    for a, low in cases:
        spot.poly(box(a - 0.22, a + 0.22, low, low + 1.15), (34, 36, 36), TRAFFIC_LIGHT)
        for k, color in enumerate(((255, 50, 36), (255, 190, 40), (60, 235, 130))):
            y, on = low + 0.94 - 0.36 * k, k == lit
            spot.poly(round_shape((a, y), (0.14, 0.14)), color if on else mix(color, (24, 24, 24), 0.8), lit=on)
            if on:
                canvas.glow(x + a, y, z, 0.4, color, TRAFFIC_LIGHT)
