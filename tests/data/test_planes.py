"""Planes seen by two eyes: every point against a loop over planes, the mirror, images against the truth, bits."""

import cv2
import numpy as np
import pytest
from pairs import mismatch

from wholenet.data.sets import DATA_SETS, Asked
from wholenet.data.stereo.planes import Planes, PlanesSplit, by_left, by_right, draw_planes, made, open_planes, see
from wholenet.data.stereo.sample import StereoSource

HEIGHT, WIDTH, MOST = 24, 40, 9.0
COLUMNS = np.broadcast_to(np.arange(WIDTH, dtype=float), (HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def planes():
    return made(np.random.default_rng(5), HEIGHT, WIDTH, MOST)


@pytest.fixture(scope="module")
def pairs():
    return [draw_planes(1, index) for index in range(4)]


def holds(outline, u, v):
    """Whether a polygon does, by OpenCV."""
    return outline is None or cv2.pointPolygonTest(outline.astype(np.float32), (float(u), float(v)), False) >= 0


def in_front(planes, u, v):
    """The largest disparity and its plane, of those at columns ``u`` [K]."""
    found = [(a + b * u[k] + c * v, k) for k, (a, b, c) in enumerate(planes.law) if holds(planes.outlines[k], u[k], v)]
    return max(found)


def test_every_point_is_of_the_plane_in_front_and_obeys_its_law(planes):
    left, right = by_left(planes, COLUMNS), by_right(planes, COLUMNS)
    count = len(planes.law)
    for v in range(0, HEIGHT, 2):
        for column in range(WIDTH):
            disparity, plane = in_front(planes, np.full(count, column), v)
            assert left.plane[v, column] == plane
            assert left.disparity[v, column] == pytest.approx(disparity, abs=1e-9)
            # Where each plane is that the right eye sees in this column: the root of u - d(u) = x, without its formula.
            u = np.array(
                [
                    np.interp(column, (grid := np.arange(0.0, 99)) - (p + q * grid + r * v), grid)
                    for p, q, r in planes.law
                ]
            )
            disparity, plane = in_front(planes, u, v)
            assert right.plane[v, column] == plane
            assert right.disparity[v, column] == pytest.approx(disparity, abs=1e-9)


def test_a_point_is_visible_where_nothing_is_in_front_of_it_in_the_other_eye(planes):
    pair, left = see(planes, HEIGHT, WIDTH), by_left(planes, COLUMNS)
    x = COLUMNS - left.disparity
    in_front_there = by_right(planes, x).disparity
    assert (in_front_there >= left.disparity - 1e-9).all()
    assert np.array_equal(pair.visible, (in_front_there < left.disparity + 1e-9) & (x >= 0))
    assert 0.5 < pair.visible.mean() < 1


def mirrored(planes):
    """The same planes, as the law of the left eye's disparities in a mirror."""
    a, b, c = planes.law.T
    end = WIDTH - 1
    law = np.stack([(a + b * end) / (1 - b), -b / (1 - b), c / (1 - b)], 1)
    outlines = tuple(
        None if o is None else np.stack([end - (o[:, 0] - (p + q * o[:, 0] + r * o[:, 1])), o[:, 1]], 1)
        for o, (p, q, r) in zip(planes.outlines, planes.law, strict=True)
    )
    return Planes(law, outlines, planes.lattices, planes.colors)


def test_in_a_mirror_the_eyes_change_places_and_disparities_stay(planes):
    pair, other = see(planes, HEIGHT, WIDTH), see(mirrored(planes), HEIGHT, WIDTH)
    assert other.disparity == pytest.approx(pair.right_disparity[:, ::-1], abs=1e-5)
    assert other.right_disparity == pytest.approx(pair.disparity[:, ::-1], abs=1e-5)
    assert np.array_equal(other.visible, pair.right_visible[:, ::-1])
    assert np.array_equal(other.right_visible, pair.visible[:, ::-1])


def test_the_right_image_moved_by_the_truth_is_the_left_one(pairs):
    true = np.mean([mismatch(pair) for pair in pairs])
    for wrong in (-0.5, 0.5):
        assert 3 * true < np.mean([mismatch(pair, wrong) for pair in pairs])
    hidden = np.mean([mismatch(pair, where=~pair.visible) for pair in pairs])
    assert 10 * true < hidden


def test_disparities_are_in_their_range(pairs):
    every = np.stack([[pair.disparity, pair.right_disparity] for pair in pairs])
    assert every.min() >= 0
    assert 15 < every.max() <= 22
    small = [draw_planes(2, index, 16, 24, 3.0).disparity for index in range(20)]
    assert 2 < np.max(small) <= 3


def bits(pair):
    return [getattr(pair, name).tobytes() for name in ("left", "right", "disparity", "visible", "right_disparity")]


def test_a_pair_is_the_same_whenever_it_is_drawn(pairs):
    for index in (3, 0):
        assert bits(draw_planes(1, index)) == bits(pairs[index])
    others = [draw_planes(0, 0), *(PlanesSplit(split, seed=1)[0] for split in ("val", "test"))]
    assert len({bits(pair)[0] for pair in [*pairs, *others]}) == 7
    assert bits(PlanesSplit("train", seed=1)[2]) == bits(pairs[2])


def test_it_is_known_by_name():
    source = DATA_SETS["planes"].open(Asked(seed=4))
    assert isinstance(source, StereoSource)
    assert DATA_SETS["planes"].task == "stereo"
    assert bits(source.splits["test"][7]) == bits(open_planes(4).splits["test"][7])
    assert source.splits["val"].names[7] == "planes-val-00007"
    assert len(source.splits["val"].names) == len(source.splits["val"]) == 64


def test_what_cannot_be_drawn_is_refused():
    for height, width, most in ((7, 64, 5), (64, 64, 64), (64, 64, 0)):
        with pytest.raises(ValueError, match="expected at least 8 x 8 pixels, and a largest disparity above 0"):
            draw_planes(0, 0, height, width, most)
    with pytest.raises(ValueError, match="planes has no split 'dev'; it has train, val, test"):
        PlanesSplit("dev")
    with pytest.raises(IndexError, match="pair 3 of split 'val', which has pairs 0 to 2"):
        PlanesSplit("val", 3)[3]
    with pytest.raises(ValueError, match="size=0 pairs asked"):
        PlanesSplit("val", 0)
