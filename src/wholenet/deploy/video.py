"""Predictions for videos, frame by frame: nothing is held but the frame at hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from wholenet.data.pictures import write_mask
from wholenet.data.sample import DataError
from wholenet.deploy.overlay import outlined
from wholenet.deploy.predict import target_in
from wholenet.deploy.predictor import Predictor
from wholenet.deploy.tiles import Tiling
from wholenet.files import check_output

MAX_RATE, DEFAULT_RATE = 240.0, 25.0
"""Frames per second: the most that is believed of a file, and what is taken instead."""
WHOLE = 0.95
"""Share of the frames that a file claims of which it may be short: some only estimate how many they have."""
CONTAINERS = (
    (0, b"RIFF"),
    (0, b"\x1aE\xdf\xa3"),
    *((4, kind) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
)
"""Where and how AVI, Matroska (and WebM), MP4 (and QuickTime) begin."""
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


def is_video(path: str | Path) -> bool:
    """Whether the name is that of a video file."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def check_videos(paths: Sequence[str | Path], out: str | Path) -> None:
    """Make sure that each of the videos is there and that what :func:`predict_video` writes of it meets nothing.

    Raises:
        DataError: for a file that does not exist or is no video, two videos of one name, or something in the place of
            their masks or overlays (named).
        ValueError: if nothing can be written to ``out``.
    """
    check_output(out, folder=True)
    stems: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise DataError(f"{path} does not exist; give a video file")
        if path.stem in stems:
            raise DataError(f"{stems[path.stem]} and {path} would both be written to {path.stem}/; predict them apart")
        stems[path.stem] = path
        _require_container(path)
        for target in _targets(path, Path(out)):
            if target.exists():
                raise DataError(f"{target} exists already; remove it, or choose another --out")


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
        progress: called with (frames done, frames in all) while it goes, as far as the file says how many there are,
            and when all is done.

    Returns:
        The number of frames that could be decoded.

    Raises:
        DataError: as :func:`check_videos`; if no frame can be decoded, one cannot be answered, or no video written, and
            nothing is left then; if many fewer frames than the file claims could be decoded, whose masks are kept.
    """
    path, out = Path(path), Path(out)
    check_videos([path], out)
    masks, target = _targets(path, out)
    video = cv2.VideoCapture(str(path.absolute()))  # "http:x.mp4" would be an address
    writer: cv2.VideoWriter | None = None
    claimed, rate = int(video.get(cv2.CAP_PROP_FRAME_COUNT)), video.get(cv2.CAP_PROP_FPS)
    done = 0
    try:
        for frame in _frames(video):
            if not done:
                masks.mkdir(parents=True)
            if with_overlay and writer is None:
                writer = _writer(target, rate, frame)
            mask = (tiling or Tiling()).predict(model.predict, frame)
            write_mask(masks / f"{done:06}.png", mask)
            if writer is not None:
                writer.write(cv2.cvtColor(outlined(frame, mask, model.classes), cv2.COLOR_RGB2BGR))
            done += 1
            if progress is not None and done < claimed:
                progress(done, claimed)
    except (ValueError, FloatingPointError) as error:
        shutil.rmtree(masks, ignore_errors=True)
        target.unlink(missing_ok=True)
        raise DataError(f"{path}, frame {done}: {error}") from error
    finally:
        video.release()
        if writer is not None:
            writer.release()
    if not done:
        raise DataError(f"{path} cannot be read as a video: no frame could be decoded. Convert it, for example to MP4")
    if progress is not None:
        progress(done, done)
    if done < WHOLE * claimed:
        raise DataError(
            f"{path} claims {claimed} frames, and {done} could be decoded: their masks are in {masks}. Is it cut short?"
        )
    return done


def _require_container(path: Path) -> None:
    """Make sure that it is a video itself: the decoder also takes play lists, which name other files and addresses."""
    with path.open("rb") as file:
        start = file.read(16)
    if not any(start[at : at + len(mark)] == mark for at, mark in CONTAINERS):
        raise DataError(
            f"{path} cannot be read as a video: it begins neither as AVI nor as Matroska, MP4 or QuickTime do. Convert "
            "it, for example to MP4"
        )


def _targets(path: Path, out: Path) -> tuple[Path, Path]:
    """Folder of the masks, and file of the overlay."""
    return target_in(out, path.stem, path), target_in(out, f"{path.stem}_overlay.mp4", path)


def _writer(target: Path, rate: float, frame: np.ndarray) -> cv2.VideoWriter:
    rate = rate if 1 <= rate <= MAX_RATE else DEFAULT_RATE  # streams without a rate claim 0, or their clock's
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), rate, (frame.shape[1], frame.shape[0]))
    if not writer.isOpened():
        raise DataError(f"{target} cannot be written as a video by this build of OpenCV; predict without --overlay")
    return writer


def _frames(video: cv2.VideoCapture) -> Iterator[np.ndarray]:
    """RGB frames, uint8 [H, W, 3]."""
    while True:
        there, frame = video.read()
        if not there:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
