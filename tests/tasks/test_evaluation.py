"""What an evaluation says, against closed forms and counts pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_precision, multiclass_recall

from wholenet.data.sample import IGNORE, Sample
from wholenet.report.evaluation import evaluation_lines
from wholenet.tasks.boundary import BoundaryCounts, boundary, count_boundaries, tolerance_of
from wholenet.tasks.evaluation import mean, measure_masks

K = 4


def random_data(images=3, shape=(19, 23), seed=0):
    """Samples whose image holds the answer in its red channel."""
    rng = np.random.default_rng(seed)
    data = []
    for i in range(images):
        truth, image = rng.integers(0, K, shape, dtype=np.uint8), np.zeros((*shape, 3), np.uint8)
        image[..., 0] = np.where(rng.random(shape) < 0.6, truth, rng.integers(0, K, shape))
        truth[rng.random(shape) < 0.2] = IGNORE
        data.append(Sample(image, truth, f"image {i}"))
    return data


def measured(data, classes=K):
    return measure_masks(lambda image: image[..., 0], data, classes)


def pairs(*rows):
    """Samples of one row each: (truth, prediction)."""
    data = []
    for i, (truth, prediction) in enumerate(rows):
        image = np.zeros((1, len(truth), 3), np.uint8)
        image[0, :, 0] = prediction
        data.append(Sample(image, np.array([truth], np.uint8), f"row {i}"))
    return data


def test_two_classes_by_hand():
    # Class 1: TP = 3, FP = 1, FN = 2; class 0: TP = 4, FP = 2, FN = 1; nothing of class 2.
    found = measured(pairs(([1, 1, 1, 0, 0], [1, 1, 0, 1, 0]), ([0, 0, 0, 1, 1], [0, 0, 0, 1, 0])), 3)
    assert found.counts == ((4, 1, 0), (2, 3, 0), (0, 0, 0))
    assert found.precision == (4 / 6, 3 / 4, None)
    assert found.recall == (4 / 5, 3 / 5, None)
    assert found.dice == (8 / 11, 6 / 9, None)
    assert found.iou == (4 / 7, 3 / 6, None)
    assert found.share == (0.5, 0.5, 0.0)
    assert found.confusions() == ((1, 0, 2 / 5), (0, 1, 1 / 5))
    assert [image.pixel_accuracy for image in found.per_image] == [3 / 5, 4 / 5]


def test_a_class_that_is_never_predicted_has_recall_0_and_no_precision():
    found = measured(pairs(([0, 1], [0, 0])), 2)
    assert (found.precision[1], found.recall[1], found.dice[1]) == (None, 0.0, 0.0)
    assert mean(found.precision) == 0.5


def test_scores_equal_torchmetrics_over_all_pixels():
    data = random_data()
    truth, answer = (
        torch.from_numpy(np.stack(part)).long() for part in ([s.mask for s in data], [s.image[..., 0] for s in data])
    )
    found = measured(data)
    for ours, oracle in (
        (found.precision, multiclass_precision),
        (found.recall, multiclass_recall),
        (found.dice, multiclass_f1_score),
    ):
        expected = oracle(answer, truth, K, average=None, ignore_index=IGNORE)
        assert ours == pytest.approx(expected.tolist(), abs=1e-6)


def test_dice_and_iou_are_one_function_of_each_other():
    found = measured(random_data(seed=5))
    assert found.dice == pytest.approx([2 * iou / (1 + iou) for iou in found.iou])


def test_the_whole_is_the_sum_of_the_images_and_not_the_mean_of_their_scores():
    data = random_data(4)
    alone = [measured([sample]) for sample in data]
    whole = measured(data)
    assert np.array_equal(whole.counts, np.sum([one.counts for one in alone], 0))
    for c in range(K):
        assert whole.boundaries[c] == BoundaryCounts(
            *np.sum([list(vars(one.boundaries[c]).values()) for one in alone], 0).tolist()
        )
    assert [image.miou for image in whole.per_image] == [one.miou for one in alone]
    assert measured(data[::-1]).counts == whole.counts


def test_the_worst_images_come_first_and_those_without_pixels_are_not_ranked():
    right, half, wrong = ([0, 1], [0, 1]), ([0, 1], [0, 0]), ([0, 1], [1, 0])
    found = measured(pairs(right, half, ([IGNORE, IGNORE], [0, 0]), wrong, right), 2)
    assert [image.name for image in found.ranked()] == ["row 3", "row 1", "row 0", "row 4"]
    assert found.worst[0].miou == 0
    assert found.per_image[2].miou is None
    assert found.images == 5


# ---- boundaries


def by_hand(points, others, tolerance):
    """Points with another within the tolerance, by all pairs."""
    return sum(any(math.dist(p, o) <= tolerance for o in others) for p in points)


@pytest.mark.parametrize("block", [16, 128])
@pytest.mark.parametrize(("shape", "seed"), [((13, 17), 0), ((60, 40), 1), ((150, 160), 2)])
def test_boundaries_equal_a_count_of_all_pairs(shape, seed, block, monkeypatch):
    monkeypatch.setattr("wholenet.tasks.boundary.BLOCK", block)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 3, (2, 5, 5))
    truth, prediction = np.kron(coarse, np.ones((40, 40), int))[:, : shape[0], : shape[1]].astype(np.uint8)
    truth[rng.random(shape) < 0.02] = IGNORE
    prediction[rng.random(shape) < 0.01] = 1
    counts = count_boundaries(truth, prediction, 3)
    tolerance = tolerance_of(*shape)
    seen = np.where(truth == IGNORE, IGNORE, prediction)
    for c in range(3):
        true, predicted = (np.argwhere(boundary(m) & (m == c)).tolist() for m in (truth, seen))
        expected = [len(true), by_hand(true, predicted, tolerance), len(predicted), by_hand(predicted, true, tolerance)]
        assert counts[c].tolist() == expected


def test_an_edge_that_is_off_by_the_tolerance_is_found_and_by_one_more_is_not():
    height, width = 300, 400  # a diagonal of 500, so that 3.75 are 4 pixels
    assert tolerance_of(height, width) == 4
    columns = np.broadcast_to(np.arange(width), (height, width))
    for shift, f in ((0, 1.0), (4, 1.0), (5, 0.0)):
        truth, prediction = (columns < 200).astype(np.uint8), (columns < 200 + shift).astype(np.uint8)
        assert [BoundaryCounts(*row).f for row in count_boundaries(truth, prediction, 2).tolist()] == [f, f]


def test_a_larger_map_of_the_same_error_scores_better_in_iou_and_the_same_on_its_boundary():
    ious, fs = [], []
    for width in (40, 160):
        columns = np.broadcast_to(np.arange(width), (30, width))
        image = np.zeros((30, width, 3), np.uint8)
        image[..., 0] = columns < width // 2 + 4
        found = measured([Sample(image, (columns < width // 2).astype(np.uint8), "x")], 2)
        ious.append(found.miou)
        fs.append(found.boundary_f)
    assert ious[0] < ious[1] - 0.05
    assert fs[0] == fs[1] == (0.0, 0.0)


def test_neither_the_edge_of_the_image_nor_that_of_ignored_pixels_is_a_boundary():
    mask = np.zeros((9, 9), np.uint8)
    mask[3:6, 3:6] = IGNORE
    assert not boundary(mask).any()
    assert BoundaryCounts(0, 0, 0, 0).f is None
    assert BoundaryCounts(5, 0, 0, 0).f == 0.0
    mask[3:6, 3:6] = 1
    assert boundary(mask).sum() == 8 + 12


def test_precision_and_recall_of_a_boundary_are_weighed_alike():
    assert BoundaryCounts(true=10, true_matched=5, predicted=4, predicted_matched=4).f == pytest.approx(2 / 3)


# ---- for people


def test_the_table_has_a_line_per_class_with_all_scores():
    found = measured(pairs(([1, 1, 1, 0, 0], [1, 1, 0, 1, 0]), ([0, 0, 0, 1, 1], [0, 0, 0, 1, 0])), 3)
    lines = evaluation_lines(found, ["ground", "disc\x1b[31m", "never"])
    assert lines[0].split("  ")[-1] == "of pixels"
    assert [word for word in lines[1].split() if word != "ground"] == ["57.1", "72.7", "66.7", "80.0", "85.7", "50.0"]
    assert "never" in lines[3]
    assert lines[3].count(" -") == 5
    assert not any("\x1b" in line for line in lines)
    assert any("is taken for ground (40.0 % of it)" in line for line in lines)
    assert lines[-2].endswith("row 0")
