import numpy as np
import pytest

from wholenet.data.infer import BINARY
from wholenet.data.pictures import colorize, drawing_colors, overlay
from wholenet.data.sample import IGNORE, Classes
from wholenet.deploy.overlay import outlined, with_legend

ABC = Classes(("a", "b", "c"), ((200, 30, 20), (20, 180, 40), (0, 90, 250)))


def halves(height=20, width=30):
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = 1
    return mask


def test_black_and_white_classes_are_drawn_in_colours_told_apart_over_any_grey():
    colors = drawing_colors(BINARY)
    assert BINARY.colors == ((0, 0, 0), (255, 255, 255))  # masks are still read by them
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    for train_id, color in enumerate(colors):
        shown = overlay(greys, np.full((1, 256), train_id, np.uint8), BINARY).astype(int)
        assert (shown.max(2) - shown.min(2)).min() >= (max(color) - min(color)) // 2 - 1 > 40
    other = Classes(("a", "b"), ((0, 0, 0), (0, 90, 250)))
    assert drawing_colors(other) == other.colors


def test_an_outline_is_the_full_colour_on_both_sides_of_a_border_and_the_rest_is_the_overlay():
    mask, image = halves(), np.full((20, 30, 3), 120, np.uint8)
    mask[:3] = IGNORE
    shown, plain = outlined(image, mask, ABC), overlay(image, mask, ABC)
    edge = np.zeros(mask.shape, bool)
    edge[3:, 14:16] = True
    assert np.array_equal(shown[edge], colorize(mask, ABC)[edge])
    assert np.array_equal(shown[~edge], plain[~edge])
    assert (shown[:3] == 120).all()


def test_outlines_of_large_images_are_thicker():
    shown = outlined(np.zeros((1400, 1500, 3), np.uint8), halves(1400, 1500), ABC)
    assert (shown[700, 747:753] == colorize(halves(1, 6), ABC)[0]).all()


@pytest.mark.parametrize("width", [20, 300])
def test_a_legend_names_the_classes_that_occur_below_the_picture(width):
    mask, image = halves(40, width), np.full((40, width, 3), 77, np.uint8)
    shown = with_legend(image, mask, ABC)
    assert np.array_equal(shown[:40, :width], image)
    assert shown.shape[1] == width or width == 20
    strip = {tuple(color) for color in shown[40:].reshape(-1, 3).tolist()}
    assert {ABC.colors[0], ABC.colors[1]} <= strip
    assert ABC.colors[2] not in strip
