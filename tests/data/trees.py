"""Small data sets on disk, for the tests of everything that reads folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from wholenet.data.folder import FilePair, match
from wholenet.data.sample import DataError, Sample

HEIGHT, WIDTH = 6, 8


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """uint8 [H, W, 3], random."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def labels(*values: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """uint8 [H, W] in which the values take turns."""
    return np.resize(np.array(values, np.uint8), (height, width))


def write(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    """Write an array as a picture, in another Pillow mode if asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path)
    return path


def write_pairs(images: Path, masks: Path, names: Iterable[str], values: Iterable[int] = (0, 1, 2)) -> None:
    """``images/<name>.png`` with ``masks/<name>.png``."""
    for name in names:
        write(images / f"{name}.png", picture())
        write(masks / f"{name}.png", labels(*values))


class ListData:
    """A ``SegmentationData`` of samples, or of errors to raise, given outright."""

    def __init__(self, *samples: Sample | Exception) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        if isinstance(sample, Exception):
            raise sample
        return sample


def sample(mask: np.ndarray, name: str = "a") -> Sample:
    """A sample with this mask."""
    return Sample(picture(height=mask.shape[0], width=mask.shape[1]), mask, name)


def pair_up(images: Path, masks: Path) -> list[FilePair]:
    """The pairs that are found, where nothing is wrong; what is, is raised."""
    matching = match(images, masks)
    for finding in matching.findings:
        if finding.severity == "error":
            raise DataError(str(finding))
    return matching.pairs
