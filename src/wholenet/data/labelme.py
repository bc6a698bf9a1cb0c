"""Outlines of objects as LabelMe writes them: for each image a JSON file, which lies beside it and has its name.

Format: https://github.com/wkentaro/labelme.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from wholenet.data.drawn import Drawn, Object
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.layouts import IMAGE_FOLDERS, Layout, one_of, split_folders
from wholenet.data.naming import composed
from wholenet.data.opening import MAX_MEGAPIXELS, load
from wholenet.data.outlines import (
    ANNOTATION_BYTES,
    Outlined,
    Problems,
    Table,
    inner_path,
    name_of,
    size_of,
    stamp_of,
    table_of,
    told_of,
)
from wholenet.data.regions import Disc, Region, Tile, Window
from wholenet.data.sample import IGNORE, DataError
from wholenet.files import read_json, read_text, shown

LABELS = "labels.txt"
"""LabelMe's own list of labels, one a line, if there is one; without it they are those that occur, in their order."""
IGNORED = "__ignore__"
"""The label of what is ignored."""
_LOOKED_AT = 5
"""Files by which the format is known."""
_TYPES = "expected polygon, rectangle, circle or mask"


@dataclass
class _File:
    """What one of the files holds."""

    path: Path
    size: tuple[int, int] | None = None
    image: str | None = None
    """The bare name of the image, as it says."""
    shapes: list[tuple[object, Region, str]] = field(default_factory=list)
    """Label, area, and how messages call it."""
    labels: list[object] = field(default_factory=list)
    """Of all shapes, those too that cannot be drawn."""


def read_labelme(root: Path, layout: Layout | None) -> Outlined | None:
    """The images in ``root`` with the shapes in their JSON files; None where there are none.

    Args:
        root: the folder of the data set.
        layout: its folders, as they are known by sight; without any, the splits are folders of their names.

    Raises:
        DataError: if its list of labels cannot be read.
    """
    folders = _folders(root, layout)
    found = {split: _json_files(labels) for split, (_, labels) in folders.items()}
    if not any(_is_labelme(path) for files in found.values() for path in islice(files, _LOOKED_AT)):
        return None
    problems = Problems()
    files = {
        split: [_read(path, problems) for path in paths] for split, paths in found.items() if paths or split != "test"
    }
    table, origin = _table(root, [file for some in files.values() for file in some])
    pairs = {split: _pairs(*folders[split], some, table, problems) for split, some in files.items()}
    where = {split: labels.relative_to(root).as_posix() for split, (_, labels) in folders.items()}
    where = {split: "JSON files beside them" if place == "." else place for split, place in where.items()}
    told = told_of("LabelMe", pairs, where)
    return Outlined("LabelMe", pairs, table.classes, problems.findings(), told, f"{origin}, and background")


def _folders(root: Path, layout: Layout | None) -> dict[str, tuple[Path, Path]]:
    """Split -> folder of images, folder of JSON files."""
    if layout is not None and "train" in layout.folders:
        return {split: (images, labels or images) for split, (images, labels) in layout.folders.items()}
    for top in (root, one_of(root, IMAGE_FOLDERS)):
        splits = {} if top is None else split_folders(top)
        if "train" in splits:
            return {split: (folder, folder) for split, folder in splits.items()}
    splits = {"train": root}
    return {split: (folder, folder) for split, folder in splits.items()}


def _json_files(folder: Path) -> list[Path]:
    return [path for path in files_below(folder, (".json",)) if path.name != "classes.json"]


def _is_labelme(path: Path) -> bool:
    try:
        content = read_json(path, ANNOTATION_BYTES)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def _read(path: Path, problems: Problems) -> _File:
    file, noted = _parsed(path, stamp_of(path))
    for problem in noted:
        problems.add(*problem)
    return file


@lru_cache(
    maxsize=100_000
)  # files may hold whole images, and a data set is opened several times before it is trained on
def _parsed(path: Path, _: object) -> tuple[_File, list[tuple[str, str, str]]]:
    problems = Problems([])
    return _parse(path, problems), problems.noted


def _parse(path: Path, problems: Problems) -> _File:
    try:
        content = read_json(path, ANNOTATION_BYTES)
    except (OSError, ValueError) as error:
        problems.add("label-file", path, str(error))
        return _File(path)
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list):
        problems.add("label-file", path, 'no list of "shapes" in it')
        return _File(path)
    inner = inner_path(content.get("imagePath"))
    size = size_of(content.get("imageHeight"), content.get("imageWidth"))
    file = _File(path, size, None if inner is None else inner.name)
    for number, shape in enumerate(shapes, start=1):
        place = f"{path}: shape {number}"
        if not isinstance(shape, dict):
            problems.add("outline", place, shown(shape))
            continue
        file.labels.append(name_of(shape.get("label")))
        region = _region(shape, size, place, problems)
        if region is not None:
            file.shapes.append((file.labels[-1], region, place))
    return file


def _region(shape: Mapping[str, Any], size: tuple[int, int] | None, place: str, problems: Problems) -> Region | None:
    kind, points = shape.get("shape_type", "polygon"), shape.get("points")
    pairs = isinstance(points, list) and all(isinstance(point, list) and len(point) == 2 for point in points)
    if not isinstance(points, list) or not pairs:
        problems.add("outline", place, f"points are {shown(points)}")
        return None
    flat = [part for point in points for part in point]
    if kind == "mask":
        return _tile(shape.get("mask"), flat, size, place, problems)
    if kind == "rotation" or (kind == "rectangle" and len(points) == 4):  # X-AnyLabeling's: all corners
        return problems.outline([flat], size, place)
    if kind in ("rectangle", "circle") and len(points) != 2:
        problems.add("outline", place, f"a {kind} of {len(points)} points; expected 2")
    elif kind == "polygon":
        return problems.outline([flat], size, place)
    elif kind == "rectangle":
        left, upper, right, lower = flat
        return problems.outline([[left, upper, right, upper, right, lower, left, lower]], size, place)
    elif kind == "circle":
        x, y, *edge = flat
        if problems.outline([[x, y, *edge, x, y]], size, place) is not None:
            return Disc(x, y, math.dist((x, y), edge))
    else:
        problems.add("shape-type", place, f"{shown(kind)}; {_TYPES}")
    return None


def _tile(
    text: object, corners: Sequence[Any], size: tuple[int, int] | None, place: str, problems: Problems
) -> Tile | None:
    """A PNG in base64 that fills the rectangle between two corners, which are in it, as LabelMe's AI-Mask has it."""
    if len(corners) != 4 or any(type(v) not in (int, float) or not abs(v) < 1e9 for v in corners):
        problems.add("outline", place, f"a mask between the points {shown(corners)}; expected two, each x and y")
        return None
    left, top, right, bottom = (round(v) for v in corners)
    if size is not None and (min(left, top) < 0 or right >= size[1] or bottom >= size[0]):
        problems.add("outside", place, f"it ends at x {right}, y {bottom}; expected up to {size[1] - 1}, {size[0] - 1}")
        return None
    try:
        content = base64.b64decode(text if isinstance(text, str) else "", validate=True)
        _, picture = load(place, MAX_MEGAPIXELS, content, mask=True)
    except (ValueError, DataError):
        problems.add("outline", place, "a mask that is no PNG in base64")
        return None
    inside = np.asarray(picture.convert("L")) > 0
    if inside.shape != (bottom - top + 1, right - left + 1):
        rows, columns = inside.shape
        problems.add("outline", place, f"a mask of {rows}x{columns} from x {left}, y {top} to x {right}, y {bottom}")
        return None
    return Tile(Window(top, left, inside))


def _table(root: Path, files: list[_File]) -> tuple[Table, str]:
    listed = root / LABELS
    if listed.is_file():
        try:
            lines = [line.strip() for line in read_text(listed).splitlines()]
        except (OSError, ValueError) as error:
            raise DataError(f"{listed}: this list of labels cannot be read: {error}") from error
        return table_of([line for line in lines if line and line != IGNORED], str(listed)), f"classes from {LABELS}"
    labels = {label for file in files for label in file.labels if label != IGNORED}
    strange = next((label for label in labels if not isinstance(label, str)), None)
    names = [strange] if strange is not None else sorted(map(str, labels))
    return table_of(names, str(root)), "classes are the labels of the shapes, in the order of their names"


def _pairs(
    images: Path, labels: Path, files: list[_File], table: Table, problems: Problems
) -> list[tuple[Path, Drawn]]:
    by_name = {composed(path.relative_to(images)): path for path in files_below(images, IMAGE_SUFFIXES)}
    by_stem = {path.with_suffix(""): path for path in by_name}
    often = Counter(path.name for path in by_name)
    alone = {path.name: image for path, image in by_name.items() if often[path.name] == 1}
    found = {}
    for file in files:
        place = composed(file.path.relative_to(labels))
        stem = place.with_suffix("")
        key = place.with_name(file.image) if file.image else stem
        image = by_name.get(by_stem.get(stem, key)) or by_name.get(key) or by_name.get(by_stem.get(key, key))
        image = image or alone.get(key.name)  # the JSON files have a folder of their own
        if image is None or image in found:
            problems.add("label-without-image", file.path, f"{image} has another" if image else "")
            continue
        drawn = []
        for label, region, shape in file.shapes:
            code = IGNORE if label == IGNORED else table.codes.get(str(label))
            if code is None:
                problems.add("unknown-category", shape, f"label {shown(label)}; {LABELS} does not list it")
            else:
                drawn.append(Object(code, region))
        found[image] = Drawn(file.path, image, tuple(drawn), file.size)
    for image in by_name.values():
        if image not in found:
            problems.add("image-without-label", image)
    return sorted(found.items())
