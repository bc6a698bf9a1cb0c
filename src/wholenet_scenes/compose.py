"""Where things stand: houses, trees, furniture, traffic and people along a street."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from random import Random

from wholenet_scenes.buildings import draw_building
from wholenet_scenes.canvas import Canvas
from wholenet_scenes.cars import CAR_SHAPES, draw_car
from wholenet_scenes.moods import Mood
from wholenet_scenes.people import draw_bicycle, draw_person
from wholenet_scenes.poles import draw_board, draw_bollard, draw_lamp, draw_sign, draw_traffic_light
from wholenet_scenes.street import Street
from wholenet_scenes.trees import draw_bush, draw_tree

Item = tuple[float, Callable[[Canvas], None]]
"""How far something is, in metres, and what paints it. Houses count by their far end, as all that stands in the street
lies nearer to us than their walls beside it; cars by their near end, as what stands on the kerb lies behind them."""


def child(rng: Random) -> Random:
    """A generator of its own for one part: what it draws there moves nothing elsewhere."""
    return Random(rng.getrandbits(48))


def compose(street: Street, mood: Mood, rng: Random) -> list[Item]:
    """Everything that stands on the ground."""
    items: list[Item] = []
    for side in (-1, 1):
        items += place_buildings(street, child(rng), side)
        items += place_trees(street, child(rng), side)
        items += place_furniture(street, child(rng), side)
        items += place_people(street, mood, child(rng), side)
        if street.parking:
            items += place_parked(street, child(rng), side)
    return items + place_traffic(street, mood, child(rng)) + place_crossers(street, mood, child(rng))


def place_buildings(street: Street, rng: Random, side: int) -> list[Item]:
    """A row of houses: closed in the city, with gardens in between in a suburb."""
    items: list[Item] = []
    z, level = rng.uniform(-6, 3), rng.uniform(7, 20)
    last_end, last_height = 0.0, 0.0
    while z < 115:
        length = rng.uniform(8, 13) if street.suburb else rng.uniform(9, 19)
        gap = rng.uniform(2, 9) if street.suburb else rng.choice((0, 0, 0, 0, rng.uniform(4, 16)))
        height = rng.uniform(3.6, 6.6) if street.suburb else max(5.5, level * rng.uniform(0.65, 1.4))
        pitched = street.suburb or (height < 11 and rng.random() < 0.4)
        flush = len(items) > 0 and z <= last_end + 0.01 and height <= last_height and not pitched
        x, own = side * (street.line + (rng.uniform(0, 2) if street.suburb else 0.0)), child(rng)
        if street.blocked(z, z + length) and street.crossing is not None:
            if street.crossing - z > 5:
                length = street.crossing - 2 - z
            else:
                z = street.crossing + 11
                continue
        if z + length > 2.5:
            draw = partial(draw_building, rng=own, x=x, z=z, length=length, height=height, side=side, pitched=pitched)
            items.append((z + length, partial(draw, flush=flush)))
            last_end, last_height = z + length, height
        z += length + gap
    return items


def place_trees(street: Street, rng: Random, side: int) -> list[Item]:
    """An avenue, single trees, or none; bushes in the gardens."""
    items: list[Item] = []
    spacing = rng.choice((8.0, 11.0, 15.0, 28.0, 60.0))
    x = side * (street.half + rng.uniform(0.8, 1.2))
    z = rng.uniform(4, 4 + spacing)
    while z < 70:
        if not street.blocked(z - 2, z + 2):
            items.append((z, partial(draw_tree, rng=child(rng), x=x + rng.uniform(-0.2, 0.2), z=z)))
        z += spacing * rng.uniform(0.8, 1.3)
    for _ in range(7 if street.suburb else 1):
        z, x = rng.uniform(5, 50), side * (street.line + rng.uniform(-1.6, 3.0))
        if not street.blocked(z - 1, z + 1):
            draw = draw_bush if rng.random() < 0.6 else draw_tree
            items.append((z, partial(draw, rng=child(rng), x=side * max(abs(x), street.half + street.walk * 0.8), z=z)))
    return items


def place_furniture(street: Street, rng: Random, side: int) -> list[Item]:
    """Lamps at even distances, signs, posts, parked bicycles, and lights where streets meet."""
    kerb = side * (street.half + 0.45)
    items: list[Item] = []
    z, spacing = rng.uniform(6, 22), rng.uniform(18, 30)
    while z < 75:
        if not street.blocked(z, z):
            items.append((z, partial(draw_lamp, rng=child(rng), x=kerb, z=z, side=side)))
        z += spacing
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        z = rng.uniform(6.5, 30)
        draw = draw_board if rng.random() < 0.2 else draw_sign
        items.append((z, partial(draw, rng=child(rng), x=kerb + side * rng.uniform(0, 1), z=z)))
    stop = street.crossing - 0.5 if street.crossing is not None else street.zebra
    if stop is not None and rng.random() < 0.8:
        arm = rng.random() < 0.35
        items.append((stop, partial(draw_traffic_light, rng=child(rng), x=kerb, z=stop, side=side, arm=arm)))
        if street.crossing is not None and rng.random() < 0.6:
            z = street.crossing + 10
            items.append((z, partial(draw_traffic_light, rng=child(rng), x=kerb, z=z, side=side)))
    if rng.random() < 0.3:
        start = rng.uniform(4, 14)
        items += [(z, partial(draw_bollard, rng=child(rng), x=kerb, z=z))
                  for z in (start + 2.2 * k for k in range(5)) if not street.blocked(z, z)]  # fmt: skip
    if rng.random() < 0.3:
        z = rng.uniform(6, 18)
        for k in range(rng.randrange(1, 4)):
            x = side * (street.half + street.walk * 0.8)
            draw = partial(draw_bicycle, rng=child(rng), x=x, z=z + 0.8 * k, rider=False, sideways=rng.random() < 0.7)
            items.append((z + 0.8 * k, draw))
    return items


def place_person(mood: Mood, rng: Random, x: float, z: float) -> Item:
    """One person, in the rain mostly below an umbrella."""
    umbrella = mood.name == "rain" and rng.random() < 0.6
    return z, partial(draw_person, rng=child(rng), x=x, z=z, umbrella=umbrella)


def place_people(street: Street, mood: Mood, rng: Random, side: int) -> list[Item]:
    """People on the pavement, alone and in small groups."""
    items: list[Item] = []
    for _ in range(rng.choice((0, 1, 2, 3, 4, 6))):
        z, x = 5 + 34 * rng.random() ** 1.4, side * (street.half + rng.uniform(0.5, street.walk - 0.3))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            items.append(place_person(mood, rng, x, z))
            x, z = x + rng.uniform(-0.8, 0.8), z + rng.uniform(-0.5, 0.9)
    return items


def place_parked(street: Street, rng: Random, side: int) -> list[Item]:
    """A row of parked cars along the kerb, with gaps."""
    items: list[Item] = []
    z, filled, x = rng.uniform(6, 14), rng.uniform(0.35, 0.95), side * (street.half - 1.05)
    yaw = 0.0 if side > 0 else math.pi
    while z < 52:
        shape = rng.choice(CAR_SHAPES)
        if rng.random() < filled and not street.blocked(z - 6, z + 6):
            turn = yaw + rng.gauss(0, 0.03)
            items.append((z - shape.length / 2, partial(draw_car, rng=child(rng), x=x, z=z, yaw=turn, shape=shape)))
        z += shape.length + rng.uniform(0.6, 1.6)
    return items


def place_traffic(street: Street, mood: Mood, rng: Random) -> list[Item]:
    """Cars that drive: ahead in our lane, towards us in the other, and across where streets meet; and cyclists."""
    items: list[Item] = []
    lights = mood.lamps > 0.25 or mood.name == "fog" or rng.random() < 0.2
    room = street.half - (2.2 if street.parking else 0.2)
    lane = max(room / 2, 1.1)
    for direction, yaw in ((1, 0.0), (-1, math.pi)):
        z = rng.uniform(9, 40)
        while z < 80 and (street.half > 3.8 or direction == 1):
            if not street.blocked(z - 4, z + 4):
                x = direction * lane + rng.uniform(-0.25, 0.25)
                draw = partial(draw_car, rng=child(rng), x=x, z=z, yaw=yaw + rng.gauss(0, 0.02), lights=lights)
                items.append((z - 2.3, draw))
            z += rng.uniform(9, 50)
    if street.crossing is not None:
        for lane_z, yaw in ((2.4, math.pi / 2), (6.6, -math.pi / 2)):
            if rng.random() < 0.45:
                z, x = street.crossing + lane_z, rng.uniform(-14, 14)
                turn = yaw + rng.choice((0.0, 0.0, rng.uniform(-0.7, 0.7)))
                items.append((z - 1.0, partial(draw_car, rng=child(rng), x=x, z=z, yaw=turn, lights=lights)))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        z, side = rng.uniform(7, 28), rng.choice((-1, 1))
        x = side * max(0.6, room - 0.5)
        items.append((z, partial(draw_bicycle, rng=child(rng), x=x, z=z, sideways=rng.random() < 0.3)))
    return items


def place_crossers(street: Street, mood: Mood, rng: Random) -> list[Item]:
    """People and cyclists who cross the road: at a zebra many, elsewhere hardly any."""
    items: list[Item] = []
    at = street.zebra if street.zebra is not None else rng.uniform(9, 30)
    count = rng.randrange(5) if street.zebra is not None else int(rng.random() < 0.15)
    for _ in range(count):
        x, z = rng.uniform(-street.half, street.half), at + rng.uniform(0.4, 2.6)
        if rng.random() < 0.2:
            items.append((z, partial(draw_bicycle, rng=child(rng), x=x, z=z)))
        else:
            items.append(place_person(mood, rng, x, z))
    return items
