"""A folder for each patient, or for each image, with a folder of images and one of masks in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wholenet.data.folder import IMAGE_SUFFIXES, MASK_SUFFIXES, Matching, files_below
from wholenet.data.layouts import IMAGE_FOLDERS, MASK_FOLDERS, one_of, subfolders
from wholenet.data.object_masks import ObjectFiles
from wholenet.data.outlines import split_named
from wholenet.data.sample import DataError

Nested = Mapping[str, Sequence[tuple[Path, Path]]]
"""Split -> the folder of the images and that of the masks, of each patient."""
LEAST = 2
"""Folders, and half of those that are there."""


def nested_folders(root: Path) -> Nested | None:
    """The folders of all patients, or images; None if ``root`` is not arranged so.

    Where folders of ``root`` are called as splits are ("stage1_train"), they are searched instead, and those in which
    there are no masks are left out.
    """
    named = {split_named(name): folder for name, folder in subfolders(root).items()}
    tops = {split: folder for split, folder in named.items() if split is not None}
    found = {}
    for split, top in (tops if "train" in tops else {"train": root}).items():
        inner = list(subfolders(top).values())
        pairs = [pair for folder in inner if (pair := _pair_in(folder)) is not None]
        if len(pairs) >= LEAST and 2 * len(pairs) >= len(inner):
            found[split] = pairs
        elif split == "train":
            return None
    return found


def objects_in(folders: Sequence[tuple[Path, Path]]) -> ObjectFiles | None:
    """The image in each folder, with all masks there; None where a folder has several images, or none."""
    found = {}
    for images, masks in folders:
        pictures = files_below(images, IMAGE_SUFFIXES)
        if len(pictures) != 1:
            return None
        found[pictures[0]] = [(path, path.stem) for path in files_below(masks, MASK_SUFFIXES)]
    return found


def together(parts: Sequence[Matching]) -> Matching:
    """Several as one."""
    return Matching([pair for part in parts for pair in part.pairs], tuple(f for part in parts for f in part.findings))


def _pair_in(folder: Path) -> tuple[Path, Path] | None:
    try:
        images, masks = one_of(folder, IMAGE_FOLDERS), one_of(folder, MASK_FOLDERS)
    except DataError:
        return None
    return None if images is None or masks is None else (images, masks)
