"""Classes of image files, as a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError
from wholenet.deploy.classifier import TrainedClassifier

BATCH = 64


def classify_files(
    model: TrainedClassifier,
    inputs: Sequence[str | Path],
    out: str | Path,
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> int:
    """Write a table with a line per image: its file, its class, and the probability of every class.

    Args:
        model: the classifier.
        inputs: image files, and folders of them.
        out: the CSV file to write; it must not be there yet.
        progress: called with (images done, images in all).
        max_megapixels: larger images are refused before they are decoded.

    Returns:
        How many images there were.

    Raises:
        DataError: for an input that is not there or cannot be read, or without images; nothing is written then.
        ValueError: if there is something in the place of ``out``.
    """
    target = Path(out)
    if target.exists() or target.is_symlink():
        raise ValueError(f"{target} is there already; choose another --out, for example classes.csv")
    files: list[Path] = []
    for given in map(Path, inputs):
        if not given.exists():
            raise DataError(f"{given} does not exist")
        files += files_below(given, IMAGE_SUFFIXES) if given.is_dir() else [given]
    if not files:
        raise DataError(f"no images ({', '.join(IMAGE_SUFFIXES)}) in {', '.join(map(str, inputs))}")
    rows = []
    for first in range(0, len(files), BATCH):
        some = files[first : first + BATCH]
        for file, row in zip(some, model.predict([read_image(file, max_megapixels) for file in some]), strict=True):
            rows.append([str(file), model.classes[int(row.argmax())], *(f"{p:.6f}" for p in row)])
        if progress:
            progress(len(rows), len(files))
    target.parent.mkdir(parents=True, exist_ok=True)
    # "x": nothing else, nor what a link leads to. Names that are no UTF-8 are written as \udcff.
    with target.open("x", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "class", *model.classes])
        writer.writerows(rows)
    return len(rows)
