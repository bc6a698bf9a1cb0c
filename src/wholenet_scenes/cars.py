"""Cars: five shapes, seen from any side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from wholenet_scenes.camera import Point3
from wholenet_scenes.canvas import CIRCLE, Canvas
from wholenet_scenes.classes import CAR
from wholenet_scenes.palette import PAINT, RGB, mix, vary


@dataclass(frozen=True)
class CarShape:
    """A side view, in metres from the middle of the car: where the cabin stands, and how high things are."""

    length: float
    half_width: float
    belt: float
    roof: float
    cabin: tuple[float, float, float, float]
    """Along the car, -0.5 (rear) to 0.5 (front): rear foot, rear roof edge, front roof edge, front foot."""
    nose: float


CAR_SHAPES = (
    CarShape(4.0, 0.86, 0.92, 1.46, (-0.49, -0.38, 0.06, 0.24), 0.72),  # hatchback
    CarShape(4.6, 0.90, 0.90, 1.42, (-0.34, -0.20, 0.06, 0.22), 0.70),  # saloon
    CarShape(4.6, 0.94, 1.08, 1.72, (-0.49, -0.42, 0.08, 0.24), 0.92),  # sport utility
    CarShape(4.7, 0.88, 0.92, 1.48, (-0.49, -0.43, 0.06, 0.24), 0.70),  # estate
    CarShape(5.2, 0.98, 1.25, 2.10, (-0.50, -0.49, 0.28, 0.40), 0.98),  # van
)

# Colour of lamps that are on and off, colour and radius in metres of their glow.
HEADLIGHTS = ((255, 248, 224), (215, 218, 222), (255, 232, 180), 0.42)
TAIL_LIGHTS = ((255, 40, 28), (150, 22, 22), (255, 40, 24), 0.24)


class CarBody:
    """One car in the world: turns points along, across and above it into world points, and paints them."""

    def __init__(self, canvas: Canvas, shape: CarShape, x: float, z: float, yaw: float, paint: RGB) -> None:
        self.canvas, self.shape, self.x, self.z, self.paint = canvas, shape, x, z, paint
        self.sin, self.cos = math.sin(yaw), math.cos(yaw)

    def at(self, along: float, across: float, y: float) -> Point3:
        """World point; along -0.5..0.5 of the length, across -1..1 of the half width, y in metres."""
        a, b = along * self.shape.length, across * self.shape.half_width
        return (self.x + a * self.sin + b * self.cos, y, self.z + a * self.cos - b * self.sin)

    def paint_on(
        self,
        shapes: Sequence[Sequence[Point3]],
        albedo: RGB,
        gain: float = 1.0,
        lit: bool = False,
        detail: bool = False,
    ) -> None:
        """Fill polygons given along, across and above the car. A ``detail`` lies on painted body and needs no mask."""
        color = self.canvas.tint(albedo, self.z, gain, lit)
        faces = [[self.at(*point) for point in points] for points in shapes]
        self.canvas.faces(faces, color, None if detail else CAR)

    def sees(self, along: float, across: float) -> bool:
        """Whether the camera sees the side whose middle and normal are (along, across)."""
        camera = self.canvas.camera
        x, _, z = self.at(along, across, 0.0)
        out_x, out_z = along * 2 * self.sin + across * self.cos, along * 2 * self.cos - across * self.sin
        return out_x * (camera.x_m - camera.curve_per_m * z * z - x) - out_z * z > 0


def draw_car(
    canvas: Canvas, rng: Random, x: float, z: float, yaw: float, lights: bool = False, shape: CarShape | None = None
) -> None:
    """A car whose middle is at (x, z). ``yaw`` in radians: 0 drives away from the camera, pi towards it."""
    shape = rng.choice(CAR_SHAPES + CAR_SHAPES[:2]) if shape is None else shape
    car = CarBody(canvas, shape, x, z, yaw, vary(rng, rng.choice(PAINT)))
    ground = [car.at(a, b, 0.0) for a, b in ((-0.52, -1.08), (-0.52, 1.08), (0.52, 1.08), (0.52, -1.08))]
    if canvas.window(canvas.dots([*ground, (x, 2.2, z)])) is None and not canvas.of_pair:
        return
    if z < 45:
        cast_car_shadow(canvas, ground, x)
    rear, rear_top, front_top, front = shape.cabin
    if z < 35:
        tops = [(front, 0.5, shape.belt, shape.nose, 1.0), (-0.5, rear, shape.belt - 0.04, shape.belt, 1.0)]
        if shape.roof < canvas.camera.eye_m:
            tops.append((rear_top, front_top, shape.roof, shape.roof, 0.78))
        car.paint_on([[(a, -w, low), (a, w, low), (b, w, high), (b, -w, high)] for a, b, low, high, w in tops],
                     car.paint, 1.15)  # fmt: skip
    for across in (-1, 1):
        if car.sees(0.0, across):
            draw_car_side(car, across)
    for along in (-0.5, 0.5):
        if car.sees(along, 0.0):
            draw_car_end(car, along, lights)


def cast_car_shadow(canvas: Canvas, ground: Sequence[Point3], x: float) -> None:
    """The dark below a car, longer on the side away from the sun."""
    lean = -canvas.sun_side * canvas.mood.sun * 1.1
    canvas.shade([(px + (lean if (px - x) * lean > 0 else 0.0), y, pz) for px, y, pz in ground], 0.4)


def draw_car_side(car: CarBody, across: int) -> None:
    """A flank: body, cabin, glass and wheels."""
    shape, sun = car.shape, car.canvas.mood.sun
    rear, rear_top, front_top, front = shape.cabin
    gain = 0.88 + 0.22 * sun * across * car.cos * car.canvas.sun_side
    high, top = shape.belt, across * 0.78

    def discs(radius: float) -> list[list[Point3]]:
        reach = radius / shape.length
        return [[(a + reach * c, across, 0.335 + radius * s) for c, s in CIRCLE] for a in (-0.31, 0.32)]

    if car.z < 40:
        below = [(-0.47, across, 0.1), (0.47, across, 0.1), (0.47, across, 0.32), (-0.47, across, 0.32)]
        car.paint_on([below], (22, 22, 24))
    body = [(-0.5, 0.26), (0.5, 0.26), (0.5, shape.nose), (front, high), (rear, high), (-0.5, high - 0.04)]
    cabin = [(rear, across, high), (rear_top, top, shape.roof), (front_top, top, shape.roof), (front, across, high)]
    car.paint_on([[(a, across, y) for a, y in body], cabin], car.paint, gain)
    if car.z > 40:
        return
    inset, edge, foot = across * 0.82, shape.roof - 0.09, high + 0.03
    middle = 0.5 * (rear_top + front_top) - 0.02
    panes = (
        (rear + 0.04, rear_top + 0.02, middle, middle),
        (middle + 0.02, middle + 0.02, front_top - 0.01, front - 0.04),
    )
    glass = [[(a, across, foot), (b, inset, edge), (c, inset, edge), (d, across, foot)] for a, b, c, d in panes]
    car.paint_on(glass, mix((30, 34, 42), car.canvas.mood.sky_low, 0.22), 0.9, detail=True)
    car.paint_on(discs(0.335), (20, 20, 22))
    if car.z < 22:
        crease = [(-0.5, across, 0.5), (0.5, across, 0.48), (0.5, across, 0.53), (-0.5, across, 0.55)]
        car.paint_on([crease], car.paint, gain * 0.75, detail=True)
        car.paint_on(discs(0.2), (150, 152, 156), detail=True)


def draw_car_end(car: CarBody, along: float, lights: bool) -> None:
    """The front (``along`` 0.5) or the rear (-0.5): tyres, body, glass, lights and number plate."""
    shape, ahead = car.shape, along > 0
    rear, rear_top, front_top, front = shape.cabin
    foot, top, high = (front, front_top, shape.nose) if ahead else (rear, rear_top, shape.belt - 0.04)

    def panel(b0: float, b1: float, y0: float, y1: float) -> list[Point3]:
        return [(along, b0, y0), (along, b1, y0), (along, b1, y1), (along, b0, y1)]

    gain = 0.9 - 0.1 * car.canvas.mood.sun
    if car.z < 45:
        tyres = [panel(-0.92, 0.92, 0.12, 0.4), panel(-0.92, -0.66, 0.0, 0.12), panel(0.66, 0.92, 0.0, 0.12)]
        car.paint_on(tyres, (20, 20, 22))
    cabin = [(foot, -1, shape.belt), (foot, 1, shape.belt), (top, 0.78, shape.roof), (top, -0.78, shape.roof)]
    car.paint_on([cabin], car.paint, gain * 0.95)
    car.paint_on([panel(-1, 1, 0.28, high)], car.paint, gain)
    on, off, shine, radius = HEADLIGHTS if ahead else TAIL_LIGHTS
    lamps = [panel(b, b + 0.31, high - 0.24, high - 0.08) for b in (-0.93, 0.62)]
    car.paint_on(lamps, on if lights else off, lit=lights, detail=True)
    for b in (-0.78, 0.78) if lights else ():
        car.canvas.glow(*car.at(along, b, high - 0.16), radius, shine, CAR)
    if car.z > 45:
        return
    y0, y1 = shape.belt + 0.03, shape.roof - 0.08
    glass = [(foot, -0.88, y0), (foot, 0.88, y0), (top, 0.7, y1), (top, -0.7, y1)]
    car.paint_on([glass], mix((30, 34, 42), car.canvas.mood.sky_low, 0.3), 0.9, detail=True)
    if car.z > 25:
        return
    car.paint_on([panel(-0.98, 0.98, 0.28, 0.42)], car.paint, gain * 0.6, detail=True)
    if ahead:
        car.paint_on([panel(-0.45, 0.45, 0.59, high - 0.06)], (28, 28, 30), detail=True)
    car.paint_on([panel(-0.3, 0.3, 0.46, 0.57)], (225, 222, 205), 0.95, detail=True)
