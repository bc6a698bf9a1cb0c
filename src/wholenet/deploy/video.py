"""Predictions for videos, frame by frame: nothing is held but the frame at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from wholenet.data.pictures import overlay, write_mask
from wholenet.data.sample import DataError
from wholenet.deploy.predict import Predictor
from wholenet.deploy.tiles import Tiling

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


def is_video(path: str | Path) -> bool:
    """Whether the name is that of a video file."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def predict_video(
    model: Predictor,
    path: str | Path,
    out: str | Path,
    *,
    with_overlay: bool = False,
    tiling: Tiling | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write ``out``/STEM/000000.png and so on, a mask for every frame; and ``out``/STEM_overlay.mp4 if asked.

    Args:
        model: see :func:`wholenet.load`.
        path: a video that OpenCV can read.
        out: folder; made if it is not there.
        with_overlay: write the video with the masks in colour over it too.
        tiling: how large frames are cut.
        progress: called with (frames done, frames in all as the file claims; they may be more).

    Returns:
        The number of frames.

    Raises:
        DataError: for a file that is not there or cannot be read as a video, or a folder of masks that exists already
            (named): before anything is written.
    """
    path, out = Path(path), Path(out)
    masks = out / path.stem
    if not path.is_file():
        raise DataError(f"{path} does not exist; give a video file")
    if masks.exists():
        raise DataError(f"{masks} exists already; remove it, or choose another --out")
    video = cv2.VideoCapture(str(path))
    writer: cv2.VideoWriter | None = None
    done = 0
    try:
        total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        rate = video.get(cv2.CAP_PROP_FPS) or 25.0
        for frame in _frames(video):
            if not done:
                masks.mkdir(parents=True)
            mask = (tiling or Tiling()).predict(model.predict, frame)
            write_mask(masks / f"{done:06}.png", mask)
            if with_overlay:
                if writer is None:
                    size = (frame.shape[1], frame.shape[0])
                    target = out / f"{path.stem}_overlay.mp4"
                    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
                writer.write(cv2.cvtColor(overlay(frame, mask, model.classes), cv2.COLOR_RGB2BGR))
            done += 1
            if progress is not None:
                progress(done, max(done, total))
    finally:
        video.release()
        if writer is not None:
            writer.release()
    if not done:
        raise DataError(f"{path} cannot be read as a video: no frame could be decoded. Convert it, for example to MP4")
    return done


def _frames(video: cv2.VideoCapture) -> Iterator[np.ndarray]:
    """RGB frames, uint8 [H, W, 3]."""
    while True:
        there, frame = video.read()
        if not there:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
