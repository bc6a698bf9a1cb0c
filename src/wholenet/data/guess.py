"""Images with masks that do not lie in folders of the names known by sight: told by the names of files, and a look at a
few of them. What is found here is likely, not certain.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np

from wholenet.data.bands import read_bands
from wholenet.data.folder import IMAGE_SUFFIXES, MASK_ENDING, MASK_SUFFIXES, SHOWN, called_as_mask, files_below, match
from wholenet.data.layouts import Layout, split_folders, subfolders
from wholenet.data.naming import DERIVED_WORDS, IMAGE_FOLDER_WORDS, MASK_FOLDER_WORDS, MASK_WORDS, composed, words_of
from wholenet.data.sample import DataError
from wholenet.data.splits import spread

PICTURES = (*IMAGE_SUFFIXES, *MASK_SUFFIXES)
SHOWN_WORDS = DERIVED_WORDS - IMAGE_FOLDER_WORDS
"""Of folders with another form of what masks say, and of no images."""
MOST_FOLDERS = 4
"""More folders with pictures are not compared, each with each: they are classes."""
MOST_NAMED = 12
"""So many may be told by their names."""
OPENED = 16
"""Folders that are listed on each level, where images may lie beside their masks."""
DEPTH = 4
"""Levels."""
BESIDE = 0.1
"""Share of the pictures that must be a mask with its image in the same folder."""
LOOKS = 3
"""Pairs that are decoded."""
MASK_COLORS = 64
"""A mask has at most so many colours, and its image four times as many as the mask."""
_SAMPLED = 100_000
"""Pixels whose colours are counted."""


def guess_layout(root: Path) -> Layout | None:
    """How images and masks seem to be arranged in ``root``; None if there seem to be none.

    Either two folders of the same file names, of which one looks like masks; or masks beside their images, in one
    folder or in many, at any depth ("a.tif" with "a_mask.tif").

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


def further_down(layout: Layout) -> Layout:
    """The layout with the one folder that holds the pictures, where masks lie a folder further down than their images,
    or images than their masks ("images/a.jpg" with "annotations/trimaps/a.png").
    """
    folders = {}
    for split, (images, masks) in layout.folders.items():
        if masks is not None and masks != images:
            images, masks = _further(images, masks), _further(masks, images)
        folders[split] = (images, masks)
    return replace(layout, folders=folders)


def _further(folder: Path, other: Path) -> Path:
    """The only folder with pictures in ``folder``, if it has none itself and ``other`` does.

    Not where something in ``folder`` is called as a picture of ``other``, which is then what belongs to it: masks of
    another form, outlines, a folder for the objects of one image. And not what shows such things to people.
    """
    if _pictures(folder, PICTURES):
        return folder
    inner = [below for below in subfolders(folder).values() if _pictures(below, PICTURES)]
    beside = {path.stem for path in _pictures(other, PICTURES)}
    if len(inner) != 1 or not beside or words_of(inner[0].name) & SHOWN_WORDS:
        return folder
    return folder if any(path.stem in beside for path in folder.iterdir()) else inner[0]


def each_has_its_mask(folders: Sequence[Path]) -> bool:
    """Whether all pictures in these folders are images with their masks beside them, by their names and a look at a
    few: a folder for each patient, say, and no class."""
    found = [match(folder, folder) for folder in folders]
    pairs = [pair for one in found for pair in one.pairs]
    shown = sum(finding.count for one in found for finding in one.findings if finding.kind == SHOWN)
    pictures = sum(len(_pictures(folder, PICTURES)) for folder in folders) - shown
    return 2 * len(pairs) == pictures > 0 and all(_is_mask_of(pairs[i][1], pairs[i][0]) for i in _looks(len(pairs)))


def masks_among(folder: Path, pictures: Sequence[Path]) -> list[Path]:
    """Those of the ``pictures`` below ``folder`` that are the masks of others, by their names: "a_mask.png" beside
    "a.jpg", "mask.png" beside "image.png", what is in a folder "masks" beside a folder "images". None where all are."""
    folders = {inner for path in pictures for inner in path.relative_to(folder).parents if inner.name}
    of_images = {inner.parent for inner in folders if words_of(inner.name) & IMAGE_FOLDER_WORDS}
    of_masks = {inner for inner in folders if inner.parent in of_images and words_of(inner.name) & MASK_FOLDER_WORDS}
    others = [path for path in pictures if not called_as_mask(path.stem)]
    beside = {composed(path.with_suffix("")) for path in others}
    named = {path.parent for path in others if words_of(path.stem) & IMAGE_FOLDER_WORDS}

    def is_mask(path: Path) -> bool:
        if of_masks & {*path.relative_to(folder).parents}:
            return True
        if MASK_ENDING.search(path.stem):
            return composed(path.with_name(MASK_ENDING.sub("", path.stem))) in beside
        return called_as_mask(path.stem) and path.parent in named

    found = [path for path in pictures if is_mask(path)]
    return found if len(found) < len(pictures) else []


def doubt(classes: Sequence[Path]) -> str | None:
    """Why these folders, which may each be a class, may be images and masks that nobody can pair; None if nothing says
    so."""
    for folder in _spread(classes):
        stems = [path.stem for path in _pictures(folder, MASK_SUFFIXES)]
        named = [stem for stem in stems if words_of(stem) & _SURE_WORDS]
        if BESIDE * len(_pictures(folder, IMAGE_SUFFIXES)) <= len(named) < len(stems) and named:
            return f"by names such as {named[0]} beside others in {folder.name}"
    if len(classes) > MOST_NAMED:
        return None
    of_masks = [one.name for one in classes if words_of(one.name) & MASK_FOLDER_WORDS]
    of_images = [one.name for one in classes if words_of(one.name) & IMAGE_FOLDER_WORDS and one.name not in of_masks]
    return f"by the names of {of_images[0]} and {of_masks[0]}" if of_images and of_masks else None


_SURE_WORDS = MASK_WORDS & MASK_FOLDER_WORDS


def other_masks(images: Path, folders: Sequence[Path]) -> list[Path]:
    """Those of ``folders`` that may as well hold the masks of ``images``: the same file names, and few colours.

    Those that are called as another form of the masks, such as a picture of them in colour, are none.
    """
    return [folder for folder in folders if not words_of(folder.name) & DERIVED_WORDS and _are_masks(images, folder)]


# ---- masks beside their images


def _mixed(top: Path) -> bool:
    """Whether a good share of the pictures below ``top`` are masks beside their images, by the folders opened."""
    pictures = pairs = 0
    level = [top]
    for _ in range(DEPTH):
        for folder in level:
            found = _pictures(folder, PICTURES)
            pictures += len(found)
            if any(called_as_mask(path.stem) for path in found):
                pairs += sum(image.parent == folder for image, _ in match(folder, folder).pairs)
        level = _spread([inner for folder in level for inner in subfolders(folder).values()])
    return pairs > 0 and pairs >= BESIDE * pictures


def _spread(folders: Sequence[Path]) -> list[Path]:
    """At most ``OPENED`` of them, evenly spaced: what comes first is often of one kind."""
    return [folders[index] for index in spread(len(folders), OPENED)]


# ---- two folders of one another


def _folders_of_one_another(top: Path) -> tuple[Path, Path] | None:
    folders = [folder for folder in subfolders(top).values() if _pictures(folder, IMAGE_SUFFIXES + MASK_SUFFIXES)]
    if not 2 <= len(folders) <= MOST_FOLDERS:
        return None
    colors = {folder: _most_colors(folder) for folder in folders}  # so that folders of many files are seldom compared
    likely = [(a, b) for a, b in permutations(folders, 2) if colors[b] <= MASK_COLORS and colors[a] > 2 * colors[b]]
    found = [(images, masks) for images, masks in likely if _are_masks(images, masks)]
    plain = [pair for pair in found if not words_of(pair[1].name) & DERIVED_WORDS]
    found = plain or found
    if len(found) > 1:
        names = ", ".join(sorted({masks.name for _, masks in found}))
        raise DataError(
            f"{top}: {names} could all hold the masks of the images in {found[0][0].name}. Call the one that is meant "
            "masks and the images' folder images, and move the others out of the data set."
        )
    return found[0] if found else None


def _are_masks(images: Path, masks: Path) -> bool:
    """Whether most images have a mask by name, and the first, the middle and the last pair look like it."""
    if not _pictures(masks, MASK_SUFFIXES) and not subfolders(masks):
        return False
    pairs = match(images, masks).pairs
    if 2 * len(pairs) < len(files_below(images, IMAGE_SUFFIXES)) or not pairs:
        return False
    return all(_is_mask_of(pairs[i][1], pairs[i][0]) for i in _looks(len(pairs)))


def _looks(count: int) -> set[int]:
    """The first, the middle and the last of so many."""
    return {round(i * (count - 1) / (LOOKS - 1)) for i in range(LOOKS)}


def _most_colors(folder: Path) -> int:
    """Of a few pictures in ``folder``; 0 if none of them can be read."""
    files = _pictures(folder, PICTURES)
    most = 0
    for i in _looks(len(files)):
        try:
            most = max(most, _colors(read_bands(files[i])))
        except DataError:  # who reads all of them says so
            continue
    return most


def _is_mask_of(mask: Path, image: Path) -> bool:
    try:
        flat, varied = read_bands(mask), read_bands(image)
    except DataError:
        return False
    colors = _colors(flat)
    return flat.shape[:2] == varied.shape[:2] and colors <= MASK_COLORS and _colors(varied) >= 4 * colors


def _colors(picture: np.ndarray) -> int:
    """Of a picture [H, W, C]."""
    pixels = picture.reshape(-1, picture.shape[2])
    pixels = pixels[:: max(1, len(pixels) // _SAMPLED)]
    if pixels.dtype == np.uint8 and pixels.shape[1] == 3:
        return len(np.unique(pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])))
    return len(np.unique(pixels, axis=0))


def _pictures(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
    return [folder / name for name in sorted(names) if Path(name).suffix.lower() in suffixes]
