"""Score the masks that a trained model predicts for a data set, in the form that the command line prints and writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from wholenet.data.classes import same_names
from wholenet.data.detect import open_data
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sample import DataError, DataSource
from wholenet.deploy.flips import flipped_as_asked
from wholenet.deploy.onnx_model import OnnxModel
from wholenet.deploy.segmenter import TrainedModel
from wholenet.deploy.tiles import Tiling
from wholenet.tasks.boundary import TOLERANCE
from wholenet.tasks.evaluation import Evaluation, mean, measure_masks


def open_for(model: TrainedModel | OnnxModel, data: str, max_megapixels: float = MAX_MEGAPIXELS) -> DataSource:
    """Open ``data`` as ``model`` sees it. Larger files than ``max_megapixels`` are refused when they are read.

    Masks are read by the data's own class file, which must name the model's classes; without one, by the model's. Of
    data without splits, the images that the run held out are "val" again.

    Raises:
        DataError: if there is no such data, or its classes are not the model's.
    """
    source = open_data(
        data, classes=model.classes, max_megapixels=max_megapixels, bands=model.pixels.bands, **model.held_out
    )
    same_names(source.classes, model.classes, source.name)
    return source


def score(
    model: TrainedModel | OnnxModel,
    data: str,
    split: str = "val",
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    tiling: Tiling | None = None,
    *,
    tta: bool = False,
    tta_vertical: bool = False,
) -> Evaluation:
    """What is said of ``model`` on a split of ``data``, at full resolution: of the same masks as
    :func:`wholenet.deploy.predict.predict_files` writes.

    The validation of training is another computation, :func:`wholenet.tasks.segmentation.evaluate`: images of up to 4
    megapixels get the same classes there, but for ties in the last digits; larger ones it does not cut.

    Args:
        model: see :func:`wholenet.load`; or an ONNX file.
        data: see :func:`open_for`.
        split: its name.
        progress: called with (images done, images in all).
        max_megapixels: larger images are refused.
        tiling: how large images are cut; None is :class:`Tiling` as it is.
        tta: ask about the mirror images too; see :mod:`wholenet.deploy.flips`.
        tta_vertical: likewise, mirrored up-down.

    Raises:
        ValueError: for ``tta_vertical`` without ``tta``.
        DataError: if the split does not exist (those that do are named), the classes differ, a file cannot be used, or
            an image cannot be answered.
        FloatingPointError: for logits that are not finite; the image is named.
    """
    asked = flipped_as_asked(model, tta, tta_vertical)
    source = open_for(model, data, max_megapixels)
    if split not in source.splits:
        raise DataError(f"{data} has no split {split!r} with masks; it has {', '.join(source.splits)}")
    predict = partial((tiling or Tiling()).predict, asked.predict)
    return measure_masks(predict, source.splits[split], len(model.classes), progress)


def scores_to_dict(found: Evaluation, names: tuple[str, ...]) -> dict[str, Any]:
    """The JSON form: shares in [0, 1]; null for a class where there is nothing to divide by. The confusion matrix has
    a row for each true class, and a column for each predicted one, in the order of "classes"."""
    per_class = {
        name: dict(zip(names, getattr(found, name), strict=True))
        for name in ("iou", "dice", "precision", "recall", "boundary_f", "share")
    }
    return {
        "miou": found.miou,
        **per_class,
        "mean": {name: mean(getattr(found, name)) for name in ("dice", "precision", "recall", "boundary_f")},
        "pixel_accuracy": found.pixel_accuracy,
        "images": found.images,
        "boundary_tolerance": {"of_diagonal": TOLERANCE, "rounded": "up, to pixels"},
        "classes": list(names),
        "confusion_matrix": [list(row) for row in found.counts],
        "worst_images": [image.name for image in found.worst],
        "per_image": [asdict(image) for image in found.per_image],
    }
