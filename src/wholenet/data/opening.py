"""Opening image files through Pillow: damage, absurd sizes and depths that it would misread become one error."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from wholenet.data.sample import DataError
from wholenet.data.stored import PictureError, Stored, read_png, refuse, several_pictures
from wholenet.data.tiff import read_tiff

MAX_MEGAPIXELS = 100.0
"""What an image or a mask may decode to unless the caller says otherwise: Cityscapes has 2, large aerial tiles 36."""
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
"""Formats that are read, whatever a file is called; JPEG is MPO too. For others Pillow may start Ghostscript."""

_EXIF_ORIENTATION = 0x0112
_OPENING = threading.Lock()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else its errors, which we tell, reach the terminal as well


@dataclass(frozen=True)
class Header:
    """What a file says of itself, before its pixels are turned upright and become bytes."""

    format: str
    """Pillow's name: "PNG", "JPEG", ..."""
    mode: str
    """Pillow's: "RGB", "P", "CMYK", ..."""
    compression: str
    """Pillow's name for that of a TIFF: "jpeg", "tiff_lzw", ...; empty elsewhere."""
    orientation: int
    """EXIF: 1 is upright, 2 to 8 turned or mirrored; what is no such number counts as 1."""
    stored: Stored | None
    """What a TIFF or a PNG says of its pixels; others have 8 bits, and bands that Pillow knows."""


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings of odd files from the terminal; for the thread that starts others to read files."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def load(
    path: str | Path, max_megapixels: float, content: bytes | None = None, *, mask: bool = False, measured: bool = False
) -> tuple[Header, Image.Image]:
    """The picture, decoded and upright; whatever goes wrong with the file becomes a PictureError.

    Args:
        path: the file; if its ``content`` is given, how messages call it.
        max_megapixels: larger ones are refused before they are decoded.
        content: the file's bytes, if they are at hand.
        mask: whether it holds labels, which may have more than 8 bits.
        measured: whether it holds measurements, of which ``data/bands.py`` says what does.
    """
    stored = None
    try:
        stored = how_stored(path, content)
        if stored is not None and not measured:
            refuse(stored, path, mask)
        with open_picture(path, content) as picture:
            refuse_size((picture.height, picture.width), path, max_megapixels)
            _refuse_frames(picture, path)
            header = _header(picture, stored)
            # Pillow measures a TIFF once more here. To other threads the limit may be lifted at the moment.
            large = picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or 0)
            # By the name Pillow (13.0) would map an uncompressed TIFF into memory, and not turn it if it has one band.
            picture.filename = ""  # pyright: ignore[reportAttributeAccessIssue]
            with _without_pillows_limit() if large else nullcontext():
                picture.load()
            return header, picture.copy() if header.orientation == 1 else ImageOps.exif_transpose(picture)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # damaged files fail anywhere in Pillow: KeyError, OverflowError, zlib.error, ...
        raise unreadable(path, error, stored, content) from error


def unreadable(
    path: str | Path, error: Exception, stored: Stored | None = None, content: bytes | None = None
) -> PictureError:
    """What to say of a file in which ``error`` came up."""
    reason = f"cannot be read as an image ({_why(path, content, error, stored)})"
    advice = "Replace the file, or remove it and its partner."
    if stored is not None and stored.compression:
        advice = f"{advice} If other programs show it, save it as PNG."
    return PictureError(path, "unreadable", reason, advice)


def how_stored(path: str | Path, content: bytes | None = None) -> Stored | None:
    """What a TIFF or a PNG says of its pixels; None for other files."""
    with Path(path).open("rb") if content is None else io.BytesIO(content) as file:
        for read in (read_png, read_tiff):
            file.seek(0)
            stored = read(file)
            if stored is not None:
                return stored
    return None


def open_picture(path: str | Path, content: bytes | None = None) -> Image.Image:
    """A file of one of the ``FORMATS``, or its ``content``: header read, pixels not."""
    with _without_pillows_limit():
        return Image.open(path if content is None else io.BytesIO(content), formats=FORMATS)


def _refuse_frames(picture: Image.Image, path: str | Path) -> None:
    if picture.format in ("TIFF", "MPO"):  # of TIFF the tags tell; cameras put a small copy into an MPO
        return
    with _without_pillows_limit():
        if getattr(picture, "is_animated", False):
            raise several_pictures(path, "an animation")
        picture.seek(0)


def _header(picture: Image.Image, stored: Stored | None) -> Header:
    compression = picture.info.get("compression", "") if picture.format == "TIFF" else ""
    return Header(picture.format or "", picture.mode, str(compression), orientation_of(picture), stored)


def orientation_of(picture: Image.Image) -> int:
    """EXIF: 1 is upright, 2 to 8 turned or mirrored; what is no such number counts as 1."""
    orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)  # a number, or anything else that a tag can hold
    return orientation if type(orientation) is int and 1 <= orientation <= 8 else 1


def _why(path: str | Path, content: bytes | None, error: Exception, stored: Stored | None) -> str:
    told = str(error).replace(repr(str(path)), "the file").removesuffix(".") or type(error).__name__
    if stored is not None and stored.compression:
        undecoded = isinstance(error, UnidentifiedImageError | KeyError)
        told = "Pillow does not decode it" if undecoded else told
        return f"{told}; a TIFF of {stored}, {stored.tags}, Compression {stored.compression}"
    if not isinstance(error, UnidentifiedImageError):
        return told
    if content is None:
        with Path(path).open("rb") as file:
            content = file.read(64)
    start = content[:64].lstrip()
    if not start:
        return "the file is empty"
    if start.startswith(b"<"):
        return "it is HTML or XML, perhaps an error page"
    return f"of no known format: not {', '.join(FORMATS[:-1])} or {FORMATS[-1]}; or damaged"


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Pillow's own limit is a global that warns at 89 and raises at 179 megapixels: ours is per call, and explained."""
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def refuse_size(size: tuple[int, int], path: str | Path, max_megapixels: float) -> None:
    """Make sure that a file of (height, width) may be decoded.

    Raises:
        PictureError: if it is larger than the limit, which it names.
    """
    height, width = size
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise PictureError(
            path,
            "too-large",
            f"decodes to {height}x{width} (height x width), {megapixels:.6g} megapixels; the limit is "
            f"{max_megapixels:g}",
            f"If the file is what it should be, raise the limit (--max-megapixels {megapixels + 1:.0f}, in Python "
            "max_megapixels) or cut it into tiles; otherwise replace it, or remove it and its partner.",
        )
