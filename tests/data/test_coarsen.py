"""Coarse annotations from fine ones: what they may never say, and that they look drawn in a hurry."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from trees import ListData, labels, sample

from wholenet.data.coarsen import Coarsened, coarsen
from wholenet.data.detect import open_data
from wholenet.data.sample import IGNORE


def blobs(seed: int, height: int = 150, width: int = 200) -> np.ndarray:
    """Three classes and ignored pixels in regions of all sizes with ragged outlines, uint8 [H, W]."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 4))
    fields = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1.0, 16.0))
    return np.array([0, 1, 7, IGNORE], np.uint8)[np.argmax(fields, axis=2)]


def rectangle(top: int, left: int, high: int, wide: int, size: int = 200) -> np.ndarray:
    """Class 1 there, on ignored pixels, uint8 [size, size]."""
    mask = np.full((size, size), IGNORE, np.uint8)
    mask[top : top + high, left : left + wide] = 1
    return mask


def corners(mask: np.ndarray) -> int:
    """How many corners it takes to draw all regions with straight lines to one pixel."""
    total = 0
    for label in set(np.unique(mask).tolist()) - {IGNORE}:
        outlines, _ = cv2.findContours((mask == label).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        total += sum(len(cv2.approxPolyDP(outline, 1.0, closed=True)) for outline in outlines)
    return total


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.04])
@pytest.mark.parametrize("tolerance", [0.0, 0.0125, 0.05])
@pytest.mark.parametrize("seed", range(3))
def test_a_label_lies_the_margin_inside_its_fine_region(seed, margin, tolerance):
    fine = blobs(seed)
    coarse = coarsen(fine, margin=margin, tolerance=tolerance, smallest=0.0)
    reach = int(margin * len(fine))
    assert (coarse != IGNORE).any()
    for label in (0, 1, 7):
        others = cv2.dilate((fine != label).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        assert not (others.astype(bool) & (coarse == label)).any()


@pytest.mark.parametrize("seed", range(3))
def test_a_wider_margin_labels_a_subset(seed):
    fine = blobs(seed)
    labelled = [coarsen(fine, margin=margin) != IGNORE for margin in (0.0, 0.005, 0.01, 0.02, 0.05)]
    for narrow, wide in pairwise(labelled):
        assert not (wide & ~narrow).any()
        assert wide.sum() < narrow.sum()


@pytest.mark.parametrize("seed", range(3))
def test_every_region_has_the_smallest_size_or_more(seed):
    fine, smallest = blobs(seed), 0.02
    coarse = coarsen(fine, margin=0.0, tolerance=0.0, smallest=smallest)
    for label in (0, 1, 7):
        _, _, stats, _ = cv2.connectedComponentsWithStats((coarse == label).astype(np.uint8), connectivity=8)
        assert (stats[1:, cv2.CC_STAT_AREA] >= smallest * fine.size).all()
    assert (coarse != coarsen(fine, margin=0.0, tolerance=0.0, smallest=0.0)).any(), "there were no small regions"


def test_with_all_shares_zero_nothing_changes():
    fine = blobs(0)
    np.testing.assert_array_equal(coarsen(fine, margin=0.0, tolerance=0.0, smallest=0.0), fine)


def test_thin_things_and_small_things_are_left_out():
    assert (coarsen(rectangle(0, 100, 200, 6)) == IGNORE).all(), "a pole over the whole height"
    assert (coarsen(rectangle(100, 100, 10, 10)) == IGNORE).all()
    assert (coarsen(rectangle(50, 50, 100, 100)) == 1).any()


@pytest.mark.parametrize("label", [0, 18, IGNORE])
def test_edges_of_the_image_are_no_boundaries(label):
    fine = labels(label, height=40, width=60)
    np.testing.assert_array_equal(coarsen(fine), fine)


@pytest.mark.parametrize(("margin", "tolerance", "gap"), [(0.0, 0.0, 0), (0.03, 0.0, 3), (0.03, 0.02, 5)])
def test_along_a_straight_boundary_the_gap_is_margin_and_tolerance(margin, tolerance, gap):
    fine = rectangle(0, 0, 100, 50, size=100)
    fine[:, 50:] = 2
    coarse = coarsen(fine, margin=margin, tolerance=tolerance)
    assert ((coarse != fine).sum(axis=1) == 2 * gap).all()
    assert (coarse[:, 50 - gap : 50 + gap] == IGNORE).all()


def test_a_ragged_outline_becomes_four_straight_edges():
    fine = rectangle(40, 40, 120, 120)
    rng = np.random.default_rng(0)
    for i in range(40, 160):
        for line in (fine[i], fine[i, ::-1], fine[:, i], fine[::-1, i]):
            line[40 : 40 + rng.integers(0, 4)] = IGNORE
    assert corners(fine) > 40
    coarse = coarsen(fine, tolerance=0.03)
    assert corners(coarse) == 4
    assert (coarse == 1).sum() > 0.7 * (fine == 1).sum()


def test_a_disc_becomes_a_polygon_that_is_coarser_for_more_tolerance():
    rows, columns = np.mgrid[:200, :200]
    fine = np.where((rows - 100) ** 2 + (columns - 100) ** 2 < 80**2, 1, IGNORE).astype(np.uint8)
    counts = [corners(coarsen(fine, tolerance=tolerance)) for tolerance in (0.0, 0.0125, 0.05)]
    assert counts == sorted(counts, reverse=True)
    assert counts[1] < corners(fine)
    assert counts[2] <= 8


def test_a_hole_stays_a_hole():
    fine = rectangle(20, 20, 160, 160)
    fine[80:120, 80:120] = 3
    coarse = coarsen(fine)
    assert (coarse[80:120, 80:120] != 1).all()
    assert (coarse[100, 90:110] == 3).all()
    assert (coarse[50, 50:150] == 1).all()


def test_the_same_mask_gives_the_same_and_is_left_as_it_was():
    fine = blobs(0)
    kept = fine.copy()
    np.testing.assert_array_equal(coarsen(fine), coarsen(fine))
    np.testing.assert_array_equal(fine, kept)


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.int64), np.zeros((4, 4, 3), np.uint8)])
def test_what_is_no_mask_is_refused(wrong):
    with pytest.raises(ValueError, match=r"uint8 \[H, W\]; found"):
        coarsen(wrong)


@pytest.mark.parametrize("name", ["margin", "tolerance", "smallest"])
@pytest.mark.parametrize("share", [-0.1, 1.0, 12, float("nan")])
def test_what_is_no_share_is_refused(name, share):
    with pytest.raises(ValueError, match=rf"{name}={share}: expected a share"):
        coarsen(labels(0), **{name: share})


def test_a_coarsened_data_set_has_the_same_images_under_coarse_masks():
    fine = ListData(sample(blobs(0), "a"), sample(blobs(1), "b"))
    coarse = Coarsened(fine)
    assert len(coarse) == 2
    for i in range(2):
        assert coarse[i].name == fine[i].name
        np.testing.assert_array_equal(coarse[i].image, fine[i].image)
        np.testing.assert_array_equal(coarse[i].mask, coarsen(fine[i].mask))
        assert (coarse[i].mask != fine[i].mask).any()


def test_camvid_keeps_the_share_of_labels_that_cityscapes_coarse_annotations_have(camvid):
    fine = open_data(camvid).splits["train"]
    coarse = Coarsened(fine)
    pixels = {"fine": 0, "coarse": 0}
    drawn = {"fine": 0, "coarse": 0}
    for i in range(0, len(fine), 12):
        for name, mask in (("fine", fine[i].mask), ("coarse", coarse[i].mask)):
            pixels[name] += int((mask != IGNORE).sum())
            drawn[name] += corners(mask)
    assert 0.6 < pixels["coarse"] / pixels["fine"] < 0.8
    assert drawn["coarse"] < drawn["fine"] / 5
