"""Which folders hold the images and masks of which split: the arrangements of a data set that are known by sight.

Cityscapes is only recognized here: ``cityscapes.py`` picks its files, which share their folders with others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wholenet.data.sample import DataError

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages", "image_2", "img_dir", "imagestr")
MASK_FOLDERS = (
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "segmentationclass",
    "segmentationclasspng",
    "semantic",
    "ann_dir",
    "labelstr",
)
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
TRAIN_AND_VAL = ("train_val", "trainval", "train-val")
"""What stands for train where there is no folder of that name; val is taken out of it."""
TEXT_SUFFIXES = (".xml", ".json", ".txt", ".csv")
"""Of annotations that are no pictures."""
_NO_PICTURES = (*TEXT_SUFFIXES, ".npy")
_MASK_ENDINGS = ("annot", "_annot", "_masks", "_mask", "_labels", "_label")
"""What follows a split's name where its masks lie beside its images: "trainannot", "train_masks"."""

KNOWN_LAYOUTS = """Accepted layouts (masks have the names of their images, or those and _mask, _label, _gt, ...):
  images/train/a.jpg        train/images/a.jpg        images/a.jpg         train/a.png
  images/val/b.jpg          train/masks/a.png         masks/a.png          trainannot/a.png
  masks/train/a.png         val/images/b.jpg          (no splits: val is   val/b.png
  masks/val/b.png           val/masks/b.png           a part of the whole) valannot/b.png
  leftImg8bit/train/aachen/*_leftImg8bit.png with gtFine/train/aachen/*_gtFine_labelIds.png (Cityscapes)
Folders may also be called image, imgs, img, JPEGImages, image_2, img_dir, imagesTr; mask, labels, label, annotations,
SegmentationClass, semantic, ann_dir, labelsTr; training, train_val; valid, validation, dev; testing.
Masks may also lie beside their images (a.tif, a_mask.tif), in a folder for each patient, or be several for an image
(masks/a_0.png, masks/a_1.png; a/images/a.png, a/masks/*.png). A classes.json or classes.yaml may lie beside them."""


@dataclass(frozen=True)
class Layout:
    """The folders of one data set."""

    folders: Mapping[str, tuple[Path, Path | None]]
    """Split -> folder of the images, folder of the masks (None where there is none)."""
    unused: tuple[Path, ...] = ()
    """Folders beside those of the splits that belong to none."""
    segnet_names: bool = False
    """Whether masks lie in "trainannot": the arrangement, and so the classes, of SegNet's CamVid."""


def find_layout(root: Path) -> Layout | None:
    """How the data set in ``root`` is arranged; None if it looks like nothing known.

    Raises:
        DataError: if two folders could play the same part.
    """
    return _masks_beside_images(root) or _splits_of_kinds(root) or _kinds_of_splits(root)


def is_cityscapes(root: Path) -> bool:
    """Whether ``root`` has the folders of Cityscapes."""
    return (root / "leftImg8bit").is_dir() and any((root / kind).is_dir() for kind in ("gtFine", "gtCoarse"))


def describe(root: Path) -> str:
    """What a person sees on opening ``root``, and what seems to be missing or where the data set may be instead."""
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in root.iterdir())
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"found there: {', '.join(names[:20]) or 'nothing'}{more}.{_hint(root)}"


_HINT_DEPTH, _HINT_FOLDERS = 2, 20


def _hint(root: Path) -> str:
    below = list(subfolders(root).values())
    deeper = [folder for folder in below if _is_known(folder)]
    for _ in range(_HINT_DEPTH):
        if not deeper:
            below = [inner for folder in below[:_HINT_FOLDERS] for inner in subfolders(folder).values()]
            deeper = [folder for folder in below[:_HINT_FOLDERS] if _is_known(folder)]
    if len(deeper) > 1:
        first = deeper[0].name
        return (
            f" {first} and {len(deeper) - 1} more have a known layout each: put them together, as images/{first}/ with "
            f"masks/{first}/."
        )
    if deeper:
        return f" Did you mean {deeper[0]}?"
    images, masks = one_of(root, IMAGE_FOLDERS), one_of(root, MASK_FOLDERS)
    if (images is None) == (masks is None):
        return ""
    return f" There is no folder of {'masks' if images else 'images'} beside {images or masks}."


def _is_known(folder: Path) -> bool:
    try:
        return is_cityscapes(folder) or find_layout(folder) is not None
    except (DataError, OSError):  # a folder that nobody asked about must not be what the message is about
        return False


def subfolders(folder: Path) -> dict[str, Path]:
    """Lower-case name -> folder, for those that are not hidden, nor copies (:func:`is_copy`)."""
    found = (path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith((".", "__")))
    return {path.name.lower(): path for path in found if not is_copy(path)}


def is_copy(folder: Path) -> bool:
    """Whether a folder is what ``labelme_json_to_dataset`` made of a JSON file beside it: "a_json" of "a.json"."""
    stem = folder.name.removesuffix("_json")
    return stem != folder.name and folder.with_name(f"{stem}.json").is_file()


def one_of(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The sub-folder with one of these names, in any case; None if there is none.

    Of several, those do not count whose files are text or arrays: Pascal VOC has boxes in Annotations, masks in
    SegmentationClass; labelme2voc.py arrays in SegmentationClass, masks in SegmentationClassPNG.

    Raises:
        DataError: if there are several.
    """
    found = [path for name, path in subfolders(folder).items() if name in names]
    if len(found) > 1:
        found = [path for path in found if not _of_text(path)] or found
    if len(found) > 1:
        raise DataError(
            f"{folder}: {' and '.join(path.name for path in found)} could play the same part. "
            "Keep one of them there, or rename the others."
        )
    return found[0] if found else None


def _of_text(folder: Path) -> bool:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    first = next(files, None)
    return first is not None and first.suffix.lower() in _NO_PICTURES


def split_folders(folder: Path) -> dict[str, Path]:
    """Split -> the sub-folder called so.

    Raises:
        DataError: if two are called as one split.
    """
    found = {split: one_of(folder, names) for split, names in SPLIT_FOLDERS.items()}
    if found["train"] is None:
        found["train"] = one_of(folder, TRAIN_AND_VAL)
    return {split: path for split, path in found.items() if path is not None}


def _masks_beside_images(root: Path) -> Layout | None:
    """train/, trainannot/, ..."""
    masks = {
        split: one_of(root, tuple(images.name.lower() + ending for ending in _MASK_ENDINGS))
        for split, images in split_folders(root).items()
    }
    if not any(masks.values()):
        return None
    folders = {split: (images, masks[split]) for split, images in split_folders(root).items()}
    return Layout(folders, segnet_names=any(path and path.name.lower().endswith("annot") for path in masks.values()))


def _splits_of_kinds(root: Path) -> Layout | None:
    """train/images, train/masks, ..."""
    splits = split_folders(root)
    images = {split: one_of(folder, IMAGE_FOLDERS) for split, folder in splits.items()}
    folders = {split: (path, one_of(splits[split], MASK_FOLDERS)) for split, path in images.items() if path}
    return Layout(folders) if folders else None


def _kinds_of_splits(root: Path) -> Layout | None:
    """images/train, masks/train, ...; or images, masks alone."""
    images, masks = one_of(root, IMAGE_FOLDERS), one_of(root, MASK_FOLDERS)
    if images is None or masks is None:
        return None
    splits = split_folders(images)
    if not splits:
        return Layout({"train": (images, masks)})
    mask_splits = split_folders(masks)
    unused = tuple(path for path in subfolders(images).values() if path not in splits.values())
    return Layout({split: (path, mask_splits.get(split)) for split, path in splits.items()}, unused)
