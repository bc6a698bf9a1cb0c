"""Images with masks that do not lie in folders of the names known by sight: told by the names of files, and a look at a
few of them. What is found here is likely, not certain.
"""

from __future__ import annotations

from itertools import islice, permutations
from pathlib import Path

import numpy as np

from wholenet.data.folder import IMAGE_SUFFIXES, MASK_SUFFIXES, match
from wholenet.data.layouts import Layout, split_folders, subfolders
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError

MOST_FOLDERS = 4
"""More folders with pictures are classes; of folders in which images may lie beside their masks, so many are opened."""
LOOKS = 3
"""Pairs that are decoded."""
MASK_COLORS = 64
"""A mask has at most so many colours, and its image four times as many as the mask."""
_SAMPLED = 100_000
"""Pixels whose colours are counted."""


def guess_layout(root: Path) -> Layout | None:
    """How images and masks seem to be arranged in ``root``; None if there seem to be none.

    Either two folders of the same file names, of which one looks like masks; or masks beside their images, in one
    folder or in many ("a.tif" with "a_mask.tif").

    Raises:
        DataError: if several folders look like the masks of one.
    """
    splits = split_folders(root)
    splits = splits if "train" in splits else {"train": root}
    if _mixed(splits["train"]):
        return Layout({split: (folder, folder) for split, folder in splits.items()})
    pair = _folders_of_one_another(splits["train"])
    if pair is None:
        return None
    folders = {}
    for split, folder in splits.items():
        images, masks = folder / pair[0].name, folder / pair[1].name
        if images.is_dir():
            folders[split] = (images, masks if masks.is_dir() else None)
    return Layout(folders)


def _mixed(top: Path) -> bool:
    """Whether at least half of the images lie beside their masks."""
    for folder in [top, *islice(subfolders(top).values(), MOST_FOLDERS)]:
        pictures = _pictures(folder, IMAGE_SUFFIXES)
        if pictures and not _pictures(folder, MASK_SUFFIXES):
            return False
        if pictures:
            pairs = len(match(folder, folder).pairs)
            if 3 * pairs < len(pictures):
                return False
            if pairs:
                return True
    return False


def _folders_of_one_another(top: Path) -> tuple[Path, Path] | None:
    folders = [folder for folder in subfolders(top).values() if _pictures(folder, IMAGE_SUFFIXES + MASK_SUFFIXES)]
    if not 2 <= len(folders) <= MOST_FOLDERS:
        return None
    found = [(images, masks) for images, masks in permutations(folders, 2) if _are_masks(images, masks)]
    if len(found) > 1:
        names = ", ".join(sorted({masks.name for _, masks in found}))
        raise DataError(
            f"{top}: {names} could all hold the masks of the images in {found[0][0].name}. Call the one that is meant "
            "masks and the images' folder images, and move the others out of the data set."
        )
    return found[0] if found else None


def _are_masks(images: Path, masks: Path) -> bool:
    """Whether most images have a mask by name, and the first, the middle and the last pair look like it."""
    if not _pictures(masks, MASK_SUFFIXES):
        return False
    pairs = match(images, masks).pairs
    if 2 * len(pairs) < len(_pictures(images, IMAGE_SUFFIXES)) or not pairs:
        return False
    looks = {round(i * (len(pairs) - 1) / (LOOKS - 1)) for i in range(LOOKS)}
    return all(_is_mask_of(pairs[i][1], pairs[i][0]) for i in looks)


def _is_mask_of(mask: Path, image: Path) -> bool:
    try:
        flat, varied = read_image(mask, MAX_MEGAPIXELS), read_image(image, MAX_MEGAPIXELS)
    except DataError:
        return False
    colors = _colors(flat)
    return flat.shape == varied.shape and colors <= MASK_COLORS and _colors(varied) >= 4 * colors


def _colors(picture: np.ndarray) -> int:
    """Of a picture, uint8 [H, W, 3]."""
    pixels = picture.reshape(-1, 3).astype(np.int64)
    pixels = pixels[:: max(1, len(pixels) // _SAMPLED)]
    return len(np.unique(pixels @ np.array([1 << 16, 1 << 8, 1])))


def _pictures(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return [p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
