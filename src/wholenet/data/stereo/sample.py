"""One sample of disparity: two images of a rectified pair, and the truth.

Disparity is d = x_left - x_right in pixels of the left image, 0 or more: the left image's pixel (y, x) shows what the
right image has at (y, x - d).

Letters: H, W height and width in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StereoSample:
    """A pair with its truth."""

    left: NDArray[np.uint8]
    """RGB [H, W, 3]."""
    right: NDArray[np.uint8]
    """Likewise."""
    disparity: NDArray[np.float32]
    """[H, W] of the left image; NaN where it is not known. Infinite and negative values do not occur."""
    visible: NDArray[np.bool_] | None = None
    """[H, W]: whether the right image sees what the left one shows there; None where the data does not say."""
    right_disparity: NDArray[np.float32] | None = None
    """[H, W] of the right image, whose pixel (y, x) shows what the left one has at (y, x + d); NaN where it is not
    known, None where the data has no such truth. With it the eyes can change places."""
    right_visible: NDArray[np.bool_] | None = None
    """Whether the left image sees what the right one shows there."""


class StereoSplit(Protocol):
    """Pairs that are read one by one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of each pair, for messages and for files of predictions."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: int) -> StereoSample:
        """Read pair ``index``: the same, whenever it is read.

        Raises:
            DataError: if its files cannot be read.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class StereoSource:
    """A data set of pairs."""

    splits: Mapping[str, StereoSplit]
    """"train" and "val", "test" where there is one."""
    notes: tuple[str, ...] = field(default=())
    """What people should know of how it was read."""
