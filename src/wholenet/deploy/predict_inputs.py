"""Predictions for images and videos together: what cannot be answered does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sample import DataError
from wholenet.deploy.predict import SomeFailed, predict_files
from wholenet.deploy.predictor import Predictor
from wholenet.deploy.tiles import Tiling
from wholenet.deploy.video import check_videos, is_video, predict_video


def predict_inputs(
    model: Predictor,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    overlay: bool = False,
    probabilities: bool = False,
    polygons: bool = False,
    tiling: Tiling | None = None,
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> list[Path]:
    """Write the masks of ``inputs``, image files, folders of them, and videos, and what else is asked, into ``out``:
    as :func:`wholenet.deploy.predict.predict_files` and :func:`wholenet.deploy.video.predict_video` say it.

    Returns:
        The masks of the images, and the folder of masks of each video.

    Raises:
        DataError: for an input that is not there, or whose masks would meet something, before anything is predicted.
        ValueError: likewise, where nothing can be written to ``out``.
        SomeFailed: at the end, for inputs that could not be read or answered.
    """
    videos = [path for path in inputs if is_video(path)]
    images = [path for path in inputs if not is_video(path)]
    check_videos(videos, out)
    options: dict[str, Any] = {"with_overlay": overlay, "tiling": tiling, "progress": progress}
    of_images: dict[str, Any] = {
        "with_probabilities": probabilities,
        "with_polygons": polygons,
        "max_megapixels": max_megapixels,
    }
    written, failed, count = [], dict[Path, str](), len(videos)
    try:
        written = predict_files(model, images, out, **of_images, **options) if images else []
        count += len(written)
    except SomeFailed as some:
        written, failed, count = some.written, some.failed, count + some.inputs
    for video in map(Path, videos):
        try:
            predict_video(model, video, out, **options)
            written.append(Path(out) / video.stem)
        except DataError as error:
            failed[video] = str(error)
    if failed:
        raise SomeFailed(failed, count, written)
    return written
