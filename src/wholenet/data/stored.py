"""How a file keeps its pixels, by its own words, and what of that is refused: before anything is decoded.

Decoders hide it: Pillow takes planes of 16 bits for planes of 8, drops a fourth band, turns grey levels about.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wholenet.data.pixels import MOST_CHANNELS, TYPES
from wholenet.data.sample import DataError

WHITE_IS_ZERO, GRAY, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
"""PhotometricInterpretation."""
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
"""SampleFormat."""
PREMULTIPLIED, ALPHA = 1, 2
"""ExtraSamples that say what a further band is."""
UNCOMPRESSED, JPEG_CODES = 1, (6, 7)
"""Compression; 6 is an older way of JPEG."""

_COLORS = {0: "grey, white is zero", 1: "grey", 2: "RGB", 3: "palette", 4: "transparency", 5: "CMYK", 6: "YCbCr"}
_COLORS |= {8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 32803: "a camera's raw mosaic", 34892: "a camera's raw colours"}
_COLORS |= {32844: "LogL", 32845: "LogLuv"}
_BANDS = {WHITE_IS_ZERO: 1, GRAY: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
_ALPHA_OF = {GRAY: (ALPHA,), PALETTE: (ALPHA,), RGB: (PREMULTIPLIED, ALPHA)}
_FORMATS = {
    UNSIGNED: "",
    SIGNED: ", signed",
    FLOAT: ", float",
    4: ", of no stated type",
    5: ", complex",
    6: ", complex",
}
_GRAY_BITS, _PALETTE_BITS, _LABEL_BITS = (1, 8), (1, 2, 4, 8), (8, 12, 16, 32)
_ONE_RANGE = (
    "wholenet reads 8 bits per channel and will not guess how to scale the rest; convert the whole data set with one "
    "range, for example with "
)
_LETTERS = {UNSIGNED: "uint", SIGNED: "int", FLOAT: "float"}
_ANEW = "Save it anew, all images alike, for example with GDAL: gdal_translate -ot Float32 in.tif out.tif"
_LABELS = "Save it as an 8-bit PNG whose pixel values are the class ids."


class PictureError(DataError):
    """One image or mask file cannot be used."""

    def __init__(self, path: str | Path, kind: str, reason: str, advice: str) -> None:
        self.place = str(path)
        """The file; of what several files make up, that which is meant."""
        super().__init__(f"{self.place}: {reason}. {advice}")
        self.kind = kind
        """"unreadable", "too-large", "frames", "bands", "depth", "bits", "misread", "polarity" or "mode"."""
        self.reason = reason
        """What is wrong; the same for all files of which it holds, but for numbers."""
        self.advice = advice


@dataclass(frozen=True)
class Stored:
    """What a TIFF says of its pixels; a PNG in the same terms."""

    color: int
    """PhotometricInterpretation."""
    bits: tuple[int, ...]
    """Of each band."""
    formats: tuple[int, ...] = (UNSIGNED,)
    """SampleFormat, of each band or of all."""
    extra: tuple[int, ...] = ()
    """ExtraSamples: what the bands after those of the colour are."""
    planar: bool = False
    """Whether the bands follow each other, instead of the pixels."""
    big_endian: bool = False
    big_tiff: bool = False
    compression: int = 0
    """Compression of a TIFF; 0 of a PNG."""
    pages: bool = False
    """Whether there are further pictures in the file that are no smaller copies of the first."""
    size: tuple[int, int] = (0, 0)
    """(height, width), as stored."""
    nodata: float | None = None
    """The value of pixels without data, if a TIFF's GDAL_NODATA names one."""

    def __str__(self) -> str:
        depth = "/".join(map(str, self.bits if len(set(self.bits)) > 1 else self.bits[:1]))
        form = _FORMATS.get(self.formats[0], "") if len(set(self.formats)) == 1 else ", of several types"
        return f"{len(self.bits)} band{'s' * (len(self.bits) > 1)} of {depth} bit{'s' * (depth != '1')}{form}"

    @property
    def type(self) -> str:
        """NumPy's name of the type of the first band, as far as there is one: "uint16"."""
        return f"{_LETTERS.get(self.formats[0], 'other')}{self.bits[0]}"

    @property
    def tags(self) -> str:
        """The colour in the words of the tags."""
        further = ", ".join(map(str, dict.fromkeys(self.extra[:20])))
        extra = f"ExtraSamples {further}" if further else "no ExtraSamples"
        return f"PhotometricInterpretation {self.color}, {extra}"


def read_png(file: BinaryIO) -> Stored | None:
    """What the header of a PNG says; None if ``file``, at its start, is none.

    Source: PNG specification, section 11.2.1 (IHDR).
    """
    start = file.read(26)
    if len(start) < 26 or start[:8] != b"\x89PNG\r\n\x1a\n" or start[12:16] != b"IHDR":
        return None
    width, height, depth, color = struct.unpack(">IIBB", start[16:26])
    bands = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color)
    if bands is None:
        return None
    kind = PALETTE if color == 3 else RGB if color & 2 else GRAY
    return Stored(kind, (depth,) * bands, extra=(ALPHA,) if color & 4 else (), size=(height, width))


def is_measured(stored: Stored) -> bool:
    """Whether the bands are measurements, which viewers show in no one way: more than 8 bits, floats, or other bands
    than those of a colour."""
    deep = max(stored.bits) > 8 or set(stored.formats) != {UNSIGNED}
    return stored.color in (WHITE_IS_ZERO, GRAY, RGB) and (deep or not _of_a_color(stored))


def refuse(stored: Stored, path: str | Path, mask: bool) -> None:
    """Make sure that the pixels are of a kind that comes out of Pillow as it went into the file.

    Args:
        stored: what the file says of itself.
        path: the file, for the message.
        mask: whether it holds labels. Those may have more than 8 bits.

    Raises:
        PictureError: naming the fact, what is expected, and what converts the file.
    """
    if stored.pages:
        raise several_pictures(path, "pages")
    _refuse_colors(stored, path, mask)
    _refuse_bands(stored, path, mask)
    _refuse_depth(stored, path, mask)
    _refuse_misread(stored, path)
    if mask and stored.color == WHITE_IS_ZERO and stored.bits == (1,):
        raise PictureError(
            path,
            "polarity",
            "1 bit, where 0 is white (PhotometricInterpretation 0, WhiteIsZero), which can be read in two ways: as "
            "stored, or as viewers show it",
            "Save it as an 8-bit PNG of 0 and 255; magick in.tif -depth 8 out.png writes what viewers show.",
        )


def several_pictures(path: str | Path, what: str) -> PictureError:
    """The error about a file of several pictures, of which a decoder would give the first."""
    reason = f"several pictures in one file ({what}); expected one"
    return PictureError(
        path,
        "frames",
        reason,
        "Save each as a file with a partner of its own; the first alone: magick 'in.tif[0]' out.png"
        + (". If the pages of an image are its bands, say so with --bands pages" if what == "pages" else ""),
    )


def refuse_measured(stored: Stored, path: str | Path) -> None:
    """Make sure that an image whose bands are measurements has them in one type, in which they mean something.

    Raises:
        PictureError: naming the fact, what is expected, and what converts the file.
    """
    if stored.color not in (GRAY, RGB):
        called = f"{_COLORS.get(stored.color, 'unknown')} (PhotometricInterpretation {stored.color})"
        if stored.color == WHITE_IS_ZERO:
            reason = f"{stored}, where 0 is white (PhotometricInterpretation 0), which can be read in two ways"
            raise PictureError(path, "polarity", f"{reason}: as stored, or as viewers show it", _ANEW)
        raise PictureError(path, "mode", f"{stored}, as {called}, which are no measurements", "Save it as grey or RGB.")
    if len(set(stored.bits)) > 1 or len(set(stored.formats)) > 1 or stored.type not in TYPES:
        raise PictureError(path, "depth", f"{stored}; expected one of {', '.join(TYPES)}", _ANEW)
    if len(stored.bits) > MOST_CHANNELS:
        reason = f"{len(stored.bits)} bands; the limit is {MOST_CHANNELS}"
        raise PictureError(path, "bands", reason, "Choose some, the same for all images: gdal_translate -b 1 -b 2 ...")


def _refuse_colors(stored: Stored, path: str | Path, mask: bool) -> None:
    called = f"{_COLORS.get(stored.color, 'unknown')} (PhotometricInterpretation {stored.color})"
    if mask and stored.color == CMYK:
        reason = f"a mask must be an index, palette, 1-bit or RGB picture, this one has colours as {called}"
        raise PictureError(path, "mode", reason, _LABELS)
    if stored.color == YCBCR and (stored.compression not in JPEG_CODES or stored.planar):
        called += " in planes" if stored.planar else " without JPEG"
    elif stored.color in _BANDS:
        return
    reason = f"colours as {called}, which wholenet does not turn into RGB"
    raise PictureError(path, "mode", reason, "Save it as RGB.")


def _of_a_color(stored: Stored) -> bool:
    """Whether there are as many bands as the colour has, or one more that is said to be alpha."""
    alpha = stored.extra in [(code,) for code in _ALPHA_OF.get(stored.color, ())]
    return len(stored.bits) == _BANDS[stored.color] + alpha and len(stored.extra) == alpha


def _refuse_bands(stored: Stored, path: str | Path, mask: bool) -> None:
    if _of_a_color(stored):
        return
    meant = f"{stored}, as {_COLORS[stored.color]} ({stored.tags})"
    if mask:
        raise PictureError(
            path,
            "bands",
            f"{meant}; expected one band of labels, or RGB",
            "Save the band of the labels alone, for example with GDAL: gdal_translate -b 1 in.tif out.tif",
        )
    raise PictureError(
        path,
        "bands",
        f"{meant}; expected 1 band as grey or 3 as RGB, or one more that is said to be alpha",
        "Images with labels are 8-bit RGB here, and no band is dropped unsaid. Choose three, the same for the whole "
        "data set, for example with GDAL: gdal_translate -b 1 -b 2 -b 3 -co PHOTOMETRIC=RGB in.tif out.tif",
    )


def _refuse_depth(stored: Stored, path: str | Path, mask: bool) -> None:
    bits, formats = set(stored.bits), set(stored.formats)
    gray = stored.color in (WHITE_IS_ZERO, GRAY)
    if formats == {UNSIGNED} and len(stored.bits) == 1:
        allowed = _PALETTE_BITS if stored.color == PALETTE else _GRAY_BITS
        if stored.bits[0] in allowed:
            return
        if gray and stored.bits[0] < 8:
            raise PictureError(
                path,
                "bits",
                f"a grey picture with {stored.bits[0]} bits per pixel, whose values can be read in two ways "
                "(0, 1, 2, ... or stretched to 0..255)",
                "Save it with 8 bits per pixel.",
            )
    if formats == {UNSIGNED} and bits == {8}:
        return
    labels = len(stored.bits) == 1 and stored.bits[0] in _LABEL_BITS and formats <= {UNSIGNED, SIGNED}
    if mask and gray and labels:
        return
    if mask:
        raise PictureError(path, "depth", f"{stored}; expected whole numbers, or colours of 8 bits", _LABELS)
    high = 1 if FLOAT in formats else 4095
    how = (
        f"GDAL, if 0 to {high} is that range: gdal_translate -ot Byte -scale 0 {high} 0 255 in.tif out.tif"
        if formats != {UNSIGNED}
        else "ImageMagick: magick in.tif -level 0,4095 -depth 8 out.png"
    )
    raise PictureError(path, "depth", f"{stored}; expected 8 bits, unsigned", _ONE_RANGE + how)


def misread(stored: Stored) -> str | None:
    """How the pixels are stored, if Pillow (13.0) takes them for something else; `tests/data/test_tiff.py` tries every
    combination."""
    bits = stored.bits
    whole_bytes = bits == (8,) and stored.color != WHITE_IS_ZERO
    in_planes = stored.planar and stored.compression == UNCOMPRESSED and len(bits) < 3
    if stored.big_tiff and stored.big_endian:
        return "as a BigTIFF in big-endian order"
    if in_planes and not whole_bytes and not (bits == (1,) and stored.color == GRAY):
        return "in planes (PlanarConfiguration 2), uncompressed"
    if SIGNED in stored.formats and max(bits) > 8 and stored.big_endian and stored.compression != UNCOMPRESSED:
        return f"in big-endian order, compressed (Compression {stored.compression})"
    return None


def _refuse_misread(stored: Stored, path: str | Path) -> None:
    how = misread(stored)
    if how is None:
        return
    raise PictureError(
        path,
        "misread",
        f"{stored}, {how}, which Pillow does not read or takes for other numbers",
        "Save it anew, for example with GDAL: gdal_translate -co INTERLEAVE=PIXEL in.tif out.tif",
    )
