"""Joint augmentation of an image and its mask: random scale, crop, flip, colour jitter, Gaussian noise.

The five of the seed paper (Sec. 4.1); it does not give strengths, so the defaults are those of DeepLab practice. Turns,
up-down flips and elastic deformation are ours, and off. Every random number comes from the generator that is passed in;
what is off takes none.

Letters: H x W pixels of the source, h x w of the crop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import IGNORE
from wholenet.data.transforms import Transform
from wholenet.data.warp import POINTS, warped

GREY = 127
"""What lies beside the image."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a pixel's brightness (ITU-R BT.601)."""
MOST_AT_ONCE = 4
"""Channels that OpenCV resizes together, whatever the filter."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random scale, crop, quarter turns, flips, rotation with elastic deformation, own transform, colour jitter
    and noise, applied in that order."""

    crop: tuple[int, int]
    """(h, w) of what the network is trained on."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the zoom, drawn log-uniformly: below 1 shows more of the scene, padded where it ends."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    flip_vertical: float = 0.0
    """Probability of an up-down flip."""
    quarter_turns: bool = False
    """Whether images are turned by 0, 90, 180 or 270 degrees, each as often."""
    rotate: float = 0.0
    """Largest angle, in degrees, of a rotation either way; uniform. What turns in from outside the crop is padding."""
    elastic: float = 0.0
    """Standard deviation, in pixels of the crop, of the displacements on the grid of :mod:`wholenet.data.warp`."""
    transform: Transform | None = None
    """One of somebody's own. It draws from the same random source, after all but the noise."""
    jitter: float = 0.4
    """Brightness, contrast and saturation each vary by a factor in [1 - jitter, 1 + jitter]."""
    noise: float = 0.02
    """Standard deviation of the Gaussian noise, on images in [0, 1]."""
    pixels: Pixels = PHOTO
    """What the images are. Measured ones are changed on a photograph's scale (``Pixels.augmentable``), all channels by
    one brightness and one contrast, without saturation, and never rounded or cut off."""

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Drawn:
        """What becomes of one sample of ``shape`` = (H, W), all but the noise."""
        zoom = float(np.exp(rng.uniform(np.log(self.scale[0]), np.log(self.scale[1]))))
        turns = int(rng.integers(4)) if self.quarter_turns else 0
        crop = _before(self.crop, turns)
        rows = _span(shape[0], crop[0], zoom, rng)
        columns = _span(shape[1], crop[1], zoom, rng)
        flip = bool(rng.random() < self.flip)
        moved: dict[str, Any] = {
            "turns": turns,
            "flip_vertical": bool(self.flip_vertical and rng.random() < self.flip_vertical),
            "angle": float(rng.uniform(-self.rotate, self.rotate)) if self.rotate else 0.0,
            "bend": _bend(self.elastic, rng) if self.elastic else None,
        }
        if not self.changes_colour:
            return Drawn(zoom, rows, columns, flip, **moved)
        brightness, contrast, saturation = rng.uniform(1 - self.jitter, 1 + self.jitter, 3).astype(np.float32)
        return Drawn(zoom, rows, columns, flip, brightness, contrast, saturation, **moved)

    @property
    def changes_colour(self) -> bool:
        """Whether there is jitter or noise at all."""
        return self.jitter != 0 or self.noise != 0

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """[H, W, C] and uint8 [H, W] -> [h, w, C] and [h, w]; padding is mean grey and ``IGNORE``. Photographs stay
        uint8, others become float32 on their scale."""
        drawn = self.draw(image.shape[:2], rng)
        window = self.pixels.augmentable(image[drawn.window])
        image, mask = _scaled_crop(window, mask[drawn.window], _before(self.crop, drawn.turns), drawn)
        image, mask = np.rot90(image, drawn.turns), np.rot90(mask, drawn.turns)
        if drawn.flip:
            image, mask = image[:, ::-1], mask[:, ::-1]
        if drawn.flip_vertical:
            image, mask = image[::-1], mask[::-1]
        if drawn.angle or drawn.bend is not None:
            image, mask = warped(image, mask, GREY, drawn.angle, drawn.bend)
        if self.transform is not None:
            image, mask = self.transform(image, mask, rng)
        if self.changes_colour:
            image = _jitter_and_noise(image, drawn, self.noise, rng)
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)


@dataclass(frozen=True)
class Span:
    """Along one axis: source pixels start..stop become ``length`` pixels at ``offset`` of the crop."""

    start: int
    stop: int
    length: int
    offset: int


@dataclass(frozen=True)
class Drawn:
    """The random numbers of one sample's augmentation."""

    zoom: float
    rows: Span
    columns: Span
    flip: bool
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    turns: int = 0
    """Quarter turns, counter-clockwise."""
    flip_vertical: bool = False
    angle: float = 0.0
    """In degrees, counter-clockwise."""
    bend: np.ndarray | None = None
    """As :func:`wholenet.data.warp.origins` takes it."""

    @property
    def window(self) -> tuple[slice, slice]:
        """The part of the source that the crop shows."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)


def _before(crop: tuple[int, int], turns: int) -> tuple[int, int]:
    """Height and width that so many quarter turns make a ``crop`` of."""
    return (crop[1], crop[0]) if turns % 2 else crop


def _bend(spread: float, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((POINTS, POINTS, 2), dtype=np.float32) * np.float32(spread)


def _span(pixels: int, crop: int, zoom: float, rng: np.random.Generator) -> Span:
    wanted = max(1, round(crop / zoom))
    if wanted <= pixels:
        start = int(rng.integers(pixels - wanted + 1))
        return Span(start, start + wanted, crop, 0)
    length = min(crop, max(1, round(pixels * zoom)))
    return Span(0, pixels, length, int(rng.integers(crop - length + 1)))


def _scaled_crop(
    window: np.ndarray, labels: np.ndarray, crop: tuple[int, int], drawn: Drawn
) -> tuple[np.ndarray, np.ndarray]:
    """A crop of the rescaled image, made by rescaling only the part of the source that the crop shows."""
    rows, columns = drawn.rows, drawn.columns
    size = (columns.length, rows.length)
    # Averaging when shrinking: plain bilinear would alias, and evaluation never sees aliased images.
    how = cv2.INTER_AREA if drawn.zoom < 1 else cv2.INTER_LINEAR
    source = _resized(window, size, how)
    # The exact variant: plain INTER_NEAREST samples half a pixel off, and the labels would lie beside their objects.
    labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    if size == (crop[1], crop[0]):
        return source, labels
    out = np.full((*crop, source.shape[2]), GREY, dtype=source.dtype)
    out_labels = np.full(crop, IGNORE, dtype=np.uint8)
    place = np.s_[rows.offset : rows.offset + rows.length, columns.offset : columns.offset + columns.length]
    out[place], out_labels[place] = source, labels
    return out, out_labels


def _resized(image: np.ndarray, size: tuple[int, int], how: int) -> np.ndarray:
    """To (width, height); OpenCV averages no more than four channels at a time."""
    parts = [
        cv2.resize(image[..., first : first + MOST_AT_ONCE], size, interpolation=how).reshape(size[1], size[0], -1)
        for first in range(0, image.shape[2], MOST_AT_ONCE)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _jitter_and_noise(image: np.ndarray, drawn: Drawn, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and of photographs saturation in one affine step per pixel, then noise.

    uint8, a photograph, stays uint8, and float32 stays float32.
    """
    photo = image.dtype == np.uint8
    x = image.astype(np.float32)
    grey = x @ np.array(LUMA, dtype=np.float32) if photo else x.mean(axis=2)
    if photo:
        x *= drawn.saturation
        x += (1 - drawn.saturation) * grey[..., None]
    x -= grey.mean()
    x *= drawn.contrast * drawn.brightness
    x += grey.mean() * drawn.brightness
    if noise:
        x += rng.standard_normal(x.shape, dtype=np.float32) * (255 * noise)
    return np.clip(np.rint(x), 0, 255).astype(np.uint8) if photo else x
