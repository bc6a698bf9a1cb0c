"""Batches whose augmentation runs on the device: workers decode and cut, bytes travel, the rest is a few large kernels.

The same random numbers as on the host (:class:`wholenet.data.augment.Augmentation`), the noise apart; the same masks
but for ties, the same images but for the filter that shrinks them. Turns and elastic deformation mix
the two axes, and are left to the host.

Letters: B images, h x w pixels of the crop, H x W of the largest window that a batch shows of its sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wholenet.data.augment import GREY, LUMA, Augmentation, Span
from wholenet.data.host_moves import HOST_MOVES, needs_host
from wholenet.data.pixels import MEAN, MIDDLE, SPREAD, STD
from wholenet.data.sample import IGNORE
from wholenet.data.stream import BatchStream
from wholenet.ops.forms import total


class RawBatch(NamedTuple):
    """What travels to the device."""

    images: Tensor
    """[B, H, W, C], uint8 of photographs, else float32 on their scale (``Pixels.augmentable``); a smaller window lies
    in the upper left corner."""
    masks: Tensor
    """uint8 [B, H, W]."""
    spans: Tensor
    """int64 [B, 2, 3]: for rows and columns, the window's pixels, and length and offset of what becomes of them."""
    colours: Tensor
    """float32 [B, 3]: brightness, contrast, saturation."""
    flips: Tensor
    """bool [B, 2]: up-down, left-right."""
    seed: Tensor
    """int64 scalar: of the noise."""

    def to(self, device: torch.device) -> RawBatch:
        """With images and masks on ``device``; the copy may go on while this returns."""
        images, masks = (part.to(device, non_blocking=True) for part in self[:2])
        return self._replace(images=images, masks=masks)


class RawStream(BatchStream):
    """:class:`BatchStream` before its augmentation: item k is a :class:`RawBatch` that :func:`augmented` makes batch k
    of.

    Raises of its items:
        ValueError: for an augmentation that the host alone does.
    """

    augment: Augmentation

    def __getitem__(self, k: int) -> RawBatch:  # pyright: ignore[reportIncompatibleMethodOverride]
        if needs_host(self.augment):
            raise ValueError(f"{', '.join(HOST_MOVES)} are done on the host; use BatchStream")
        windows, drawn, seeds = [], [], []
        for place, index in zip(self.places, self.indices(k), strict=True):
            sample = self.data[index]
            rng = self.rng(1, k * self.batch + place)
            drawn.append(self.augment.draw(sample.mask.shape, rng))
            window = self.augment.pixels.augmentable(sample.image[drawn[-1].window])
            windows.append((window, sample.mask[drawn[-1].window]))
            seeds.append(rng.integers(2**62))
        height, width = (max(mask.shape[axis] for _, mask in windows) for axis in (0, 1))
        images = np.zeros((len(self.places), height, width, windows[0][0].shape[2]), windows[0][0].dtype)
        masks = np.zeros((len(self.places), height, width), np.uint8)
        for i, (image, mask) in enumerate(windows):
            images[i, : mask.shape[0], : mask.shape[1]] = image
            masks[i, : mask.shape[0], : mask.shape[1]] = mask
        return RawBatch(
            torch.from_numpy(images),
            torch.from_numpy(masks),
            torch.tensor([[_numbers(d.rows), _numbers(d.columns)] for d in drawn]),
            torch.tensor([[d.brightness, d.contrast, d.saturation] for d in drawn], dtype=torch.float32),
            torch.tensor([[d.flip_vertical, d.flip] for d in drawn]),
            torch.tensor(seeds[0]),
        )


def _numbers(span: Span) -> tuple[int, int, int]:
    return span.stop - span.start, span.length, span.offset


@torch.no_grad()
def augmented(raw: RawBatch, augmentation: Augmentation) -> tuple[Tensor, Tensor]:
    """Images float32 [B, C, h, w], normalised, channels_last, and masks int64 [B, h, w], where those of ``raw`` are.

    On a GPU nothing here waits for it: what is worked out on the CPU are positions along one axis at a time.
    """
    device = raw.images.device
    rows = _positions(raw.spans[:, 0], augmentation.crop[0], raw.flips[:, 0])
    columns = _positions(raw.spans[:, 1], augmentation.crop[1], raw.flips[:, 1])
    inside = _sent(rows.inside, device)[:, :, None] & _sent(columns.inside, device)[:, None, :]
    batch = torch.arange(len(raw.images), device=device)[:, None, None]
    masks = raw.masks[batch, _sent(rows.nearest, device)[:, :, None], _sent(columns.nearest, device)[:, None, :]].long()
    images = _resampled(raw.images.permute(0, 3, 1, 2).float(), rows, columns)
    images = torch.where(inside[:, None], images, GREY)
    if augmentation.changes_colour:
        recoloured = _recoloured if augmentation.pixels.photo else _brightened
        images = recoloured(images, _sent(raw.colours, device), augmentation.noise, int(raw.seed))
    if augmentation.pixels.photo:
        mean, std = _constant(MEAN, device), _constant(STD, device)
        images = (images / 255 - mean) / std
    else:
        images = (images - MIDDLE) / SPREAD
    return images.contiguous(memory_format=torch.channels_last), masks.where(inside, IGNORE)


def _sent(x: Tensor, device: torch.device) -> Tensor:
    return x.to(device, non_blocking=True)


@lru_cache(maxsize=16)
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """[C, 1, 1]; kept, because making it would wait for the device."""
    return torch.tensor(values, device=device)[:, None, None]


class _Positions(NamedTuple):
    """Along one axis, where the pixels of the crop come from: [B, pixels] each."""

    centre: Tensor
    """In pixels of the source, 0 at the centre of the first."""
    step: Tensor
    """Source pixels per pixel of the crop [B, 1]."""
    last: Tensor
    """Largest position in the window [B, 1]."""
    nearest: Tensor
    inside: Tensor


def _positions(spans: Tensor, crop: int, flips: Tensor) -> _Positions:
    window, length, offset = (spans[:, i : i + 1].double() for i in range(3))
    place = torch.arange(crop).double().expand(len(spans), -1)
    place = torch.where(flips[:, None], crop - 1 - place, place) - offset
    centre = (place + 0.5) * window / length
    nearest = centre.floor().clamp(min=0).minimum(window - 1).long()
    return _Positions(centre - 0.5, window / length, window - 1, nearest, (place >= 0) & (place < length))


def _resampled(images: Tensor, rows: _Positions, columns: _Positions) -> Tensor:
    """Bilinear; where an image shrinks, the mean of 2 x 2 samples in each pixel, so that nothing is skipped over."""
    shrinks = (rows.step > 1) | (columns.step > 1)
    apart = torch.where(shrinks, 0.25, 0.0)
    sides = (-1, 1) if shrinks.any() else (0,)
    samples = [_sampled(images, _at(rows, up * apart), _at(columns, left * apart)) for up in sides for left in sides]
    return total(samples) / len(samples)


def _at(positions: _Positions, shift: Tensor) -> Tensor:
    return (positions.centre + shift * positions.step).clamp(min=0).minimum(positions.last)


def _sampled(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    y = _sent((2 * rows / max(1, height - 1) - 1).float(), images.device)[:, :, None]
    x = _sent((2 * columns / max(1, width - 1) - 1).float(), images.device)[:, None, :]
    grid = torch.stack(torch.broadcast_tensors(x, y), dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _recoloured(images: Tensor, colours: Tensor, noise: float, seed: int) -> Tensor:
    brightness, contrast, saturation = (colours[:, i, None, None, None] for i in range(3))
    grey = (images * _constant(LUMA, images.device)).sum(1, keepdim=True)
    mean = grey.mean((2, 3), keepdim=True)
    images = (images * saturation + (1 - saturation) * grey - mean) * (contrast * brightness) + mean * brightness
    return _noisy(images, noise, seed).clamp(0, 255)


def _brightened(images: Tensor, colours: Tensor, noise: float, seed: int) -> Tensor:
    """Of measured images: all channels by one brightness and one contrast, without saturation."""
    brightness, contrast = (colours[:, i, None, None, None] for i in range(2))
    mean = images.mean((1, 2, 3), keepdim=True)
    return _noisy((images - mean) * (contrast * brightness) + mean * brightness, noise, seed)


def _noisy(images: Tensor, noise: float, seed: int) -> Tensor:
    if not noise:
        return images
    generator = torch.Generator(images.device).manual_seed(seed)
    return images + 255 * noise * torch.randn(images.shape, generator=generator, device=images.device)


def ahead(raw: Iterator[RawBatch], augmentation: Augmentation, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches on ``device``; on a GPU the next one is copied and augmented while the one before is being used."""
    if device.type != "cuda":
        for item in raw:
            yield augmented(item.to(device), augmentation)
        return
    side = torch.cuda.Stream(device)
    waiting = None
    for item in raw:
        with torch.cuda.stream(side):
            following = augmented(item.to(device), augmentation), torch.cuda.Event()
            following[1].record(side)
        if waiting is not None:
            yield _handed_over(*waiting)
        waiting = following
    if waiting is not None:
        yield _handed_over(*waiting)


def _handed_over(batch: tuple[Tensor, Tensor], made: torch.cuda.Event) -> tuple[Tensor, Tensor]:
    """``batch`` for the present stream, which is made to wait until it is there."""
    present = torch.cuda.current_stream(batch[0].device)
    present.wait_event(made)
    for part in batch:
        part.record_stream(present)
    return batch
