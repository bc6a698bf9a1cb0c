"""Labelled images in a folder per class: which folders are splits, which are classes."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.sample import DataError

VAL_NAMES = ("val", "valid", "validation")


def split_of(name: str) -> str | None:
    """ "train-00000-of-00002" -> "train"; None for a name that begins with no split's."""
    for split, names in (("train", ("train",)), ("val", VAL_NAMES), ("test", ("test",))):
        if name.lower().startswith(names):
            return split
    return None


def class_layout(root: Path) -> dict[str, tuple[Path, dict[str, list[Path]]]]:
    """Split -> its folder, and the files of each class there. Names of classes are in Unicode's composed form.

    Raises:
        DataError: if there is no train split, or no class in it; if two folders could be one split, or one class.
    """
    below = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    named: dict[str, Path] = {}
    for folder in below:
        split = split_of(folder.name)
        if split is not None and named.setdefault(split, folder) != folder:
            raise DataError(f"{root}: {named[split].name} and {folder.name} could both be {split}; rename one of them")
    if named and "train" not in named:
        raise DataError(f"{root} has {', '.join(sorted(f.name for f in named.values()))} and no train folder")
    layout = {split: (top, _classes_below(top)) for split, top in (named or {"train": root}).items()}
    if not layout["train"][1]:
        raise DataError(f"{root} holds no folder with images ({', '.join(IMAGE_SUFFIXES)}); expected one per class")
    return layout


def _classes_below(top: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    folders = [folder for folder in top.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    for folder in sorted(folders, key=lambda one: normalize("NFC", one.name)):
        files = files_below(folder, IMAGE_SUFFIXES)
        name = normalize("NFC", folder.name)
        if name in found:
            raise DataError(
                f"{top}: two classes are called {name}; the names look alike, and differ in their Unicode form (NFC or "
                "NFD): put their images together"
            )
        if files:
            found[name] = files
    return found
