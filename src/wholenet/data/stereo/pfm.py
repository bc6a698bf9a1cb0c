"""PFM files: floats in one band, rows from the bottom.

Source: http://www.pauldebevec.com/Research/HDR/PFM/. The sign of the scale says the order of bytes; its size is not
applied, as Middlebury's files have 1/255 there and pixels all the same.

Letters: H x W pixels.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wholenet.data.opening import refuse_size
from wholenet.data.stored import PictureError

_HEADER = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?[0-9.]{1,30}(?:[eE][-+]?\d{1,3})?)(?:\r\n|\s)")
ADVICE = "Save it anew, or copy it again from where it came; otherwise remove it with its images."


def parse_pfm(content: bytes, path: str | Path, max_megapixels: float) -> NDArray[np.float32]:
    """The numbers in a file, [H, W] from the top, as they are: also infinite ones, and NaN.

    Args:
        content: of the file.
        path: how messages call it.
        max_megapixels: larger ones are refused.

    Raises:
        PictureError: if it is no PFM of one band, is too large, or has more or fewer numbers than it says.
    """
    header = _HEADER.match(content[:200])
    if header is None:
        reason = "cannot be read as PFM: it does not begin with Pf, width, height and scale"
        raise PictureError(path, "unreadable", reason, ADVICE)
    width, height, scale = int(header[2]), int(header[3]), float(header[4])
    if header[1] == b"PF":
        reason = "a PFM of three bands (PF), as optical flow is stored; disparity has one (Pf)"
        raise PictureError(path, "bands", reason, "Save the horizontal band alone, or give the disparity.")
    if not (width and height and scale):
        reason = f"cannot be read as PFM: it says {height}x{width} (height x width), scale {scale:g}"
        raise PictureError(path, "unreadable", reason, ADVICE)
    refuse_size((height, width), path, max_megapixels)
    pixels = memoryview(content)[header.end() :]
    refuse_length(len(pixels), 4 * height * width, f"{height}x{width} (height x width)", path)
    return np.flipud(np.frombuffer(pixels, "<f4" if scale < 0 else ">f4").reshape(height, width)).astype(np.float32)


def refuse_length(found: int, expected: int, what: str, path: str | Path) -> None:
    """Make sure that a file has as many bytes of numbers as it says.

    Raises:
        PictureError: if it has more or fewer.
    """
    if found != expected:
        reason = f"says that it is {what}, which takes {expected:,} bytes, and has {found:,}"
        raise PictureError(path, "cut", reason, ADVICE)


def pfm_of(values: NDArray[np.floating]) -> bytes:
    """A PFM file, little endian, of numbers [H, W]; NaN is written as infinite, which is what others read as unknown.

    Raises:
        ValueError: if they are none.
    """
    if values.ndim != 2 or values.dtype.kind != "f":
        raise ValueError(f"a PFM file is of floats [H, W]; found {values.dtype} {list(values.shape)}")
    known = np.where(np.isnan(values), np.inf, values)
    height, width = values.shape
    return b"Pf\n%d %d\n-1.0\n" % (width, height) + np.flipud(known).astype("<f4").tobytes()
