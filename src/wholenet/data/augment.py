"""Joint augmentation of an image and its mask: random scale, crop, flip, colour jitter, Gaussian noise.

The five of the seed paper (Sec. 4.1); it does not give strengths, so the defaults are those of DeepLab practice. Every
random number comes from the generator that is passed in.

Letters: H x W pixels of the source, h x w of the crop.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from wholenet.data.sample import IGNORE


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random scale, crop, flip, colour jitter and noise, applied in that order."""

    crop: tuple[int, int]
    """(h, w) of what the network is trained on."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the zoom, drawn log-uniformly: below 1 shows more of the scene, padded where it ends."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    jitter: float = 0.4
    """Brightness, contrast and saturation each vary by a factor in [1 - jitter, 1 + jitter]."""
    noise: float = 0.02
    """Standard deviation of the Gaussian noise, on images in [0, 1]."""

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [H, W, 3] and [H, W] -> uint8 [h, w, 3] and [h, w]; padding is mean grey and ``IGNORE``."""
        image, mask = random_scaled_crop(image, mask, self.crop, self.scale, rng)
        if rng.random() < self.flip:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return jitter_and_noise(image, self.jitter, self.noise, rng), np.ascontiguousarray(mask)


def random_scaled_crop(
    image: np.ndarray,
    mask: np.ndarray,
    crop: tuple[int, int],
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """A crop of the rescaled image, made by rescaling only the part of the source that the crop shows."""
    zoom = float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    rows = _window(image.shape[0], crop[0], zoom, rng)
    columns = _window(image.shape[1], crop[1], zoom, rng)
    size = (columns.length, rows.length)
    source = image[rows.start : rows.stop, columns.start : columns.stop]
    labels = mask[rows.start : rows.stop, columns.start : columns.stop]
    # Averaging when shrinking: plain bilinear would alias, and evaluation never sees aliased images.
    source = cv2.resize(source, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    # The exact variant: plain INTER_NEAREST samples half a pixel off, and the labels would lie beside their objects.
    labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    if size == (crop[1], crop[0]):
        return source, labels
    out = np.full((*crop, 3), 127, dtype=np.uint8)
    out_labels = np.full(crop, IGNORE, dtype=np.uint8)
    place = np.s_[rows.offset : rows.offset + rows.length, columns.offset : columns.offset + columns.length]
    out[place], out_labels[place] = source, labels
    return out, out_labels


@dataclass(frozen=True)
class _Span:
    """Along one axis: source pixels start..stop become ``length`` pixels at ``offset`` of the crop."""

    start: int
    stop: int
    length: int
    offset: int


def _window(pixels: int, crop: int, zoom: float, rng: np.random.Generator) -> _Span:
    wanted = max(1, round(crop / zoom))
    if wanted <= pixels:
        start = int(rng.integers(pixels - wanted + 1))
        return _Span(start, start + wanted, crop, 0)
    length = min(crop, max(1, round(pixels * zoom)))
    return _Span(0, pixels, length, int(rng.integers(crop - length + 1)))


def jitter_and_noise(image: np.ndarray, jitter: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and saturation in one affine step per pixel, then noise; uint8 in, uint8 out."""
    if jitter == 0 and noise == 0:
        return np.ascontiguousarray(image)
    brightness, contrast, saturation = rng.uniform(1 - jitter, 1 + jitter, 3).astype(np.float32)
    x = image.astype(np.float32)
    grey = x @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    x *= saturation
    x += (1 - saturation) * grey[..., None]
    x -= grey.mean()
    x *= contrast * brightness
    x += grey.mean() * brightness
    if noise:
        x += rng.standard_normal(x.shape, dtype=np.float32) * (255 * noise)
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)
