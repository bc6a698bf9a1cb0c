"""What a folder of data is for: segmentation or classification."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from wholenet.data.folder import IMAGE_SUFFIXES
from wholenet.data.layouts import find_layout
from wholenet.data.sample import DataError

Task = Literal["segmentation", "classification"]
FILES = ("*.parquet", "data/*.parquet", "data_batch_*", "*/data_batch_*", "train.bin", "*/train.bin", "*_32x32.mat")
"""Files by which labelled images are known (``data/labelled.py``)."""
PAIRED = ("images", "masks", "labels", "annotations", "leftimg8bit", "gtfine", "gtcoarse")
"""Folders, in lower case or with more behind it, that images and masks lie in; never names of classes."""
SPLITS = ("train", "training")


def task_of(where: str | Path) -> Task:
    """Classification for a folder of labelled images, segmentation for anything else.

    Looks at names alone: files that only labelled images come in, or at least two folders with images directly in them,
    in the folder or in its ``train``, none of them called as folders of images and masks are and no layout of images
    with masks among them.
    """
    root = Path(where).expanduser()
    if not root.is_dir():
        return "segmentation"
    if any(next(root.glob(pattern), None) is not None for pattern in FILES):
        return "classification"
    if _has_masks(root):
        return "segmentation"
    top = next((folder for folder in _folders(root) if folder.name.lower() in SPLITS), root)
    below = _folders(top)
    if any(folder.name.lower().startswith(PAIRED) for folder in (*below, *_folders(root))):
        return "segmentation"
    with_images = sum(_has_images(folder) for folder in below)
    # A train folder with a single class in it cannot be learned from, but that is what it is.
    return "classification" if with_images >= (2 if top == root else 1) else "segmentation"


def _has_masks(root: Path) -> bool:
    """Whether ``root`` is arranged as images with masks (``data/layouts.py``), clearly or not."""
    try:
        layout = find_layout(root)
    except DataError:
        return True
    return layout is not None and any(masks is not None for _, masks in layout.folders.values())


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
