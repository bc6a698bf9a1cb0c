"""The data set ``planes``: textured polygons that hang in space, seen by two eyes, with their disparity; nothing to
download. It is to flying things what ``scenes`` is to streets.

A plane has a disparity d = a + b u + c v over the left image, and a texture T(u, v). The left eye sees T(u, v) at
(u, v), the right eye sees it at (u - d, v), so that x of the right image shows u = (x + a + c v) / (1 - b). Where
planes overlap, each eye sees the one of the largest disparity, which is the nearest. All of it is computed at the very
points, none is rasterised before: the truth is exact, and so is what an eye does not see. After the flying things of
Mayer et al., "A Large Dataset to Train Convolutional Networks for Disparity" (CVPR 2016), in the flat.

Letters: H, W height and width in pixels; K planes, of which the first is the background; u, x columns of the left and
the right image, v rows, all counted from the centre of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wholenet.data.sets import DataSet
from wholenet.data.stereo.sample import StereoSample, StereoSource
from wholenet.plugins import register

Split = Literal["train", "val", "test"]
SPLIT_SIZES: dict[str, int] = {"train": 400, "val": 64, "test": 100}
SPLIT_STRIDE = 1_000_000
"""Each split draws from its own range of this many indices: that is what keeps the splits apart."""
HEIGHT, WIDTH, MAX_DISPARITY = 64, 128, 22.0
FEWEST, MOST = 4, 8
"""Polygons of a pair."""
CORNERS = 7
"""At most, of a polygon; 3 at least."""
SLOPE = 0.15
"""At most, of a disparity, in pixels per pixel: what an eye sees of a plane is narrower or wider by as much."""
LATTICE, SPACINGS = 16, (3.0, 6.0, 12.0, 24.0)
"""Of the noise that textures are: values a side, after which they recur, and pixels between them at each scale."""
Grid = NDArray[np.float64]


@dataclass(frozen=True)
class Planes:
    """A pair before it is seen."""

    law: Grid
    """(a, b, c) of each plane, [K, 3]."""
    outlines: tuple[Grid | None, ...]
    """Corners (u, v) of each polygon, [corners, 2]; None of the background, which has no end."""
    lattices: Grid
    """What the textures are made of, in grey levels, [K, scales, LATTICE, LATTICE, 3]."""
    colors: Grid
    """Their mean, [K, 3]."""


@dataclass(frozen=True)
class Seen:
    """What an eye sees at some points [H, W]."""

    plane: NDArray[np.intp]
    """Which one."""
    u: Grid
    """Where on it, as a column of the left image."""
    disparity: Grid


def draw_planes(
    seed: int, index: int, height: int = HEIGHT, width: int = WIDTH, max_disparity: float = MAX_DISPARITY
) -> StereoSample:
    """One pair: the same bits for the same arguments, in any order, process and number of threads.

    Args:
        seed: which world; pairs of different seeds have nothing in common.
        index: which pair of it.
        height, width: in pixels.
        max_disparity: no point has more, in pixels; none has less than 0.

    Returns:
        The pair with the truth of both eyes, known everywhere.

    Raises:
        ValueError: for a size below 8 pixels, or a disparity that is not above 0 and below the width.

    >>> pair = draw_planes(seed=0, index=3, height=32, width=48, max_disparity=10)
    >>> pair.left.shape, pair.disparity.shape, bool(pair.disparity.max() <= 10)
    ((32, 48, 3), (32, 48), True)
    """
    if min(height, width) < 8 or not 0 < max_disparity < width:
        raise ValueError(
            f"planes of {height} x {width} pixels with disparities to {max_disparity}: expected at least 8 x 8 pixels, "
            "and a largest disparity above 0 and below the width"
        )
    rng = np.random.default_rng([seed, index])
    return see(made(rng, height, width, max_disparity), height, width)


def made(rng: np.random.Generator, height: int, width: int, max_disparity: float) -> Planes:
    """Draw the planes of a pair."""
    count = 1 + int(rng.integers(FEWEST, MOST + 1))
    # The right eye sees the background further to the right than the left image goes.
    frame = np.array([[u, v] for u in (0.0, width - 1.0 + max_disparity) for v in (0.0, height - 1.0)])
    laws = [_law(rng, frame, max_disparity * rng.uniform(0.1, 0.25), max_disparity)]
    outlines: list[Grid | None] = [None]
    for _ in range(count - 1):
        outline = _outline(rng, height, width)
        laws.append(_law(rng, outline, max_disparity * rng.uniform(0.15, 0.95), max_disparity))
        outlines.append(outline)
    lattices = rng.standard_normal((count, len(SPACINGS), LATTICE, LATTICE, 3))
    grey = rng.uniform(0.5, 0.9, (count, 1, 1, 1, 1))  # of what differs, what all channels share
    lattices = grey * lattices[..., :1] + (1 - grey) * lattices
    lattices *= rng.uniform(10, 45, (count, 1, 1, 1, 1))
    return Planes(np.array(laws), tuple(outlines), lattices, rng.uniform(50, 205, (count, 3)))


def see(planes: Planes, height: int, width: int) -> StereoSample:
    """Look at planes with both eyes."""
    columns = np.broadcast_to(np.arange(width, dtype=np.float64), (height, width))
    left, right = by_left(planes, columns), by_right(planes, columns)
    # An eye sees a point of the other one's if, where that would be, it sees the same plane.
    x, u = columns - left.disparity, columns + right.disparity
    visible = (by_right(planes, x).plane == left.plane) & (x >= 0)
    right_visible = (by_left(planes, u).plane == right.plane) & (u <= width - 1)
    return StereoSample(
        left=_painted(planes, left),
        right=_painted(planes, right),
        disparity=_rounded(left.disparity),
        visible=visible,
        right_disparity=_rounded(right.disparity),
        right_visible=right_visible,
    )


def _rounded(disparity: Grid) -> NDArray[np.float32]:
    """As float32; a corner at 0 may have come out 1e-16 below it."""
    return disparity.clip(0).astype(np.float32)


def by_left(planes: Planes, u: Grid) -> Seen:
    """What the left eye sees at columns ``u`` [H, W] of the rows 0..H-1."""
    rows = np.arange(len(u), dtype=np.float64)[:, None]
    a, b, c = planes.law.T[:, :, None, None]
    return _nearest(planes, np.broadcast_to(u, (len(a), *u.shape)), a + b * u + c * rows)


def by_right(planes: Planes, x: Grid) -> Seen:
    """What the right eye sees at columns ``x`` [H, W]."""
    rows = np.arange(len(x), dtype=np.float64)[:, None]
    a, b, c = planes.law.T[:, :, None, None]
    u = (x + a + c * rows) / (1 - b)
    return _nearest(planes, u, u - x)


def _nearest(planes: Planes, u: Grid, disparity: Grid) -> Seen:
    """Of planes that would be seen at columns ``u`` [K, H, W], the one in front at each point."""
    there = disparity.copy()
    for k, outline in enumerate(planes.outlines):
        if outline is not None:
            there[k][~_inside(outline, u[k])] = -np.inf
    plane = there.argmax(0)
    return Seen(plane, *(np.take_along_axis(of, plane[None], 0)[0] for of in (u, disparity)))


def _inside(outline: Grid, u: Grid) -> NDArray[np.bool_]:
    """Whether points [H, W] of the rows 0..H-1 lie in a polygon: as many sides as are odd lie to their right."""
    rows = np.arange(len(u), dtype=np.float64)
    found = np.zeros(u.shape, bool)
    for (u0, v0), (u1, v1) in zip(outline, np.roll(outline, -1, 0), strict=True):
        crossed = np.flatnonzero((v0 <= rows) != (v1 <= rows))
        if len(crossed):
            rows_crossed = slice(crossed[0], crossed[-1] + 1)
            at = u0 + (rows[rows_crossed] - v0) * ((u1 - u0) / (v1 - v0))
            found[rows_crossed] ^= u[rows_crossed] < at[:, None]
    return found


def _painted(planes: Planes, seen: Seen) -> NDArray[np.uint8]:
    """The image [H, W, 3] of what an eye sees: noise on a lattice at each scale, joined smoothly."""
    rows = np.arange(len(seen.u), dtype=np.float64)[:, None]
    value = planes.colors[seen.plane]
    for scale, spacing in enumerate(SPACINGS):
        (column, s), (row, t) = _cell(seen.u / spacing), _cell(rows / spacing)
        for down in (0, 1):
            for right in (0, 1):
                weight = (s if right else 1 - s) * (t if down else 1 - t)
                at = (seen.plane, scale, (row + down) % LATTICE, (column + right) % LATTICE)
                value += weight[..., None] * planes.lattices[at]
    return np.clip(np.rint(value), 0, 255).astype(np.uint8)


def _cell(place: Grid) -> tuple[NDArray[np.intp], Grid]:
    """The lattice point before each place, and how much the one behind counts: 0 to 1, flat at both ends."""
    before = np.floor(place)
    share = place - before
    return before.astype(np.intp), share * share * (3 - 2 * share)


def _outline(rng: np.random.Generator, height: int, width: int) -> Grid:
    """A polygon around a point of the image, [corners, 2]."""
    corners = int(rng.integers(3, CORNERS + 1))
    angles = 2 * np.pi * (np.arange(corners) + rng.uniform(0, 0.8, corners)) / corners
    radius = min(height, width) * rng.uniform(0.2, 0.5) * rng.uniform(0.6, 1, corners)
    centre = rng.uniform(0, [width - 1, height - 1])
    return centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def _law(rng: np.random.Generator, outline: Grid, middle: float, most: float) -> Grid:
    """(a, b, c) of a plane of the disparity ``middle`` in the middle of its outline, and from 0 to ``most`` at its
    corners: as steep as it was drawn, or as that allows."""
    b, c = rng.uniform(-SLOPE, SLOPE, 2)
    centre = outline.mean(0)
    reach = np.abs((outline - centre) @ [b, c]).max()
    b, c = np.array([b, c]) * min(1.0, min(middle, most - middle) / max(reach, 1e-9))
    return np.array([middle - b * centre[0] - c * centre[1], b, c])


class PlanesSplit:
    """One split of the data set; pair i is drawn when it is asked for.

    Args:
        split: "train", "val" or "test"; they share no pair.
        size: the number of pairs; None means 400, 64 and 100.
        seed: which world.
        height, width: of every image, in pixels.
        max_disparity: no point has more, in pixels.

    Raises:
        ValueError: if there is no such split, or ``size`` is not from 1 to a million.
    """

    def __init__(
        self,
        split: Split,
        size: int | None = None,
        seed: int = 0,
        height: int = HEIGHT,
        width: int = WIDTH,
        max_disparity: float = MAX_DISPARITY,
    ) -> None:
        if split not in SPLIT_SIZES:
            raise ValueError(f"planes has no split {split!r}; it has {', '.join(SPLIT_SIZES)}")
        size = SPLIT_SIZES[split] if size is None else size
        if not 1 <= size <= SPLIT_STRIDE:
            raise ValueError(f"size={size} pairs asked of split {split!r}; choose from 1 to {SPLIT_STRIDE}")
        self.split, self.size, self.seed = split, size, seed
        self.height, self.width, self.max_disparity = height, width, max_disparity
        self.first = SPLIT_STRIDE * list(SPLIT_SIZES).index(split)

    @property
    def names(self) -> tuple[str, ...]:
        """Of each pair: "planes-val-00003"."""
        return tuple(f"planes-{self.split}-{index:05d}" for index in range(self.size))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> StereoSample:
        """Draw pair ``index`` of the split, 0 <= index < len."""
        if not 0 <= index < self.size:
            raise IndexError(f"pair {index} of split {self.split!r}, which has pairs 0 to {self.size - 1}")
        return draw_planes(self.seed, self.first + index, self.height, self.width, self.max_disparity)


def open_planes(
    seed: int = 0, height: int = HEIGHT, width: int = WIDTH, max_disparity: float = MAX_DISPARITY
) -> StereoSource:
    """The data set ``planes`` with its three splits.

    >>> {name: len(split) for name, split in open_planes().splits.items()}
    {'train': 400, 'val': 64, 'test': 100}
    """
    splits = {name: PlanesSplit(name, None, seed, height, width, max_disparity) for name in ("train", "val", "test")}
    notes = ("drawn on the fly: every pair is a function of the seed and its index, nothing is read from disk",)
    return StereoSource(splits=splits, notes=notes)


PLANES = DataSet(
    name="planes", open=lambda asked: open_planes(asked.seed), task="stereo", told="drawn, a built-in data set"
)
register(PLANES)
