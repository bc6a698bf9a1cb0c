"""Joint augmentation of a pair and its truth, which stays true: crop, scales, flips, colours, noise.

Rows of a rectified pair match rows, and nothing here changes that: both eyes are cut and scaled alike, and neither is
turned or moved up or down by itself, since no disparity along the row could say so. Where the width is scaled,
disparities are. A pair that is flipped left to right alone would have negative disparities; where the truth of the
right eye is known, the eyes change places as well, and where it is not, there is no such flip. The height may be
flipped by itself.

One number makes all of it stronger or weaker: it multiplies the width of every range that is drawn from, as the factor
does by which RobustDARTS (Zela et al., ICLR 2020) varies the augmentation of disparity. Colours differ a little between
the eyes, as those of two cameras do. Every random number comes from the generator that is passed in, as many at every
strength but for the noise.

Letters: H x W pixels of the source, h x w of the crop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from wholenet.data.augment import GREY, Span
from wholenet.data.stereo.sample import StereoSample

MOST_STRENGTH = 2.0
SURFACE = 1.0
"""Pixels by which disparities around a point differ at most on one surface: between them it is interpolated, and
elsewhere taken from the nearest pixel, so that nothing floats between two surfaces."""
Kind = TypeVar("Kind", np.uint8, np.float32, np.bool_)


@dataclass(frozen=True, kw_only=True)
class StereoAugmentation:
    """What may become of a pair. Factors are e to a number that is uniform in plus and minus ``strength`` times what
    is given here."""

    crop: tuple[int, int]
    """(h, w) of what the network is trained on; a pair that is smaller is padded, with truth that is not known."""
    strength: float = 1.0
    """From 0, which is a random crop and nothing else, to 2."""
    zoom: float = 0.25
    """Of a factor on height and width: above 1 shows less of the scene."""
    stretch: float = 0.1
    """Of a factor on the width alone."""
    flip: float = 0.5
    """Probability of an up-down flip at strength 1 and above; below, in proportion."""
    swap: float = 0.5
    """Likewise, of a left-right flip by which the eyes change places, where the right eye's truth is known."""
    brightness: float = 0.2
    """Of a factor on all values."""
    contrast: float = 0.2
    """Of a factor on what differs from the mean of the left image."""
    gamma: float = 0.2
    """Of an exponent, for values in [0, 1]."""
    channels: float = 0.1
    """Of a factor on each of red, green and blue."""
    right_eye: float = 0.25
    """The right image's colours vary on their own too, by this share of what both vary by."""
    noise: float = 0.02
    """Largest standard deviation of the Gaussian noise at strength 1, for values in [0, 1]; each eye has its own."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= MOST_STRENGTH:
            raise ValueError(f"augmentation strength {self.strength}: expected a number from 0 to {MOST_STRENGTH:g}")

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> DrawnPair:
        """What becomes of one pair of ``shape`` = (H, W), all but the noise."""
        k = self.strength
        zoom, stretch = k * rng.uniform(-1, 1, 2) * (self.zoom, self.stretch)
        down, along, flip, swap, noise = rng.random(5)
        spread = np.array([self.gamma, self.brightness, self.contrast, *[self.channels] * 3])
        both, right = k * rng.uniform(-1, 1, (2, len(spread))) * spread
        return DrawnPair(
            zoom=float(zoom),
            stretch=float(stretch),
            rows=_span(shape[0], self.crop[0], float(np.exp(zoom)), down),
            columns=_span(shape[1], self.crop[1], float(np.exp(zoom + stretch)), along),
            flip=bool(flip < self.flip * min(k, 1.0)),
            swap=bool(swap < self.swap * min(k, 1.0)),
            left_look=both,
            right_look=both + self.right_eye * right,
            noise=float(k * noise * self.noise),
        )

    def __call__(self, sample: StereoSample, rng: np.random.Generator) -> StereoSample:
        """A pair of h x w pixels with the truth of its left eye. What the right image no longer shows, because it lies
        beside the crop, counts as not visible.

        Raises:
            ValueError: for a pair whose images or truth differ in size.
        """
        shape = sample.disparity.shape
        if sample.left.shape[:2] != shape or sample.right.shape[:2] != shape:
            sizes = ", ".join(str(of.shape[:2]) for of in (sample.left, sample.right, sample.disparity))
            raise ValueError(f"left, right and disparity are of {sizes} pixels; all three must have one size")
        drawn = self.draw((shape[0], shape[1]), rng)
        if drawn.swap and sample.right_disparity is not None:
            sample = swapped(sample)
        found = _cropped(sample, self.crop, drawn)
        if drawn.flip:
            found = _turned(found)
        if self.strength == 0:
            return found
        left, right = _recolored(found.left, found.right, drawn, rng)
        return replace(found, left=left, right=right)


@dataclass(frozen=True, kw_only=True)
class DrawnPair:
    """The random numbers of one pair's augmentation."""

    zoom: float
    """Logarithm of the factor on height and width; crops are of whole pixels, so that what is done may differ by half
    a pixel of the source."""
    stretch: float
    """Of the factor on the width alone."""
    rows: Span
    columns: Span
    flip: bool
    swap: bool
    left_look: NDArray[np.float64]
    """Logarithms: of gamma, brightness and contrast, and of the factors on red, green and blue."""
    right_look: NDArray[np.float64]
    noise: float
    """Standard deviation, for values in [0, 1]."""

    @property
    def wider(self) -> float:
        """What the width is multiplied by, exactly."""
        return self.columns.length / (self.columns.stop - self.columns.start)


def swapped(sample: StereoSample) -> StereoSample:
    """The pair in a mirror: the eyes change places, and all is flipped left to right. Disparities stay positive.

    Raises:
        ValueError: where the right eye's disparity is not known.
    """
    if sample.right_disparity is None:
        raise ValueError("eyes cannot change places without right_disparity, the truth of the right image")
    return StereoSample(
        left=_mirrored(sample.right),
        right=_mirrored(sample.left),
        disparity=_mirrored(sample.right_disparity),
        visible=None if sample.right_visible is None else _mirrored(sample.right_visible),
        right_disparity=_mirrored(sample.disparity),
        right_visible=None if sample.visible is None else _mirrored(sample.visible),
    )


def _mirrored(image: NDArray[Kind]) -> NDArray[Kind]:
    return np.ascontiguousarray(image[:, ::-1])


def _turned(sample: StereoSample) -> StereoSample:
    """Upside down, without the right eye's truth."""
    return StereoSample(
        left=np.ascontiguousarray(sample.left[::-1]),
        right=np.ascontiguousarray(sample.right[::-1]),
        disparity=np.ascontiguousarray(sample.disparity[::-1]),
        visible=None if sample.visible is None else np.ascontiguousarray(sample.visible[::-1]),
    )


def _span(pixels: int, crop: int, zoom: float, place: float) -> Span:
    """The part of an axis that becomes the crop, ``place`` of the way from its first to its last possible one."""
    wanted = max(1, round(crop / zoom))
    if wanted <= pixels:
        start = min(int(place * (pixels - wanted + 1)), pixels - wanted)
        return Span(start, start + wanted, crop, 0)
    length = min(crop, max(1, round(pixels * zoom)))
    return Span(0, pixels, length, min(int(place * (crop - length + 1)), crop - length))


def _cropped(sample: StereoSample, crop: tuple[int, int], drawn: DrawnPair) -> StereoSample:
    """The part that is drawn, scaled, with the truth of the left eye."""
    rows, columns = drawn.rows, drawn.columns
    window = np.s_[rows.start : rows.stop, columns.start : columns.stop]
    place = np.s_[rows.offset : rows.offset + rows.length, columns.offset : columns.offset + columns.length]

    def put(part: NDArray[Kind], beside: float) -> NDArray[Kind]:
        whole = np.full((*crop, *part.shape[2:]), beside, part.dtype)
        whole[place] = part
        return whole

    disparity = put(_scaled_truth(sample.disparity[window], drawn), np.nan)
    visible = None
    if sample.visible is not None:
        matches = np.arange(crop[1]) - disparity  # NaN is nowhere
        visible = put(sample.visible[window][_nearest(rows)[:, None], _nearest(columns)], False)
        visible &= matches >= columns.offset
    left, right = (
        put(_scaled(image[window], rows.length, columns.length), GREY) for image in (sample.left, sample.right)
    )
    return StereoSample(left=left, right=right, disparity=disparity, visible=visible)


def _scaled(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """One axis after the other: averaged where it shrinks, interpolated where it grows."""
    for size in ((width, image.shape[0]), (width, height)):
        if size != (image.shape[1], image.shape[0]):
            shrinks = size[0] < image.shape[1] or size[1] < image.shape[0]
            resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            image = np.asarray(resized, np.uint8)
    return image


def _scaled_truth(truth: NDArray[np.float32], drawn: DrawnPair) -> NDArray[np.float32]:
    """Disparities of the scaled window, in its pixels; NaN where the nearest pixel's is not known."""
    rows, columns = drawn.rows, drawn.columns
    if truth.shape == (rows.length, columns.length):
        return truth
    (top, bottom, t), (left, right, s) = _between(rows), _between(columns)
    corners = [truth[y[:, None], x] for y in (top, bottom) for x in (left, right)]
    spread = np.maximum.reduce(corners) - np.minimum.reduce(corners)  # NaN if one of them is
    above, below = (one * (1 - s) + other * s for one, other in (corners[:2], corners[2:]))
    between = above * (1 - t[:, None]) + below * t[:, None]
    nearest = truth[_nearest(rows)[:, None], _nearest(columns)]
    return np.where(spread <= SURFACE, between, nearest) * np.float32(drawn.wider)


def _centres(span: Span) -> NDArray[np.float64]:
    """Where the scaled pixels' centres lie in the window, counted from the centre of its first pixel."""
    pixels = span.stop - span.start
    return ((np.arange(span.length) + 0.5) * pixels / span.length - 0.5).clip(0, pixels - 1)


def _nearest(span: Span) -> NDArray[np.intp]:
    return np.floor(_centres(span) + 0.5).astype(np.intp)


def _between(span: Span) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The pixels before and behind each centre, and how much the second one counts."""
    centres = _centres(span)
    before = np.floor(centres).astype(np.intp)
    return before, np.minimum(before + 1, span.stop - span.start - 1), (centres - before).astype(np.float32)


def _recolored(
    left: NDArray[np.uint8], right: NDArray[np.uint8], drawn: DrawnPair, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Gamma, factors, contrast and noise, in this order: all but the last by a table of the 256 values."""
    channels, found = np.arange(3), []
    grey = _look(drawn.left_look)[left, channels].mean()
    for image, look in ((left, drawn.left_look), (right, drawn.right_look)):
        x = ((_look(look) - grey) * np.float32(np.exp(look[2])) + grey)[image, channels]
        if drawn.noise:
            x = x + rng.standard_normal(x.shape, dtype=np.float32) * np.float32(drawn.noise)
        found.append(np.clip(np.rint(x * 255), 0, 255).astype(np.uint8))
    return found[0], found[1]


def _look(look: NDArray[np.float64]) -> NDArray[np.float32]:
    """What gamma and factors make of each value of each channel, [256, 3]."""
    values = (np.arange(256) / 255)[:, None] ** np.exp(look[0])
    return (values * np.exp(look[1] + look[3:])).astype(np.float32)
