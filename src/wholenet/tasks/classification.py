"""Image classification: cross-entropy, and the share of images whose class is right.

Letters: B images, K classes, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet import parallel
from wholenet.data.labelled import Labelled
from wholenet.data.pixels import normalize
from wholenet.ops.draws import rows_of
from wholenet.tasks.finite import LOST


class ClassificationLoss:
    """Mean cross-entropy, in float32 at least; with the auxiliary head's, weighted, where a network has one.

    Where several processes train, each one's part of the mean over all their images, of which they have equally many:
    the parts sum to it.

    Args:
        auxiliary: weight of the auxiliary head's loss (0.4 in DARTS' evaluation).
        smoothing: of the labels.
    """

    def __init__(self, auxiliary: float = 0.4, smoothing: float = 0.0) -> None:
        self.auxiliary = auxiliary
        self.smoothing = smoothing

    def __call__(self, output: Tensor | tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        """Logits [B, K], or those of both heads, and ``target`` int64 [B] -> scalar."""
        if isinstance(output, tuple):
            main, auxiliary = (self(logits, target) for logits in output)
            return main + self.auxiliary * auxiliary
        logits = output.float() if output.dtype in (torch.bfloat16, torch.float16) else output
        own = F.cross_entropy(logits, target, label_smoothing=self.smoothing)
        return own if parallel.processes() == 1 else own / parallel.processes()


@dataclass(frozen=True)
class Accuracy:
    """Shares in [0, 1]."""

    top1: float
    per_class: tuple[float | None, ...]
    """Share of each class's images that are found; None for a class without images."""
    images: int

    @property
    def error(self) -> float:
        """1 - ``top1``: what the DARTS papers report, there in per cent."""
        return 1 - self.top1


@torch.no_grad()
def evaluate_labelled(
    model: nn.Module,
    data: Labelled,
    num_classes: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    batch: int = 256,
    device: torch.device | str = "cpu",
) -> Accuracy:
    """Score ``model``, images [B, C, H, W] -> logits [B, K], on all of ``data``. Leaves its mode as it was.

    Several processes share the images; each of them returns the scores on all.

    Raises:
        FloatingPointError: for logits that are not finite.
    """
    training = model.training
    model.eval()
    found = np.zeros(num_classes + 1, np.int64)  # of each class, and how many logits are lost
    try:
        for images, labels, first, samples in _batches(data, mean, std, batch):
            with rows_of(first, samples):
                logits = model(images.to(device)).cpu()[: len(labels)]
            found[-1] += int((~logits.isfinite().all(1)).sum())
            found[:-1] += np.bincount(labels[logits.argmax(1).numpy() == labels], minlength=num_classes)
    finally:
        model.train(training)
    *hits, lost = parallel.summed(torch.from_numpy(found)).tolist()
    if lost:
        raise FloatingPointError(f"{lost} of {len(data)} images: {LOST}")
    counts = np.bincount(data.labels, minlength=num_classes).tolist()
    per_class = tuple(h / n if n else None for h, n in zip(hits, counts, strict=True))
    return Accuracy(sum(hits) / len(data), per_class, len(data))


def _batches(
    data: Labelled, mean: tuple[float, ...], std: tuple[float, ...], batch: int
) -> Iterator[tuple[Tensor, np.ndarray, int, int]]:
    """This process's share of each batch: images, labels, the number of the first in the batch, and how many that has.

    Of a batch of fewer images than processes some have no label, and an image all the same: what is random in a network
    is drawn by all of them, or they would not stay together.
    """
    share, shares = parallel.rank(), parallel.processes()
    for start in range(0, len(data), batch):
        samples = min(batch, len(data) - start)
        first, end = samples * share // shares, samples * (share + 1) // shares
        own = slice(start + first, start + max(end, first + 1))
        images = torch.from_numpy(normalize(data.images[own], mean, std)).permute(0, 3, 1, 2)
        yield images, data.labels[start + first : start + end], first, samples
