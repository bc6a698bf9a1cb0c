"""Semantic segmentation: cross-entropy over the pixels that count, and IoU from one confusion matrix.

Letters: B images, K classes, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet import parallel
from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import IGNORE, DataError, SegmentationData
from wholenet.tasks.finite import LOST, all_finite


class SegmentationLoss:
    """Mean cross-entropy over pixels whose label is not ``IGNORE``; 0 (not NaN) where a batch has none. In float32
    at least, whatever the logits come in.

    Where several processes train, each one's part of the mean over all their pixels: the parts sum to it.

    Args:
        class_weights: optional [K]; a pixel counts as much as its class. None is plain cross-entropy, as in the paper.
    """

    def __init__(self, class_weights: Tensor | None = None) -> None:
        self.class_weights = class_weights

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """``logits`` [B, K, H, W], ``target`` int64 [B, H, W] -> scalar."""
        logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
        total = F.cross_entropy(logits, target, self.class_weights, ignore_index=IGNORE, reduction="sum")
        counted = target != IGNORE
        if self.class_weights is None:
            return total / parallel.summed(counted.sum()).clamp(min=1)
        mass = parallel.summed(self.class_weights[target.where(counted, 0)].where(counted, 0).sum())
        return total / mass.clamp(min=torch.finfo(mass.dtype).tiny)


def balanced_weights(class_pixels: tuple[int, ...], balance: float) -> Tensor | None:
    """Class weights proportional to frequency**-balance, with mean 1 over the pixels: 0 is none (plain cross-entropy),
    1 gives every class the same total weight. Classes that never occur get weight 0.
    """
    if balance == 0:
        return None
    pixels = torch.tensor(class_pixels, dtype=torch.float64)
    frequency = pixels / pixels.sum()
    raw = torch.where(pixels > 0, frequency.clamp_min(1e-12) ** -balance, 0.0)
    return (raw / (raw * frequency).sum()).float()


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix says. Shares in [0, 1]."""

    iou: tuple[float | None, ...]
    """Per class; None for a class that neither occurs nor is predicted."""
    pixel_accuracy: float
    images: int

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that have one."""
        present = [value for value in self.iou if value is not None]
        return sum(present) / len(present) if present else 0.0


class ConfusionMatrix:
    """Counts of (true class, predicted class) over a whole data set: never a mean of per-image scores."""

    def __init__(self, num_classes: int) -> None:
        self.counts = np.zeros((num_classes, num_classes), dtype=np.int64)
        self.images = 0

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Add one image: ``truth`` [H, W] with ``IGNORE`` where nothing counts, ``prediction`` [H, W] in 0..K-1.

        Raises:
            ValueError: if the sizes differ, or a value is neither a class nor (in ``truth``) the ignore label.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"truth is {truth.shape} but the prediction is {prediction.shape}; both must be H x W")
        k = len(self.counts)
        counted = truth != IGNORE
        t, p = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
        if t.size and (max(t.max(), p.max()) >= k or min(t.min(), p.min()) < 0):
            raise ValueError(f"a label lies outside 0..{k - 1}: truth up to {t.max()}, prediction up to {p.max()}")
        self.counts += np.bincount(t * k + p, minlength=k * k).reshape(k, k)
        self.images += 1

    def add(self, other: ConfusionMatrix) -> None:
        """Add the counts of another matrix of the same classes."""
        self.counts += other.counts
        self.images += other.images

    def over_processes(self) -> ConfusionMatrix:
        """The sum of the matrices of all processes."""
        total = ConfusionMatrix(len(self.counts))
        total.counts = parallel.summed(torch.from_numpy(self.counts)).numpy()
        total.images = int(parallel.summed(torch.tensor(self.images)))
        return total

    def scores(self) -> Scores:
        """IoU = TP / (TP + FP + FN) per class, over all images."""
        hits = self.counts.diagonal()
        union = self.counts.sum(0) + self.counts.sum(1) - hits
        iou = tuple(float(h / u) if u else None for h, u in zip(hits, union, strict=True))
        total = self.counts.sum()
        return Scores(iou, float(hits.sum() / total) if total else 0.0, self.images)


@torch.no_grad()
def predict_mask(
    model: nn.Module, image: np.ndarray, device: torch.device | str = "cpu", pixels: Pixels = PHOTO
) -> np.ndarray:
    """Train ids, uint8 [H, W], of one image [H, W, C] of the kind ``pixels``, at its own size. The model must be in
    eval mode.

    Raises:
        FloatingPointError: for logits that are not finite.
    """
    return image_logits(model, image, device, pixels).argmax(0).to(torch.uint8).cpu().numpy()


@torch.no_grad()
def image_logits(
    model: nn.Module, image: np.ndarray, device: torch.device | str = "cpu", pixels: Pixels = PHOTO
) -> Tensor:
    """Class logits, [K, H, W] on ``device``, of one image as :func:`predict_mask` takes it.

    Raises:
        FloatingPointError: for logits that are not finite.
    """
    x = torch.from_numpy(pixels.normalized(image)).permute(2, 0, 1)[None].to(device, memory_format=torch.channels_last)
    logits = model(x)
    if not all_finite(logits):
        raise FloatingPointError(LOST)
    return logits[0]


def evaluate(
    model: nn.Module,
    data: SegmentationData,
    num_classes: int,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    pixels: Pixels = PHOTO,
) -> Scores:
    """Score ``model`` on all of ``data``, each image at full resolution. Leaves the model's mode as it was.

    This is how training validates: the network as it is trained, each image whole, however large.
    :func:`wholenet.deploy.score.score` scores what is predicted: by the folded network, large images in tiles.

    Several processes share the images; each of them returns the scores on all.

    Raises:
        FloatingPointError: for logits that are not finite; the sample is named.
    """
    training = model.training
    model.eval()
    try:
        return evaluate_masks(partial(predict_mask, model, device=device, pixels=pixels), data, num_classes, progress)
    finally:
        model.train(training)


def evaluate_masks(
    predict: Callable[[np.ndarray], np.ndarray],
    data: SegmentationData,
    num_classes: int,
    progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Score the masks that ``predict`` makes of the images of ``data``: [H, W, C] -> train ids, uint8 [H, W].

    Several processes share the images; each of them returns the scores on all.

    Raises:
        DataError: for an image that ``predict`` refuses; the sample is named.
        FloatingPointError: for logits that are not finite; the sample is named.
    """
    matrix = ConfusionMatrix(num_classes)
    for _, truth, prediction in answered(predict, data, progress):
        matrix.update(truth, prediction)
    return matrix.over_processes().scores()


def answered(
    predict: Callable[[np.ndarray], np.ndarray],
    data: SegmentationData,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, true and predicted mask of the images of ``data`` whose turn it is in this process.

    Raises:
        DataError: for an image that ``predict`` refuses; the sample is named.
        FloatingPointError: for logits that are not finite; the sample is named.
    """
    for i in range(parallel.rank(), len(data), parallel.processes()):
        image, truth, name = data[i]
        try:
            prediction = predict(image)
        except FloatingPointError as error:
            raise FloatingPointError(f"{name}: {error}") from error
        except ValueError as error:
            raise DataError(f"{name}: {error}") from error
        yield name, truth, prediction
        if progress is not None:
            progress(min(len(data), i + parallel.processes()), len(data))
