"""Moods: the lights and weathers a scene may be in, from noon to night and from sun to fog."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from wholenet_scenes.palette import RGB, vary


@dataclass(frozen=True)
class Mood:
    """Time of day and weather: what light does to every colour of a scene."""

    name: str
    sky_top: RGB
    sky_low: RGB
    light: RGB
    """Multiplies albedos; (1, 1, 1) leaves them as they are."""
    sun: float
    """In [0, 1]: how directional the light is; faces differ and shadows are cast by as much."""
    haze: RGB
    haze_per_m: float
    clouds: float
    """In [0, 1]: the cover."""
    lamps: float = 0.0
    """In [0, 1]: the share of lamps and windows that are lit."""
    wet: float = 0.0
    """In [0, 1]: how strongly the road mirrors."""


MOODS = (
    Mood("noon", (62, 124, 206), (186, 214, 238), (1.06, 1.03, 0.98), 0.9, (188, 208, 228), 0.004, 0.45),
    Mood("morning", (112, 156, 208), (226, 222, 208), (1.0, 0.98, 0.92), 0.6, (214, 214, 210), 0.009, 0.3),
    Mood("golden", (88, 122, 176), (255, 202, 136), (1.16, 0.92, 0.68), 0.85, (244, 192, 140), 0.008, 0.4, 0.08),
    Mood("overcast", (158, 166, 176), (206, 209, 212), (0.84, 0.86, 0.9), 0.08, (194, 198, 203), 0.006, 0.95, 0.08),
    Mood("dusk", (44, 54, 104), (236, 140, 104), (0.66, 0.56, 0.64), 0.1, (150, 104, 116), 0.007, 0.55, 0.7),
    Mood("night", (8, 10, 26), (44, 42, 62), (0.42, 0.41, 0.5), 0.0, (34, 33, 50), 0.009, 0.3, 1.0, 0.3),
    Mood("fog", (188, 191, 194), (202, 204, 206), (0.8, 0.82, 0.84), 0.0, (198, 200, 203), 0.034, 0.0, 0.3),
    Mood("rain", (104, 113, 124), (150, 156, 164), (0.6, 0.64, 0.7), 0.0, (146, 153, 160), 0.014, 0.85, 0.45, 0.8),
)
MOOD_WEIGHTS = (20, 14, 16, 16, 10, 10, 6, 8)


def draw_mood(rng: Random) -> Mood:
    """One of ``MOODS``, a little brighter or darker, warmer or colder."""
    mood = rng.choices(MOODS, MOOD_WEIGHTS)[0]
    return replace(
        mood,
        sky_top=vary(rng, mood.sky_top, 0.15),
        sky_low=vary(rng, mood.sky_low, 0.06),
        light=vary(rng, mood.light, 0.1),
        haze_per_m=mood.haze_per_m * rng.uniform(0.7, 1.4),
        clouds=min(1.0, mood.clouds * rng.uniform(0.3, 1.6)),
    )
