"""Outlines of objects in COCO's format: one JSON file for each split, with polygons or run lengths.

Format: https://cocodataset.org/#format-data. Roboflow, CVAT, Label Studio and many others write it.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from wholenet.data.drawn import Drawn, Object
from wholenet.data.folder import IMAGE_SUFFIXES
from wholenet.data.layouts import subfolders
from wholenet.data.outlines import (
    ANNOTATION_BYTES,
    Listings,
    Outlined,
    Problems,
    Table,
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
from wholenet.data.regions import Region, Runs, runs_of_text
from wholenet.data.sample import IGNORE, DataError
from wholenet.data.splits import spread
from wholenet.files import read_json, read_start, shown

_FIRST_KEYS = rb'\s*\{\s*"(info|images|licenses|annotations|categories|type)"\s*:\s*[\[{"]'
_START = 1024
_IMAGES_ALONE = "image_info"
"""How COCO's own files are called whose images have no annotations."""
_SMALL = 1 << 20
"""Bytes of a file that is looked at as a whole: notes beside YOLO's files, as Label Studio writes, begin likewise."""
_MOST = 1000
"""Files whose names are read in one folder."""
_TRIED = 20
"""Images by which the folder of a file's images is found."""
_FOLDERS = 200
"""Folders that may be it."""
FORMAT = (
    'expected {"images": [{"id", "file_name", "height", "width"}], "annotations": [{"image_id", "category_id", '
    '"segmentation"}], "categories": [{"id", "name"}]}'
)
PANOPTIC = (
    "is of panoptic segmentation, whose objects are in pictures, not outlines. Write one PNG of classes for each image "
    "by panopticapi: python converters/panoptic2semantic_segmentation.py --input_json_file {file} "
    "--segmentations_folder PNGS --semantic_seg_folder masks --categories_json_file CATEGORIES"
)


def coco_files(root: Path) -> list[Path]:
    """The files in ``root``, or up to two folders below it, that begin as COCO's do, or are called so."""
    below = list(islice(subfolders(root).values(), 20))
    folders = [root, *below, *(inner for folder in below for inner in islice(subfolders(folder).values(), 5))]
    found = []
    for folder in folders:
        found += [p for p in islice(sorted(folder.iterdir()), _MOST) if p.suffix.lower() == ".json" and _is_coco(p)]
    return found


def _is_coco(file: Path) -> bool:
    if file.name.startswith(".") or not file.is_file():
        return False
    stem = file.stem.lower()
    if "coco" in stem or stem.startswith(("instances_", "panoptic_")):
        return True
    if re.match(_FIRST_KEYS, read_start(file, _START).removeprefix(b"\xef\xbb\xbf")) is None:
        return False
    if file.stat().st_size > _SMALL:
        return True
    keys = _keys(file)
    return not keys or not keys.isdisjoint({"images", "annotations"})


def read_coco(root: Path, files: Sequence[Path]) -> Outlined:
    """The images that ``files``, in the folder ``root``, list, with their outlines.

    Raises:
        DataError: if a file is not of this format, or two are of one split.
    """
    by_split, left = _by_split(root, files)
    contents = {split: _parsed(file, stamp_of(file)) for split, file in by_split.items()}
    if len(contents) > 1 and "test" in contents and not contents["test"].annotated:
        left.append(_left_out(root, by_split.pop("test")))
        del contents["test"]
    for split, content in contents.items():
        if not content.annotated:
            raise DataError(_no_coco(by_split[split], content.keys))
    problems = Problems()
    table, notes = _table(by_split, contents)
    pairs = {
        split: _pairs(root, split, by_split[split], content, table, problems) for split, content in contents.items()
    }
    _unlisted(pairs, problems)
    where = {split: file.relative_to(root).as_posix() for split, file in by_split.items()}
    origin = f"classes from {where['train']}, and background" if "train" in where else ""
    return Outlined(
        "COCO", pairs, table.classes, problems.findings(), told_of("COCO", pairs, where), origin, (*left, *notes)
    )


def _by_split(root: Path, files: Sequence[Path]) -> tuple[dict[str, Path], list[str]]:
    """Of several of one split those called instances: COCO has key points, captions and "stuff" beside them. And what
    to say of those that list images alone, as "image_info_test2017.json" does."""
    found: dict[str, list[Path]] = defaultdict(list)
    notes = []
    alone = [file for file in files if file.stem.lower().startswith(_IMAGES_ALONE)]
    for file in files:
        if file in alone and len(alone) < len(files):
            notes.append(_left_out(root, file))
            continue
        split = split_named(file.stem) or (split_named(file.parent.name) if file.parent != root else None)
        found[split or "train"].append(file)
    chosen = {}
    for split, some in found.items():
        instances = [file for file in some if "instances" in file.stem.lower()] or some
        if len(instances) > 1:
            raise DataError(
                f"{' and '.join(map(str, instances[:3]))} could all list the images of {split}. Keep one of them, or "
                "name each by its split: instances_train.json, instances_val.json."
            )
        chosen[split] = instances[0]
    return chosen, notes


def _left_out(root: Path, file: Path) -> str:
    return f"{file.relative_to(root).as_posix()} lists images without annotations, and is left out"


def _keys(file: Path) -> set[str]:
    try:
        whole = read_json(file, ANNOTATION_BYTES)
    except (OSError, ValueError):
        return set()
    return set(whole) if isinstance(whole, dict) else set()


# ---- one file


@dataclass
class _Content:
    """What a file holds."""

    keys: tuple[str, ...]
    """At the top of the file."""
    names: dict[int, PurePosixPath] = field(default_factory=dict)
    """By the image's id."""
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    categories: dict[int, object] = field(default_factory=dict)
    """Id -> name."""
    above: set[object] = field(default_factory=set)
    """Names of categories that are above others."""
    objects: dict[int, list[tuple[int, Region | None, bool]]] = field(default_factory=lambda: defaultdict(list))
    """By the image's id: category, area, whether it is a crowd."""
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    """Arguments of ``Problems.add``."""

    @property
    def annotated(self) -> bool:
        """Whether there is a list of annotations, be it empty."""
        return "annotations" in self.keys


def _no_coco(file: Path, have: Iterable[str]) -> str:
    return f"{file} is called as COCO's annotations are, and has {', '.join(have)[:200]}; {FORMAT}."


@lru_cache(maxsize=8)  # the data set is opened several times before it is trained on
def _parsed(file: Path, _: object) -> _Content:
    try:
        whole = read_json(file, ANNOTATION_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: these annotations cannot be read: {error}; {FORMAT}. Export them again.") from error
    parts = [whole.get(key) if isinstance(whole, dict) else None for key in ("images", "annotations", "categories")]
    images, annotations, categories = parts
    keys = tuple(whole) if isinstance(whole, dict) else ()
    annotations = annotations if "annotations" in keys else []
    if not (isinstance(images, list) and isinstance(annotations, list) and isinstance(categories, list)):
        raise DataError(_no_coco(file, keys or [shown(whole)]))
    if any(isinstance(one, dict) and "segments_info" in one for one in annotations[:10]):
        raise DataError(f"{file} {PANOPTIC.format(file=file)}")
    content = _Content(keys)
    for one in categories:
        key = whole_number(one.get("id")) if isinstance(one, dict) else None
        if key is None or key in content.categories:
            raise DataError(f"{file}: the category {shown(one)} needs an id of its own, a whole number; {FORMAT}.")
        content.categories[key] = name_of(one.get("name"))
        above = name_of(one.get("supercategory"))
        content.above |= {above} - {content.categories[key]} if isinstance(above, str) else set()
    for one in images:
        key = whole_number(one.get("id")) if isinstance(one, dict) else None
        name = inner_path(one.get("file_name")) if isinstance(one, dict) else None
        if key is None or name is None or key in content.names:
            raise DataError(
                f"{file}: the image {shown(one)} needs an id of its own (a whole number) and a file_name; {FORMAT}."
            )
        content.names[key] = name
        if (size := size_of(one.get("height"), one.get("width"))) is not None:
            content.sizes[key] = size
    problems = Problems(content.problems)
    for number, one in enumerate(annotations):
        _add(content, one, file, number, problems)
    return content


def _add(content: _Content, one: Any, file: Path, number: int, problems: Problems) -> None:
    """One annotation."""
    if not isinstance(one, dict):
        problems.add("outline", f"{file}: annotation {number}", shown(one))
        return
    image, category = whole_number(one.get("image_id")), whole_number(one.get("category_id"))
    place = f"{file}: annotation {shown(one.get('id', number))}"
    if image is None or image not in content.names:
        problems.add("outline", place, f"of the image_id {shown(one.get('image_id'))}, which is not listed")
        return
    place += f" of {content.names[image]}"
    if category is None or category not in content.categories:
        known = listed(f"{key} {name}" for key, name in content.categories.items())
        problems.add("unknown-category", place, f"category_id {shown(one.get('category_id'))}; {known}")
        return
    crowd = one.get("iscrowd") in (1, True)
    region = _region(content, one.get("segmentation"), image, place, problems)
    if region is not None:
        content.objects[image].append((category, region, crowd))
    if crowd:
        problems.add("crowd", place)


def _region(content: _Content, found: Any, image: int, place: str, problems: Problems) -> Region | None:
    if isinstance(found, dict):
        return _runs(content, found, image, place, problems)
    flat = isinstance(found, list) and found and not isinstance(found[0], list)
    parts = [found] if flat else found or []
    if not isinstance(parts, list):
        problems.add("outline", place, shown(found))
        return None
    return problems.outline(parts, content.sizes.get(image), place)


def _runs(content: _Content, found: dict[str, Any], image: int, place: str, problems: Problems) -> Runs | None:
    stated, counts = found.get("size"), found.get("counts")
    size = size_of(*stated) if isinstance(stated, list) and len(stated) == 2 else None
    expected = content.sizes.get(image, size)
    if size is None or size != expected:
        problems.add("outline", place, f"run lengths of size {shown(stated)} for an image of {list(expected or ())}")
        return None
    content.sizes[image] = size
    try:
        runs = runs_of_text(counts) if isinstance(counts, str) else counts
    except ValueError as error:
        problems.add("outline", place, str(error))
        return None
    if not isinstance(runs, list) or any(type(run) is not int or not 0 <= run <= size[0] * size[1] for run in runs):
        problems.add("outline", place, f"run lengths {shown(runs)}")
        return None
    if sum(runs) != size[0] * size[1]:
        problems.add("outline", place, f"run lengths of {sum(runs)} pixels for an image of {size[0]}x{size[1]}")
        return None
    return Runs(np.array(runs, np.int64))


# ---- all of them together


def _table(files: Mapping[str, Path], contents: Mapping[str, _Content]) -> tuple[Table, list[str]]:
    first = contents.get("train") or next(iter(contents.values()))
    file = files.get("train") or next(iter(files.values()))
    used = {
        one.categories[category]
        for one in contents.values()
        for objects in one.objects.values()
        for category, *_ in objects
    }
    listed = [first.categories[key] for key in sorted(first.categories)]
    heads = [name for name in listed if name in first.above and name not in used]
    notes = [f"the category {shown(name)} is no class: it is above others, and no object is of it" for name in heads]
    return table_of([name for name in listed if name not in heads], str(file)), notes


def _pairs(
    root: Path, split: str, file: Path, content: _Content, table: Table, problems: Problems
) -> list[tuple[Path, Drawn]]:
    for problem in content.problems:
        problems.add(*problem)
    listings = Listings()
    base = _base(root, split, file, list(content.names.values()), listings)
    found = {}
    for key, name in content.names.items():
        image = listings.find(base, name)
        if image is None:
            problems.add("listed-without-image", f"{file}: {name}")
            continue
        objects = list(found[image].objects) if image in found else []
        for category, region, crowd in content.objects.get(key, ()):
            code = table.codes.get(str(content.categories[category]))
            if code is None:
                place = f"{file}: {content.categories[category]} in {name}"
                problems.add("unknown-category", place, "which the file of train does not list")
            elif region is not None:
                objects.append(Object(IGNORE if crowd else code, region))
        found[image] = Drawn(file, image, tuple(objects), content.sizes.get(key), largest_first=True)
    return sorted(found.items())


def _base(root: Path, split: str, file: Path, names: Sequence[PurePosixPath], listings: Listings) -> Path:
    """The folder that the names of images begin in: the one in which most of a few are found."""
    tried = [names[index] for index in spread(len(names), _TRIED)]
    others = [Path(top) for top, _, _ in islice(os.walk(root), _FOLDERS)]
    others.sort(key=lambda folder: split_named(folder.name) != split)  # train2017/a.jpg before val2017/a.jpg
    folders = [file.parent, *others]
    return max(folders, key=lambda folder: sum(listings.find(folder, name) is not None for name in tried))


def _unlisted(pairs: Mapping[str, Sequence[tuple[Path, Drawn]]], problems: Problems) -> None:
    """Images in the folders of those that are listed."""
    listed = {image for own in pairs.values() for image, _ in own}
    for folder in sorted({image.parent for image in listed}):
        for path in sorted(folder.iterdir()):
            is_image = path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
            if is_image and path not in listed and path.is_file():
                problems.add("not-listed", path)
