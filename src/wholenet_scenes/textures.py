"""Noise and texture sheets: the same few in every scene and process, made at first use from a fixed seed."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

SHEET_PX_PER_M = 24


def fractal(seed: int, height: int, width: int, coarsest: int = 4, octaves: int = 6) -> np.ndarray:
    """Noise with as much going on at every scale: float32 [height, width], mean 0, deviation 1."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cells = coarsest << octave
        small = rng.standard_normal((cells, cells * width // height + 1)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return (total - total.mean()) / total.std()


@lru_cache(maxsize=64)
def sheet(kind: str, strength: float) -> np.ndarray:
    """A texture as a multiplier, uint8 with 128 as neutral: brick, plaster, panel, tiles, cobbles or asphalt."""
    height, width = 24 * SHEET_PX_PER_M, 20 * SHEET_PX_PER_M
    seed = sum(kind.encode())
    rng = np.random.default_rng(seed)
    relief = 0.35 * fractal(seed, height, width)
    brick = {"brick": (7, 16), "cobbles": (8, 10), "tiles": (26, 26), "panel": (72, 84)}.get(kind)
    if brick is not None:
        rows, columns = np.arange(height) // brick[0], np.arange(width)
        shift = (rows % 2) * (brick[1] // 2) if kind in ("brick", "cobbles") else rows * 0
        cells = (columns[None, :] + shift[:, None]) // brick[1]
        relief += 0.55 * rng.standard_normal((height, width)).astype(np.float32)[rows[:, None], cells]
        joint = ((columns[None, :] + shift[:, None]) % brick[1] == 0) | (np.arange(height) % brick[0] == 0)[:, None]
        relief -= 1.6 * joint
    if kind == "asphalt":
        relief += 0.8 * cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (3, 3), 0)
    return np.clip(128 * (1 + strength * relief), 0, 255).astype(np.uint8)
