"""What a folder of data is for, segmentation or classification, and how it is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from wholenet.data.class_folders import class_layout, split_of
from wholenet.data.coco import coco_files
from wholenet.data.detect import find_tree, layout_of
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.formats import other_format
from wholenet.data.guess import doubt, each_has_its_mask, guess_layout
from wholenet.data.labelled import form_of
from wholenet.data.labelled_count import holds_labels_alone, holds_masks, images_of
from wholenet.data.layouts import SPLIT_FOLDERS, Layout, find_layout, is_cityscapes, subfolders
from wholenet.data.sample import DataError
from wholenet.data.sets import DataTask, data_set
from wholenet.data.stereo.trees import looks_like_stereo
from wholenet.data.text.files import looks_like_text
from wholenet.data.tree import Tree

FILES = ("*.parquet", "data/*.parquet", "data_batch_*", "*/data_batch_*", "train.bin", "*/train.bin", "*_32x32.mat")
"""Files by which labelled images are known (``data/labelled.py``)."""
PAIRED = ("images", "masks", "labels", "annotations", "leftimg8bit", "gtfine", "gtcoarse")
"""Folders, in lower case or with more behind it, that images and masks lie in; seldom names of classes."""
SPLITS = ("train", "training")
DECIDE = "Say which with --task segmentation or --task classification."
_SHOWN = 4
LOOKS: dict[str, Callable[[str | Path], bool]] = {"language": looks_like_text, "stereo": looks_like_stereo}
"""Whether data is of a task that is neither of images with masks nor of labelled ones, without being asked."""
READ_AS = {
    "segmentation": "images with masks (segmentation)",
    "classification": "labelled images (classification)",
    "language": "text (language)",
    "stereo": "pairs of images with disparity (stereo)",
}
"""What people are told that data is read as."""


def own_task_of(where: str | Path) -> str | None:
    """The task of a data set by name, or the one that data looks as if it were of, where that is neither segmentation
    nor classification; None where it is one of these."""
    known = data_set(where)
    if known is not None:
        return known.task if known.task in LOOKS else None
    return next((task for task, looks in LOOKS.items() if looks(where)), None)


def task_of(where: str | Path) -> DataTask:
    """Classification for a folder of labelled images, segmentation for any other; of a data set by name, as it says.

    Folders are known by names: a layout of images with masks; files that only labelled images come in; at least two
    folders with images directly in them, in the folder or in its ``train``. Where the folders may be images and masks
    under other names (``data/guess.py``), or speak for both, or some files are called as masks are, nothing is chosen;
    where every image has its mask beside it, it is.

    Raises:
        DataError: if both are possible. It says how, and that ``--task`` decides.
    """
    if (known := data_set(where)) is not None:
        return known.task
    root = Path(where).expanduser()
    if not root.is_dir():
        return "segmentation"
    files = [path for pattern in FILES for path in sorted(root.glob(pattern))]
    classes = _class_folders(root)
    if is_cityscapes(root) or _has_masks(root):
        # Tables about images lie beside them, under any name: the splits of a data set are called so.
        labelled = [path for path in files if path.suffix != ".parquet" or split_of(path.name) is not None]
        if labelled:
            raise DataError(_question(root, "by its folders", f"by {labelled[0].relative_to(root)}"))
        return "segmentation"
    if files and holds_masks(files[0]):
        return "segmentation"  # which says what makes files of it
    if any(path.suffix != ".parquet" or split_of(path.name) is not None for path in files) or (files and not classes):
        return "classification"
    labels = f"a folder per class: {_some(classes)}"
    try:
        guess = guess_layout(root)
    except DataError as error:
        raise DataError(f"{error}" if not classes else f"{error} Or are they {labels}? {DECIDE}") from error
    if guess is not None and classes and find_layout(root) is None and not each_has_its_mask(classes):
        raise DataError(_question(root, _where(root, guess, {}), labels))
    listed = bool(coco_files(root))
    other = None if listed else other_format(root)
    if listed or guess is not None or not classes or (other is not None and other.certain):
        return "segmentation"
    if other is not None:
        raise DataError(_question(root, f"by files such as {other.file.relative_to(root)}", labels))
    top = classes[0].parent
    paired = [name for name in {**subfolders(root), **subfolders(top)} if name.startswith(PAIRED)]
    if not paired:
        why = doubt(classes)
        if why is not None:
            raise DataError(_question(root, why, labels))
        return "classification"
    if len(classes) == 1 or find_layout(root) is not None:
        return "segmentation"  # which says what is missing
    named = f"by the name of {paired[0]}, but no folder beside it fits: call them images and masks"
    raise DataError(_question(root, named, labels))


def may_be_labelled(where: str | Path) -> bool:
    """Whether ``where`` can be read as labelled images, for those who read nothing else."""
    try:
        return task_of(where) == "classification"
    except DataError:
        return True


def surely_labelled(where: str | Path) -> bool:
    """Whether a folder holds labelled images, as files or in tables, and nothing that speaks for masks."""
    root = Path(where).expanduser()
    if data_set(where) is not None or not root.is_dir():
        return False
    if files_below(root, (".parquet",)):
        form, tables = form_of(root)
        if form != "parquet" or not holds_labels_alone(tables[0]):
            return False
    try:
        return task_of(where) == "classification"
    except DataError:
        return False


def surely_masks(where: str | Path) -> bool:
    """Whether folders of ``where`` lie as those of images with masks do, whatever else may be in it."""
    root = Path(where).expanduser()
    if data_set(where) is not None or not root.is_dir():
        return False
    try:
        return is_cityscapes(root) or _masks_in(find_layout(root))
    except DataError:
        return False


def how_read(where: str | Path, task: str) -> str:
    """One line that says how ``where`` is read: the task, the layout, the folders or files, and how many images.

    What cannot be read at all, or counted without reading it, is said by whoever reads it.
    """
    what = READ_AS[task]
    root = Path(where).expanduser()
    known = data_set(where)
    if known is not None and known.task == task:
        return f"{where} is read as {what}: {known.told}"
    if task in LOOKS:
        return f"{where} is read as {what}"
    try:
        if task == "classification":
            detail = _how_labelled(root)
        elif is_cityscapes(root):
            counts = ", ".join(f"{split} {len(pairs)}" for split, pairs in find_tree(root).pairs.items())
            detail = f"Cityscapes, leftImg8bit/ with gtFine/; images: {counts}"
        else:
            layout, tree = layout_of(root), _tree(root)
            drawn = None if tree is None else tree.outlined
            counts = {} if tree is None else {split: len(pairs) for split, pairs in tree.pairs.items()}
            told = "" if tree is None else drawn.told if drawn else tree.told
            detail = told or ("" if layout is None else _where(root, layout, counts))
    except (DataError, OSError):
        detail = ""
    return f"{where} is read as {what}" + (f": {detail}" if detail else "")


def _how_labelled(root: Path) -> str:
    form, files = form_of(root)
    counts = images_of(root)
    if form != "folders":
        told = f"{form} files, {files[0].relative_to(root)}" + (f" and {len(files) - 1} more" if files[1:] else "")
        listed = ", ".join(f"{split} {count}" for split, count in counts.items())
        return f"{told}; images: {listed}" if listed else told
    told = [
        f"{split}: {counts[split]} images of {len(classes)} classes in {_at(root, top)}"
        for split, (top, classes) in sorted(
            class_layout(root).items(), key=lambda one: list(SPLIT_FOLDERS).index(one[0])
        )
    ]
    return f"a folder per class; {', '.join(told)}"


def _tree(root: Path) -> Tree | None:
    """The files of a data set; None where they do not fit together, which whoever reads them says."""
    try:
        return find_tree(root)
    except DataError:
        return None


def _where(root: Path, layout: Layout, counts: Mapping[str, int]) -> str:
    """ "train: 8 images in images/train, masks in masks/train; val: ..." """
    told = []
    for split, (images, masks) in layout.folders.items():
        count = counts.get(split, 0)
        many = f"{count} image{'s' * (count > 1)}" if count else "images"
        if masks == images:
            told.append(f"{split}: {many} in {_at(root, images)}, masks beside them, told by the ends of their names")
        else:
            of = "no masks" if masks is None else f"masks in {_at(root, masks)}"
            told.append(f"{split}: {many} in {_at(root, images)}, {of}")
    listed = [f"{split}: {count} there, as listed" for split, count in counts.items() if split not in layout.folders]
    return "; ".join([*told, *listed])


def _at(root: Path, folder: Path) -> str:
    return "the folder itself" if folder == root else folder.relative_to(root).as_posix()


def _question(root: Path, masks: str, labels: str) -> str:
    return f"{root} can be read in two ways: as images with masks ({masks}), or as labelled images ({labels}). {DECIDE}"


def _some(folders: list[Path]) -> str:
    more = f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else ""
    return f"{', '.join(folder.name for folder in folders[:_SHOWN])}{more}"


def _has_masks(root: Path) -> bool:
    """Whether ``root`` is arranged as images with masks (``data/layouts.py``), clearly or not."""
    try:
        layout = find_layout(root)
    except DataError:
        return True
    return _masks_in(layout)


def _masks_in(layout: Layout | None) -> bool:
    return layout is not None and any(masks is not None for _, masks in layout.folders.values())


def _class_folders(root: Path) -> list[Path]:
    """The folders that may be classes: those with images in them, at least two, or any in a train folder.

    A train folder with a single class in it cannot be learned from, but that is what it is.
    """
    top = next((folder for name, folder in subfolders(root).items() if name in SPLITS), root)
    found = [folder for folder in subfolders(top).values() if _has_images(folder)]
    return found if len(found) >= (2 if top == root else 1) else []


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(Path(entry.name).suffix.lower() in IMAGE_SUFFIXES for entry in entries)
