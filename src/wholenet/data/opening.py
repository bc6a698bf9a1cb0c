"""Opening image files through Pillow: damage, absurd sizes and depths that it would misread become one error."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from wholenet.data.sample import DataError

MAX_MEGAPIXELS = 100.0
"""What an image or a mask may decode to unless the caller says otherwise: Cityscapes has 2, large aerial tiles 36."""
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
"""Formats that are read, whatever a file is called; JPEG is MPO too. For others Pillow may start Ghostscript."""

_EXIF_ORIENTATION = 0x0112
_OPENING = threading.Lock()


class PictureError(DataError):
    """One image or mask file cannot be used."""

    def __init__(self, path: str | Path, kind: str, reason: str, advice: str) -> None:
        super().__init__(f"{path}: {reason}. {advice}")
        self.kind = kind
        """"unreadable", "too-large", "16-bit", "bits" or "mode"."""
        self.reason = reason
        self.advice = advice


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
    frames: bool
    """Whether there are more pictures in the file than the first, which alone is read."""


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings of odd files from the terminal; for the thread that starts others to read files."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def load(path: str | Path, max_megapixels: float, content: bytes | None = None) -> tuple[Header, Image.Image]:
    """The picture, decoded and upright; whatever goes wrong with the file becomes a PictureError.

    Args:
        path: the file; if its ``content`` is given, how messages call it.
        max_megapixels: larger ones are refused before they are decoded.
        content: the file's bytes, if they are at hand.
    """
    try:
        with open_picture(path, content) as picture:
            _refuse_absurd_size(picture.size, path, max_megapixels)
            _refuse_depths(picture, path)
            with _without_pillows_limit():
                # Cameras put a small copy of the picture behind it, as a second frame of an MPO.
                frames = picture.format != "MPO" and bool(getattr(picture, "is_animated", False))
                picture.seek(0)
            header = _header(picture, frames)
            # Pillow measures a TIFF once more here. To other threads the limit may be lifted at the moment.
            large = picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or 0)
            with _without_pillows_limit() if large else nullcontext():
                picture.load()
            return header, picture.copy() if header.orientation == 1 else ImageOps.exif_transpose(picture)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # damaged files fail anywhere in Pillow: KeyError, OverflowError, zlib.error, ...
        reason = f"cannot be read as an image ({_why(path, content, error)})"
        raise PictureError(path, "unreadable", reason, "Replace the file, or remove it and its partner.") from error


def open_picture(path: str | Path, content: bytes | None = None) -> Image.Image:
    """A file of one of the ``FORMATS``, or its ``content``: header read, pixels not."""
    with _without_pillows_limit():
        return Image.open(path if content is None else io.BytesIO(content), formats=FORMATS)


def _header(picture: Image.Image, frames: bool) -> Header:
    compression = picture.info.get("compression", "") if picture.format == "TIFF" else ""
    orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)  # a number, or anything else that a tag can hold
    upright = type(orientation) is not int or not 1 <= orientation <= 8
    return Header(picture.format or "", picture.mode, str(compression), 1 if upright else orientation, frames)


def _why(path: str | Path, content: bytes | None, error: Exception) -> str:
    if not isinstance(error, UnidentifiedImageError):
        return str(error).replace(repr(str(path)), "the file").removesuffix(".") or type(error).__name__
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


def _refuse_absurd_size(size: tuple[int, int], path: str | Path, max_megapixels: float) -> None:
    width, height = size
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


def _refuse_depths(picture: Image.Image, path: str | Path) -> None:
    arguments = [tile.args for tile in getattr(picture, "tile", ())]
    stored = [args[0] if isinstance(args, tuple) else args for args in arguments]
    # Pillow drops the lower byte of these: nearly black, where a camera's 12 bits stand in 16.
    if picture.mode in ("RGB", "RGBA", "LA") and any(";16" in str(mode) for mode in stored):
        raise PictureError(
            path,
            "16-bit",
            f"16 bits per channel (Pillow mode {picture.mode})",
            "wholenet reads 8 bits per channel and will not guess how to scale the rest; convert the whole data set "
            "with one range, for example with ImageMagick: magick in.tif -level 0,4095 -depth 8 out.png",
        )
    # Pillow stretches these to 0, 85, 170, 255: index 3 of a mask would turn into "ignore".
    depth = next((mode for mode in stored if mode in ("L;2", "L;4")), None)
    if depth is not None:
        raise PictureError(
            path,
            "bits",
            f"a grey picture with {depth[-1]} bits per pixel, whose values can be read in two ways "
            "(0, 1, 2, ... or stretched to 0..255)",
            "Save it with 8 bits per pixel.",
        )
