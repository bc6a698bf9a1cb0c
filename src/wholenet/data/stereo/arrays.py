"""Numbers in NumPy's files, .npy and .npz, read within bounds and without pickles.

Letters: H x W pixels.
"""

from __future__ import annotations

import io
import zipfile
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from wholenet.data.opening import refuse_size
from wholenet.data.stereo.pfm import ADVICE, refuse_length
from wholenet.data.stored import PictureError

BYTES_OF_A_NUMBER = 8
HEADER_BYTES = 4096
"""Of a .npy; 128 is usual."""


def parse_array(content: bytes, path: str | Path, max_megapixels: float) -> NDArray[np.generic]:
    """The numbers [H, W] in a .npy, or in a .npz that has no other array, as they are.

    Args:
        content: of the file.
        path: how messages call it.
        max_megapixels: larger ones are refused.

    Raises:
        PictureError: if it is none, is too large, holds something else, or several arrays.
    """
    if content[:2] == b"PK":
        content = _only_member(content, path, max_megapixels)
    file = io.BytesIO(content)
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, by_columns, kind = read(file, max_header_size=HEADER_BYTES)
    except Exception as error:  # damaged files fail anywhere in there
        reason = f"cannot be read as an array of NumPy ({str(error).splitlines()[0] if str(error) else error!r})"
        raise PictureError(path, "unreadable", reason, ADVICE) from error
    size = tuple(side for side in shape if side != 1) if len(shape) == 3 else shape
    if kind.kind not in "fiu" or kind.itemsize > BYTES_OF_A_NUMBER or len(size) != 2 or min(size) < 1:
        reason = f"an array of {kind} {list(shape)}; expected numbers [H, W]"
        raise PictureError(path, "array", reason, "Save the disparity alone, as float32 [H, W].")
    refuse_size(size, path, max_megapixels)
    told = f"{kind} {list(shape)}"
    refuse_length(len(content) - file.tell(), prod(size) * kind.itemsize, told, path)
    flat = np.frombuffer(content, kind, offset=file.tell())
    return flat.reshape(size, order="F" if by_columns else "C")


def _only_member(content: bytes, path: str | Path, max_megapixels: float) -> bytes:
    limit = int(BYTES_OF_A_NUMBER * max_megapixels * 1e6) + HEADER_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            found = b""
            if len(names) == 1:
                with archive.open(names[0]) as member:
                    found = member.read(limit + 1)
    except Exception as error:
        raise PictureError(path, "unreadable", f"cannot be read as .npz ({error})", ADVICE) from error
    if len(names) != 1:
        listed = ", ".join(name.removesuffix(".npy")[:40] for name in names[:5])
        reason = f"has {len(names)} arrays ({listed}); expected one"
        raise PictureError(path, "array", reason, "Save the disparity alone, as float32 [H, W].")
    if len(found) > limit:
        reason = f"unpacks to more than {limit:,} bytes"
        raise PictureError(path, "too-large", reason, "If it is what it should be, raise --max-megapixels.")
    return found
