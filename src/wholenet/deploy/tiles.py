"""Large images in pieces: overlapping tiles, each answered alone, of which only the middle is kept.

A tile is answered without the rest of the image. The networks' receptive field is wide, and squeeze-and-excitation
looks at all that it is given, so answers differ a little from those for the whole image; memory is that of one tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from wholenet.checked import Overlap, Side, checked_in_order

WHOLE_PIXELS = 1 << 22
"""Images of up to so many pixels are answered whole unless a tile size is asked for: twice Cityscapes'."""
DEFAULT_TILE = (1536, 1536)
DEFAULT_OVERLAP = 256

Predict = Callable[[np.ndarray], np.ndarray]
"""[h, w, C] -> uint8 [h, w]."""


class Piece(NamedTuple):
    """One tile. (Rows, columns) of each part."""

    seen: tuple[slice, slice]
    """Of the image: what the tile sees."""
    kept: tuple[slice, slice]
    """Of the image: what is kept of its answer. These parts cover the image once."""
    inner: tuple[slice, slice]
    """The same, of the tile."""


@checked_in_order
class Tiling:
    """How large images are cut.

    Raises:
        ValueError: for a number out of bounds, or if tiles overlap so much that they do not get on.
    """

    tile: tuple[Side, Side] | None = None
    """(height, width) of a tile; None answers images of up to ``WHOLE_PIXELS`` whole and cuts larger ones into
    ``DEFAULT_TILE``."""
    overlap: Overlap = DEFAULT_OVERLAP
    """Pixels that neighbouring tiles share, at least; each gives up half of them."""

    def __post_init__(self) -> None:
        tile = self.tile or DEFAULT_TILE
        if 2 * self.overlap > min(tile):
            raise ValueError(
                f"tiles of {tile[0]}x{tile[1]} with an overlap of {self.overlap}: expected an overlap of 0 to half the "
                "shorter side"
            )

    def predict(self, predict: Predict, image: np.ndarray) -> np.ndarray:
        """The mask of ``image``, whole or in tiles."""
        if self._whole(*image.shape[:2]):
            return predict(image)
        return predict_in_tiles(predict, image, self.tile or DEFAULT_TILE, self.overlap)

    def pieces(self, height: int, width: int) -> Iterator[Piece]:
        """The tiles of an image of this size; a single one where it is not cut."""
        tile = (height, width) if self._whole(height, width) else self.tile or DEFAULT_TILE
        return pieces(height, width, tile, self.overlap)

    def _whole(self, height: int, width: int) -> bool:
        return self.tile is None and height * width <= WHOLE_PIXELS


def predict_in_tiles(predict: Predict, image: np.ndarray, tile: tuple[int, int], overlap: int) -> np.ndarray:
    """The mask of ``image``, [H, W, C] -> uint8 [H, W], put together from ``predict`` of its tiles.

    Where the image is smaller than a tile, the tile is too. See :class:`Tiling` for ``tile`` and ``overlap``.
    """
    height, width = image.shape[:2]
    mask = np.empty((height, width), np.uint8)
    for seen, kept, inner in pieces(height, width, tile, overlap):
        mask[kept] = predict(np.ascontiguousarray(image[seen]))[inner]
    return mask


def pieces(height: int, width: int, tile: tuple[int, int], overlap: int) -> Iterator[Piece]:
    """The tiles of an image of this size."""
    for rows, kept_rows in spans(height, tile[0], overlap):
        for columns, kept_columns in spans(width, tile[1], overlap):
            inner = _within(kept_rows, rows), _within(kept_columns, columns)
            yield Piece((rows, columns), (kept_rows, kept_columns), inner)


def _within(kept: slice, seen: slice) -> slice:
    return slice(kept.start - seen.start, kept.stop - seen.start)


def spans(length: int, tile: int, overlap: int) -> Iterator[tuple[slice, slice]]:
    """Along one axis, what each tile sees and the part of it that is kept; the kept parts cover the axis once.

    All tiles but a single one are ``tile`` long, spread evenly.

    >>> [(seen.start, seen.stop, kept.start, kept.stop) for seen, kept in spans(10, 6, 2)]
    [(0, 6, 0, 5), (4, 10, 5, 10)]
    """
    if length <= tile:
        yield slice(0, length), slice(0, length)
        return
    count = -(-(length - overlap) // (tile - overlap))
    starts = [i * (length - tile) // (count - 1) for i in range(count)]
    # Neighbours meet in the middle of what they share.
    seams = [0, *((starts[i] + tile + starts[i + 1]) // 2 for i in range(count - 1)), length]
    for i, start in enumerate(starts):
        yield slice(start, start + tile), slice(seams[i], seams[i + 1])
