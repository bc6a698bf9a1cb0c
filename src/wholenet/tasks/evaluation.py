"""All that is said of a segmentation network on a data set: from one confusion matrix per image, summed over the data.

No score of a class is a mean of ratios. The exception says so: :class:`ImageScore` is of one image.

Letters: K classes, H x W pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from wholenet import parallel
from wholenet.data.sample import SegmentationData
from wholenet.tasks.boundary import BoundaryCounts, count_boundaries
from wholenet.tasks.segmentation import ConfusionMatrix, Scores, answered

WORST = 5
"""Images that are named."""


@dataclass(frozen=True)
class ImageScore:
    """The score of one image alone. Shares in [0, 1]."""

    name: str
    miou: float | None
    """Mean IoU over the classes that occur in this image or are predicted for it; None where no pixel counts."""
    pixel_accuracy: float | None
    pixels: int
    """That count."""


@dataclass(frozen=True)
class Evaluation(Scores):
    """What the confusion matrix and the boundaries of a data set say. Shares in [0, 1]; of classes None where there is
    nothing to divide by."""

    counts: tuple[tuple[int, ...], ...]
    """The confusion matrix: pixels of (true class, predicted class)."""
    boundaries: tuple[BoundaryCounts, ...]
    per_image: tuple[ImageScore, ...]
    """In the order of the data."""

    @property
    def scores(self) -> Scores:
        """These alone, which compare equal to those of a training's validation if they are."""
        return Scores(self.iou, self.pixel_accuracy, self.images)

    @property
    def precision(self) -> tuple[float | None, ...]:
        """Per class: the share of the pixels predicted as it that are it, TP / (TP + FP)."""
        return self._ratios(lambda hits, _, predicted: (hits, predicted))

    @property
    def recall(self) -> tuple[float | None, ...]:
        """Per class: the share of its pixels that are predicted as it, TP / (TP + FN)."""
        return self._ratios(lambda hits, true, _: (hits, true))

    @property
    def dice(self) -> tuple[float | None, ...]:
        """Per class: 2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall, also called F1."""
        return self._ratios(lambda hits, true, predicted: (2 * hits, true + predicted))

    @property
    def boundary_f(self) -> tuple[float | None, ...]:
        """Per class: the F-measure of its boundary; see :mod:`wholenet.tasks.boundary`."""
        return tuple(counts.f for counts in self.boundaries)

    @property
    def share(self) -> tuple[float, ...]:
        """Per class: the share of the pixels that are it."""
        true = np.array(self.counts, np.int64).sum(1)
        return tuple((true / max(1, true.sum())).tolist())

    @property
    def worst(self) -> tuple[ImageScore, ...]:
        """The images with the lowest mIoU of their own, the worst first; at most ``WORST``."""
        return self.ranked()[:WORST]

    def ranked(self) -> tuple[ImageScore, ...]:
        """The images in which any pixel counts, by the mIoU of their own, the worst first; equal ones in the order of
        the data."""
        scored = [(image.miou, place) for place, image in enumerate(self.per_image) if image.miou is not None]
        return tuple(self.per_image[place] for _, place in sorted(scored))

    def confusions(self, most: int = 5) -> tuple[tuple[int, int, float], ...]:
        """The pairs (true class, predicted class, share of the true class's pixels) that cost most pixels."""
        counts = np.array(self.counts, np.int64)
        true = counts.sum(1)
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:most]
        pairs = [divmod(int(place), len(counts)) for place in order]
        return tuple((t, p, float(counts[t, p] / true[t])) for t, p in pairs if counts[t, p])

    def _ratios(self, of: Callable[[int, int, int], tuple[int, int]]) -> tuple[float | None, ...]:
        counts = np.array(self.counts, np.int64)
        parts = zip(counts.diagonal().tolist(), counts.sum(1).tolist(), counts.sum(0).tolist(), strict=True)
        return tuple(above / below if below else None for above, below in (of(*part) for part in parts))


def mean(values: Sequence[float | None]) -> float | None:
    """The mean over the classes that have a value; None where none has."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def measure_masks(
    predict: Callable[[np.ndarray], np.ndarray],
    data: SegmentationData,
    num_classes: int,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure the masks that ``predict`` makes of the images of ``data``: uint8 [H, W, 3] -> train ids, uint8 [H, W].

    Several processes share the images; each of them returns what is found on all.

    Raises:
        DataError: for an image that ``predict`` refuses; the sample is named.
        FloatingPointError: for logits that are not finite; the sample is named.
    """
    total, boundaries, per_image = ConfusionMatrix(num_classes), np.zeros((num_classes, 4), np.int64), []
    for name, truth, prediction in answered(predict, data, progress):
        matrix = ConfusionMatrix(num_classes)
        matrix.update(truth, prediction)
        total.add(matrix)
        boundaries += count_boundaries(truth, prediction, num_classes)
        per_image.append(_image_score(name, matrix))
    total, boundaries = total.over_processes(), parallel.summed(torch.from_numpy(boundaries)).numpy()
    return Evaluation(
        **vars(total.scores()),
        counts=tuple(map(tuple, total.counts.tolist())),
        boundaries=tuple(BoundaryCounts(*row) for row in boundaries.tolist()),
        per_image=_over_processes(per_image),
    )


def _image_score(name: str, matrix: ConfusionMatrix) -> ImageScore:
    scores, pixels = matrix.scores(), int(matrix.counts.sum())
    return ImageScore(name, *((scores.miou, scores.pixel_accuracy) if pixels else (None, None)), pixels)


def _over_processes(mine: Sequence[ImageScore]) -> tuple[ImageScore, ...]:
    """Those of all processes, which took turns, in the order of the data."""
    if parallel.processes() == 1:
        return tuple(mine)
    text = json.dumps([asdict(image) for image in mine]).encode()
    sent = torch.zeros(parallel.largest(len(text)), dtype=torch.uint8)
    sent[: len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    received = [json.loads(bytes(part.tolist()).rstrip(b"\0")) for part in parallel.gathered(sent)]
    turns = max(map(len, received), default=0)
    return tuple(ImageScore(**part[turn]) for turn in range(turns) for part in received if turn < len(part))
