"""What a folder of data is for: segmentation or classification."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from wholenet.data.folder import IMAGE_SUFFIXES

Task = Literal["segmentation", "classification"]
FILES = ("*.parquet", "data/*.parquet", "data_batch_*", "*/data_batch_*", "train.bin", "*/train.bin", "*_32x32.mat")
"""Files by which labelled images are known (``data/labelled.py``)."""
PAIRED = ("images", "masks", "labels", "annotations", "leftimg8bit", "gtfine", "gtcoarse")
"""Folders, in lower case or with more behind it, that images and masks lie in; never names of classes."""
SPLITS = ("train", "training")


def task_of(where: str | Path) -> Task:
    """Classification for a folder of labelled images, segmentation for anything else.

    Looks at names alone: files that only labelled images come in, or at least two folders with images directly in them,
    in the folder or in its ``train``, none of them called as folders of images and masks are.
    """
    root = Path(where).expanduser()
    if not root.is_dir():
        return "segmentation"
    if any(next(root.glob(pattern), None) is not None for pattern in FILES):
        return "classification"
    top = next((folder for folder in _folders(root) if folder.name.lower() in SPLITS), root)
    below = _folders(top)
    if any(folder.name.lower().startswith(PAIRED) for folder in (*below, *_folders(root))):
        return "segmentation"
    with_images = sum(_has_images(folder) for folder in below)
    # A train folder with a single class in it cannot be learned from, but that is what it is.
    return "classification" if with_images >= (2 if top == root else 1) else "segmentation"


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
