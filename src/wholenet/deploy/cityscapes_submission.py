"""Predictions in the form in which the Cityscapes evaluation server takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from wholenet.data.cityscapes import CITYSCAPES
from wholenet.data.opening import open_picture
from wholenet.data.pictures import write_mask
from wholenet.data.sample import Classes, DataError
from wholenet.deploy.predict import (
    all_done,
    check_targets,
    list_images,
    pixels_of,
    predicted,
    refuse_collisions,
    target_in,
)
from wholenet.deploy.predictor import Predictor
from wholenet.deploy.tiles import Tiling

SIZE = (1024, 2048)
"""(height, width) of every Cityscapes image."""
_FRAME = re.compile(r"[A-Za-z-]+_\d{6}_\d{6}", re.ASCII)
"""City, sequence and frame: what names of images begin with, and what the official scripts find predictions by."""
_IMAGE_ENDING = "_leftImg8bit.png"


def write_cityscapes_submission(
    model: Predictor,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    tiling: Tiling | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write ``out``/CITY_SEQUENCE_FRAME_pred_labelIds.png for every image: uint8 [1024, 2048], label ids, never void.

    The official evaluator (cityscapesscripts, evalPixelLevelSemanticLabeling, ``getPrediction``) takes the one PNG
    below the folder whose name begins with CITY_SEQUENCE_FRAME; a second one makes it stop, so ``out`` may hold none.

    Args:
        model: see :func:`wholenet.load`; of the 19 Cityscapes classes, in any order.
        inputs: image files CITY_SEQUENCE_FRAME_leftImg8bit.png, and folders that are searched for them, sub-folders
            included.
        out: folder to be zipped and uploaded; made if it is not there.
        tiling: how images are cut.

    Returns:
        The files written, in the order of the inputs.

    Raises:
        DataError: before anything is predicted: for a model of other classes, an input that does not exist, a folder
            without images, an image that is named otherwise or is not 1024x2048, two images of one frame, or another
            PNG of a frame in ``out``.
        ValueError: likewise, where nothing can be written to ``out``.
        SomeFailed: at the end, for images that could not be read or answered.
    """
    label_ids = _label_ids(model.classes)
    images = list_images(inputs)
    frames = [_frame(image) for image in images]
    out = Path(out)
    targets = [target_in(out, f"{f}_pred_labelIds.png", image) for f, image in zip(frames, images, strict=True)]
    refuse_collisions(images, targets)
    _refuse_rivals(out, frames, targets)
    for image in images:
        _require_size(image)
    check_targets(out, targets)
    out.mkdir(parents=True, exist_ok=True)
    failed: dict[Path, str] = {}
    answer = partial((tiling or Tiling()).predict, model.predict)
    for i, _, mask in predicted(answer, images, failed, progress, pixels=pixels_of(model)):
        write_mask(targets[i], label_ids[mask])
    return all_done(images, targets, failed)


def _label_ids(classes: Classes) -> np.ndarray:
    """The label id of each of the model's train ids, uint8 [19]."""
    missing = [name for name in CITYSCAPES.names if name not in classes.names]
    unexpected = [name for name in classes.names if name not in CITYSCAPES.names]
    if missing or unexpected:
        raise DataError(
            "a Cityscapes submission needs a model of the 19 Cityscapes classes. "
            f"Missing: {', '.join(missing) or 'none'}; unexpected: {', '.join(unexpected) or 'none'}. "
            "Train one on Cityscapes, or predict without --cityscapes-submission."
        )
    by_name = dict(zip(CITYSCAPES.names, CITYSCAPES.values, strict=True))
    return np.array([by_name[name] for name in classes.names], np.uint8)


def _frame(image: Path) -> str:
    """CITY_SEQUENCE_FRAME of an image's name."""
    frame = image.name.removesuffix(_IMAGE_ENDING)
    if frame == image.name or not _FRAME.fullmatch(frame):
        raise DataError(
            f"{image}: the server knows images as <city>_<sequence>_<frame>_leftImg8bit.png, both numbers of six "
            "digits, for example berlin_000000_000019_leftImg8bit.png. Give the images of Cityscapes under their "
            "own names (leftImg8bit/test), and nothing beside them."
        )
    return frame


def _refuse_rivals(out: Path, frames: Sequence[str], targets: Sequence[Path]) -> None:
    """Make sure that the evaluator will find no second file for any frame."""
    expected = dict(zip(frames, targets, strict=True))
    for path in sorted(out.rglob("*.png")):
        match = _FRAME.match(path.name)
        if match and path != expected.get(match[0], path):
            raise DataError(
                f"{path} begins with {match[0]} too, and the evaluator refuses two files for one frame; "
                "remove it, or choose another --out"
            )


def _require_size(image: Path) -> None:
    try:
        with open_picture(image) as picture:  # reads the header alone
            width, height = picture.size
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{image}: cannot be read as an image ({error}). Replace the file.") from error
    if (height, width) != SIZE:
        raise DataError(
            f"{image} is {height}x{width} (height x width); the server takes predictions of {SIZE[0]}x{SIZE[1]} only. "
            "Give the original image, not a resized or cropped copy."
        )
