"""Images and masks in folders: which belong together, and a data set of the pairs."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Container, Sequence
from pathlib import Path

from wholenet.data.layouts import KNOWN_LAYOUTS
from wholenet.data.pictures import read_image, read_mask
from wholenet.data.sample import Classes, DataError, Sample

Pair = tuple[Path, Path]
"""An image and its mask."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif")
_MASK_ENDING = re.compile(r"[_-](masks?|labels?|labelids|gt|seg|segmentation|annot|annotation|l)$", re.IGNORECASE)


class FolderData:
    """Pairs of files, read when asked for; a ``SegmentationData``.

    Args:
        pairs: each image with its mask.
        classes: what the masks' pixels mean.
    """

    def __init__(self, pairs: Sequence[Pair], classes: Classes) -> None:
        self.pairs = tuple(pairs)
        self.classes = classes
        self._names = short_names(self.image_paths)

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """The image files, in the order of the samples."""
        return tuple(image for image, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            DataError: if a file cannot be read, the sizes differ, or the mask holds an unknown value.
            IndexError: if there is no such sample.
        """
        index = range(len(self))[index]
        image_path, mask_path = self.pairs[index]
        image, mask = read_image(image_path), read_mask(mask_path, self.classes)
        if image.shape[:2] != mask.shape:
            raise DataError(
                f"{image_path} is {_size(image.shape)} but its mask {mask_path} is {_size(mask.shape)} "
                "(height x width). Both must have one size: resize the masks with nearest-neighbour sampling"
                f"{_turned(image.shape, mask.shape)}."
            )
        return Sample(image, mask, self._names[index])


def short_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """A name for each file, fit for a file name itself: its stem, or with its folders where a stem occurs twice.

    >>> short_names([Path("day/a.png"), Path("day/b.png")])
    ('a', 'b')
    >>> short_names([Path("day/a.png"), Path("night/a.png")])
    ('day__a', 'night__a')
    """
    stems = tuple(path.stem for path in paths)
    if len(set(stems)) == len(stems):
        return stems
    common = os.path.commonpath([path.parent for path in paths])
    return tuple("__".join(path.relative_to(common).with_suffix("").parts) for path in paths)


def pair_up(images: Path, masks: Path) -> list[Pair]:
    """The images below one folder with their masks below the other, in the order of the images' paths.

    A mask has its image's sub-folder and stem, or the stem and a usual ending: "a.jpg" goes with "a.png", "a_mask.png",
    "a_label.png", "a_labels.png", "a_gt.png", "a_seg.png", "a_L.png" (and so on, also with "-").

    Raises:
        DataError: if there are no images, an image lacks its mask or a mask its image, or two files claim one place.
    """
    image_of = {key: files[0] for key, files in _unambiguous(_by_stem(images, IMAGE_SUFFIXES), "images").items()}
    if not image_of:
        raise DataError(f"{images}: no images ({', '.join(IMAGE_SUFFIXES)}) in this folder.\n{KNOWN_LAYOUTS}")
    masks_of: dict[Path, list[Path]] = defaultdict(list)
    for key, files in _by_stem(masks, MASK_SUFFIXES).items():
        masks_of[_image_key(key, image_of)] += files
    _unambiguous(masks_of, "masks")
    refuse_unpaired([image for key, image in image_of.items() if key not in masks_of], "image", "mask", masks)
    refuse_unpaired([files[0] for key, files in masks_of.items() if key not in image_of], "mask", "image", images)
    return [(image, masks_of[key][0]) for key, image in image_of.items()]


def refuse_unpaired(alone: Sequence[Path], kind: str, partner: str, searched: Path) -> None:
    """Make sure that no file is without its partner.

    Raises:
        DataError: naming the first five of those that are.
    """
    if alone:
        shown = ", ".join(map(str, alone[:5])) + (", ..." if len(alone) > 5 else "")
        raise DataError(
            f"{len(alone)} {kind}{'s' * (len(alone) > 1)} without {partner}: {shown}\n"
            f"Searched in {searched}, by the same sub-folder and name. Add the missing {partner}s there, "
            f"or move these {kind}s out of the data set."
        )


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files with these suffixes (in any case), sorted by path; hidden ones and macOS's "._" copies left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(
        p for p in found if not any(part.startswith((".", "__MACOSX")) for part in p.relative_to(folder).parts)
    )


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[Path, list[Path]]:
    """Path below ``folder`` without suffix -> the files of that name."""
    grouped: dict[Path, list[Path]] = defaultdict(list)
    for path in files_below(folder, suffixes):
        grouped[path.relative_to(folder).with_suffix("")].append(path)
    return grouped


def _image_key(mask_key: Path, images: Container[Path]) -> Path:
    return mask_key if mask_key in images else mask_key.with_name(_MASK_ENDING.sub("", mask_key.name))


def _unambiguous(grouped: dict[Path, list[Path]], kind: str) -> dict[Path, list[Path]]:
    for files in grouped.values():
        if len(files) > 1:
            raise DataError(f"several {kind} of one name: {', '.join(map(str, files))}. Keep one of them.")
    return grouped


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _turned(image: tuple[int, ...], mask: tuple[int, ...]) -> str:
    return "; here the image seems turned by its EXIF tag, the mask not" if image[:2] == mask[::-1] else ""
