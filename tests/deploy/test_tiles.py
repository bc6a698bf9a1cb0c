"""Tiles cover an image once, and what they answer is put back where it belongs."""

import numpy as np
import pytest

from wholenet.deploy.tiles import DEFAULT_TILE, WHOLE_PIXELS, Tiling, predict_in_tiles, spans


@pytest.mark.parametrize("length", [1, 5, 16, 17, 31, 100])
@pytest.mark.parametrize(("tile", "overlap"), [(16, 0), (16, 1), (16, 8), (32, 6)])
def test_kept_parts_cover_the_axis_once_and_lie_inside_what_is_seen(length, tile, overlap):
    found = list(spans(length, tile, overlap))
    covered = [i for _, kept in found for i in range(kept.start, kept.stop)]
    assert covered == list(range(length))
    for seen, kept in found:
        assert seen.start <= kept.start
        assert kept.stop <= seen.stop <= length
        assert seen.stop - seen.start == min(tile, length)


@pytest.mark.parametrize(("tile", "overlap"), [(16, 8), (32, 6), (33, 16)])
def test_what_is_kept_is_half_the_overlap_away_from_an_inner_border(tile, overlap):
    for seen, kept in spans(200, tile, overlap):
        assert seen.start == 0 or kept.start - seen.start >= overlap // 2
        assert seen.stop == 200 or seen.stop - kept.stop >= overlap // 2


def test_an_answer_that_needs_no_neighbours_is_the_same_in_tiles():
    image = np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8)

    def answer(part):
        assert max(part.shape) <= 32
        return part[..., 0] % 5

    assert np.array_equal(predict_in_tiles(answer, image, (32, 24), 8), image[..., 0] % 5)


def test_an_answer_that_needs_few_neighbours_is_the_same_with_enough_overlap():
    image = np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8)

    def largest_of_neighbours(part):
        padded = np.pad(part[..., 0], 2)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
        return windows.max((2, 3))

    assert np.array_equal(predict_in_tiles(largest_of_neighbours, image, (32, 24), 4), largest_of_neighbours(image))
    assert not np.array_equal(predict_in_tiles(largest_of_neighbours, image, (32, 24), 0), largest_of_neighbours(image))


def test_an_overlap_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="expected an overlap of 0 to half the shorter side"):
        Tiling((40, 32), 17)
    with pytest.raises(ValueError, match="overlap=-1: expected 0 or more"):
        Tiling((40, 32), -1)
    with pytest.raises(ValueError, match=r"tile\[1\]=0: expected at least 1"):
        Tiling((40, 0), 0)


def test_only_large_images_are_cut_unless_a_size_is_asked_for():
    seen = []

    def answer(part):
        seen.append(part.shape[:2])
        return part[..., 0]

    side = round(WHOLE_PIXELS**0.5)
    Tiling().predict(answer, np.zeros((side, side, 3), np.uint8))
    assert seen == [(side, side)]
    seen.clear()
    mask = Tiling().predict(answer, np.zeros((side, side + 1, 3), np.uint8))
    assert mask.shape == (side, side + 1)
    assert set(seen) == {DEFAULT_TILE}
    seen.clear()
    Tiling((32, 32), 4).predict(answer, np.zeros((40, 32, 3), np.uint8))
    assert seen == [(32, 32)] * 2
