"""One scene, a pure function of (seed, index, height, width).

A street is laid out in metres, from the camera to the horizon, and painted from far to near. Every ``draw_*`` function
paints one thing where it stands; what it looks like comes from the ``Random`` it is given, in draws that do not depend
on the size of the canvas, so a scene has one composition at every resolution. Colours and textures of different classes
overlap on purpose (grey cars on grey roads, green walls, cobbled roads), in every light from noon to night: what tells
the classes apart is shape and place.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from wholenet_scenes.camera import Camera, draw_camera
from wholenet_scenes.canvas import Canvas
from wholenet_scenes.compose import child, compose
from wholenet_scenes.ground import draw_ground
from wholenet_scenes.lens import finish
from wholenet_scenes.moods import Mood, draw_mood
from wholenet_scenes.sky import draw_sky, draw_skyline
from wholenet_scenes.street import draw_street


def draw_scene(seed: int, index: int, height: int = 192, width: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """One street scene: the same bits for the same arguments, in any order, process and number of threads.

    Another version of OpenCV may round an edge's pixels differently.

    Args:
        seed: which world; scenes of different seeds have nothing in common.
        index: which scene of it.
        height, width: in pixels; the composition is the same at every size, a wider picture shows more at its sides.

    Returns:
        The image, uint8 [height, width, 3] RGB, and its mask, uint8 [height, width] of train ids and ``IGNORE``.

    >>> image, mask = draw_scene(seed=0, index=3, height=96, width=128)
    >>> image.shape, mask.shape
    ((96, 128, 3), (96, 128))
    """
    canvas = paint_scene(seed, index, height, width)
    return canvas.image, canvas.mask


def paint_scene(
    seed: int, index: int, height: int, width: int, canvas_for: Callable[[Camera, Mood, int], Canvas] = Canvas
) -> Canvas:
    """Paint a scene, on the canvas that ``canvas_for`` makes for its camera, mood and side of the sun."""
    rng = Random(f"wholenet scene {seed} {index}")
    mood = draw_mood(rng)
    street = draw_street(rng)
    camera = draw_camera(rng, street.half, height, width)
    canvas = canvas_for(camera, mood, rng.choice((-1, 1)))
    draw_sky(canvas, child(rng))
    draw_ground(canvas, street, child(rng))
    draw_skyline(canvas, child(rng), street)
    for _, draw in sorted(compose(street, mood, child(rng)), key=lambda item: -item[0]):
        draw(canvas)
    finish(canvas, child(rng))
    return canvas
