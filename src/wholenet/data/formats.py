"""Annotations that are no masks, known by the names of their files: what they are, and what makes masks of them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

from wholenet.data.folder import IMAGE_SUFFIXES
from wholenet.data.layouts import subfolders
from wholenet.files import read_text

ADVICE = (
    "wholenet reads masks, one PNG for each image, with the number of the class as the value of a pixel, in a folder "
    "masks beside images; or outlines of objects as COCO, YOLO, LabelMe or CVAT for images writes them."
)
_MOST = 1000
"""Files whose names are read in one of them."""


class OtherFormat(NamedTuple):
    """Annotations that are no masks."""

    file: Path
    """One of the files, or folders, that tell it."""
    told: str
    """What they are, and what to do."""
    certain: bool = True
    """Whether it can be nothing else; text beside an image may say anything of it."""


def other_format(root: Path) -> OtherFormat | None:
    """What the annotations in ``root`` are, where they are no masks; None if nothing is known."""
    below = list(islice(subfolders(root).values(), 20))
    folders = [root, *below, *(inner for folder in below for inner in islice(subfolders(folder).values(), 5))]
    names = {folder: [p for p in islice(folder.iterdir(), _MOST) if p.is_file()] for folder in folders}
    images = {p.stem for files in names.values() for p in files if p.suffix.lower() in IMAGE_SUFFIXES}
    for suffix, name in ((".txt", "YOLO"), (".json", "Supervisely"), (".xml", "Pascal VOC")):
        own = [p for files in names.values() for p in files if p.suffix.lower() == suffix and _stem(p) in images]
        if own and (suffix != ".txt" or _are_numbers(own[0])):
            return OtherFormat(
                own[0],
                f"{own[0]} and others have the names of images: boxes or outlines of objects, as in {name}. "
                f"{ADVICE} Export the annotations anew in one of these; boxes alone do not say which pixels are meant.",
                certain=False,
            )
    tables = [p for files in names.values() for p in files if p.suffix.lower() == ".parquet"]
    if tables and not images:
        return OtherFormat(
            tables[0],
            f"{tables[0]} holds images in a table, which wholenet reads with labels alone. {ADVICE} Write the columns "
            "as files: docs/data.md has the lines that do.",
        )
    return None


def second_channel(images: Path) -> str | None:
    """What to say of nnU-Net's images of several files, one for each channel; None of others."""
    found = next((p for p in images.iterdir() if p.stem.endswith("_0001")), None)
    if found is None or images.name.lower() != "imagestr":
        return None
    return (
        f"{found} is the second channel of an image, as nnU-Net has them. wholenet reads one file for each image: join "
        "the channels to one TIFF of as many bands, or keep one of them, the files that end in _0000."
    )


def _stem(file: Path) -> str:
    """ "a" of a.txt, and of a.jpg.json."""
    inner = Path(file.stem)
    return inner.stem if inner.suffix.lower() in IMAGE_SUFFIXES else file.stem


def _are_numbers(file: Path) -> bool:
    """Whether the first line of a text is numbers, as it is in YOLO's format; other texts are captions."""
    try:
        lines = read_text(file).splitlines()
        return all(float(word) >= 0 for word in (lines[0] if lines else "").split())
    except (OSError, ValueError):
        return False
