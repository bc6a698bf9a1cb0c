"""Classes of image files, as a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError
from wholenet.deploy.classifier import TrainedClassifier
from wholenet.deploy.predict import SomeFailed
from wholenet.files import check_output

BATCH = 64


def classify_files(
    model: TrainedClassifier,
    inputs: Sequence[str | Path],
    out: str | Path,
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> int:
    """Write a table with a line per image: its file, its class, and the probability of every class.

    An image that cannot be answered does not stop the others; it has no line.

    Args:
        model: the classifier.
        inputs: image files, and folders of them.
        out: the CSV file to write; it must not be there yet.
        progress: called with (images done, images in all).
        max_megapixels: larger images are refused before they are decoded.

    Returns:
        How many images there were.

    Raises:
        DataError: for an input that is not there, or without images.
        ValueError: if there is something in the place of ``out``, or nothing can be written there.
        SomeFailed: at the end, for images that could not be read or answered.
    """
    target = Path(out)
    if target.exists() or target.is_symlink():
        raise ValueError(f"{target} is there already; choose another --out, for example classes.csv")
    check_output(target)
    files: list[Path] = []
    for given in map(Path, inputs):
        if not given.exists():
            raise DataError(f"{given} does not exist")
        files += files_below(given, IMAGE_SUFFIXES) if given.is_dir() else [given]
    files = list(dict.fromkeys(files))
    if not files:
        raise DataError(f"no images ({', '.join(IMAGE_SUFFIXES)}) in {', '.join(map(str, inputs))}")
    rows = []
    failed: dict[Path, str] = {}
    for first in range(0, len(files), BATCH):
        some = files[first : first + BATCH]
        for file, row in _answered(model, some, failed, max_megapixels).items():
            rows.append([str(file), model.classes[int(row.argmax())], *(f"{p:.6f}" for p in row)])
        if progress:
            progress(first + len(some), len(files))
    if rows:
        _write(target, model.classes, rows)
    if failed:
        raise SomeFailed(failed, len(files), [target] if rows else [])
    return len(rows)


def _answered(
    model: TrainedClassifier, files: Sequence[Path], failed: dict[Path, str], max_megapixels: float
) -> dict[Path, np.ndarray]:
    """The probabilities of those images that can be answered; the others are put into ``failed``."""
    images: dict[Path, np.ndarray] = {}
    for file in files:
        try:
            images[file] = read_image(file, max_megapixels)
        except ValueError as error:
            failed[file] = str(error)
    if not images:
        return {}
    try:
        return dict(zip(images, model.predict(list(images.values())), strict=True))
    except FloatingPointError as error:
        if len(images) == 1:
            failed |= dict.fromkeys(images, str(error))
            return {}
    answers: dict[Path, np.ndarray] = {}
    for file in images:  # which of them it was
        answers |= _answered(model, [file], failed, max_megapixels)
    return answers


def _write(target: Path, classes: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # "x": nothing else, nor what a link leads to. Names that are no UTF-8 are written as \udcff.
    with target.open("x", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "class", *classes])
        writer.writerows(rows)
