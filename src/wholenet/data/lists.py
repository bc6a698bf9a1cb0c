"""Text files that list the images of each split: Pascal VOC's, MMSegmentation's, PaddleSeg's, darknet's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from wholenet.data.layouts import SPLIT_FOLDERS, TRAIN_AND_VAL
from wholenet.data.naming import composed
from wholenet.data.sample import DataError
from wholenet.files import read_text

PLACES = ("ImageSets/Segmentation", "ImageSets", "splits", "annotations", "")
"""Folders of a data set in which the lists may lie; the first that has one of train."""
Item = TypeVar("Item", bound=Hashable)


def lists_of(root: Path) -> dict[str, Path]:
    """Split -> the file in ``root`` that lists its images; empty where none lists those of train.

    ``train.txt``, or any name that folders of train have; ``trainval.txt`` where that is the only one.
    """
    for place in PLACES:
        folder = root / place
        files = {path.stem.lower(): path for path in sorted(folder.glob("*")) if path.suffix.lower() == ".txt"}
        found = {split: _first(files, names) for split, names in SPLIT_FOLDERS.items()}
        found["train"] = found["train"] or _first(files, TRAIN_AND_VAL)
        if found["train"] is not None:
            return {split: path for split, path in found.items() if path is not None and path.is_file()}
    return {}


def _first(files: Mapping[str, Path], names: Iterable[str]) -> Path | None:
    return next((files[name] for name in names if name in files), None)


def names_in(path: Path) -> list[str]:
    """The lines of a list, without those that are empty or begin with ``#``.

    Raises:
        DataError: if it is no text.
    """
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: this list of images cannot be read: {error}") from error
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


class Places(Generic[Item]):
    """What is found by the names that lists have: by as much of a path as tells it from others.

    Args:
        images: the images' paths, and what each stands for.
    """

    def __init__(self, images: Iterable[tuple[Path, Item]]) -> None:
        found = defaultdict[str, list[Item]](list)
        for path, item in images:
            parts = composed(path.with_suffix("")).parts
            for i in range(len(parts)):
                found["/".join(parts[i:])].append(item)
        self._found = {name: items[0] for name, items in found.items() if len(items) == 1}

    def find(self, line: str) -> Item | None:
        """What a line of a list names: "a", "a.jpg", '"my a"', "JPEGImages/a.jpg SegmentationClass/a.png"."""
        for name in (line, line.strip("\"'"), *(line.split(mark)[0] for mark in ("\t", ",", None))):
            parts = composed(Path(name.strip().replace("\\", "/"))).parts
            for rest in (PurePosixPath(*parts[i:]) for i in range(len(parts))):
                item = self._found.get(str(rest), self._found.get(str(rest.with_suffix(""))))
                if item is not None:
                    return item
        return None


def as_listed(listed: Sequence[str], images: Iterable[tuple[Path, Item]]) -> tuple[list[Item], list[str]]:
    """What the lines of a list name, in their order, and the lines that name nothing."""
    places = Places(images)
    found = [(line, places.find(line)) for line in listed]
    items = [item for _, item in found if item is not None]
    return list(dict.fromkeys(items)), [line for line, item in found if item is None]
