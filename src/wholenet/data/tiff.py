"""The tags of a TIFF that say how its pixels are stored; nothing is decoded.

Source: TIFF 6.0 (Adobe 1992) for tags and types; BigTIFF has the same with numbers of 8 bytes.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from wholenet.data.stored import RGB, YCBCR, Stored

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, COLOR = 254, 256, 257, 258, 259, 262
STRIPS, BANDS, STRIP_ROWS, PLANAR, TILE_WIDTH, TILE_HEIGHT, TILES, EXTRA, FORMATS = (
    273,
    277,
    278,
    284,
    322,
    323,
    324,
    338,
    339,
)

NODATA = 42113
"""GDAL's tag for the value of pixels without data, as text."""

_WANTED = {SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, COLOR, STRIPS, BANDS, STRIP_ROWS, PLANAR, TILE_WIDTH}
_WANTED |= {TILE_HEIGHT, TILES, EXTRA, FORMATS, NODATA}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
"""Types of whole numbers."""
MOST_PARTS, MOST_BANDS, MOST_TAGS, MOST_COPIES = 1 << 20, 65535, 65535, 64
"""Strips or tiles, bands, tags of a picture, smaller copies behind it: what is read of a file that claims more."""
_TEXT, _MOST_TEXT = 2, 100
"""The type of text, and how much of it a number is."""
_REDUCED = 1
"""Bit of NewSubfileType."""
_OLD_JPEG = 6

Tags = dict[int, tuple[int, ...]]


def read_tiff(file: BinaryIO) -> Stored | None:
    """What the tags say; None if ``file``, at its start, is no TIFF.

    Raises:
        ValueError: if the tags are damaged or claim too much, or strips or tiles are missing from the file.
        struct.error: if the file ends within its first bytes.
    """
    start = file.read(16)
    if start[:2] not in (b"II", b"MM") or not {42, 43} & set(start[2:4]):
        return None
    order, big = "<" if start[:2] == b"II" else ">", 43 in start[2:4]
    (here,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", start, 8 if big else 4)
    first, following = _directory(file, here, order, big)
    seen = {here}
    pages = False
    while following and following not in seen and not pages:
        seen.add(following)
        tags, following = _directory(file, following, order, big, wanted={SUBFILE})
        pages = not tags.get(SUBFILE, (0,))[0] & _REDUCED or len(seen) > MOST_COPIES
    _refuse_missing_parts(first)
    return _stored(first, pages, order == ">", big)


def _directory(file: BinaryIO, offset: int, order: str, big: bool, wanted: set[int] = _WANTED) -> tuple[Tags, int]:
    """The wanted tags of one picture, and where the next one's are, or 0."""
    long, count, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    file.seek(offset)
    (entries,) = _unpack(file, order + count)
    tags: Tags = {}
    size = struct.calcsize(order + entry)
    content = file.read(entries * size) if entries <= MOST_TAGS else b""
    for tag, kind, values, inline in struct.iter_unpack(order + entry, content):
        if tag == NODATA and tag in wanted and tag not in tags:
            if kind == _TEXT and 0 < values <= _MOST_TEXT:  # a number is no longer, and other software may ignore it
                tags[tag] = _values(file, order, long, 1, values, inline, _MOST_TEXT)
        elif tag in wanted and tag not in tags:  # of one that is there twice, decoders take the first
            tags[tag] = _values(
                file, order, long, kind, values, inline, MOST_PARTS if tag in (STRIPS, TILES) else MOST_BANDS
            )
    file.seek(offset + struct.calcsize(order + count) + entries * size)
    (following,) = _unpack(file, order + long)
    return tags, following


def _values(file: BinaryIO, order: str, long: str, kind: int, count: int, inline: bytes, most: int) -> tuple[int, ...]:
    if kind not in _CODES or not 0 < count <= most:
        raise ValueError(f"a TIFF in which a tag has {count} values of type {kind}")
    form = f"{order}{count}{_CODES[kind]}"
    if struct.calcsize(form) <= len(inline):
        return struct.unpack_from(form, inline)
    file.seek(struct.unpack(order + long, inline)[0])
    return _unpack(file, form)


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    content = file.read(struct.calcsize(form))
    if len(content) < struct.calcsize(form):
        raise ValueError("a TIFF that ends among its tags")
    return struct.unpack(form, content)


def _stored(tags: Tags, pages: bool, big_endian: bool, big_tiff: bool) -> Stored:
    compression = tags.get(COMPRESSION, (1,))[0]
    color = YCBCR if compression == _OLD_JPEG else tags[COLOR][0]
    bands = tags.get(BANDS, (3 if compression == _OLD_JPEG and color in (RGB, YCBCR) else 1,))[0]
    bits = tags.get(BITS, (1,))
    if len(bits) == 1 and bands <= MOST_BANDS:
        bits *= bands
    if len(bits) < bands:
        raise ValueError(f"a TIFF of {bands} bands, with a depth for {len(bits)} of them")
    return Stored(
        color=color,
        bits=bits[:bands],
        formats=tags.get(FORMATS, (1,)),
        extra=tags.get(EXTRA, ()),
        planar=tags.get(PLANAR, (1,))[0] == 2,
        big_endian=big_endian,
        big_tiff=big_tiff,
        compression=compression,
        pages=pages,
        size=(tags.get(HEIGHT, (0,))[0], tags.get(WIDTH, (0,))[0]),
        nodata=_number(tags.get(NODATA, ())),
    )


def _number(text: tuple[int, ...]) -> float | None:
    r"""That of a text; None where it is none.

    >>> _number(tuple(b"-9999\0")), _number(tuple(b"nan")), _number(tuple(b"none"))
    (-9999.0, nan, None)
    """
    try:
        return float(bytes(text).rstrip(b"\0 "))
    except ValueError:
        return None


def _refuse_missing_parts(tags: Tags) -> None:
    """Pillow leaves missing strips black, and reads those at 0 out of the file's header."""
    offsets = tags.get(STRIPS) or tags.get(TILES)
    if tags.get(COMPRESSION) == (_OLD_JPEG,):  # one stream, wherever it is
        return
    if offsets is None or not {WIDTH, HEIGHT, COLOR} <= tags.keys():
        raise ValueError("a TIFF without the tag of its size, of its colour, or of where its pixels are")
    width, height = tags[WIDTH][0], tags[HEIGHT][0]
    across, down = 1, tags.get(STRIP_ROWS, (height,))[0]
    if STRIPS not in tags:
        across, down = _parts(width, tags.get(TILE_WIDTH, (0,))[0]), tags.get(TILE_HEIGHT, (0,))[0]
    expected = across * _parts(height, down)
    if tags.get(PLANAR, (1,))[0] == 2:
        expected *= tags.get(BANDS, (1,))[0]
    present = sum(offset > 0 for offset in offsets[:expected])
    if present < expected:
        raise ValueError(f"a TIFF of which {expected - present} of {expected} strips or tiles are missing")


def _parts(whole: int, part: int) -> int:
    if whole <= 0 or part <= 0:
        raise ValueError(f"a TIFF with a side of {whole} pixels in parts of {part}")
    return -(-whole // part)
