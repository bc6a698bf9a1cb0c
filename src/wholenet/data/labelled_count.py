"""How many labelled images a folder holds, without reading them."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

from wholenet.data.class_folders import class_layout, split_of
from wholenet.data.labelled import CIFAR_SIDE, IMAGE_COLUMNS, LABEL_COLUMNS, MASK_COLUMNS, form_of
from wholenet.data.tables import columns_of


def images_of(root: Path) -> dict[str, int]:
    """Split -> images; empty where only reading them tells, or they cannot be read.

    Raises:
        DataError: for a folder per class without train, or without images.
    """
    form, files = form_of(root)
    if form == "folders":
        return {split: sum(map(len, classes.values())) for split, (_, classes) in class_layout(root).items()}
    counts: Counter[str] = Counter()
    for file in files:
        if form == "parquet":
            rows = _rows(file)
            if rows is None:
                return {}
            counts[split_of(file.stem) or file.stem] += rows
        elif form == "bin":
            labels = 2 if any(other.name == "train.bin" for other in files) else 1
            split = "test" if file.name.startswith("test") else "train"
            counts[split] += file.stat().st_size // (labels + 3 * CIFAR_SIDE**2)
    return {split: counts[split] for split in sorted(counts, key=["train", "val"].__contains__, reverse=True)}


def holds_masks(file: Path) -> bool:
    """Whether a parquet file has columns of images and of masks (``data/tables.py``), or one that is called as masks
    are, and none of labels."""
    metadata = _metadata(file) if file.suffix == ".parquet" else None
    if metadata is None:
        return False
    schema = metadata.schema.to_arrow_schema()
    columns, names = columns_of(schema), set(schema.names)
    masks = {columns[1]} if columns is not None else names & set(MASK_COLUMNS)
    return bool(masks) and not names & set(LABEL_COLUMNS) - masks


def holds_labels_alone(file: Path) -> bool:
    """Whether a parquet file has columns of images and of labels, and none of masks."""
    metadata = _metadata(file)
    if metadata is None:
        return False
    schema = metadata.schema.to_arrow_schema()
    names = set(schema.names)
    return columns_of(schema) is None and bool(names & set(LABEL_COLUMNS)) and bool(names & set(IMAGE_COLUMNS))


def _rows(file: Path) -> int | None:
    metadata = _metadata(file)
    return None if metadata is None else metadata.num_rows


def _metadata(file: Path) -> Any:
    try:
        reader = importlib.import_module("pyarrow.parquet")  # not everyone needs it
        return reader.read_metadata(file) if file.is_file() else None
    except Exception:  # pyarrow's own errors have no common base but this; who reads the file says what is wrong
        return None
