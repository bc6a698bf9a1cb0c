"""Images of other bands and types than 8-bit RGB: read exactly as written, all their bands, or refused by the fact."""

import struct
import zlib
from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest
from fuzz import png
from PIL import Image
from test_tiff import COLORS, combinations
from tiffs import DEFLATE, LZW, tiff

from wholenet.data import bands as module
from wholenet.data.bands import read_bands
from wholenet.data.opening import quiet_pillow
from wholenet.data.pictures import read_image
from wholenet.data.pixels import TYPES, band_stats, pixels_of
from wholenet.data.stored import PictureError
from wholenet.data.survey import look_at_image

pytest.importorskip("tifffile", reason="part of wholenet[tiff]")
GRAY, RGB = 1, 2
NAMES = {"u": "uint", "i": "int", "f": "float"}
CODECS = find_spec("imagecodecs") is not None
RNG = np.random.default_rng(3)


def refusal(path, *how):
    with pytest.raises(PictureError) as error:
        read_bands(path, *how)
    return str(error.value)


def outcome(path):
    """What was read, or why it was refused."""
    try:
        return read_bands(path)
    except PictureError as error:
        return error.reason


def measured(said):
    name = NAMES[said["kind"][0]] + said["kind"][1:]
    photo = said["bands"] == {GRAY: 1, RGB: 3}.get(said["color"], 0) + (said["extra"] == (2,))
    return said["color"] in (GRAY, RGB) and name in TYPES and not (photo and name == "uint8")


def test_every_combination_of_measured_bands_is_read_exactly(tmp_path, capfd):
    path, read, refused = tmp_path / "a.tif", Counter(), Counter()
    with quiet_pillow():
        for said, pixels, content in combinations():
            if not measured(said):
                continue
            path.write_bytes(content)
            found = outcome(path)
            if isinstance(found, str):
                assert (said["compression"], CODECS) == (LZW, False), (said, found)
                assert "imagecodecs would read, not installed here" in found
                refused[said["bands"]] += 1
                continue
            assert (found.dtype, found.shape) == (pixels.dtype, pixels.shape), said
            assert np.array_equal(found, pixels), said
            assert found.dtype.isnative, said
            read[said["kind"]] += 1
    assert set(read) == {"u8", "i8", "u16", "i16", "u32", "i32", "f16", "f32", "f64"}
    assert sum(read.values()) > 1500
    assert bool(refused) is not CODECS
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("color", "bands"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_a_png_of_16_bits_keeps_all_of_them(tmp_path, color, bands):
    pixels = RNG.integers(0, 1 << 16, (11, 9, bands)).astype(np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    (tmp_path / "a.png").write_bytes(png(9, 11, depth=16, color=color, data=rows))
    found = read_bands(tmp_path / "a.png")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    assert "cannot be read as an image" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_as_stored_a_picture_of_8_bits_has_the_bands_of_the_file(tmp_path, bands):
    pixels = RNG.integers(0, 256, (11, 9, bands), dtype=np.uint8)
    picture = Image.fromarray(pixels[..., 0] if bands == 1 else pixels)
    for suffix in ("png", "tif"):
        picture.save(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(read_bands(tmp_path / f"a.{suffix}", "stored"), pixels)
        viewed = read_bands(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(viewed, read_image(tmp_path / f"a.{suffix}"))
        assert viewed.shape == (11, 9, 3)


@pytest.mark.parametrize("kind", ["palette", "CMYK", "white is zero"])
def test_as_stored_colours_that_are_no_measurements_are_refused(tmp_path, kind):
    pixels = RNG.integers(0, 256, (11, 9, 1), dtype=np.uint8)
    content = {
        "palette": lambda: tiff({"pixels": pixels, "color": 3, "more": {320: COLORS.ravel().tolist()}}),
        "CMYK": lambda: tiff({"pixels": np.repeat(pixels, 4, axis=2), "color": 5}),
        "white is zero": lambda: tiff({"pixels": pixels, "color": 0}),
    }
    (tmp_path / "a.tif").write_bytes(content[kind]())
    assert read_bands(tmp_path / "a.tif").shape == (11, 9, 3)
    assert ("two ways" if kind == "white is zero" else "are no measurements") in refusal(tmp_path / "a.tif", "stored")


def test_pages_are_bands_only_where_that_is_said(tmp_path):
    pixels = RNG.integers(0, 1 << 16, (11, 9, 4)).astype(np.uint16)
    smaller = {"pixels": pixels[::2, ::2, :1], "more": {254: [1]}}
    pages = [{"pixels": pixels[..., i : i + 1], "rows": 3, "compression": DEFLATE} for i in range(4)]
    (tmp_path / "a.tif").write_bytes(tiff(*pages[:2], smaller, *pages[2:]))
    np.testing.assert_array_equal(read_bands(tmp_path / "a.tif", "pages"), pixels)
    for how in ("auto", "stored"):
        assert "say so with --bands pages" in refusal(tmp_path / "a.tif", how)
    (tmp_path / "a.tif").write_bytes(tiff(*pages[:2], {"pixels": pixels[..., :2], "extra": (0,)}))
    assert "page 2 has 2 bands of uint16" in refusal(tmp_path / "a.tif", "pages")
    (tmp_path / "a.tif").write_bytes(tiff(pages[0], smaller))  # a single one, with a smaller copy
    np.testing.assert_array_equal(read_bands(tmp_path / "a.tif", "pages"), pixels[..., :1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_bands_are_turned_as_the_tag_says_once(tmp_path, orientation):
    """By each of the three decoders: OpenCV, tifffile, Pillow."""
    pixels = RNG.integers(0, 256, (11, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(tmp_path / "8.png", exif=exif)
    expected = read_image(tmp_path / "8.png")
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels.astype(np.uint16))
    tag = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(tag)) + b"eXIf" + tag + struct.pack(">I", zlib.crc32(b"eXIf" + tag))
    (tmp_path / "16.png").write_bytes(png(9, 11, chunk, depth=16, color=2, data=rows))
    deep = {"pixels": pixels.astype(np.uint16), "color": RGB, "more": {274: [orientation]}}
    (tmp_path / "16.tif").write_bytes(tiff(deep))
    np.testing.assert_array_equal(read_bands(tmp_path / "16.png"), expected)
    np.testing.assert_array_equal(read_bands(tmp_path / "16.tif"), expected)
    (tmp_path / "1.tif").write_bytes(tiff({**deep, "pixels": deep["pixels"][..., :1], "color": GRAY}))
    np.testing.assert_array_equal(read_bands(tmp_path / "1.tif"), expected[..., :1])


def test_what_unpacks_to_more_than_its_place_is_refused(tmp_path):
    pixels = np.zeros((11, 9, 4), np.uint16)
    content = tiff({"pixels": pixels, "compression": DEFLATE, "extra": (0, 0, 0)})
    bomb = zlib.compress(bytes(1 << 20))
    whole = content.replace(zlib.compress(pixels.tobytes()), bomb)
    assert whole != content
    (tmp_path / "a.tif").write_bytes(whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "find_spec", lambda name: None if name == "imagecodecs" else find_spec(name))
        refusal(tmp_path / "a.tif")
    counts = [len(bomb) if value == len(zlib.compress(pixels.tobytes())) else value for value in [len(bomb)]]
    (tmp_path / "a.tif").write_bytes(
        tiff({"pixels": pixels, "compression": DEFLATE, "extra": (0, 0, 0), "more": {279: counts}}).replace(
            zlib.compress(pixels.tobytes()), bomb
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "find_spec", lambda name: None if name == "imagecodecs" else find_spec(name))
        assert "unpacks to more than its place" in refusal(tmp_path / "a.tif")


def test_without_the_reader_a_file_is_refused_with_what_installs_it(tmp_path, monkeypatch):
    (tmp_path / "a.tif").write_bytes(tiff({"pixels": np.zeros((11, 9, 4), np.uint16), "extra": (0, 0, 0)}))
    (tmp_path / "1.tif").write_bytes(tiff({"pixels": np.zeros((11, 9, 1), np.uint16)}))
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert "4 bands of 16 bits, which tifffile would read, not installed here" in refusal(tmp_path / "a.tif")
    assert "pip install 'wholenet[tiff]'" in refusal(tmp_path / "a.tif")
    assert read_bands(tmp_path / "1.tif").dtype == np.uint16


NODATA = {
    "whole numbers": (np.int16, "-9999", -9999),
    "zero": (np.uint16, "0", 0),
    "floats": (np.float32, "-3.4028234663852886e+38", -3.4028234663852886e38),
    "NaN": (np.float32, "nan", np.nan),
}


@pytest.mark.parametrize("case", NODATA)
def test_pixels_without_data_become_the_mean_of_the_others_and_do_not_count(case, tmp_path):
    kind, text, value = NODATA[case]
    pixels = RNG.integers(1, 3000, (20, 24, 2)).astype(kind)
    missing = RNG.random(pixels.shape) < 0.3
    path = tmp_path / "a.tif"
    path.write_bytes(tiff({"pixels": np.where(missing, np.array(value, kind), pixels), "nodata": text}))
    opened = module.bands_with_header(path)
    np.testing.assert_array_equal(opened.missing, missing)
    stats = look_at_image(path).stats
    for band in range(2):
        there = pixels[..., band][~missing[..., band]].astype(float)
        mean = there.mean() if np.dtype(kind).kind == "f" else np.rint(there.mean())
        expected = np.where(missing[..., band], kind(mean), pixels[..., band])
        np.testing.assert_array_equal(read_bands(path)[..., band], expected)
        found = (stats[band].mean, stats[band].std, stats[band].low, stats[band].high, stats[band].missing)
        np.testing.assert_allclose(
            found, (there.mean(), there.std(), there.min(), there.max(), missing[..., band].sum()), rtol=1e-12
        )
    whole = pixels_of(np.dtype(kind).name, "auto", [(480, stats), (480, band_stats(pixels))])
    for band in range(2):
        joined = np.concatenate([pixels[..., band][~missing[..., band]], pixels[..., band].ravel()]).astype(float)
        np.testing.assert_allclose((whole.mean[band], whole.std[band]), (joined.mean(), joined.std()), rtol=1e-12)


def test_an_image_without_any_data_and_tags_that_are_no_number(tmp_path):
    path = tmp_path / "a.tif"
    pixels = np.full((8, 9, 1), 7, np.int16)
    path.write_bytes(tiff({"pixels": pixels, "nodata": "7"}))
    assert "band 1 has no pixel but those without data (GDAL_NODATA)" in refusal(path)
    for text in ("none", "7" * 200, "1e999", "8"):
        path.write_bytes(tiff({"pixels": pixels, "nodata": text}))
        opened = module.bands_with_header(path)
        np.testing.assert_array_equal(opened.pixels, pixels)
        assert opened.missing is None
