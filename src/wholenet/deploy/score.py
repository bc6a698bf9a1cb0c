"""Score a trained model on a data set, in the form that the command line prints and writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wholenet.data.classes import same_names
from wholenet.data.detect import open_data
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sample import DataError, DataSource
from wholenet.deploy.model_folder import TrainedModel
from wholenet.tasks.segmentation import Scores, evaluate


def open_for(model: TrainedModel, data: str, max_megapixels: float = MAX_MEGAPIXELS) -> DataSource:
    """Open ``data`` as ``model`` sees it. Larger files than ``max_megapixels`` are refused when they are read.

    Masks are read by the data's own class file, which must name the model's classes; without one, by the model's. Of
    data without splits, the images that the run held out are "val" again.

    Raises:
        DataError: if there is no such data, or its classes are not the model's.
    """
    source = open_data(data, classes=model.classes, max_megapixels=max_megapixels, **model.held_out)
    same_names(source.classes, model.classes, source.name)
    return source


def score(
    model: TrainedModel,
    data: str,
    split: str = "val",
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Scores:
    """Scores of ``model`` on a split of ``data``, at full resolution.

    Raises:
        DataError: if the split does not exist (those that do are named), the classes differ, or a file cannot be used.
    """
    source = open_for(model, data, max_megapixels)
    if split not in source.splits:
        raise DataError(f"{data} has no split {split!r} with masks; it has {', '.join(source.splits)}")
    return evaluate(model.network, source.splits[split], len(model.classes), model.device, progress)


def scores_to_dict(scores: Scores, names: tuple[str, ...]) -> dict[str, Any]:
    """The JSON form: shares in [0, 1]; null for a class that neither occurs nor is predicted."""
    return {
        "miou": scores.miou,
        "iou": dict(zip(names, scores.iou, strict=True)),
        "pixel_accuracy": scores.pixel_accuracy,
        "images": scores.images,
    }
