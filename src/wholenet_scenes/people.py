"""People, on foot and on bicycles."""

from __future__ import annotations

from random import Random

from wholenet_scenes.camera import Point
from wholenet_scenes.canvas import CIRCLE, Canvas
from wholenet_scenes.classes import BICYCLE, PERSON
from wholenet_scenes.figures import Spot, cast_shadow, round_shape, stroke
from wholenet_scenes.palette import CLOTHES, HAIR, PAINT, RGB, SKIN, vary


def draw_person(canvas: Canvas, rng: Random, x: float, z: float, umbrella: bool = False) -> None:
    """Somebody standing or walking, seen from the front, the back or the side."""
    height = rng.gauss(1.72, 0.08) if rng.random() < 0.85 else rng.uniform(1.05, 1.35)
    spot = Spot(canvas, x, z, unit_m=height, flip=rng.random() < 0.5)
    if not spot.in_view(0.5):
        return
    cast_shadow(canvas, x, z, 0.32, 0.6)
    top, legs = vary(rng, rng.choice(CLOTHES), 0.2), vary(rng, rng.choice(CLOTHES[:4] + CLOTHES[7:9]), 0.2)
    skin, hair = rng.choice(SKIN), rng.choice(HAIR)
    sideways, coat, bag = rng.random() < 0.45, rng.random() < 0.3, rng.random() < 0.35
    stride = rng.uniform(0.05, 0.16) if sideways else rng.uniform(0.02, 0.06)
    half = 0.085 if sideways else rng.uniform(0.115, 0.145)
    hip = 0.2 * half if sideways else 0.45 * half
    spot.poly(stroke((-hip, 0.5), (-stride, 0.02), 0.075), legs, PERSON, 0.8)
    spot.poly(stroke((hip, 0.5), (stride, 0.02), 0.075), legs, PERSON)
    if z < 18:
        spot.polys(
            [stroke((f - 0.03, 0.015), (f + 0.05, 0.015), 0.03) for f in (-stride, stride)], (30, 26, 26), PERSON
        )
    if bag:
        strap = [(-half - 0.07, 0.55), (-half + 0.02, 0.55), (-half + 0.02, 0.8), (-half - 0.07, 0.78)]
        spot.poly(strap, rng.choice(CLOTHES), PERSON)
    flare, bottom = half * (1.15 if coat else 0.85), rng.uniform(0.26, 0.36) if coat else 0.46
    torso = [(-half, 0.8), (-half * 0.6, 0.84), (half * 0.6, 0.84), (half, 0.8), (flare, bottom), (-flare, bottom)]
    spot.poly(torso, top, PERSON)
    swing = rng.uniform(-0.08, 0.1) if sideways else 0.0
    reach = (0.2, 0.3) if sideways else (0.98, 1.2)
    arms = [((k * half * reach[0], 0.8), (k * half * reach[1] + swing, 0.47)) for k in ((1,) if sideways else (-1, 1))]
    if z < 24:
        spot.polys([stroke(shoulder, hand, 0.055) for shoulder, hand in arms], top, PERSON, 0.82)
    hands = [round_shape((hand[0], 0.455), (0.024, 0.026)) for _, hand in arms] if z < 18 else []
    spot.polys([stroke((0, 0.82), (0, 0.855), 0.05), round_shape((0.01, 0.925), (0.055, 0.07)), *hands], skin, PERSON)
    spot.poly(round_shape((-0.008, 0.952), (0.06, 0.052)), hair, PERSON)
    if umbrella:
        spot.poly(stroke((0.05, 0.7), (0.05, 1.12), 0.015), (40, 40, 40), PERSON)
        canopy = [(0.05 + 0.33 * c, 1.05 + 0.22 * s) for c, s in CIRCLE if s >= -0.01]
        spot.poly(canopy, rng.choice(CLOTHES), PERSON)


def draw_bicycle(canvas: Canvas, rng: Random, x: float, z: float, rider: bool = True, sideways: bool = True) -> None:
    """A bicycle with its rider, or a parked one; seen from the side or along the road."""
    spot = Spot(canvas, x, z, flip=rng.random() < 0.5)
    if not spot.in_view(1.0):
        return
    cast_shadow(canvas, x, z, 0.5, 0.5)
    frame, top, legs = vary(rng, rng.choice(PAINT), 0.2), vary(rng, rng.choice(CLOTHES), 0.2), rng.choice(CLOTHES[:4])
    skin, helmet = rng.choice(SKIN), rng.choice(PAINT + HAIR)
    if sideways:
        draw_bicycle_side(spot, frame, (top, legs, skin, helmet) if rider else None)
    else:
        draw_bicycle_end(spot, frame, (top, legs, skin, helmet) if rider else None)


def draw_bicycle_side(spot: Spot, frame: RGB, rider: tuple[RGB, RGB, RGB, RGB] | None) -> None:
    """Two wheels, a frame of five tubes, and the rider leaning forward."""
    spot.rings([(-0.52, 0.34), (0.52, 0.34)], 0.33, 0.06, (26, 26, 28), BICYCLE)
    tubes = (((-0.52, 0.34), (-0.08, 0.32)), ((-0.52, 0.34), (-0.18, 0.82)), ((-0.08, 0.32), (-0.2, 0.9)),
             ((-0.08, 0.32), (0.4, 0.82)), ((-0.18, 0.8), (0.38, 0.85)), ((0.52, 0.34), (0.36, 1.0)))  # fmt: skip
    for start, end in tubes:
        spot.poly(stroke(start, end, 0.06), frame, BICYCLE)
    spot.polys(
        [stroke((0.28, 1.02), (0.46, 1.0), 0.05), stroke((-0.32, 0.93), (-0.08, 0.93), 0.07)], (30, 30, 30), BICYCLE
    )
    if rider is None:
        return
    top, legs, skin, helmet = rider
    for knee, foot, gain in (((0.14, 0.62), (-0.06, 0.16), 0.75), ((0.2, 0.74), (0.06, 0.42), 1.0)):
        spot.poly(stroke((-0.18, 0.95), knee, 0.16), legs, BICYCLE, gain)
        spot.poly(stroke(knee, foot, 0.12), legs, BICYCLE, gain)
    spot.poly([(-0.32, 0.92), (-0.06, 0.92), (0.26, 1.42), (0.06, 1.54), (-0.1, 1.46)], top, BICYCLE)
    spot.poly(stroke((0.14, 1.42), (0.38, 1.06), 0.1), top, BICYCLE, 0.8)
    draw_head(spot, (0.21, 1.64), skin, helmet)


def draw_bicycle_end(spot: Spot, frame: RGB, rider: tuple[RGB, RGB, RGB, RGB] | None) -> None:
    """A thin wheel, the handlebar, and the rider's back."""
    spot.poly(round_shape((0, 0.34), (0.045, 0.34)), (26, 26, 28), BICYCLE)
    spot.poly(stroke((0, 0.5), (0, 0.95), 0.06), frame, BICYCLE)
    spot.poly(stroke((-0.28, 1.02), (0.28, 1.02), 0.05), (36, 36, 38), BICYCLE)
    if rider is None:
        return
    top, legs, skin, helmet = rider
    spot.polys([stroke((k * 0.1, 0.95), (k * 0.15, f), 0.14) for k, f in ((-1, 0.2), (1, 0.42))], legs, BICYCLE, 0.9)
    spot.polys([stroke((k * 0.2, 1.42), (k * 0.28, 1.04), 0.09) for k in (-1, 1)], top, BICYCLE, 0.8)
    spot.poly([(-0.16, 0.88), (0.16, 0.88), (0.23, 1.4), (0.12, 1.5), (-0.12, 1.5), (-0.23, 1.4)], top, BICYCLE)
    draw_head(spot, (0, 1.62), skin, helmet)


def draw_head(spot: Spot, center: Point, skin: RGB, helmet: RGB) -> None:
    """A rider's head."""
    spot.poly(round_shape(center, (0.1, 0.13)), skin, BICYCLE)
    spot.poly(round_shape((center[0] - 0.01, center[1] + 0.06), (0.13, 0.1)), helmet, BICYCLE)
