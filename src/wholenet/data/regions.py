"""Areas of an image that annotations outline, as the pixels that they cover.

One rule for all: a pixel belongs to an area if its centre lies inside. Pixel (row r, column c) has its centre at
x = c + 0.5, y = r + 0.5, so the rectangle from (1, 1) to (3, 4) covers two columns and three rows; centres on a left or
upper edge count, on a right or lower edge not, so areas that share an edge neither overlap nor leave a gap.

Letters: H x W pixels of the image, N points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


class Window(NamedTuple):
    """Part of an image, with the pixels of it that an area covers."""

    top: int
    left: int
    inside: np.ndarray
    """bool [h, w]."""


class Region(Protocol):
    """An area of an image."""

    def fill(self, height: int, width: int) -> Window:
        """The pixels of an image [H, W] that it covers."""
        ...


@dataclass(frozen=True, eq=False)
class Polygon:
    """One or more closed outlines, whose areas are joined.

    Within one outline the even-odd rule holds: where it crosses itself, or reaches a hole by a bridge and comes back on
    it, the hole stays empty.
    """

    parts: tuple[np.ndarray, ...]
    """float64 [N, 2] each: x, y."""
    relative: bool = False
    """Whether coordinates are shares of width and height instead of pixels."""

    def fill(self, height: int, width: int) -> Window:
        """What its outlines have inside."""
        scale = np.array([width, height], np.float64)
        windows = [_fill_outline(part * scale if self.relative else part, height, width) for part in self.parts]
        return _joined(windows)


@dataclass(frozen=True, eq=False)
class Runs:
    """Run lengths: so many pixels outside, so many inside, and so on, down the columns from left to right."""

    counts: np.ndarray
    """int64, of sum H W."""

    def fill(self, height: int, width: int) -> Window:
        """The runs that are inside; H W pixels."""
        inside = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        return Window(0, 0, inside.reshape(width, height).T)


@dataclass(frozen=True, eq=False)
class Tile:
    """Pixels themselves, that begin at a row and a column."""

    window: Window

    def fill(self, height: int, width: int) -> Window:
        """Those of its pixels that are in the image."""
        top, left, inside = self.window
        above, before = max(0, -top), max(0, -left)
        cut = inside[above : max(height - top, 0), before : max(width - left, 0)]
        return Window(max(top, 0), max(left, 0), cut)


@dataclass(frozen=True)
class Disc:
    """A circle and what is in it; centres on the circle count."""

    x: float
    y: float
    radius: float

    def fill(self, height: int, width: int) -> Window:
        """The centres no further from its own than its radius."""
        top, bottom = _centres(self.y - self.radius, self.y + self.radius, height)
        left, right = _centres(self.x - self.radius, self.x + self.radius, width)
        rows = (np.arange(top, bottom) + 0.5 - self.y) ** 2
        columns = (np.arange(left, right) + 0.5 - self.x) ** 2
        return Window(top, left, rows[:, None] + columns <= self.radius**2)


def _centres(low: float, high: float, count: int) -> tuple[int, int]:
    """The first pixel whose centre is not before ``low``, and the one after the last not behind ``high``."""
    first = int(np.clip(np.ceil(low - 0.5), 0, count))
    return first, int(np.clip(np.floor(high - 0.5) + 1, first, count))


def _fill_outline(points: np.ndarray, height: int, width: int) -> Window:
    """A pixel is inside if an odd number of crossings of its row of centres with the outline lie to its left."""
    ends = np.roll(points, -1, axis=0)
    downward = (points[:, 1] <= ends[:, 1])[:, None]
    upper, lower = np.where(downward, points, ends), np.where(downward, ends, points)  # one edge, whoever draws it
    first = np.clip(np.ceil(upper[:, 1] - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(lower[:, 1] - 0.5), 0, height).astype(np.int64)
    counts = last - first
    edges = np.repeat(np.arange(len(points)), counts)
    rows = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edges]
    (x, y), (dx, dy) = upper[edges].T, (lower - upper)[edges].T
    columns = np.clip(np.ceil(x + (rows + 0.5 - y) * dx / dy - 0.5), 0, width).astype(np.int64)
    if not len(rows):
        return Window(0, 0, np.zeros((0, 0), bool))
    top, left = int(rows.min()), int(columns.min())
    h, w = int(rows.max()) + 1 - top, int(columns.max()) - left
    crossings = np.bincount((rows - top) * (w + 1) + columns - left, minlength=h * (w + 1)).reshape(h, w + 1)
    return Window(top, left, np.cumsum(crossings, axis=1)[:, :w] % 2 == 1)


def _joined(windows: Sequence[Window]) -> Window:
    if len(windows) == 1:
        return windows[0]
    top, left = min(w.top for w in windows), min(w.left for w in windows)
    bottom = max(w.top + w.inside.shape[0] for w in windows)
    right = max(w.left + w.inside.shape[1] for w in windows)
    inside = np.zeros((bottom - top, right - left), bool)
    for window in windows:
        put(inside, window._replace(top=window.top - top, left=window.left - left), True)
    return Window(top, left, inside)


def put(canvas: np.ndarray, window: Window, value: int | bool) -> None:
    """Give ``value`` to the pixels of ``canvas`` [H, W] that the window covers."""
    h, w = window.inside.shape
    canvas[window.top : window.top + h, window.left : window.left + w][window.inside] = value


def runs_of_text(text: str) -> list[int]:
    """The run lengths that COCO writes as text: from the third on each as the difference to the one two before, in
    groups of five bits, the lowest first, as characters from "0" on.

    Raises:
        ValueError: if it is no such text.

    >>> runs_of_text(";320009")
    [11, 3, 2, 3, 2, 3, 11]
    """
    found: list[int] = []
    value = bits = 0
    for char in text:
        group = ord(char) - 48
        if not 0 <= group < 64 or bits > 60:
            raise ValueError("no run lengths as COCO writes them")
        value |= (group & 31) << bits
        bits += 5
        if group & 32:
            continue
        value -= (group >> 4 & 1) << bits  # the highest bit is the sign
        found.append(value + found[-2] if len(found) > 2 else value)
        value = bits = 0
    if bits:
        raise ValueError("run lengths that end within a number")
    return found
