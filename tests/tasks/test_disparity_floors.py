"""Floors of disparity: the median by sorting, holes by looking left and right, matches of pairs that are known."""

import numpy as np
import pytest

from wholenet.data.sample import DataError
from wholenet.data.stereo.planes import PlanesSplit
from wholenet.data.stereo.sample import StereoSample
from wholenet.tasks.block_matching import BlockMatcher, filled
from wholenet.tasks.disparity_floors import floors_of, known_of

NAN = np.float32(np.nan)


class Pairs(list):
    """A split in memory."""

    names = ()


def pair(disparity):
    image = np.zeros((*np.shape(disparity), 3), np.uint8)
    return StereoSample(image, image, np.asarray(disparity, np.float32))


@pytest.fixture(scope="module")
def floors():
    train, val = PlanesSplit("train", 4), PlanesSplit("val", 4)
    known = known_of(train)
    return train, val, known, floors_of(known, val)


def test_the_median_is_that_of_all_known_pixels():
    random = np.random.default_rng(0)
    for count in (1, 2, 3, 40, 41):
        values = random.gamma(2, 10, (count, 3, 5)).astype(np.float32)
        values[random.random(values.shape) < 0.4] = NAN
        known = known_of(Pairs(pair(one) for one in values))
        assert known.median == pytest.approx(np.nanmedian(values), abs=1 / 256)
        assert known.largest == np.nanmax(values)
        assert known.pixels == (~np.isnan(values)).sum()
    assert known_of(Pairs(pair([[value] * 4]) for value in (1, 9, 2, 9)), pairs=2).median == 1.5
    with pytest.raises(DataError, match="no disparity is known in the 1 pairs of train"):
        known_of(Pairs([pair([[NAN, NAN]])]))


def test_the_median_is_the_best_constant_where_it_comes_from(floors):
    train, _, known, _ = floors
    best = floors_of(known, train).median.all
    every = np.stack([train[i].disparity for i in range(len(train))]).astype(float)
    assert best.epe == pytest.approx(np.abs(every - known.median).mean(), rel=1e-9)
    assert best.epe <= np.abs(every[..., None] - np.linspace(0, 22, 23)).mean((0, 1, 2)).min() + 1 / 256


def test_matching_is_far_below_the_median_on_planes(floors):
    _, val, known, found = floors
    assert found.constant == known.median
    assert found.sgbm_matched is not None
    assert found.sgbm.visible is not None
    assert found.sgbm_matched.epe < found.sgbm.all.epe < 0.5 * found.median.all.epe
    assert found.sgbm.visible.epe < found.sgbm.all.epe
    assert found.sgbm.all.over_3 < 0.5 * found.median.all.over_3
    assert found.sgbm.all.pixels == found.median.all.pixels == len(val) * 64 * 128
    assert found.sgbm_matched.pixels < found.sgbm.all.pixels
    assert found.epe == {"median": found.median.all.epe, "SGBM": found.sgbm.all.epe}
    assert floors_of(known, val, pairs=2).sgbm.pairs == 2


def fill_by_looking(disparity, otherwise):
    """Each hole from the nearest known values of its row, or else of its column."""
    found = disparity.copy()
    for across in (True, False):
        before = found.copy()
        for y, x in np.argwhere(np.isnan(before)):
            line, at = (before[y], x) if across else (before[:, x], y)
            sides = [[v for v in side if not np.isnan(v)][:1] for side in (line[:at][::-1], line[at + 1 :])]
            if any(sides):
                found[y, x] = min(v for side in sides for v in side)
    return np.where(np.isnan(found), otherwise, found)


def test_holes_take_the_lower_neighbour():
    random = np.random.default_rng(0)
    for share in (0.3, 0.8, 0.97, 1):
        holes = random.uniform(0, 20, (7, 9)).astype(np.float32)
        holes[random.random((7, 9)) < share] = NAN
        assert np.array_equal(filled(holes, 4), fill_by_looking(holes, np.float32(4)))


@pytest.mark.parametrize("shift", [0, 7, 15, 30])
def test_a_shift_is_found_at_every_column_that_both_eyes_see(shift):
    texture = np.random.default_rng(0).integers(0, 256, (40, 120, 3), dtype=np.uint8)
    found = BlockMatcher(shift, otherwise=3.0)(texture[:, : 120 - shift], texture[:, shift:])
    assert found.disparity.shape == (40, 120 - shift)
    sure = found.disparity[:, shift + 4 :]
    assert np.abs(sure - shift).max() < 0.5  # parts of a pixel are guessed at the edge
    assert found.matched[:, shift + 4 :].mean() > 0.9
    assert np.isfinite(found.disparity).all()
    assert found.disparity.min() >= 0
    # In a mirror the eyes change places, and disparities stay: those of the other eye's pixels.
    mirrored = BlockMatcher(shift, otherwise=3.0)(texture[:, shift:][:, ::-1], texture[:, : 120 - shift][:, ::-1])
    assert np.abs(mirrored.disparity[:, shift + 4 :] - shift).max() < 0.5


def test_a_pair_of_different_things_gets_what_else_there_is():
    left, right = np.random.default_rng(0).integers(0, 256, (2, 8, 40, 3), dtype=np.uint8)
    found = BlockMatcher(20, otherwise=2.5)(left, right)
    assert not found.matched.any()
    assert (found.disparity == 2.5).all()


def test_a_range_that_is_none_is_refused():
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected the largest disparity of the data, 0 or more"):
            BlockMatcher(wrong)
