"""What a segmentation data set is made of: samples, the classes their masks name, and a source with its splits.

Letters: H x W pixels, K classes. Masks inside wholenet hold train ids 0..K-1 and ``IGNORE``, whatever the files hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from wholenet.data.pixels import Pixels

IGNORE = 255
"""The label of pixels that count nowhere: not in the loss, not in the score."""


class DataError(ValueError):
    """The data cannot be used as it is; the message names the files, what was found, and what to do."""


class Sample(NamedTuple):
    """One image with its mask."""

    image: np.ndarray
    """[H, W, C]: uint8 of three channels, RGB, or bands of any type in ``data/pixels.TYPES``."""
    mask: np.ndarray
    """uint8 [H, W], train ids and ``IGNORE``."""
    name: str
    """The image's stem, or another short name that a person finds it by."""


class SegmentationData(Protocol):
    """A finite, indexable collection of samples. ``data[i]`` is a pure function of ``i``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True)
class Classes:
    """The K classes of a data set: how people call them, how they are drawn, how mask files spell them."""

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    """RGB 0..255, to draw with, and to read RGB masks by."""
    values: tuple[int, ...] = ()
    """The mask file's pixel value of each class; empty means 0..K-1."""
    ignore_values: tuple[int, ...] = (IGNORE,)
    """Pixel values that count nowhere."""
    ignore_colors: tuple[tuple[int, int, int], ...] = ()
    """Colours of RGB masks that count nowhere."""

    def __post_init__(self) -> None:
        if not self.values:
            object.__setattr__(self, "values", tuple(range(len(self.names))))
        if not len(self.names) == len(self.colors) == len(self.values):
            raise ValueError(
                f"a class table needs one colour and one value for each of its {len(self.names)} names; "
                f"found {len(self.colors)} colours and {len(self.values)} values"
            )

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class DataSource:
    """A data set as opened: its classes and its splits."""

    name: str
    classes: Classes
    splits: Mapping[str, SegmentationData]
    """"train" and "val" always; "test" where it has masks; "coarse" where there are coarse annotations to train on."""
    notes: tuple[str, ...] = field(default=())
    """What a user should know of how the data was read ("no val split: every fifth image of train was taken")."""
    pixels: Pixels | None = None
    """What its images are; None where nobody has looked yet."""
