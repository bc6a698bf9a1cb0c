import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from wholenet.data.sample import IGNORE, Sample
from wholenet.tasks.segmentation import ConfusionMatrix, SegmentationLoss, balanced_weights, evaluate

K = 5


def random_pair(seed, shape=(17, 23), classes=K):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, shape, dtype=np.uint8)
    truth[rng.random(shape) < 0.2] = IGNORE
    return truth, rng.integers(0, classes, shape, dtype=np.uint8)


def matrix_of(pairs, classes=K):
    matrix = ConfusionMatrix(classes)
    for truth, prediction in pairs:
        matrix.update(truth, prediction)
    return matrix


def test_iou_equals_a_pixel_by_pixel_count():
    pairs = [random_pair(seed) for seed in range(3)]
    scores = matrix_of(pairs).scores()
    for c in range(K):
        both = either = 0
        for truth, prediction in pairs:
            for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
                if t != IGNORE:
                    both += t == c and p == c
                    either += t == c or p == c
        assert scores.iou[c] == pytest.approx(both / either)


@pytest.mark.parametrize("seed", range(3))
def test_miou_equals_torchmetrics_with_the_ignore_label(seed):
    pairs = [random_pair(seed + 10 * i) for i in range(3)]
    jaccard = MulticlassJaccardIndex(num_classes=K, ignore_index=IGNORE)
    for truth, prediction in pairs:
        jaccard.update(torch.from_numpy(prediction).long(), torch.from_numpy(truth).long())
    assert matrix_of(pairs).scores().miou == pytest.approx(jaccard.compute().item(), abs=1e-6)


def test_miou_is_over_the_whole_set_and_not_a_mean_over_images():
    perfect = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    mixed = np.array([[0, 1]], np.uint8), np.array([[1, 1]], np.uint8)
    together = matrix_of([perfect, mixed], 2).scores().miou
    alone = [matrix_of([pair], 2).scores().miou for pair in (perfect, mixed)]
    assert together == pytest.approx((16 / 17 + 1 / 2) / 2)
    assert together != pytest.approx(sum(alone) / 2, abs=0.05)


def test_order_of_images_changes_nothing_and_swapping_classes_does():
    pairs = [random_pair(seed) for seed in range(4)]
    scores = matrix_of(pairs).scores()
    assert matrix_of(pairs[::-1]).scores() == scores
    swapped = [(t, np.choose(p, [1, 0, 2, 3, 4]).astype(np.uint8)) for t, p in pairs]
    assert matrix_of(swapped).scores().iou != scores.iou


def test_absent_classes_have_no_iou_and_do_not_count():
    truth = np.array([[0, 0, 1]], np.uint8)
    scores = matrix_of([(truth, truth)], 3).scores()
    assert scores.iou == (1.0, 1.0, None)
    assert scores.miou == 1.0


def test_a_label_outside_the_classes_or_another_size_is_refused():
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        matrix_of([(np.array([[2]], np.uint8), np.array([[0]], np.uint8))], 2)
    with pytest.raises(ValueError, match="both must be H x W"):
        matrix_of([(np.zeros((1, 2), np.uint8), np.zeros((2, 1), np.uint8))], 2)


def test_loss_is_the_mean_over_pixels_that_count():
    torch.manual_seed(0)
    logits, target = torch.randn(2, K, 6, 7), torch.randint(K, (2, 6, 7))
    target[0, :3] = IGNORE
    expected = torch.nn.functional.cross_entropy(logits, target, ignore_index=IGNORE)
    torch.testing.assert_close(SegmentationLoss()(logits, target), expected)
    weights = torch.rand(K)
    expected = torch.nn.functional.cross_entropy(logits, target, weights, ignore_index=IGNORE)
    torch.testing.assert_close(SegmentationLoss(weights)(logits, target), expected)


@pytest.mark.parametrize("weights", [None, torch.ones(K)])
def test_a_batch_without_any_pixel_that_counts_has_loss_zero_and_gradient_zero(weights):
    logits = torch.randn(1, K, 4, 4, requires_grad=True)
    loss = SegmentationLoss(weights)(logits, torch.full((1, 4, 4), IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_balanced_weights_average_to_one_over_the_pixels():
    pixels = (900, 90, 10, 0)
    assert balanced_weights(pixels, 0.0) is None
    for balance in (0.3, 1.0):
        weights = balanced_weights(pixels, balance)
        assert weights[3] == 0
        assert (weights[:3] * torch.tensor([0.9, 0.09, 0.01])).sum().item() == pytest.approx(1)
        assert weights[2] > weights[1] > weights[0]
    full = balanced_weights(pixels, 1.0)
    torch.testing.assert_close(full[:3] * torch.tensor([0.9, 0.09, 0.01]), torch.full((3,), 1 / 3))


class Fixed(torch.nn.Module):
    """Answers class 1 where red is strongest, else class 0."""

    def forward(self, x):
        red = (x.argmax(1, keepdim=True) == 0).float()
        return torch.cat([1 - red, red], dim=1)


def test_evaluate_scores_every_image_at_its_own_size_and_keeps_the_mode():
    def sample(height, width):
        image = np.zeros((height, width, 3), np.uint8)
        image[:, : width // 2, 0] = 255
        mask = np.zeros((height, width), np.uint8)
        mask[:, : width // 2] = 1
        return Sample(image, mask, "x")

    model = Fixed().train()
    scores = evaluate(model, [sample(4, 6), sample(5, 8)], 2)
    assert scores.miou == 1.0
    assert scores.images == 2
    assert model.training
