"""An image under its mask, for people: the classes in colour, their outlines, and a legend of those that occur.

Letters: H x W pixels, of the whole picture h x w.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wholenet.data.pictures import colorize, drawing_colors, overlay
from wholenet.data.sample import IGNORE, Classes
from wholenet.tasks.boundary import boundary

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""Comes with matplotlib, and has the letters of many languages, which Pillow's own font has not."""
LINE_PER = 700
"""Pixels of the image's shorter side for each pixel of an outline, at least one."""
INK, PAPER = (31, 41, 51), (255, 255, 255)


def outlined(image: np.ndarray, mask: np.ndarray, classes: Classes, opacity: float = 0.5) -> np.ndarray:
    """The image, uint8 [H, W, 3], under its coloured mask [H, W], uint8 [H, W, 3], and the outline of each class in its
    full colour. Ignored pixels show the bare image.

    Raises:
        ValueError: if the sizes differ or ``opacity`` is not in [0, 1].
    """
    picture = overlay(image, mask, classes, opacity)
    edge = boundary(mask)
    if (thickness := min(mask.shape) // LINE_PER) > 0:
        edge = cv2.dilate(edge.astype(np.uint8), np.ones((2 * thickness + 1,) * 2, np.uint8)) > 0
    edge &= mask != IGNORE
    picture[edge] = colorize(mask, classes)[edge]
    return picture


def with_legend(picture: np.ndarray, mask: np.ndarray, classes: Classes) -> np.ndarray:
    """The picture, uint8 [H, W, 3], and below it the names and colours of the classes in ``mask``, uint8 [h, w, 3]. It
    is only wider than the picture where a name would not fit."""
    height, width = picture.shape[:2]
    size = min(max(width // 50, 11), 28)
    font, gap = ImageFont.truetype(str(FONT), size), size // 2
    shown = [k for k in np.unique(mask).tolist() if k < len(classes)]
    entry = max((int(font.getlength(classes.names[k])) for k in shown), default=0) + size + 3 * gap
    columns = max(1, (width - gap) // entry)
    rows = -(-len(shown) // columns)
    whole = Image.new("RGB", (max(width, entry + gap), height + rows * (size + gap) + gap), PAPER)
    whole.paste(Image.fromarray(picture))
    draw, colors = ImageDraw.Draw(whole), drawing_colors(classes)
    for place, k in enumerate(shown):
        x, y = gap + place % columns * entry, height + gap + place // columns * (size + gap)
        draw.rectangle((x, y, x + size - 1, y + size - 1), fill=colors[k])
        draw.text((x + size + gap, y + size // 2), classes.names[k], fill=INK, font=font, anchor="lm")
    return np.asarray(whole)
