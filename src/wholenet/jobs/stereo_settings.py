"""What runs on stereo pairs can be told. Imports no torch: the command line reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wholenet.checked import DisparityScale, Megapixels, checked
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.stereo.augment import MOST_STRENGTH


@checked
class StereoSettings:
    """Options of runs on stereo pairs."""

    crop: str | None = None
    """HEIGHTxWIDTH that is trained on, multiples of what the network takes. Default: as much as the smallest of the
    pairs that were looked at has, at most 384x768."""
    augment: Annotated[float, Field(ge=0, le=MOST_STRENGTH)] = 1.0
    """Strength of augmentation in training, from 0 (crops alone) to 2, which multiplies the spread of all it draws."""
    disparity_scale: DisparityScale | None = None
    """Pixels of disparity per unit of the files, where these do not say it."""
    max_megapixels: Megapixels = MAX_MEGAPIXELS
    """Images that decode to more are refused."""
