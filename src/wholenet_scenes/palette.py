"""Colours shared by several kinds of things: albedos, RGB 0..255 in white light."""

from __future__ import annotations

from random import Random

RGB = tuple[float, float, float]

PAINT = (
    (178, 180, 184), (120, 122, 126), (62, 64, 68), (28, 29, 32), (228, 228, 226), (150, 28, 30), (32, 62, 120),
    (92, 130, 168), (40, 84, 62), (196, 160, 60), (120, 84, 58), (205, 96, 34), (150, 152, 150), (88, 92, 98),
)  # fmt: skip
CLOTHES = (
    (34, 36, 44), (60, 62, 70), (40, 56, 96), (150, 40, 44), (210, 206, 198), (96, 104, 84), (196, 150, 52),
    (70, 110, 130), (128, 116, 100), (176, 84, 100), (24, 84, 74), (226, 120, 44), (92, 64, 110), (186, 190, 196),
)  # fmt: skip
SKIN = ((236, 196, 168), (214, 164, 130), (172, 120, 88), (120, 80, 58), (84, 56, 42))
HAIR = ((36, 26, 20), (80, 54, 34), (22, 22, 24), (168, 128, 78), (150, 148, 144))
WARM = (255, 206, 130)


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """The colour ``share`` of the way from a to b."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def vary(rng: Random, color: RGB, amount: float = 0.12) -> RGB:
    """The colour a little brighter or darker, and a little warmer or colder."""
    gain, warm = 1 + rng.uniform(-amount, amount), rng.uniform(-amount, amount) / 3
    return (color[0] * gain * (1 + warm), color[1] * gain, color[2] * gain * (1 - warm))
