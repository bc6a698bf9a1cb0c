"""Small pairs of images whose disparity is known by construction, and trees of files of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from wholenet.data.stereo.pfm import pfm_of

HEIGHT, WIDTH = 64, 96


@lru_cache
def scene(number: int, height: int = HEIGHT, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left, right (uint8 RGB) and disparity (float32) of a far wall and a near box, both textured, at whole pixels."""
    random = np.random.default_rng(number)
    far, near = 3 + number % 3, 9 + number % 4
    texture = random.uniform(0, 255, (2, height, width + 40, 3)).astype(np.float32)
    wall, box = (cv2.GaussianBlur(each, (0, 0), 1.2) for each in texture)
    wall, box = (np.clip((each - 127) * 4 + 127, 0, 255).astype(np.uint8) for each in (wall, box))
    left, right = wall[:, 20 : 20 + width].copy(), wall[:, 20 + far : 20 + far + width].copy()
    disparity = np.full((height, width), far, np.float32)
    rows, columns = slice(height // 4, 3 * height // 4), slice(width // 3, 3 * width // 4)
    left[rows, columns] = box[rows, columns]
    right[rows, columns.start - near : columns.stop - near] = box[rows, columns]
    disparity[rows, columns] = near
    return left, right, disparity


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def write_pfm(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pfm_of(values.astype(np.float32)))


def write_pair(root: Path, left: str, right: str, truth: str, number: int) -> None:
    """One pair, at these paths below ``root``; the truth as PFM, or as a 16-bit PNG."""
    images = scene(number)
    write_image(root / left, images[0])
    write_image(root / right, images[1])
    if truth.endswith(".pfm"):
        write_pfm(root / truth, images[2])
    else:
        write_image(root / truth, (images[2] * 256).astype(np.uint16))


def good_pairs(root: Path) -> None:
    """left, right and disparity, with four pairs of train and two of val."""
    for split, numbers in (("train", range(4)), ("val", range(4, 6))):
        for n in numbers:
            write_pair(root, f"left/{split}/p{n}.png", f"right/{split}/p{n}.png", f"disparity/{split}/p{n}.pfm", n)
