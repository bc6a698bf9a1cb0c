"""Images whose bands are measurements: read band by band as the file has them, or refused by the fact.

More than 8 bits, floats, other bands than those of a colour; with ``bands="stored"`` or "pages" whatever the file is.
TIFFs are read by tifffile, which takes types and order from the tags, and a single band of whole numbers by Pillow.
``tests/data/test_bands.py`` tries every combination. Letters: H x W pixels, C bands.
"""

from __future__ import annotations

import io
import logging
import zlib
from importlib import import_module
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from wholenet.data.opening import MAX_MEGAPIXELS, Header, how_stored, load, refuse_size, unreadable
from wholenet.data.pictures import as_stored, image_with_header
from wholenet.data.pieces import Cell, Image, Stacked
from wholenet.data.pixels import MOST_CHANNELS, Bands
from wholenet.data.sample import DataError
from wholenet.data.stored import (
    FLOAT,
    WHITE_IS_ZERO,
    PictureError,
    Stored,
    is_measured,
    misread,
    refuse_measured,
    several_pictures,
)
from wholenet.files import read_bytes

BYTES_PER_PIXEL = 16
"""A file may decode to so many bytes for each pixel that it may have: of the largest image four bands of 32 bits."""
LARGEST = 1e30
"""Floats beyond it are marks for "no data", such as -3.4e38; their squares are no numbers."""
PLAIN, DEFLATE = (1, 32773), (8, 32946)
"""Compressions of TIFFs that are read without imagecodecs: none and PackBits; zlib's."""
WITH_CODECS = (5, 34925, 50000)
"""Those that are read with it: LZW, LZMA, ZSTD. The others lose something, or are hardly ever seen."""
ORIENTATION = 274
"""Tag."""
_ANEW = "Save it anew, for example with GDAL: gdal_translate -co COMPRESS=DEFLATE in.tif out.tif"
_INSTALL = "pip install 'wholenet[tiff]'"
_MODES = ("1", "L", "LA", "RGB", "RGBA")
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else what it says of odd files reaches the terminal


def read_bands(path: str | Image, bands: Bands = "auto", max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """The image [H, W, C], turned upright: 8-bit RGB of a photograph, else in the type of the file.

    Args:
        path: the file.
        bands: how it is read (``data/pixels.py``).
        max_megapixels: larger ones are refused before they are decoded.

    Raises:
        PictureError: if the file cannot be read, is too large, or holds neither.
    """
    return bands_with_header(path, bands, max_megapixels).pixels


class Opened(NamedTuple):
    """What is in the file of an image."""

    pixels: np.ndarray
    """[H, W, C]; where there are no data, the mean of the others in the same band."""
    header: Header
    transparent: bool
    """Whether an alpha band that was left out says so of any pixel."""
    missing: np.ndarray | None = None
    """bool [H, W, C]: where there are no data; None where there are everywhere."""


def bands_with_header(path: str | Image, bands: Bands = "auto", max_megapixels: float = MAX_MEGAPIXELS) -> Opened:
    """The image as :func:`read_bands` gives it, and what else the file says.

    Raises:
        PictureError: as :func:`read_bands`.
    """
    if isinstance(path, Stacked):
        return _stacked(path, bands, max_megapixels)
    content = path.content() if isinstance(path, Cell) else None
    path = str(path) if isinstance(path, Cell) else path
    stored = None
    try:
        stored = how_stored(path, content)
        if stored is None or stored.pages or not is_measured(stored):
            if bands == "auto":
                return Opened(*image_with_header(path, max_megapixels, content))
            if stored is None or not (stored.pages or stored.color == WHITE_IS_ZERO):
                return Opened(*_of_picture(path, max_megapixels, content), False)
        pixels, header = _measured(path, stored, bands, max_megapixels, content)
        missing = _without_data(pixels, stored)
        if missing is not None:
            pixels = _filled(pixels, missing, path)
        _refuse_marks(pixels, path)
        return Opened(pixels, header, False, missing)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # damaged files fail anywhere in a decoder
        raise unreadable(path, error, stored, content) from error


def _stacked(image: Stacked, bands: Bands, max_megapixels: float) -> Opened:
    """The bands of all files, in their order, each read as it is stored."""
    each = "stored" if bands == "auto" else bands
    found = [bands_with_header(file, each, max_megapixels) for file in image.files]
    kinds = [(one.pixels.shape[:2], one.pixels.dtype.name) for one in found]
    for file, (size, kind) in zip(image.files, kinds, strict=True):
        if (size, kind) != kinds[0]:
            told = [f"{h}x{w} (height x width) of {of}" for (h, w), of in ((size, kind), kinds[0])]
            reason = f"a channel of {told[0]}, and the first of {told[1]}"
            advice = "Give all channels of an image one size and one type."
            raise PictureError(file, "bands", reason, advice)
    missing = [np.zeros(one.pixels.shape, bool) if one.missing is None else one.missing for one in found]
    return Opened(
        np.concatenate([one.pixels for one in found], axis=2),
        found[0].header,
        any(one.transparent for one in found),
        np.concatenate(missing, axis=2) if any(one.missing is not None for one in found) else None,
    )


def _without_data(pixels: np.ndarray, stored: Stored) -> np.ndarray | None:
    """bool [H, W, C]: where an image has the value that GDAL_NODATA names; None if nowhere."""
    if stored.nodata is None:
        return None
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            value = pixels.dtype.type(stored.nodata)
        found = np.isnan(pixels) if np.isnan(value) else pixels == value
    else:
        found = pixels == stored.nodata
    return found if found.any() else None


def _filled(pixels: np.ndarray, missing: np.ndarray, path: str | Path) -> np.ndarray:
    """The image with the mean of its other pixels, band by band, where data are missing."""
    filled = pixels.copy()
    for band in range(pixels.shape[2]):
        there = pixels[..., band][~missing[..., band]]
        if not len(there):
            reason = f"band {band + 1} has no pixel but those without data (GDAL_NODATA)"
            raise PictureError(path, "no-number", reason, "Nothing can be seen in it: remove it with its mask.")
        mean = there.mean(dtype=float)
        filled[..., band][missing[..., band]] = mean if pixels.dtype.kind == "f" else np.rint(mean)
    return filled


def _of_picture(path: str | Path, max_megapixels: float, content: bytes | None) -> tuple[np.ndarray, Header]:
    """All bands of a picture of 8 bits."""
    header, picture = load(path, max_megapixels, content)
    if picture.mode not in _MODES:
        reason = f"a picture in Pillow mode {picture.mode}, whose bands are no measurements"
        raise PictureError(path, "mode", reason, "Save it as grey or RGB, or leave --bands out.")
    pixels = np.array(picture.convert("L") if picture.mode == "1" else picture)
    return pixels.reshape(*pixels.shape[:2], -1), header


def _measured(
    path: str | Path, stored: Stored, bands: Bands, max_megapixels: float, content: bytes | None
) -> tuple[np.ndarray, Header]:
    if stored.pages and bands != "pages":
        raise several_pictures(path, "pages")
    refuse_measured(stored, path)
    refuse_size(stored.size, path, max_megapixels)
    _refuse_bytes(stored, len(stored.bits), path, max_megapixels)
    if not stored.compression and len(stored.bits) > 1:
        return _png(path, stored, max_megapixels, content)
    whole = FLOAT not in stored.formats and not stored.big_endian and misread(stored) is None
    if len(stored.bits) == 1 and not stored.pages and whole:
        header, picture = load(path, max_megapixels, content, measured=True)
        return as_stored(np.array(picture), stored).astype(stored.type)[..., None], header
    return _tiff(path, stored, max_megapixels, content)


def _refuse_bytes(stored: Stored, bands: int, path: str | Path, max_megapixels: float) -> None:
    size = prod(stored.size) * bands * stored.bits[0] / 8e6
    limit = BYTES_PER_PIXEL * max_megapixels
    if size > limit:
        raise PictureError(
            path,
            "too-large",
            f"decodes to {size:,.0f} MB, {bands} bands of {stored.size[0]}x{stored.size[1]} (height x width); the "
            f"limit is {limit:,.0f} MB, {BYTES_PER_PIXEL} bytes for each pixel of the largest image",
            "If the file is what it should be, raise the limit (--max-megapixels, in Python max_megapixels) or cut it "
            "into tiles; otherwise replace it, or remove it and its partner.",
        )


def _refuse_marks(pixels: np.ndarray, path: str | Path) -> None:
    """Make sure that floats are numbers that a mean can be taken of."""
    if pixels.dtype.kind != "f":
        return
    low, high = float(pixels.min()), float(pixels.max())  # of any that is not a number, neither is one
    if low >= -LARGEST and high <= LARGEST:
        return
    count = int((~(np.abs(pixels.astype(np.float64)) <= LARGEST)).any(axis=2).sum())
    raise PictureError(
        path,
        "no-number",
        f"{count} pixels without a number (NaN, infinite, or beyond 1e30, as marks for missing data are)",
        "Give these pixels a number, such as the mean, and in the mask a label that is ignored.",
    )


def _png(path: str | Path, stored: Stored, max_megapixels: float, content: bytes | None) -> tuple[np.ndarray, Header]:
    """A PNG of 16 bits and several bands, which Pillow cuts down to 8 bits: it only makes sure that the file is whole.

    OpenCV has blue first, and three bands of grey for one with alpha.
    """
    cv2: Any = import_module("cv2")  # the command line reads this module for every command, and few files are such
    header, _ = load(path, max_megapixels, content, measured=True)
    content = content or read_bytes(path, limit=int(BYTES_PER_PIXEL * max_megapixels * 1e6))
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    order = {2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[len(stored.bits)]
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] != max(order) + 1:
        raise ValueError("OpenCV does not decode it as 16 bits of as many bands")
    return _upright(pixels[..., order], header.orientation), header


def _tiff(path: str | Path, stored: Stored, max_megapixels: float, content: bytes | None) -> tuple[np.ndarray, Header]:
    """A TIFF by tifffile; its pages side by side, if there are several."""
    tifffile = _reader(stored, path)
    source = Path(path).open("rb") if content is None else io.BytesIO(content)  # noqa: SIM115  (closed in the next line)
    with source as file, tifffile.TiffFile(file) as opened:
        pages = [page for page in opened.pages if not page.is_reduced]
        _refuse_bytes(stored, len(stored.bits) * len(pages), path, max_megapixels)
        if len(stored.bits) * len(pages) > MOST_CHANNELS:
            raise ValueError(f"{len(pages)} pages; the limit is {MOST_CHANNELS} bands")
        found = [_page(page, stored, file, number, path) for number, page in enumerate(pages)]
        tag = pages[0].tags.get(ORIENTATION)
    turned = tag.value if tag is not None and isinstance(tag.value, int) and 1 <= tag.value <= 8 else 1
    header = Header("TIFF", f"{stored}", f"{stored.compression}", turned, stored)
    return _upright(np.concatenate(found, axis=2), turned), header


def _reader(stored: Stored, path: str | Path) -> Any:
    """The module tifffile, if it can decode the file."""
    known = (*PLAIN, *DEFLATE, *WITH_CODECS)
    if stored.compression not in known:
        reason = f"{stored}, compressed in a way that is not read here (Compression {stored.compression})"
        raise PictureError(path, "unreadable", reason, _ANEW)
    needed = ["tifffile", *(["imagecodecs"] if stored.compression in WITH_CODECS else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        how = f" with Compression {stored.compression}" if stored.compression in WITH_CODECS else ""
        reason = f"{stored}{how}, which {' and '.join(missing)} would read, not installed here"
        raise PictureError(path, "unreadable", reason, _INSTALL)
    return import_module("tifffile")  # not everyone needs it


def _page(page: Any, stored: Stored, file: BinaryIO, number: int, path: str | Path) -> np.ndarray:
    """The bands of a page [H, W, C], in the machine's byte order.

    Raises:
        PictureError: if it is of another kind than what the tags of the first said.
    """
    bands = len(stored.bits)
    wanted, found = (*stored.size, bands, stored.type), (page.imagelength, page.imagewidth, page.samplesperpixel)
    if wanted != (*found, str(page.dtype)) or page.compression not in (*PLAIN, *DEFLATE, *WITH_CODECS):
        raise PictureError(
            path,
            "frames",
            f"page {number} has {found[2]} band{'s' * (found[2] != 1)} of {page.dtype}, {found[0]}x{found[1]}; "
            f"expected {bands} of {stored.type}, {stored.size[0]}x{stored.size[1]}, as of all",
            "Give the pages of all images one size and type, or save each as a file of its own.",
        )
    if page.compression in DEFLATE and find_spec("imagecodecs") is None:
        _refuse_more(page, file)
    pixels = page.asarray()
    planes = stored.planar and bands > 1
    pixels = np.moveaxis(pixels, 0, -1) if planes else pixels.reshape(*stored.size, bands)
    return pixels.astype(stored.type)


def _refuse_more(page: Any, file: BinaryIO) -> None:
    """Make sure that no part unpacks to more than its place: tifffile without imagecodecs would let it."""
    room = prod(page.chunks) * page.dtype.itemsize
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(offset)
        if len(zlib.decompressobj().decompress(file.read(count), room + 1)) > room:
            raise ValueError("a strip or tile unpacks to more than its place")


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """[H, W, C], turned and mirrored as EXIF's number says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows, columns = (slice(None, None, -1 if orientation in some else 1) for some in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return np.ascontiguousarray(pixels[rows, columns])
