"""Score a trained classifier on labelled images."""

from __future__ import annotations

from pathlib import Path

from wholenet.cells.prepare import resized
from wholenet.data.labelled import open_labelled
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sample import DataError
from wholenet.deploy.classifier import TrainedClassifier
from wholenet.tasks.classification import Accuracy, evaluate_labelled


def score_labelled(
    model: TrainedClassifier, data: str | Path, split: str = "test", max_megapixels: float = MAX_MEGAPIXELS
) -> Accuracy:
    """The share of the images of a split of ``data`` whose class is found, in all and by class.

    Raises:
        DataError: for data that cannot be read, or of other classes.
        ValueError: for a split that is not there.
        FloatingPointError: for logits that are not finite.
    """
    source = open_labelled(data, max_megapixels)
    if source.classes != model.classes:
        raise DataError(f"{data} has the classes {', '.join(source.classes)}; the model {', '.join(model.classes)}")
    if split not in source.splits:
        raise ValueError(f"{data} has no {split} split; it has {', '.join(source.splits)}: give --split")
    images = resized(source.splits[split], model.size)
    return evaluate_labelled(model.network, images, len(model.classes), model.mean, model.std, device=model.device)
