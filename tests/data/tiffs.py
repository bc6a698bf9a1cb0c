"""TIFFs of every kind, written byte by byte: what Pillow, tifffile and GDAL write, and what none of them should.

Source: TIFF 6.0; Adobe's Technical Note 3 for the predictor of floats; BigTIFF.
"""

import struct
import zlib
from functools import lru_cache

import numpy as np

NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
_CODES = {2: "B", 3: "H", 4: "I", 16: "Q"}
TEXT, SHORT, LONG, LONG8 = 2, 3, 4, 16


def tiff(*pages, order="<", big=False):
    """A file of the pages, each a dict of what ``page`` takes."""
    head = 16 if big else 8
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    start += struct.pack(order + ("HHQ" if big else "I"), *((8, 0, head) if big else (head,)))
    content = b""
    for number, options in enumerate(pages):
        at = head + len(content)
        content += page(at, order, big, last=number == len(pages) - 1, **options)
    return start + content


def page(
    at,
    order,
    big,
    last,
    pixels,
    bits=None,
    color=1,
    extra=(),
    planar=False,
    tile=None,
    rows=None,
    compression=NONE,
    predictor=1,
    more=(),
    without=(),
    nodata=None,
):
    """Tags and pixels of [H, W, C] numbers, for the place ``at`` in a file; ``more`` are tags, as lists of SHORTs;
    ``nodata`` is the text of GDAL_NODATA."""
    height, width, bands = pixels.shape
    bits = bits or pixels.dtype.itemsize * 8
    parts = parts_of(
        *(pixels.tobytes(), pixels.dtype.str, pixels.shape, bits, planar, tile, rows or height, order, compression),
        predictor,
    )
    down, across = tile or (rows or height, width)
    offset_type = LONG8 if big else LONG
    form = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags = {256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [bits] * bands), 259: (SHORT, [compression])}
    tags |= {262: (SHORT, [color]), 277: (SHORT, [bands]), 284: (SHORT, [2 if planar else 1])}
    tags |= {339: (SHORT, [form] * bands)}
    tags |= {322: (SHORT, [across]), 323: (SHORT, [down])} if tile else {278: (LONG, [down])}
    tags |= {325 if tile else 279: (offset_type, [len(part) for part in parts])}
    tags |= {338: (SHORT, extra)} if extra else {}
    tags |= {317: (SHORT, [predictor])} if predictor > 1 else {}
    tags |= {number: (SHORT, values) for number, values in dict(more).items()}
    tags |= {42113: (TEXT, [*f"{nodata}\0".encode()])} if nodata is not None else {}
    offsets = 324 if tile else 273
    elsewhere = offsets in tags
    tags.setdefault(offsets, (offset_type, [0] * len(parts)))
    tags = {number: tags[number] for number in sorted(tags) if number not in without}
    behind = at + len(directory(tags, at, order, big, 0))
    places = behind + np.cumsum([0] + [len(part) for part in parts[:-1]])
    if offsets in tags and not elsewhere:
        tags[offsets] = (offset_type, places.tolist())
    body = b"".join(parts)
    following = 0 if last else behind + len(body)
    return directory(tags, at, order, big, following) + body


@lru_cache(maxsize=256)
def parts_of(content, kind, shape, bits, planar, tile, rows, order, compression, predictor):
    """Strips or tiles; other tags may say other things of the same."""
    pixels = np.frombuffer(content, kind).reshape(shape)
    height, width, bands = shape
    down, across = tile or (rows, width)
    parts = []
    for layer in [pixels[..., i : i + 1] for i in range(bands)] if planar else [pixels]:
        for y in range(0, height, down):
            for x in range(0, width, across):
                part = layer[y : y + down, x : x + across]
                if tile:
                    part = np.pad(part, ((0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0)))
                parts.append(packed(part, bits, order, compression, predictor))
    return parts


def directory(tags, at, order, big, following):
    """The tags, and behind them those values that do not fit in."""
    count, entry, long, room = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
    far_at = at + struct.calcsize(order + count) + entry * len(tags) + struct.calcsize(order + long)
    near, far = struct.pack(order + count, len(tags)), b""
    for number, (kind, values) in tags.items():
        content = struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
        if len(content) > room:
            content, far = struct.pack(order + long, far_at + len(far)), far + content
        near += struct.pack(f"{order}HH{long}", number, kind, len(values)) + content.ljust(room, b"\0")
    return near + struct.pack(order + long, following) + far


def packed(part, bits, order, compression, predictor):
    """One strip or tile [h, w, c]."""
    if predictor == 2:
        part = part.copy()
        part[:, 1:] = np.diff(part, axis=1)
    if bits < 8:
        rows = part.reshape(part.shape[0], -1)
        content = np.packbits((rows[..., None] >> np.arange(bits - 1, -1, -1) & 1).reshape(len(rows), -1), axis=1)
        content = content.tobytes()
    elif predictor == 3:
        rows = part.astype(part.dtype.newbyteorder(">")).reshape(part.shape[0], -1)
        planes = rows.view(np.uint8).reshape(*rows.shape, -1).transpose(0, 2, 1).reshape(len(rows), -1).copy()
        step = part.shape[2]
        planes[:, step:] = planes[:, step:] - planes[:, :-step]
        content = planes.tobytes()
    else:
        content = part.astype(part.dtype.newbyteorder(order)).tobytes()
    return {NONE: bytes, LZW: lzw, DEFLATE: zlib.compress, PACKBITS: packbits}[compression](content)


def lzw(content):
    """Every byte as itself, the table cleared before a code of ten bits is due."""
    codes = []
    for start in range(0, len(content), 250):
        codes += [256, *content[start : start + 250]]
    bits = np.array([*codes, 257])[:, None] >> np.arange(8, -1, -1) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def packbits(content):
    """Literal runs alone."""
    runs = [content[start : start + 128] for start in range(0, len(content), 128)]
    return b"".join(bytes([len(run) - 1]) + run for run in runs)
