"""Masks that are drawn when they are asked for, from the outlines of objects in a file of annotations, or from masks of
these objects.

Letters: H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wholenet.data.opening import open_picture, orientation_of, refuse_size, unreadable
from wholenet.data.regions import Region, Window, put
from wholenet.data.sample import IGNORE, DataError

BACKGROUND = 0
"""The code of pixels that no object covers."""
OUTLINES, OBJECTS = "outlines", "objects"
"""What stands for the format of a file, of outlines and of masks of objects."""
_TURNED = (5, 6, 7, 8)
"""EXIF orientations in which height and width change places."""


class Object(NamedTuple):
    """What is drawn."""

    code: int
    """Of its class, or ``IGNORE``."""
    region: Region


@dataclass(frozen=True, eq=False)
class Drawn:
    """The mask of one image."""

    file: Path
    """Where the outlines are."""
    image: Path
    objects: tuple[Object, ...]
    """What is ignored is drawn first, then the others one after the other."""
    size: tuple[int, int] | None = None
    """(H, W) that the annotations state; where they state none, that of the image as viewers show it."""
    largest_first: bool = False
    """Whether objects are drawn in the order of their areas instead, so that small ones stay on top."""
    apart: bool = False
    """Whether objects lie beside each other, so that those that overlap are worth a word."""

    def __str__(self) -> str:
        return str(self.file) if self.file.stem == self.image.stem else f"{self.file} ({self.image.name})"

    def codes(self, max_megapixels: float) -> np.ndarray:
        """uint8 [H, W]: codes of classes, ``BACKGROUND`` and ``IGNORE``; as :meth:`drawn`."""
        return self.drawn(max_megapixels)[0]

    def drawn(self, max_megapixels: float) -> tuple[np.ndarray, int]:
        """(uint8 [H, W]: codes of classes, ``BACKGROUND`` and ``IGNORE``; pixels of several objects that lie
        ``apart``).

        Raises:
            PictureError: if the image would have to be opened and cannot be, it is too large, or a region is of a file
                that cannot be used.
        """
        height, width = size = self.size or upright_size(self.image)
        refuse_size(size, self.file, max_megapixels)
        canvas = np.full(size, BACKGROUND, np.uint8)
        filled = [(one.code, one.region.fill(height, width)) for one in self.objects]
        if self.largest_first:
            filled.sort(key=lambda one: -int(one[1].inside.sum()))
        for code, window in sorted(filled, key=lambda one: one[0] != IGNORE):
            put(canvas, window, code)
        return canvas, _shared(size, [window for _, window in filled]) if self.apart else 0


def _shared(size: tuple[int, int], windows: Sequence[Window]) -> int:
    """How many pixels are in several of them."""
    once, more = np.zeros(size, bool), np.zeros(size, bool)
    for top, left, inside in windows:
        place = np.s_[top : top + inside.shape[0], left : left + inside.shape[1]]
        more[place] |= once[place] & inside
        once[place] |= inside
    return int(more.sum())


def upright_size(image: Path) -> tuple[int, int]:
    """(H, W) of an image file as viewers show it, by its header.

    Raises:
        PictureError: if it cannot be read.
    """
    try:
        with open_picture(image) as picture:
            turned = orientation_of(picture) in _TURNED
            return (picture.width, picture.height) if turned else (picture.height, picture.width)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # as wherever Pillow reads a damaged file
        raise unreadable(image, error) from error
