"""Outlines of objects as CVAT writes them: one XML file for all images, "CVAT for images 1.1".

Format: https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import numpy as np

from wholenet.data.drawn import Drawn, Object
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.layouts import subfolders
from wholenet.data.naming import composed
from wholenet.data.outlines import (
    ANNOTATION_BYTES,
    Outlined,
    Problems,
    inner_path,
    listed,
    name_of,
    size_of,
    split_named,
    stamp_of,
    table_of,
    told_of,
    whole_number,
)
from wholenet.data.regions import Region, Tile, Window
from wholenet.data.sample import DataError
from wholenet.files import read_start, read_text, shown

_HEAD = rb"<annotations\b"
_START = 2048
_TYPES = "expected polygon or mask"
FORMAT = 'expected <annotations> with <image name="" width="" height=""> and in it <polygon label="" points="x,y;x,y">'


def cvat_file(root: Path) -> Path | None:
    """The file in ``root``, or in a folder of it, that begins as CVAT's do; None if there is none."""
    for folder in (root, *islice(subfolders(root).values(), 20)):
        for path in islice(sorted(folder.glob("*.xml")), 5):  # there is one; of other formats one for each image
            if re.search(_HEAD, read_start(path, _START)):
                return path
    return None


def read_cvat(root: Path, file: Path) -> Outlined:
    """The images that ``file``, in the folder ``root``, lists, with their polygons and masks.

    Raises:
        DataError: if it cannot be read, or is of another of CVAT's formats.
    """
    tree = _parsed(file, stamp_of(file))
    problems = Problems()
    labels = [(name_of(one.findtext("name")), one.findtext("color") or "") for one in tree.iter("label")]
    names = [name for name, _ in labels] or sorted({str(name_of(one.get("label"))) for one in _shapes(tree)})
    table = table_of(names, str(file), _colors(labels))
    by_place = _images(root)
    pairs: dict[str, dict[Path, Drawn]] = defaultdict(dict)
    for element in tree.iter("image"):
        name = inner_path(element.get("name"))
        image = None if name is None else _found(by_place, name, element.get("subset"))
        place = f"{file}: {shown(element.get('name'))}"
        if image is None or name is None:
            problems.add("listed-without-image", place)
            continue
        split = split_named(element.get("subset") or "") or _split_above(root, image)
        size = size_of(element.get("height"), element.get("width"))
        objects = []
        for order, shape in sorted(_ordered(element), key=lambda one: one[0]):
            where = f"{place}, shape {order[1] + 1}"
            region = _region(shape, size, where, problems)
            code = table.codes.get(str(name_of(shape.get("label"))))
            if region is not None and code is None:
                problems.add("unknown-category", where, f"label {shown(shape.get('label'))}; {listed(table.codes)}")
            elif region is not None and code is not None:
                objects.append(Object(code, region))
        pairs[split][image] = Drawn(file, image, tuple(objects), size)
    found = {split: sorted(own.items()) for split, own in pairs.items()}
    used = {image for own in pairs.values() for image in own}
    for image in dict.fromkeys(by_place.values()):
        if image not in used:
            problems.add("not-listed", image)
    where = dict.fromkeys(found, file.relative_to(root).as_posix())
    told = told_of("CVAT", found, where)
    return Outlined(
        "CVAT", found, table.classes, problems.findings(), told, f"classes from {file.name}, and background"
    )


@lru_cache(maxsize=8)  # the data set is opened several times before it is trained on
def _parsed(file: Path, _: object) -> ElementTree.Element:
    try:
        text = read_text(file, ANNOTATION_BYTES)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it defines a document type or entities, which CVAT does not write")
        tree = ElementTree.fromstring(text)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise DataError(f"{file}: these annotations cannot be read: {error}; {FORMAT}. Export them again.") from error
    if tree.find("track") is not None:
        raise DataError(f'{file} has tracks, as "CVAT for video" has; {FORMAT}: export as "CVAT for images".')
    return tree


def _shapes(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    return (one for one in element.iter() if one.get("label") is not None and one.tag not in ("label", "tag"))


def _ordered(element: ElementTree.Element) -> Iterator[tuple[tuple[int, int], ElementTree.Element]]:
    """The shapes of an image with what they are drawn by: what lies above others, then as they are listed."""
    for number, shape in enumerate(_shapes(element)):
        text = shape.get("z_order") or "0"
        height = whole_number(text.removeprefix("-")) or 0
        yield (-height if text.startswith("-") else height, number), shape


def _region(shape: ElementTree.Element, size: tuple[int, int] | None, place: str, problems: Problems) -> Region | None:
    if shape.tag == "polygon":
        try:
            flat = [float(part) for part in re.split("[;,]", shape.get("points") or "") if part.strip()]
        except ValueError:
            problems.add("outline", place, f"points are {shown(shape.get('points'))}")
            return None
        return problems.outline([flat], size, place)
    if shape.tag == "mask":
        return _tile(shape, size, place, problems)
    if shape.tag == "box":
        problems.add("boxes", place)
    else:
        problems.add("shape-type", place, f"{shape.tag}; {_TYPES}")
    return None


def _tile(shape: ElementTree.Element, size: tuple[int, int] | None, place: str, problems: Problems) -> Tile | None:
    """Run lengths of a rectangle, along the rows: so many pixels outside, so many inside, and so on."""
    top, left, height, width = (whole_number(shape.get(key)) for key in ("top", "left", "height", "width"))
    counts = [whole_number(part) for part in (shape.get("rle") or "").split(",")]
    runs = [count for count in counts if count is not None]
    if top is None or left is None or height is None or width is None or len(runs) < len(counts):
        problems.add("outline", place, "a mask without rle, top, left, height and width")
        return None
    if size is not None and (top + height > size[0] or left + width > size[1]):
        problems.add(
            "outside", place, f"it ends at x {left + width}, y {top + height}; expected up to {size[1]}, {size[0]}"
        )
        return None
    total = sum(runs)
    if total != height * width or (size is None and total > 1 << 27):
        problems.add("outline", place, f"run lengths of {total} pixels for a rectangle of {height}x{width}")
        return None
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return Tile(Window(top, left, inside))


def _colors(labels: list[tuple[object, str]]) -> dict[str, object]:
    """By name; those that two have are nobody's."""
    found = {str(name): color.lower() for name, color in labels if re.fullmatch("#[0-9a-fA-F]{6}", color)}
    alone = [name for name, color in found.items() if list(found.values()).count(color) == 1 and color != "#000000"]
    return {name: [int(found[name][i : i + 2], 16) for i in (1, 3, 5)] for name in alone}


def _images(root: Path) -> dict[str, Path]:
    """By the path below ``root``, and, where that is the only one, by the path below any folder on the way."""
    places: dict[str, list[Path]] = defaultdict(list)
    for path in files_below(root, IMAGE_SUFFIXES):
        parts = path.relative_to(root).parts
        for i in range(len(parts)):
            places[composed(Path(*parts[i:])).as_posix()].append(path)
    return {place: paths[0] for place, paths in places.items() if len(paths) == 1}


def _found(by_place: Mapping[str, Path], name: PurePosixPath, subset: str | None) -> Path | None:
    places = (composed(Path(place)).as_posix() for place in (f"{subset}/{name}", name, name.name))
    return next((by_place[place] for place in places if place in by_place), None)


def _split_above(root: Path, image: Path) -> str:
    named = (split_named(part) for part in image.relative_to(root).parts[:-1])
    return next((split for split in named if split), "train")
