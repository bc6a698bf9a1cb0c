"""Classes from nothing but masks: what is understood, and what is asked for instead of guessed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import labels, picture, write

from wholenet.data.classes import default_colors, read_classes
from wholenet.data.infer import BINARY, infer_classes
from wholenet.data.pictures import ranges, read_mask
from wholenet.data.sample import DataError


def palette_mask(path: Path, colors: list[int], *values: int) -> Path:
    image = Image.fromarray(labels(*values))
    image.putpalette(colors)
    image.save(path)
    return path


def test_palettes_lend_their_colors(tmp_path):
    paths = [palette_mask(tmp_path / f"{i}.png", [9, 0, 0, 0, 9, 0, 0, 0, 9], 0, i) for i in (1, 2)]
    assert infer_classes(paths).colors == ((9, 0, 0), (0, 9, 0), (0, 0, 9))


def test_palettes_that_repeat_a_color_are_not_used_for_drawing(tmp_path):
    assert infer_classes([palette_mask(tmp_path / "a.png", [9, 0, 0, 9, 0, 0], 0, 1)]).colors == default_colors(2)


def test_palettes_that_disagree_are_refused(tmp_path):
    paths = [
        palette_mask(tmp_path / "a.png", [9, 0, 0, 0, 9, 0], 0, 1),
        palette_mask(tmp_path / "b.png", [0, 9, 0, 9, 0, 0], 0, 1),
    ]
    with pytest.raises(DataError, match=r"index 0 is \(9, 0, 0\) in .*a\.png but \(0, 9, 0\) in .*b\.png"):
        infer_classes(paths)


@pytest.mark.parametrize("mode", [None, "1", "RGB"])
def test_masks_of_two_extremes_are_binary(tmp_path, mode):
    paths = [write(tmp_path / "a.png", labels(0, 255), mode), write(tmp_path / "b.png", labels(0), mode)]
    assert infer_classes(paths) == BINARY
    assert (BINARY.values, BINARY.names) == ((0, 255), ("background", "foreground"))


def test_one_bit_masks_among_numbered_ones_hold_0_and_1(tmp_path):
    paths = [write(tmp_path / "a.png", labels(0, 255), "1"), write(tmp_path / "b.png", labels(0, 1, 2))]
    assert infer_classes(paths).values == (0, 1, 2)


def test_rgb_masks_of_equal_channels_are_numbered(tmp_path):
    assert infer_classes([write(tmp_path / "a.png", labels(0, 1, 255), "RGB")]).values == (0, 1)


def test_rgb_masks_are_refused_with_their_colors_and_a_class_file_that_reads_them(tmp_path):
    mask = np.zeros((4, 4, 3), np.uint8)
    mask[0] = (255, 0, 0)
    path = write(tmp_path / "masks/a.png", mask)
    with pytest.raises(DataError, match=r"Found: \(0, 0, 0\) \(12 pixels\), \(255, 0, 0\) \(4 pixels\)") as error:
        infer_classes([path])
    (tmp_path / "classes.json").write_text(str(error.value).split("with your names:\n")[1])
    assert read_classes(tmp_path / "classes.json").colors == ((0, 0, 0), (255, 0, 0))


def test_of_many_colors_twenty_are_listed(tmp_path):
    with pytest.raises(DataError, match="20 most frequent of 48") as error:
        infer_classes([write(tmp_path / "a.png", picture())])
    assert str(error.value).count("pixels)") == 20


@pytest.mark.parametrize("values", [(0, 38, 75), (0, 38, 75, 255), (0, 128, 255), (128, 255), (0, 254, 255), (3, 1000)])
@pytest.mark.parametrize("mode", [None, "RGB"])
def test_values_with_wide_gaps_are_refused_with_a_class_file_that_names_every_one(tmp_path, values, mode):
    if mode and max(values) > 255:
        pytest.skip("RGB masks hold bytes")
    codes = labels(*values) if max(values) < 256 else np.array([values], np.uint16)
    path = write(tmp_path / "a.png", codes, mode)
    with pytest.raises(DataError, match="the values " + ranges(values)) as error:
        infer_classes([path])
    assert ("if it is to be ignored, take its line out" in str(error.value)) == (255 in values)
    (tmp_path / "classes.json").write_text(str(error.value).split("with your names:\n")[1])
    classes = read_classes(tmp_path / "classes.json")
    assert classes.values == values
    assert set(read_mask(path, classes).ravel().tolist()) == set(range(len(values)))


@pytest.mark.parametrize("values", [(-1, 0, 300), (0, 70000)])
def test_values_that_no_class_file_can_name_are_refused_without_one(tmp_path, values):
    path = write(tmp_path / "a.tif", np.array([values], np.int32))
    with pytest.raises(DataError, match=r"values in 0\.\.65535; these are \d values in ") as error:
        infer_classes([path])
    assert "save this" not in str(error.value)


@pytest.mark.parametrize("values", [(0,), (0, 255, 255)[:1], (255,)])
def test_one_value_is_nothing_to_learn_from(tmp_path, values):
    with pytest.raises(DataError, match=f"the value {values[0]}: there is nothing to learn"):
        infer_classes([write(tmp_path / "a.png", labels(*values))])


def test_too_many_values_are_refused(tmp_path):
    values = np.arange(300, dtype=np.uint16).reshape(15, 20)
    with pytest.raises(DataError, match="values up to 299; at most 254"):
        infer_classes([write(tmp_path / "a.png", values)])
