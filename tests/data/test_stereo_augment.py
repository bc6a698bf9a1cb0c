"""A pair that is cut, scaled, turned and coloured: its truth stays true, and one number says how much becomes of it."""

from dataclasses import replace

import numpy as np
import pytest
from pairs import mismatch

from wholenet.data.stereo.augment import GREY, StereoAugmentation, swapped
from wholenet.data.stereo.planes import draw_planes
from wholenet.data.stereo.sample import StereoSample

CROP = (40, 80)
PLAIN = {"brightness": 0, "contrast": 0, "gamma": 0, "channels": 0, "noise": 0}
STILL = {"zoom": 0, "stretch": 0, "flip": 0, "swap": 0}


@pytest.fixture(scope="module")
def pairs():
    return [draw_planes(3, index) for index in range(4)]


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "disparity")
        for name in ("left", "right", "disparity", "visible")
    )


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 2.0])
def test_the_right_image_moved_by_the_new_truth_is_the_new_left_one(pairs, strength):
    augment = StereoAugmentation(crop=CROP, strength=strength, **PLAIN)
    found = [augment(pair, np.random.default_rng(seed)) for seed, pair in enumerate(pairs * 3)]
    true = np.mean([mismatch(pair) for pair in found])
    for wrong in (-0.5, 0.5):
        assert 1.8 * true < np.mean([mismatch(pair, wrong) for pair in found])
    assert {pair.left.shape for pair in found} == {(*CROP, 3)}
    assert {pair.disparity.dtype for pair in found} == {np.dtype(np.float32)}


def test_without_strength_it_is_a_window_of_the_pair(pairs):
    augment = StereoAugmentation(crop=CROP, strength=0)
    places = set()
    for seed in range(8):
        drawn = augment.draw((64, 128), np.random.default_rng(seed))
        window = np.s_[drawn.rows.start : drawn.rows.start + 40, drawn.columns.start : drawn.columns.start + 80]
        found = augment(pairs[0], np.random.default_rng(seed))
        cut = {name: getattr(pairs[0], name)[window] for name in ("left", "right", "disparity", "visible")}
        cut["visible"] = cut["visible"] & (np.arange(80) - cut["disparity"] >= 0)  # the window hides what is beside it
        assert same(found, StereoSample(**cut))
        places.add((drawn.rows.start, drawn.columns.start))
    assert len(places) > 4
    assert same(StereoAugmentation(crop=(64, 128), strength=0)(pairs[0], np.random.default_rng(0)), pairs[0])


def test_a_surface_that_is_cut_and_scaled_obeys_the_scaled_law():
    row, column = np.mgrid[:64, :128]
    slanted = (3 + 0.1 * column - 0.05 * row).astype(np.float32)
    image = np.zeros((64, 128, 3), np.uint8)
    augment = StereoAugmentation(crop=CROP, strength=2, **PLAIN | {"flip": 0})
    for seed in range(6):
        drawn = augment.draw((64, 128), np.random.default_rng(seed))
        found = augment(StereoSample(image, image, slanted), np.random.default_rng(seed)).disparity
        y = (
            drawn.rows.start
            + (row[:40, :80] - drawn.rows.offset + 0.5) / (drawn.rows.length / (drawn.rows.stop - drawn.rows.start))
            - 0.5
        )
        x = drawn.columns.start + (column[:40, :80] - drawn.columns.offset + 0.5) / drawn.wider - 0.5
        inside = (
            (drawn.rows.start <= y)
            & (y <= drawn.rows.stop - 1)
            & (drawn.columns.start <= x)
            & (x <= drawn.columns.stop - 1)
        )
        assert inside.mean() > 0.2
        assert found[inside] == pytest.approx((drawn.wider * (3 + 0.1 * x - 0.05 * y))[inside], abs=1e-4)
        assert 0.5 < drawn.wider < 2.1


def test_nothing_floats_between_two_surfaces():
    image, steps = np.zeros((64, 128, 3), np.uint8), np.full((64, 128), 4, np.float32)
    steps[:, 50:] = steps[40:] = 12
    augment = StereoAugmentation(crop=CROP, strength=2)
    for seed in range(6):
        wider = augment.draw((64, 128), np.random.default_rng(seed)).wider
        found = augment(StereoSample(image, image, steps), np.random.default_rng(seed)).disparity
        near = found[np.isfinite(found)][:, None] - wider * np.array([4, 12])
        assert np.abs(near).min(1).max() < 1e-4


def test_what_is_drawn_grows_in_proportion_with_the_strength():
    one, two, none = (
        StereoAugmentation(crop=CROP, strength=strength).draw((64, 128), np.random.default_rng(7))
        for strength in (1, 2, 0)
    )
    for name in ("zoom", "stretch", "left_look", "right_look", "noise"):
        assert np.any(getattr(one, name))
        assert getattr(two, name) == pytest.approx(2 * getattr(one, name), rel=1e-12)
        assert not np.any(getattr(none, name))
    assert (none.rows.length, none.columns.length, none.wider) == (*CROP, 1)
    drawn = [StereoAugmentation(crop=CROP).draw((64, 128), np.random.default_rng(seed)) for seed in range(400)]
    for name, most in (("zoom", 0.25), ("stretch", 0.1), ("noise", 0.01)):
        values = np.array([getattr(one, name) for one in drawn]) - (name == "noise") * 0.01
        assert np.abs(values).max() <= most
        assert values.std() == pytest.approx(most / 3**0.5, rel=0.1)
    half = StereoAugmentation(crop=CROP, strength=0.5)
    flips = [half.draw((64, 128), np.random.default_rng(seed)).flip for seed in range(400)]
    assert np.mean(flips) == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("strength", [0.0, 2.0])
def test_what_is_not_known_does_not_bleed_into_what_is(pairs, strength):
    full = pairs[1]
    holes = np.random.default_rng(0).random(full.disparity.shape) < 0.2
    blank = replace(full, disparity=np.where(holes, np.float32(np.nan), full.disparity), right_disparity=None)
    marked = replace(full, disparity=np.where(holes, np.float32(1e6), full.disparity), right_disparity=None)
    augment = StereoAugmentation(crop=CROP, strength=strength)
    for seed in range(6):
        found, wild = (augment(pair, np.random.default_rng(seed)).disparity for pair in (blank, marked))
        unknown = np.isnan(found)
        assert 0.1 < unknown.mean() < 1
        assert np.array_equal(unknown, ~(wild < 1e5))  # what is filled with a value that shows is known nowhere else
        assert np.array_equal(found[~unknown], wild[~unknown])


def test_the_eyes_change_places_only_where_the_right_truth_is_known(pairs):
    only = {**STILL, **PLAIN, "swap": 1}
    augment = StereoAugmentation(crop=(64, 128), **only)
    found = augment(pairs[0], np.random.default_rng(0))
    assert same(found, swapped(pairs[0]))
    assert np.array_equal(found.left, pairs[0].right[:, ::-1])
    assert mismatch(found) * 3 < mismatch(found, 0.5)
    again = swapped(swapped(pairs[0]))
    assert same(again, pairs[0])
    assert np.array_equal(again.right_disparity, pairs[0].right_disparity)
    one_eyed = replace(pairs[0], right_disparity=None)
    assert same(augment(one_eyed, np.random.default_rng(0)), pairs[0])
    with pytest.raises(ValueError, match="without right_disparity, the truth of the right image"):
        swapped(one_eyed)


def test_upside_down_both_eyes_and_the_truth_are(pairs):
    found = StereoAugmentation(crop=(64, 128), **{**STILL, **PLAIN, "flip": 1})(pairs[0], np.random.default_rng(0))
    assert np.array_equal(found.left[::-1], pairs[0].left)
    assert np.array_equal(found.right[::-1], pairs[0].right)
    assert np.array_equal(found.disparity[::-1], pairs[0].disparity)
    assert np.array_equal(found.visible[::-1], pairs[0].visible)


def test_colours_change_alike_but_for_what_the_right_eye_has_of_its_own(pairs):
    pair = replace(pairs[0], right=pairs[0].left)
    one, other = (
        StereoAugmentation(crop=(64, 128), **STILL, noise=0, right_eye=share)(pair, np.random.default_rng(1))
        for share in (0, 0.25)
    )
    assert np.array_equal(one.left, one.right)
    assert not np.array_equal(one.left, pair.left)
    assert np.array_equal(one.left, other.left)
    own, both = (np.abs(a.astype(int) - b).mean() for a, b in ((other.right, other.left), (one.left, pair.left)))
    assert 0 < own < both
    noisy = StereoAugmentation(crop=(64, 128), **STILL, **PLAIN | {"noise": 0.02})(pair, np.random.default_rng(1))
    assert not np.array_equal(noisy.left, noisy.right)  # each eye has its own
    assert np.abs(noisy.left.astype(int) - pair.left).mean() < 5


def test_a_pair_that_is_smaller_is_padded_with_what_is_not_known(pairs):
    found = StereoAugmentation(crop=(80, 128), strength=0)(pairs[0], np.random.default_rng(2))
    padding = np.isnan(found.disparity)
    assert padding.sum() == 16 * 128
    assert (found.left[padding] == GREY).all()
    assert not found.visible[padding].any()
    assert np.array_equal(found.disparity[~padding].reshape(64, 128), pairs[0].disparity)


def test_it_is_a_function_of_the_random_source(pairs):
    augment = StereoAugmentation(crop=CROP)
    found = [augment(pairs[0], np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_what_cannot_be_augmented_is_refused(pairs):
    for strength in (-0.1, 2.1, float("nan")):
        with pytest.raises(ValueError, match=r"augmentation strength .*: expected a number from 0 to 2"):
            StereoAugmentation(crop=CROP, strength=strength)
    with pytest.raises(ValueError, match=r"\(64, 128\), \(64, 128\), \(60, 128\) pixels; all three must have one size"):
        StereoAugmentation(crop=CROP)(replace(pairs[0], disparity=pairs[0].disparity[:60]), np.random.default_rng(0))
