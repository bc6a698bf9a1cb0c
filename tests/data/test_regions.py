"""Areas are filled as their definition says: pixels whose centres are inside, and run lengths as they count."""

import numpy as np
import pytest
from annotated import counts_of, text_of

from wholenet.data.regions import Disc, Polygon, Runs, Tile, Window, put, runs_of_text


def filled(region, height=12, width=15):
    canvas = np.zeros((height, width), bool)
    put(canvas, region.fill(height, width), True)
    return canvas


def polygon(*parts, relative=False):
    return Polygon(tuple(np.array(part, np.float64).reshape(-1, 2) for part in parts), relative)


def inside_by_winding(points, x, y):
    """Even-odd, edge by edge, as books have it; edges are half open, so every corner counts once."""
    odd = False
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
            odd = not odd
    return odd


@pytest.mark.parametrize("box", [(1, 2, 9, 7), (0, 0, 15, 12), (3, 3, 4, 4), (-5, -5, 40, 6), (2.4, 1.6, 8.5, 3.5)])
def test_a_rectangle_covers_the_centres_between_its_sides(box):
    left, upper, right, lower = box
    y, x = np.mgrid[:12, :15] + 0.5
    expected = (left <= x) & (x < right) & (upper <= y) & (y < lower)
    clockwise = [left, upper, right, upper, right, lower, left, lower]
    for corners in (clockwise, [right, lower, right, upper, left, upper, left, lower]):
        np.testing.assert_array_equal(filled(polygon(corners)), expected)
    shares = np.array(clockwise) / ([15, 12] * 4)
    if all(float(v).is_integer() for v in box):
        np.testing.assert_array_equal(filled(polygon(shares, relative=True)), expected)


def test_a_polygon_covers_the_centres_inside_however_it_runs():
    random = np.random.default_rng(0)
    for _ in range(60):  # of all shapes, also crossing themselves, and partly or wholly outside
        points = random.uniform(-6, 20, (random.integers(3, 9), 2))
        expected = [[inside_by_winding(points, c + 0.5, r + 0.5) for c in range(15)] for r in range(12)]
        np.testing.assert_array_equal(filled(polygon(points)), expected)
        np.testing.assert_array_equal(filled(polygon(points[::-1])), expected)


def test_neighbours_neither_overlap_nor_leave_a_gap():
    random = np.random.default_rng(1)
    for _ in range(40):
        middle = random.uniform(3, 9, 2)
        corners = np.array([[0, 0], [15, 0], [15, 12], [0, 12]], np.float64)
        triangles = [np.stack([corners[i], corners[(i + 1) % 4], middle]) for i in range(4)]
        total = sum(filled(polygon(triangle)).astype(int) for triangle in triangles)
        np.testing.assert_array_equal(total, np.ones((12, 15)))


def test_a_hole_that_a_bridge_leads_to_stays_empty_and_parts_are_joined():
    bridged = [0, 0, 10, 0, 10, 10, 0, 10, 0, 0, 3, 3, 3, 6, 6, 6, 6, 3, 3, 3]
    expected = np.zeros((12, 15), bool)
    expected[:10, :10] = True
    expected[3:6, 3:6] = False
    np.testing.assert_array_equal(filled(polygon(bridged)), expected)
    two = filled(polygon([0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 8, 2, 8, 8, 2, 8]))
    assert two.sum() == 16 + 36 - 4
    assert not filled(polygon([1, 1, 9, 1, 5, 1])).any(), "no area, no pixels"


def test_a_disc_covers_the_centres_no_further_than_its_radius():
    y, x = np.mgrid[:12, :15] + 0.5
    for cx, cy, radius in ((7, 6, 4), (0, 0, 5), (14.5, 3.5, 0.2), (30, 30, 2), (6, 6, 50)):
        expected = (x - cx) ** 2 + (y - cy) ** 2 <= radius**2
        np.testing.assert_array_equal(filled(Disc(cx, cy, radius)), expected)


def test_a_tile_is_cut_at_the_edges_of_the_image():
    inside = np.ones((5, 6), bool)
    for top, left in ((2, 3), (-2, -3), (10, 12), (40, 40)):
        expected = np.zeros((12, 15), bool)
        expected[max(top, 0) : max(top + 5, 0), max(left, 0) : max(left + 6, 0)] = True
        np.testing.assert_array_equal(filled(Tile(Window(top, left, inside))), expected)


def test_run_lengths_go_down_the_columns():
    expected = np.zeros((3, 4), bool)
    expected[1:, 1] = expected[0, 2] = True
    np.testing.assert_array_equal(filled(Runs(np.array([4, 3, 5])), 3, 4), expected)
    random = np.random.default_rng(2)
    for _ in range(20):
        mask = random.random((7, 9)) < 0.4
        counts = counts_of(mask)
        np.testing.assert_array_equal(filled(Runs(np.array(counts)), 7, 9), mask)
        assert runs_of_text(text_of(counts)) == counts


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (";320009", [11, 3, 2, 3, 2, 3, 11]),  # by pycocotools, of rows 1 to 3 and columns 2 to 4 of 5 x 7
        ("", []),
        ("0", [0]),
        ("o0", [31]),
        ("P1", [32]),
    ],
)
def test_run_lengths_as_text(text, counts):
    assert runs_of_text(text) == counts
    assert text_of(counts) == text


@pytest.mark.parametrize("text", ["a b", "\u00e9", "o" * 20, "`"])
def test_what_is_no_run_lengths_is_refused(text):
    with pytest.raises(ValueError, match="run lengths"):
        runs_of_text(text)


def test_large_numbers_are_written_and_read():
    counts = [0, 1, 40_000_000, 3, 40_000_000, 2**31]
    assert runs_of_text(text_of(counts)) == counts
