"""Pictures in PNG, GIF, WebP, BMP and JPEG: every depth, kind of colour, transparency and orientation there is."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from wholenet.data.pictures import image_with_header, raw_mask_with_header, read_image, read_raw_mask
from wholenet.data.stored import PictureError

HEIGHT, WIDTH = 10, 13
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
BANDS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}
DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}
"""Orientation tag -> upright, as EXIF 2.32 describes it."""


def numbers(depth: int, bands: int) -> np.ndarray:
    rng = np.random.default_rng([depth, bands])
    return rng.integers(0, 1 << depth, (HEIGHT, WIDTH, bands)).astype(">u2" if depth > 8 else np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(pixels: np.ndarray, depth: int, color: int, *chunks: bytes) -> bytes:
    """Source: PNG specification, sections 7.2 and 11."""
    rows = pixels.reshape(HEIGHT, -1)
    if depth < 8:
        rows = np.packbits((rows[..., None] >> np.arange(depth - 1, -1, -1) & 1).reshape(HEIGHT, -1), axis=1)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def packed(rgb: np.ndarray) -> np.ndarray:
    wide = rgb.astype(np.int64)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def refusal(look, path) -> str:
    with pytest.raises(PictureError) as error:
        look(path)
    return error.value.reason


@pytest.mark.parametrize(("color", "depth"), [(color, depth) for color, depths in DEPTHS.items() for depth in depths])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_png_of_any_kind_is_read_exactly_or_refused_by_the_fact(tmp_path, color, depth, keyed):
    pixels, path = numbers(depth, BANDS[color]), tmp_path / "a.png"
    colors = np.random.default_rng(1).integers(0, 256, (1 << min(depth, 8), 3)).astype(np.uint8)
    chunks = [chunk(b"PLTE", colors.tobytes())] if color == PALETTE else []
    if keyed and color in (GRAY, RGB):  # one value or colour is transparent
        chunks += [chunk(b"tRNS", pixels[0, 0].astype(">u2").tobytes())]
    elif keyed and color == PALETTE:
        chunks += [chunk(b"tRNS", b"\0\x80")]
    path.write_bytes(png(pixels, depth, color, *chunks))
    fact = f"{BANDS[color]} bands of {depth} bits".replace("1 bands", "1 band")
    if depth in (2, 4) and color == GRAY:
        assert f"{depth} bits per pixel" in refusal(read_image, path) == refusal(read_raw_mask, path)
        return
    if depth == 16:
        assert fact in refusal(read_image, path)
    else:
        shown = colors[pixels[..., 0]] if color == PALETTE else pixels[..., :3] if color & 2 else pixels[..., :1]
        scale = 255 if (color, depth) == (GRAY, 1) else 1
        found, _, transparent = image_with_header(path)
        np.testing.assert_array_equal(found, np.broadcast_to(shown * scale, found.shape))
        assert transparent == (color & 4 > 0 or keyed)
    if depth == 16 and color != GRAY:
        assert fact in refusal(read_raw_mask, path)
    else:
        codes = packed(pixels) if color in (RGB, RGB_ALPHA) else pixels[..., 0].astype(np.int64)
        np.testing.assert_array_equal(raw_mask_with_header(path)[0].codes, codes)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG", "TIFF"])
def test_every_orientation_is_turned_upright(tmp_path, form):
    blocks = np.kron(numbers(1, 1), np.ones((16, 16, 1), np.uint8)) * np.array([255, 200, 100], np.uint8)
    how = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(form, {})
    for orientation, turned in TURNED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(blocks).save(tmp_path / "a", form, exif=exif, **how)
        found = read_image(tmp_path / "a").astype(int)
        assert np.abs(found - turned(blocks)).max() <= 2 * (form == "JPEG"), orientation


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP"])
def test_animations_are_refused_also_out_of_memory(tmp_path, form):
    frames = [Image.fromarray(numbers(8, 3)), Image.fromarray(255 - numbers(8, 3))]
    frames[0].save(tmp_path / "a", form, save_all=True, append_images=frames[1:])
    for look in (read_image, read_raw_mask, lambda path: read_image("row 0", content=path.read_bytes())):
        assert refusal(look, tmp_path / "a") == "several pictures in one file (an animation); expected one"


@pytest.mark.parametrize(("form", "depth"), [("P5", 255), ("P5", 65535), ("P6", 65535)])
def test_formats_that_are_not_read_are_told_so_whatever_they_are_called(tmp_path, form, depth):
    content = f"{form} {WIDTH} {HEIGHT} {depth}\n".encode() + bytes(HEIGHT * WIDTH * 6)
    (tmp_path / "a.png").write_bytes(content)
    assert "of no known format" in refusal(read_image, tmp_path / "a.png")


def test_inks_of_a_cmyk_jpeg_become_rgb_by_the_plain_rule(tmp_path):
    inks = np.array([30, 120, 60, 20])
    Image.new("CMYK", (WIDTH, HEIGHT), tuple(inks.tolist())).save(tmp_path / "a.jpg", quality=100)
    expected = (255 - inks[:3]) * (255 - inks[3]) / 255
    assert np.abs(read_image(tmp_path / "a.jpg") - expected).max() <= 2


@pytest.mark.parametrize(("form", "how"), [("BMP", {}), ("GIF", {}), ("GIF", {"transparency": 1}), ("TIFF", {})])
def test_an_index_is_the_index_in_every_container(tmp_path, form, how):
    picture = Image.fromarray(numbers(2, 1)[..., 0])
    picture.putpalette([9, 0, 0, 0, 9, 0, 0, 0, 9, 7, 7, 7])
    content = io.BytesIO()
    picture.save(content, form, **how)
    (tmp_path / "a").write_bytes(content.getvalue())
    np.testing.assert_array_equal(read_raw_mask(tmp_path / "a").codes, numbers(2, 1)[..., 0])
