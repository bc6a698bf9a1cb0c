"""Turning and bending an image together with its mask: pixels are looked up where they come from.

Letters: h x w pixels, C channels.
"""

from __future__ import annotations

import cv2
import numpy as np

from wholenet.data.sample import IGNORE

AT_ONCE = 4
"""Channels that OpenCV looks up together."""
POINTS = 3
"""Displacements are drawn on a grid of so many points by so many (Ronneberger et al., "U-Net", 2015, Sec. 3.1)."""


def origins(shape: tuple[int, int], angle: float, bend: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel comes from: columns and rows, float32 [h, w] each, 0 at the centre of the first.

    Args:
        shape: (h, w).
        angle: in degrees, counter-clockwise, about the centre.
        bend: displacements in pixels, float32 [``POINTS``, ``POINTS``, 2], of columns and rows; bicubic between the
            points, as U-Net has it. None is none.
    """
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    y0, x0 = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    columns = x0 + cos * (x - x0) - sin * (y - y0)
    rows = y0 + sin * (x - x0) + cos * (y - y0)
    if bend is not None:
        moved = cv2.resize(bend, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
        columns, rows = columns + moved[..., 0], rows + moved[..., 1]
    return columns.astype(np.float32), rows.astype(np.float32)


def warped(
    image: np.ndarray, mask: np.ndarray, fill: float, angle: float, bend: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The image [h, w, C], bilinear, and its mask, uint8 [h, w], by the nearest label, turned and bent as
    :func:`origins` says. What comes from outside is ``fill``, in the mask ``IGNORE``."""
    columns, rows = origins(mask.shape, angle, bend)
    parts = [
        cv2.remap(
            np.ascontiguousarray(image[..., first : first + AT_ONCE]),
            columns,
            rows,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill,) * AT_ONCE,
        ).reshape(*mask.shape, -1)
        for first in range(0, image.shape[2], AT_ONCE)
    ]
    labels = cv2.remap(
        np.ascontiguousarray(mask),
        columns,
        rows,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(IGNORE,) * AT_ONCE,
    )
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2), labels
