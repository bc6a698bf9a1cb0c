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
from wholenet.tasks.finite import LOST, all_finite


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

    Raises:
        FloatingPointError: for logits that are not finite.
    """
    training = model.training
    model.eval()
    try:
        logits = torch.cat([model(images.to(device)).cpu() for images in _batches(data, mean, std, batch)])
    finally:
        model.train(training)
    if not all_finite(logits):
        lost = int((~logits.isfinite().all(1)).sum())
        raise FloatingPointError(f"{lost} of {len(data)} images: {LOST}")
    right = logits.argmax(1).numpy() == data.labels
    counts = np.bincount(data.labels, minlength=num_classes)
    hits = np.bincount(data.labels[right], minlength=num_classes)
    per_class = tuple(float(h / n) if n else None for h, n in zip(hits, counts, strict=True))
    return Accuracy(float(right.mean()), per_class, len(data))


def _batches(data: Labelled, mean: tuple[float, ...], std: tuple[float, ...], batch: int) -> Iterator[Tensor]:
    for first in range(0, len(data), batch):
        images = normalize(data.images[first : first + batch], mean, std)
        yield torch.from_numpy(images).permute(0, 3, 1, 2)
