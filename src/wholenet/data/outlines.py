"""What all formats of annotations have in common: which names are which classes, what can be wrong with an outline."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np

from wholenet.data.classes import MAX_CLASSES, named_classes
from wholenet.data.drawn import BACKGROUND, Drawn
from wholenet.data.finding import Finding, Severity, of_files
from wholenet.data.layouts import SPLIT_FOLDERS, TRAIN_AND_VAL
from wholenet.data.regions import Polygon
from wholenet.data.sample import Classes, DataError
from wholenet.files import shown

ANNOTATION_BYTES = 512 << 20
"""Largest file of annotations; those of COCO's train2017 take 448 MB."""
OUTSIDE = 0.01
"""Share of a side by which a point may lie outside the image, and at least a pixel: editors are that exact. It is cut
off there."""
MOST_POINTS = 100_000
"""Of one outline."""
_NAMED = 10
"""Categories that a message lists."""
NO_CLASS = ("background", "_background_")
"""What categories are called that stand for pixels of no object."""


class Table(NamedTuple):
    """The classes that annotations name."""

    classes: Classes
    """"background" first, which has the code 0."""
    codes: Mapping[str, int]
    """By the name of the category."""


def table_of(names: Iterable[object], where: str, colors: Mapping[str, object] | None = None) -> Table:
    """The classes of these categories, in their order, after the background.

    A category called "background" is that.

    Raises:
        DataError: if a name is none, or there are more than ``MAX_CLASSES``, or none.
    """
    listed = list(dict.fromkeys(name_of(name) for name in names))
    objects = [name for name in listed if not _is_background(name)]
    if len(objects) >= MAX_CLASSES:
        raise DataError(
            f"{where}: {len(objects)} categories; at most {MAX_CLASSES - 1} are supported besides the background. Join "
            "them to fewer, or leave some out."
        )
    if not objects:
        raise DataError(f"{where}: no categories of objects; expected at least one, with its name.")
    drawn_in = [None, *((colors or {}).get(str(name)) for name in objects)]
    classes = named_classes([NO_CLASS[0], *objects], where, drawn_in)
    codes = {str(name): code for code, name in enumerate(objects, start=1)}
    return Table(classes, codes | {str(name): BACKGROUND for name in listed if _is_background(name)})


def name_of(name: object) -> object:
    """A category's name as classes are called; what is no text is left for the class table to refuse."""
    return normalize("NFC", name.strip()) if isinstance(name, str) else name


def listed(names: Iterable[object]) -> str:
    """The first of the names there are, for messages.

    >>> listed(["sky", "road"])
    'listed: sky, road'
    """
    known = [str(name) for name in names]
    return f"listed: {', '.join(known[:_NAMED])}{', ...' if len(known) > _NAMED else ''}"


def _is_background(name: object) -> bool:
    return isinstance(name, str) and name.lower() in NO_CLASS


@dataclass(frozen=True)
class Outlined:
    """A data set whose masks are drawn."""

    format: str
    pairs: Mapping[str, list[tuple[Path, Drawn]]]
    """Split -> images with masks."""
    classes: Classes
    findings: tuple[Finding, ...]
    told: str
    """Where images and outlines lie, split by split."""
    origin: str
    """Where the classes come from."""
    notes: tuple[str, ...] = ()


# ---- what can be wrong

_AXES = "Coordinates count from the upper left corner of the image. "
_KINDS: dict[str, tuple[Severity, str, str, str]] = {
    "outside": (
        "error",
        "outline",
        "outside the image",
        f"{_AXES}Were the images resized, cut or turned after they were annotated? Export the annotations for the "
        f"images as they are. (Up to {OUTSIDE:.0%} of a side, what is outside is cut off.)",
    ),
    "outline": (
        "error",
        "outline",
        "that cannot be drawn",
        "Draw it anew, or take it out of the file. Expected: three or more points, x and y of each a number; or run "
        "lengths of all pixels of an image of that size.",
    ),
    "boxes": (
        "error",
        "object",
        "without an outline",
        "Boxes say where objects are, not which pixels are theirs. Export polygons or masks instead of boxes "
        "(instance segmentation), or take these objects out of the file.",
    ),
    "unknown-category": (
        "error",
        "object",
        "of a category that is not listed",
        "Add the category to the list, or correct the object.",
    ),
    "shape-type": (
        "error",
        "shape",
        "of a type that covers no area, or that is not read here",
        "Draw it as a polygon, or take it out of the file.",
    ),
    "listed-without-image": (
        "error",
        "image",
        "listed without a file",
        "Add the file, or take the image and its objects out of the list.",
    ),
    "label-without-image": (
        "error",
        "label file",
        "without image",
        "Add the image of the same name, or move the file out of the data set.",
    ),
    "image-without-label": (
        "error",
        "image",
        "without a file of outlines",
        "Annotate it (a file without shapes says that there is none), or move it out of the data set.",
    ),
    "label-file": (
        "error",
        "label file",
        "that cannot be read",
        "Export it again, or remove it with its image.",
    ),
    "not-listed": (
        "warning",
        "image",
        "beside those that are listed, left out",
        "Add it to the list, with no objects if there are none, or move it out of the data set.",
    ),
    "no-label": (
        "warning",
        "image",
        "without a label file, taken for background throughout",
        "If it has objects, annotate it; an empty label file says that there are none.",
    ),
    "crowd": (
        "note",
        "object",
        "marked as a crowd (iscrowd), ignored",
        "Its pixels count neither in the loss nor in the score, but where other objects are drawn over it.",
    ),
}
"""Kind -> severity, what it is about, what it is, what to do."""


class Problems:
    """What is odd about annotations, collected while they are read."""

    def __init__(self, noted: list[tuple[str, str, str]] | None = None) -> None:
        self.noted = [] if noted is None else noted
        """Kind, place and detail of each."""

    def add(self, kind: str, place: object, detail: str = "") -> None:
        """One more of a kind of ``_KINDS``."""
        self.noted.append((kind, str(place), detail))

    def findings(self) -> tuple[Finding, ...]:
        """All of them."""
        places: dict[str, list[str]] = defaultdict(list)
        for kind, place, detail in self.noted:
            places[kind].append(f"{place} ({detail})" if detail else place)
        found = []
        for kind, (severity, noun, what, advice) in _KINDS.items():
            found += of_files(severity, kind, places[kind], what, advice, noun=noun)
        return tuple(found)

    def outline(
        self, parts: Sequence[object], size: tuple[int, int] | None, place: str, *, relative: bool = False
    ) -> Polygon | None:
        """The polygon of outlines, each x1, y1, x2, y2, ...; None, and what is wrong is noted, if it cannot be drawn.

        Args:
            parts: its outlines.
            size: (H, W) of the image; None if it is not known, and nothing can be outside.
            place: how messages call it.
            relative: whether coordinates are shares of the image's sides.
        """
        found = []
        for part in parts:
            points, why = _points(part)
            if points is None:
                self.add("outline", place, why)
                return None
            found.append(points)
        if not found:
            self.add("boxes", place)
            return None
        low, high = np.min([p.min(0) for p in found], 0), np.max([p.max(0) for p in found], 0)
        sides = (1.0, 1.0) if relative else size[::-1] if size else (math.inf, math.inf)
        for axis, side, least, most in zip("xy", sides, low.tolist(), high.tolist(), strict=True):
            slack = OUTSIDE if relative else max(1.0, OUTSIDE * side)
            if side < math.inf and (least < -slack or most > side + slack):
                furthest = least if least < -slack else most
                expected = f"0 to {side:g}{', a share of the side' if relative else ''}"
                self.add("outside", place, f"{axis} is {furthest:g}; expected {expected}")
                return None
        return Polygon(tuple(found), relative)


def _points(flat: object) -> tuple[np.ndarray | None, str]:
    """Float64 [N, 2], or why there are none."""
    if not isinstance(flat, list):
        return None, f"{shown(flat)} instead of a list of numbers"
    strange = next((v for v in flat if type(v) not in (int, float) or not math.isfinite(v) or abs(v) > 1e9), None)
    if strange is not None:
        return None, f"a coordinate is {shown(strange)}"
    if len(flat) % 2:
        return None, f"{len(flat)} numbers, which are no pairs of x and y"
    if not 6 <= len(flat) <= 2 * MOST_POINTS:
        return None, f"{len(flat) // 2} point{'s' * (len(flat) != 2)}"
    return np.array(flat, np.float64).reshape(-1, 2), ""


# ---- files and their names


def stamp_of(file: Path) -> tuple[int, int, int]:
    """What tells that a file is still the same."""
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def split_named(words: str) -> str | None:
    """The split that a name speaks of: "train" of "instances_train2017"; None if it speaks of none, or of several."""
    found = {word.lower() for word in re.findall(r"[A-Za-z]+", words)}
    splits = [split for split, names in SPLIT_FOLDERS.items() if found & set(names)]
    if not splits and (words.lower() in TRAIN_AND_VAL):
        return "train"
    return splits[0] if len(splits) == 1 else None


class Listings:
    """Files by names that annotations give them, which may be in another Unicode form, or in another case."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, Path]] = {}

    def find(self, folder: Path, name: PurePosixPath) -> Path | None:
        """The file ``name`` below ``folder``, or the one of that bare name in it; None if there is none."""
        for path in (folder / name, folder / name.name):
            if path.is_file():
                return path
            found = self._listing(path.parent).get(_alike(path.name))
            if found is not None and found.is_file():
                return found
        return None

    def _listing(self, folder: Path) -> dict[str, Path]:
        """Those whose names are no other's in all but case and form."""
        if folder not in self._folders:
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
            often = Counter(map(_alike, names))
            self._folders[folder] = {_alike(name): folder / name for name in names if often[_alike(name)] == 1}
        return self._folders[folder]


def _alike(name: str) -> str:
    return normalize("NFC", name).casefold()


def inner_path(name: object) -> PurePosixPath | None:
    """The path of an image below the folder of its data set; the bare name of one that leads elsewhere.

    >>> str(inner_path("images\\\\a.jpg")), str(inner_path("/home/me/a.jpg")), inner_path(7)
    ('images/a.jpg', 'a.jpg', None)
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        return None
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name)
    return PurePosixPath(path.name) if outside else path


def whole_number(value: Any) -> int | None:
    """A number that is whole, also as text; None of anything else."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    return value if type(value) is int and abs(value) < 10**18 else None


def size_of(height: Any, width: Any) -> tuple[int, int] | None:
    """(H, W), where both are numbers of pixels."""
    rows, columns = whole_number(height), whole_number(width)
    return (rows, columns) if rows and columns and min(rows, columns) > 0 else None


def told_of(format: str, pairs: Mapping[str, Sequence[tuple[Path, Drawn]]], where: Mapping[str, str]) -> str:
    """ "COCO; train: 4 images, outlines in train/_annotations.coco.json; ..." """
    parts = [
        f"{split}: {len(own)} image{'s' * (len(own) != 1)}, outlines in {where[split]}" for split, own in pairs.items()
    ]
    return f"{format}; {'; '.join(parts)}"
