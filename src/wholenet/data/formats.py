"""Annotations that are no masks, known by the names of their files: what they are, and what makes masks of them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from wholenet.data.folder import IMAGE_SUFFIXES
from wholenet.data.layouts import IMAGE_FOLDERS, MASK_FOLDERS, one_of, subfolders
from wholenet.data.sample import DataError

ADVICE = (
    "wholenet reads masks: one PNG for each image, with the number of the class as the value of a pixel, in a folder "
    "masks beside images."
)
_LOOKS = 3
"""Folders that are opened where there are many."""
_MOST = 1000
"""Files whose names are read in one of them."""


def other_format(root: Path) -> str | None:
    """What the annotations in ``root`` are, and what to do, where they are no masks; None if nothing is known."""
    below = list(islice(subfolders(root).values(), 20))
    folders = [root, *below, *(inner for folder in below for inner in islice(subfolders(folder).values(), 5))]
    names = {folder: [p for p in islice(folder.iterdir(), _MOST) if p.is_file()] for folder in folders}
    for files in names.values():
        for file in files:
            if file.suffix.lower() == ".json" and _is_coco(file):
                return (
                    f"{file} holds outlines of objects, by its name in COCO's format. {ADVICE} Draw the outlines: "
                    "pycocotools' annToMask gives the pixels of an object, its category_id the class."
                )
    images = {p.stem for files in names.values() for p in files if p.suffix.lower() in IMAGE_SUFFIXES}
    for suffix, name in ((".txt", "YOLO"), (".json", "LabelMe")):
        own = [p for files in names.values() for p in files if p.suffix.lower() == suffix and p.stem in images]
        if own:
            return (
                f"{own[0]} and others have the names of images: outlines of objects, as {name} has them. {ADVICE} Draw "
                "the outlines, for example by cv2.fillPoly, each in the number of its class."
            )
    if _one_image_each(below):
        return (
            f"{root} has a folder per image with a mask per object, such as {below[0]}. {ADVICE} Join the masks of an "
            "image into one; where objects touch, the border between them is lost."
        )
    return None


def _is_coco(file: Path) -> bool:
    stem = file.stem.lower()
    return "coco" in stem or stem.startswith(("instances_", "panoptic_", "annotations"))


def _one_image_each(folders: list[Path]) -> bool:
    """Whether the folders hold one image each, with masks."""
    try:
        inner = [(one_of(f, IMAGE_FOLDERS), one_of(f, MASK_FOLDERS)) for f in folders[:_LOOKS]]
    except DataError:
        return False
    return len(inner) > 1 and all(a and b and len(list(a.iterdir())) == 1 for a, b in inner)
