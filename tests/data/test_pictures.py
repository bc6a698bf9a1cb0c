"""Reading images and masks of every kind that Pillow opens; writing and drawing masks."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import labels, picture, write

from wholenet.data.classes import default_colors
from wholenet.data.pictures import colorize, overlay, read_image, read_mask, write_mask
from wholenet.data.sample import IGNORE, Classes, DataError

ABC = Classes(("a", "b", "c"), ((128, 0, 0), (0, 128, 0), (0, 0, 128)), ignore_values=(11, IGNORE))
UNCOLORED = replace(ABC, colors=default_colors(3))
"""As read from a class file that names no colours."""
BINARY = Classes(("no", "yes"), ((0, 0, 0), (255, 255, 255)), (0, 255), ())
EXIF_ORIENTATION, TURN_LEFT = 0x0112, 6


def gray_png(path: Path, depth: int, row: bytes, width: int) -> Path:
    """A grey PNG of one row with fewer than 8 bits per pixel, which Pillow itself does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, 1, depth, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


# ---- images


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_an_image_of_any_8_bit_mode_becomes_rgb_bytes(tmp_path, mode):
    path = write(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), picture(), mode)
    image = read_image(path)
    assert (image.dtype, image.shape) == (np.uint8, (6, 8, 3))
    with Image.open(path) as opened:
        np.testing.assert_array_equal(image, np.array(opened.convert("RGB")))


def test_a_palette_image_with_transparency_is_read_without_a_warning(tmp_path):
    Image.fromarray(picture()).convert("P").save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    assert read_image(tmp_path / "a.png").shape == (6, 8, 3)


def test_an_image_is_turned_as_its_exif_tag_says(tmp_path):
    pixels = picture()
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURN_LEFT
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(pixels, -1))


@pytest.mark.parametrize(
    ("dtype", "depth"), [(np.uint16, "16 bits"), (np.int32, "32 bits, signed"), (np.float32, "32 bits, float")]
)
def test_deep_images_are_refused_rather_than_clipped(tmp_path, dtype, depth):
    path = write(tmp_path / "deep.tif", np.arange(4, dtype=dtype).reshape(2, 2))
    with pytest.raises(DataError, match=rf"deep.tif: 1 band of {depth}; expected 8 bits.*8 bits per channel"):
        read_image(path)


def test_truncated_and_foreign_files_are_refused_by_name(tmp_path):
    whole = write(tmp_path / "cut.png", picture(height=64, width=64))
    whole.write_bytes(whole.read_bytes()[:-2000])
    (tmp_path / "text.jpg").write_text("no image")
    for name in ("cut.png", "text.jpg", "missing.png"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read as an image"):
            read_image(tmp_path / name)
        with pytest.raises(DataError, match=rf"{name}: cannot be read as an image"):
            read_mask(tmp_path / name, ABC)


# ---- masks


def test_an_index_mask_is_translated_to_train_ids(tmp_path):
    path = write(tmp_path / "a.png", labels(7, 3, 255, 11))
    classes = Classes(("x", "y"), default_colors(2), (3, 7), (11, 255))
    np.testing.assert_array_equal(read_mask(path, classes), labels(1, 0, 255, 255))


def test_a_palette_mask_is_read_by_index_whatever_its_colors(tmp_path):
    image = Image.fromarray(labels(0, 1, 2))
    image.putpalette([128, 0, 0, 128, 0, 0, 2, 2, 2])
    for name in ("a.png", "a.gif"):
        image.save(tmp_path / name)
        np.testing.assert_array_equal(read_mask(tmp_path / name, ABC), labels(0, 1, 2))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_deep_masks_may_hold_large_values(tmp_path, dtype):
    path = write(tmp_path / "a.tif", labels(0, 1).astype(dtype) * 65535)
    classes = Classes(("x", "y"), default_colors(2), (0, 65535))
    np.testing.assert_array_equal(read_mask(path, classes), labels(0, 1))


def test_values_beyond_16_bits_are_unknown_not_wrapped(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[0, 65536, -1, -2]], np.int32))
    with pytest.raises(DataError, match=r"-2 \(1 pixels\), -1 \(1 pixels\), 65536 \(1 pixels\)"):
        read_mask(path, ABC)


def test_a_one_bit_mask_is_0_and_255_where_the_table_says_so_and_0_and_1_elsewhere(tmp_path):
    path = write(tmp_path / "a.png", labels(0, 255), "1")
    np.testing.assert_array_equal(read_mask(path, BINARY), labels(0, 1))
    np.testing.assert_array_equal(read_mask(path, ABC), labels(0, 1))


def test_binary_masks_of_0_and_255_are_read_by_a_table_of_these_values(tmp_path):
    assert read_mask(write(tmp_path / "a.png", labels(0, 255)), BINARY).max() == 1


def test_gray_with_alpha_is_read_by_its_gray(tmp_path):
    path = write(tmp_path / "a.png", labels(0, 1, 2), "LA")
    np.testing.assert_array_equal(read_mask(path, ABC), labels(0, 1, 2))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_rgb_mask_is_read_by_the_colors_of_the_table(tmp_path, mode):
    table = Classes(ABC.names, ABC.colors, ignore_colors=((0, 0, 0),))
    path = write(tmp_path / "a.png", colorize(labels(2, 0, 255, 1), table), mode)
    np.testing.assert_array_equal(read_mask(path, table), labels(2, 0, 255, 1))


def test_an_rgb_mask_of_three_equal_channels_is_an_index_mask(tmp_path):
    path = write(tmp_path / "a.png", labels(0, 1, 11), "RGB")
    np.testing.assert_array_equal(read_mask(path, UNCOLORED), labels(0, 1, 255))


def test_grays_that_are_colors_of_the_table_are_read_as_such(tmp_path):
    table = Classes(("a", "b"), ((5, 5, 5), (0, 0, 0)))
    path = write(tmp_path / "a.png", labels(0, 5), "RGB")
    np.testing.assert_array_equal(read_mask(path, table), labels(1, 0))


def test_unknown_values_are_listed_with_their_pixels_and_what_was_expected(tmp_path):
    path = write(tmp_path / "odd.png", labels(0, 1, 7, 7, 9))
    with pytest.raises(DataError) as error:
        read_mask(path, ABC)
    counts = np.bincount(labels(0, 1, 7, 7, 9).ravel())
    assert f"{path}: pixels of no known class: 7 ({counts[7]} pixels), 9 ({counts[9]} pixels)." in str(error.value)
    assert "Expected 0..2; ignored: 11, 255." in str(error.value)
    assert "classes.json" in str(error.value)


def test_only_ten_unknown_values_are_listed(tmp_path):
    path = write(tmp_path / "odd.png", labels(*range(20, 36)))
    with pytest.raises(DataError, match=r"29 \(3 pixels\) and 6 more\. Expected"):
        read_mask(path, ABC)


def test_unknown_colors_are_listed_with_the_colors_of_the_table(tmp_path):
    path = write(tmp_path / "odd.png", np.full((2, 2, 3), (1, 2, 3), np.uint8))
    with pytest.raises(
        DataError, match=r"odd.png.*\(1, 2, 3\) \(4 pixels\)\. Expected \(128, 0, 0\) a, .*ignore_colors"
    ):
        read_mask(path, ABC)


def test_gray_levels_that_fit_neither_colors_nor_values_are_refused(tmp_path):
    path = write(tmp_path / "odd.png", labels(0, 77), "RGB")
    with pytest.raises(DataError, match=r"77 \(24 pixels\)\. Expected 0\.\.2"):
        read_mask(path, UNCOLORED)


def test_a_blank_rgb_mask_is_not_class_0_where_the_table_has_colors(tmp_path):
    path = write(tmp_path / "blank.png", labels(0), "RGB")
    with pytest.raises(DataError, match=r"blank.png.*\(0, 0, 0\) \(48 pixels\)\. Expected \(128, 0, 0\) a"):
        read_mask(path, ABC)


@pytest.mark.parametrize("depth", [2, 4])
def test_gray_pngs_that_pillow_would_stretch_are_refused(tmp_path, depth):
    path = gray_png(tmp_path / "small.png", depth, b"\x1b\x1b", width=2)
    with pytest.raises(DataError, match=f"small.png: a grey picture with {depth} bits per pixel.*8 bits"):
        read_mask(path, ABC)


@pytest.mark.parametrize(("mode", "fact"), [("CMYK", "colours as CMYK"), ("F", "1 band of 32 bits, float")])
def test_modes_that_hold_no_labels_are_refused(tmp_path, mode, fact):
    path = write(tmp_path / "odd.tif", labels(0, 1), "RGB" if mode == "CMYK" else None)
    with Image.open(path) as image:
        image.convert(mode).save(path)
    with pytest.raises(DataError, match=f"odd.tif.*{fact}.*8-bit PNG"):
        read_mask(path, ABC)


def test_a_written_mask_is_read_back_exactly(tmp_path):
    mask = labels(0, 1, 2, 255)
    write_mask(tmp_path / "a.png", mask)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", ABC), mask)


def test_only_bytes_of_two_axes_are_written(tmp_path):
    with pytest.raises(ValueError, match=r"uint8 \[H, W\]; found int64 \[6, 8\]"):
        write_mask(tmp_path / "a.png", labels(0).astype(np.int64))


# ---- colours


def test_colors_are_those_of_the_classes_and_black_where_ignored():
    np.testing.assert_array_equal(colorize(labels(1, IGNORE), ABC)[0, :2], [(0, 128, 0), (0, 0, 0)])


@pytest.mark.parametrize("opacity", [0.0, 0.25, 1.0])
def test_an_overlay_is_the_weighted_mean_and_leaves_ignored_pixels_alone(opacity):
    image, mask = picture(), labels(0, 1, IGNORE)
    mixed = overlay(image, mask, ABC, opacity)
    expected = np.rint((1 - opacity) * image + opacity * colorize(mask, ABC))
    counts = mask != IGNORE
    np.testing.assert_array_equal(mixed[counts], expected[counts])
    np.testing.assert_array_equal(mixed[~counts], image[~counts])


def test_an_overlay_of_other_size_or_impossible_opacity_is_refused():
    with pytest.raises(ValueError, match="same height and width"):
        overlay(picture(), labels(0, width=3), ABC)
    with pytest.raises(ValueError, match=r"opacity=1.5 must be in \[0, 1\]"):
        overlay(picture(), labels(0), ABC, 1.5)
