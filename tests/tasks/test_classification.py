import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wholenet import parallel
from wholenet.data.labelled import Labelled
from wholenet.tasks.classification import ClassificationLoss, evaluate_labelled


def test_the_loss_is_the_mean_cross_entropy_and_adds_the_auxiliary_heads():
    torch.manual_seed(0)
    main, auxiliary, target = torch.randn(6, 4), torch.randn(6, 4), torch.randint(4, (6,))
    by_hand = -main.log_softmax(1)[torch.arange(6), target].mean()
    torch.testing.assert_close(ClassificationLoss()(main, target), by_hand)
    both = by_hand + 0.4 * F.cross_entropy(auxiliary, target)
    torch.testing.assert_close(ClassificationLoss()((main, auxiliary), target), both)
    assert ClassificationLoss()(main.bfloat16(), target).dtype == torch.float32


def test_the_parts_of_several_processes_sum_to_the_loss_of_the_whole_batch(monkeypatch):
    torch.manual_seed(0)
    main, auxiliary, target = torch.randn(6, 4), torch.randn(6, 4), torch.randint(4, (6,))
    loss = ClassificationLoss(smoothing=0.1)
    whole = loss((main, auxiliary), target)
    monkeypatch.setattr(parallel, "processes", lambda: 3)
    parts = zip(*(x.chunk(3) for x in (main, auxiliary, target)), strict=True)
    torch.testing.assert_close(sum(loss((m, a), t) for m, a, t in parts), whole)


class Brightest(nn.Module):
    """Answers the brightest channel; refuses to answer in training mode."""

    def forward(self, x):
        assert not self.training
        return x.mean((2, 3))


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_accuracy_counts_images_whatever_the_batch_and_leaves_the_mode(batch):
    labels = np.array([0, 0, 1, 1, 1, 2, 2])
    shown = np.array([0, 1, 1, 1, 2, 2, 2])  # as which channel is bright
    images = np.zeros((7, 4, 4, 3), np.uint8)
    images[np.arange(7), :, :, shown] = 200
    model = Brightest().train()
    scores = evaluate_labelled(model, Labelled(images, labels), 4, (0.5,) * 3, (0.5,) * 3, batch=batch)
    assert scores.top1 == pytest.approx(5 / 7)
    assert scores.error == pytest.approx(2 / 7)
    assert scores.per_class == (pytest.approx(1 / 2), pytest.approx(2 / 3), 1.0, None)
    assert scores.images == 7
    assert model.training
