"""Batches of labelled images, augmented as the DARTS papers do it: shifted, flipped, and a square cut out.

Letters: B images, C channels, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wholenet.data.labelled import Labelled
from wholenet.data.pixels import normalize
from wholenet.data.stream import Order


def statistics(data: Labelled) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """RGB mean and standard deviation of ``data``, on [0, 1]: what its images are normalised by."""
    counts = [np.bincount(data.images[..., c].ravel(), minlength=256) for c in range(data.images.shape[-1])]
    values = np.arange(256) / 255
    means = [float((count * values).sum() / count.sum()) for count in counts]
    squares = [float((count * values**2).sum() / count.sum()) for count in counts]
    return tuple(means), tuple((s - m**2) ** 0.5 for s, m in zip(squares, means, strict=True))


@dataclass(frozen=True, kw_only=True)
class SmallAugmentation:
    """Random shift, flip and cutout (DARTS' code, for 32 x 32 images)."""

    pad: int = 4
    """Pixels of black around the image, in which the crop is shifted."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    cutout: int = 0
    """Side of the square that is set to the mean, in pixels; its centre is anywhere in the image. 0 is none."""
    cutout_probability: float = 1.0

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [H, W, C] -> uint8 [H, W, C], and bool [H, W], true where the image is left."""
        height, width = image.shape[:2]
        if self.pad:
            padded = np.pad(image, ((self.pad, self.pad), (self.pad, self.pad), (0, 0)))
            y, x = rng.integers(2 * self.pad + 1, size=2)
            image = padded[y : y + height, x : x + width]
        if rng.random() < self.flip:
            image = image[:, ::-1]
        left = np.ones((height, width), bool)
        if self.cutout and rng.random() < self.cutout_probability:
            y, x = (int(rng.integers(side)) for side in (height, width))
            half = self.cutout // 2
            left[max(0, y - half) : y + half, max(0, x - half) : x + half] = False
        return np.ascontiguousarray(image), left


class LabelledStream(Order):
    """Item k is batch k, or this share of it: images float32 [B, C, H, W], normalised, channels_last, and labels int64
    [B].

    Args:
        data: where images come from.
        batch: B.
        augment: what is done to each.
        mean: of the channels, on [0, 1].
        std: likewise.
        order: the rest of :class:`wholenet.data.stream.Order`.
    """

    def __init__(
        self,
        data: Labelled,
        batch: int,
        augment: SmallAugmentation,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        **order: Any,
    ) -> None:
        super().__init__(len(data), batch, **order)
        self.data = data
        self.augment = augment
        self.mean = mean
        self.std = std

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        indices, images = self.indices(k), []
        for place, index in zip(self.places, indices, strict=True):
            image, left = self.augment(self.data.images[index], self.rng(1, k * self.batch + place))
            images.append(normalize(image, self.mean, self.std) * left[..., None])
        # [B, H, W, C] seen as [B, C, H, W] is channels_last already.
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.from_numpy(self.data.labels[indices])
