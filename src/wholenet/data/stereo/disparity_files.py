"""Files of disparity: from the forms that data sets have to pixels, and back.

Sources: KITTI's development kit (16-bit PNG), MPI Sintel's (RGB), Middlebury (PFM, 8-bit PNG).

Letters: H x W pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wholenet.checked import DisparityScale
from wholenet.data.bands import bands_with_header
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sample import DataError
from wholenet.data.stereo.arrays import BYTES_OF_A_NUMBER, HEADER_BYTES, parse_array
from wholenet.data.stereo.pfm import ADVICE, parse_pfm, pfm_of
from wholenet.data.stereo.trees import TRUTH_SUFFIXES
from wholenet.data.stored import PictureError
from wholenet.files import read_bytes

KITTI = 1 / 256
"""Pixels per unit of a 16-bit PNG."""
_MOST = 65_535
SCALES = (
    "Give --disparity-scale, the pixels of disparity that one unit stands for: 1 for Middlebury 2005 and 2006 in full "
    "size (0.5 in half, 0.3333 in a third), 0.25 for its cones and teddy, 0.00390625 (1/256) as KITTI has it."
)


def read_disparity(
    path: str | Path,
    scale: DisparityScale | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    *,
    of_sintel: bool = False,
) -> NDArray[np.float32]:
    """Disparity in pixels, [H, W], of the sign that the file has; NaN where it is not known.

    =============  ============================================================  ==============
    file           pixels                                                        unknown
    =============  ============================================================  ==============
    .pfm           the number                                                    infinite, NaN
    .npy, .npz     the number; of whole numbers as with ``scale``                infinite, NaN
    .png, 16 bits  value / 256                                                   0
    .png, 8 bits   value x ``scale``                                             0
    .png, Sintel   4 red + green / 64 + blue / 16384                             nothing
    =============  ============================================================  ==============

    Args:
        path: the file.
        scale: pixels of disparity per unit of the file; None is as above, and refuses files that do not say it.
        max_megapixels: larger ones are refused before they are decoded.
        of_sintel: whether a PNG in RGB is read as MPI Sintel has it.

    Raises:
        PictureError: if it cannot be read, is too large, or needs a scale and has none.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".png":
        return _of_sintel(path, max_megapixels) if of_sintel else _of_png(path, scale, max_megapixels)
    if suffix not in TRUTH_SUFFIXES:
        reason = f"no file of disparity; expected one of {', '.join(TRUTH_SUFFIXES)}"
        raise PictureError(path, "unreadable", reason, "Save it in one of these.")
    limit = int(BYTES_OF_A_NUMBER * max_megapixels * 1e6) + HEADER_BYTES
    try:
        content = read_bytes(path, limit)
    except (OSError, ValueError) as error:
        raise PictureError(path, "unreadable", f"cannot be read as disparity ({error})", ADVICE) from error
    values = (parse_pfm if suffix == ".pfm" else parse_array)(content, path, max_megapixels)
    if values.dtype.kind != "f":
        return _of_whole_numbers(values.astype(np.float64), f"{values.dtype} numbers", path, scale)
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = values.astype(np.float32) * np.float32(scale or 1)
    return np.where(np.isfinite(pixels), pixels, np.float32(np.nan))


def _of_png(path: Path, scale: float | None, max_megapixels: float) -> NDArray[np.float32]:
    try:
        values = bands_with_header(path, "stored", max_megapixels).pixels
    except (OSError, MemoryError) as error:
        raise PictureError(path, "unreadable", f"cannot be read as disparity ({error})", ADVICE) from error
    if values.dtype == np.uint8 and values.shape[2] == 3 and (values == values[..., :1]).all():
        values = values[..., :1]
    if values.shape[2] != 1 or values.dtype not in (np.uint8, np.uint16):
        reason = f"a PNG of {values.shape[2]} bands of {values.dtype}; disparity has one, of 16 bits or 8"
        advice = (
            "Are these colours for people? Give the numbers that they were made of. Sintel's are read in a folder that "
            "has its names (disparities beside clean_left and clean_right)."
        )
        raise PictureError(path, "bands", reason, advice)
    values = values[..., 0]
    low, high = _range(values)
    if values.dtype == np.uint16 and scale is None:
        if 0 < high <= np.iinfo(np.uint8).max:
            reason = (
                f"16 bits per pixel with values {low} to {high} alone, which as KITTI has them are less than a pixel: "
                "numbers of 8 bits, saved with 16?"
            )
            raise PictureError(path, "truth-narrow", reason, SCALES)
        scale = KITTI
    return _of_whole_numbers(values, f"8 bits per pixel, values {low} to {high}", path, scale)


def _of_whole_numbers(values: NDArray, what: str, path: Path, scale: float | None) -> NDArray[np.float32]:
    if scale is None:
        raise PictureError(path, "truth-scale", f"{what}, which do not say how many pixels a unit is", SCALES)
    return np.where(values != 0, values * np.float64(scale), np.nan).astype(np.float32)


def _of_sintel(path: Path, max_megapixels: float) -> NDArray[np.float32]:
    colours = bands_with_header(path, "stored", max_megapixels).pixels
    if colours.dtype != np.uint8 or colours.shape[2] != 3:
        reason = f"a PNG of {colours.shape[2]} bands of {colours.dtype}; Sintel's disparities are RGB of 8 bits"
        raise PictureError(path, "bands", reason, "Copy it again from the data set.")
    return (colours.astype(np.float32) @ np.array([4, 1 / 64, 1 / 16384], np.float32)).astype(np.float32)


def _range(values: NDArray) -> tuple[int, int]:
    return int(values.min()), int(values.max())


def write_disparity(path: str | Path, disparity: NDArray[np.floating]) -> int:
    """Write disparity [H, W] in pixels, NaN where it is not known, as a .pfm, or as a 16-bit .png of 256 units a pixel.

    A PNG holds 1/256 to 255.996 pixels: what is beyond is clipped to that, as 0 stands for unknown.

    Returns:
        How many numbers were negative or too large for the file; 0 px, written as 1/256, is none of them.

    Raises:
        ValueError: if the array is none, or the suffix another.
    """
    path = Path(path)
    if disparity.ndim != 2 or disparity.dtype.kind != "f":
        raise ValueError(f"disparity is of floats [H, W]; found {disparity.dtype} {list(disparity.shape)}")
    suffix = path.suffix.lower()
    if suffix == ".pfm":
        path.write_bytes(pfm_of(disparity))
        return 0
    if suffix != ".png":
        raise ValueError(f"{path}: disparity is written as .png or .pfm")
    known = np.isfinite(disparity)
    units = np.where(known, disparity.astype(np.float64), 0) / KITTI
    clipped = known & ((units < 0) | (units >= _MOST + 0.5))
    Image.fromarray(np.where(known, np.rint(units).clip(1, _MOST), 0).astype(np.uint16)).save(path)
    return int(clipped.sum())


def clipped_told(count: int, where: str | Path) -> str:
    """What to say of numbers that a 16-bit PNG could not hold.

    >>> clipped_told(3, "out")
    'out: 3 pixels were clipped to 0.004 to 255.996 px, what a 16-bit PNG holds; --format pfm keeps them'
    """
    pixels = "1 pixel was" if count == 1 else f"{count:,} pixels were"
    return f"{where}: {pixels} clipped to 0.004 to 255.996 px, what a 16-bit PNG holds; --format pfm keeps them"


def as_truth(disparity: NDArray[np.float32], path: str | Path, *, either_sign: bool = False) -> NDArray[np.float32]:
    """Disparity of any sign as 0 or more: numbers that are all 0 or less lose their sign, of ``either_sign`` each does.

    Raises:
        DataError: if there are numbers on both sides of 0.
    """
    known = disparity[np.isfinite(disparity)]
    if not known.size or known.min() >= 0:
        return disparity
    if not either_sign and known.max() > 0:
        raise DataError(
            f"{path} has disparities from {known.min():g} to {known.max():g} px; expected 0 or more throughout (d = "
            "x_left - x_right), or 0 or less, whose sign is dropped. Mark what is not known as NaN"
        )
    return np.abs(disparity)
