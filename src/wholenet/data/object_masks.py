"""Masks of single objects, several files for each image, that are joined to one mask when it is asked for.

Letters: H x W pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np

from wholenet.data.classes import MAX_CLASSES, named_classes
from wholenet.data.drawn import Drawn, Object, upright_size
from wholenet.data.folder import IMAGE_SUFFIXES, MASK_SUFFIXES, files_below
from wholenet.data.naming import DERIVED_WORDS, MASK_WORDS, composed, words_of
from wholenet.data.outlines import NO_CLASS, Outlined
from wholenet.data.pictures import read_raw_mask
from wholenet.data.regions import Window
from wholenet.data.stored import PictureError

FORMAT = "a mask per object"
OBJECT = "object"
"""The class of all objects, where their names do not say another."""
UNPAIRED = {"image-without-mask", "mask-without-image"}
"""What a search for one mask of each image finds where there are several."""
_NO_NAMES = {"obj", "objs", OBJECT, "objects", "instance", "instances", "part", "cell", "nr", "no"} | MASK_WORDS
_NAME = re.compile(r"([A-Za-z]{3,}(?:[ _-][A-Za-z]+)*)(?:[ _-]?\d+)?")
_ADVICE = "Expected: 0, and one other value where the object is. Save it so, or take the file out of the data set."
ObjectFiles = Mapping[Path, Sequence[tuple[Path, str]]]
"""Image -> the masks of its objects, each with what its name says besides."""


@dataclass(frozen=True)
class ObjectMask:
    """What one file marks; a ``Region``."""

    file: Path

    def fill(self, height: int, width: int) -> Window:
        """Its pixels that are not 0.

        Raises:
            PictureError: if it cannot be read, has another size, or more than two values.
        """
        size = upright_size(self.file)
        if size != (height, width):
            found = f"{size[0]}x{size[1]}, and the image {height}x{width} (height x width)"
            raise PictureError(self.file, "size", found, "Both must have one size.")
        codes = read_raw_mask(self.file, inf).codes
        marked = codes != 0
        if marked.any() and (codes[marked] != codes[marked][0]).any():
            values = np.unique(codes).tolist()
            found = f"{len(values)} values ({', '.join(map(str, values[:5]))}{', ...' if len(values) > 5 else ''})"
            raise PictureError(self.file, "mode", f"{found}, in the mask of one object", _ADVICE)
        rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
        if not len(rows):
            return Window(0, 0, marked[:0, :0])
        top, left = int(rows[0]), int(columns[0])
        return Window(top, left, marked[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1])


def objects_of(images: Path, masks: Path) -> ObjectFiles | None:
    """Image -> its masks, where the names of all masks say whose they are, and some images have several.

    "a.png" has "a_0.png", "a_car_1.png", and all files in a folder "a". None where a mask is left over, its name says
    that it is another form of what other masks say ("a_color.png", "a_instanceIds.png"), or most images have one mask
    of their own name, beside which others may be copies.
    """
    by_key = {composed(path.relative_to(images).with_suffix("")): path for path in files_below(images, IMAGE_SUFFIXES)}
    found: dict[Path, list[tuple[Path, str]]] = {path: [] for path in by_key.values()}
    for mask in files_below(masks, MASK_SUFFIXES):
        key = composed(mask.relative_to(masks).with_suffix(""))
        owner = next((one for one in _owners(key) if one in by_key), None)
        if owner is None:
            return None
        rest = key.name[len(owner.name) :] if owner.parent == key.parent else key.name
        rest = rest.strip("_-. ")
        if words_of(rest) & DERIVED_WORDS - {"object", "objects"} or "ids" in rest.lower():
            return None
        found[by_key[owner]].append((mask, rest))
    several = sum(len(some) > 1 for some in found.values())
    plain = any(not rest for some in found.values() for _, rest in some)
    clear = 2 * several > len(found) if plain else several > 0
    return found if clear and all(found.values()) else None


def _owners(key: Path) -> list[Path]:
    """The keys of images that a mask may belong to, the likeliest first."""
    ends = [match.start() for match in re.finditer(r"[_\-. ]", key.name)][::-1]
    return [key, *(key.with_name(key.name[:end]) for end in ends if end), *([key.parent] if key.parent.name else [])]


def joined(splits: Mapping[str, ObjectFiles], where: Mapping[str, str]) -> Outlined:
    """The data set of these images, split by split; ``where`` says for people where the masks lie."""
    rests = [rest for images in splits.values() for files in images.values() for _, rest in files]
    names = _names(rests)
    classes = named_classes([NO_CLASS[0], *(names or [OBJECT])], FORMAT)
    codes = {name: code for code, name in enumerate(names, start=1)}
    pairs = {
        split: [
            (image, _drawn(image, [(file, codes.get(_name_in(rest), 1)) for file, rest in files]))
            for image, files in images.items()
        ]
        for split, images in splits.items()
    }
    told = "; ".join(f"{split}: {len(own)} images, their masks in {where[split]}" for split, own in pairs.items())
    note = f"the masks of the objects of an image are joined to one: {', '.join(classes.names)}"
    lost = "; where two objects of a class touch, the border between them is lost"
    origin = "classes from the names of the masks" if names else "the classes are background and object"
    return Outlined(FORMAT, pairs, classes, (), f"{FORMAT}; {told}", origin, (note + lost,))


def _drawn(image: Path, files: Sequence[tuple[Path, int]]) -> Drawn:
    objects = tuple(Object(code, ObjectMask(file)) for file, code in files)
    folder = files[0][0].parent if files else image.parent
    return Drawn(folder, image, objects, largest_first=True, apart=True)


def _names(rests: Sequence[str]) -> list[str]:
    """The classes that the names of masks say, in their order; none unless all names do, and not each its own."""
    found = Counter(_name_in(rest) for rest in rests)
    plain = "" not in found and len(found) < MAX_CLASSES and (len(found) == 1 or 2 * len(found) <= len(rests))
    return sorted(found) if plain else []


def _name_in(rest: str) -> str:
    """ "car" of "car_1"; empty where it says no class.

    >>> [_name_in(rest) for rest in ("car_1", "obj0", "12", "a9f3", "traffic light")]
    ['car', '', '', '', 'traffic light']
    """
    match = _NAME.fullmatch(rest)
    name = match[1].lower() if match else ""
    return "" if set(re.split(r"[ _-]", name)) <= _NO_NAMES else name
