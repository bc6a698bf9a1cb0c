"""Outlines of objects in YOLO's format: for each image a text file, a line for each object: class x1 y1 x2 y2 ...

Coordinates are shares of the image's width and height. Format: https://docs.ultralytics.com/datasets/segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from wholenet.data.drawn import Drawn, Object
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.layouts import Layout
from wholenet.data.lists import as_listed, names_in
from wholenet.data.naming import composed
from wholenet.data.outlines import Outlined, Problems, name_of, stamp_of, table_of, told_of, whole_number
from wholenet.data.regions import Polygon
from wholenet.data.sample import DataError
from wholenet.files import read_text, read_yaml, shown

NAMES = ("classes.txt", "obj.names")
"""Lists of names, one a line, where there is no YAML file with them."""
_YAML = (".yaml", ".yml")
_BOX = 5
"""Numbers in a line that is a box: class, centre, size."""
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


@dataclass(frozen=True)
class _Setup:
    """What the data set's own file says."""

    file: Path | None
    names: Mapping[int, object]
    """Number -> name."""
    folders: Mapping[str, tuple[Path, Path]]
    """Split -> folder of images, folder of label files, as far as they are there."""
    lists: Mapping[str, Path] = field(default_factory=dict)
    """Split -> the text that lists its images, where there are such."""


def read_yolo(root: Path, layout: Layout | None) -> Outlined | None:
    """The images in ``root`` with the outlines in their label files; None where there are no label files.

    Args:
        root: the folder of the data set.
        layout: its folders, as they are known by sight.

    Raises:
        DataError: if its list of names cannot be read.
    """
    setup = _setup(root)
    by_sight = {} if layout is None else {s: (i, m or i) for s, (i, m) in layout.folders.items()}
    folders = dict(setup.folders) or by_sight
    labels = {split: _label_files(folder) for split, (_, folder) in folders.items()}
    if "train" not in folders or not any(labels.values()):
        return None
    if setup.file is None and not any(_is_label_file(next(iter(some.values()), None)) for some in labels.values()):
        return None
    folders = {split: pair for split, pair in folders.items() if split != "test" or labels[split]}
    problems = Problems()
    objects = {path: _objects(path, problems) for split in folders for path in labels[split].values()}
    names = setup.names or _numbered(objects)
    where = str(setup.file or root)
    table = table_of([names[number] for number in sorted(names)], where)
    codes = {number: table.codes[str(name_of(name))] for number, name in names.items()}
    pairs = {
        split: _pairs(images, labels[split], folders[split][1], objects, codes, problems)
        for split, (images, _) in folders.items()
    }
    told = {split: folder.relative_to(root).as_posix() for split, (_, folder) in folders.items()}
    if setup.lists and list(folders) == ["train"]:
        told = {split: f"{told['train']}, listed in {path.relative_to(root)}" for split, path in setup.lists.items()}
        pairs = _as_listed(pairs["train"], setup.lists, problems)
    origin = f"classes from {setup.file.name}" if setup.file and setup.names else "classes by their numbers"
    return Outlined(
        "YOLO", pairs, table.classes, problems.findings(), told_of("YOLO", pairs, told), f"{origin}, and background"
    )


# ---- the data set's own file


def _setup(root: Path) -> _Setup:
    for file in sorted(p for p in root.iterdir() if p.suffix.lower() in _YAML and p.is_file()):
        try:
            content = read_yaml(file)
        except (OSError, ValueError) as error:
            if file.stem.lower() in ("data", "dataset"):
                raise DataError(f"{file}: this list of classes cannot be read: {error}") from error
            continue
        if isinstance(content, dict) and "names" in content:
            names = _by_number(content["names"], file, content.get("nc"))
            return _Setup(file, names, _folders(root, content), _lists(root, content))
    for file in (root / name for name in NAMES):
        if file.is_file():
            lines = [line.strip() for line in read_text(file).splitlines()]
            return _Setup(file, dict(enumerate(line for line in lines if line)), {})
    return _Setup(None, {}, {})


def _by_number(names: Any, file: Path, count: Any) -> dict[int, object]:
    found = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(found, dict) or not found or any(type(key) is not int or key < 0 for key in found):
        raise DataError(f"{file}: names is {shown(names)}; expected a list of names, or each after its number: 0: car")
    if isinstance(count, int) and count != len(found):
        raise DataError(f"{file}: nc is {shown(count)}, but there are {len(found)} names; correct one of them")
    return found


def _lists(root: Path, content: Mapping[str, Any]) -> dict[str, Path]:
    """The texts that ``train``, ``val`` and ``test`` name, as those of folders."""
    found = {}
    for split, value in _named_by(content):
        tails = (path for path in _tails(root, value) if path.suffix.lower() == ".txt" and path.is_file())
        if (path := next(tails, None)) is not None:
            found[split] = path
    return found if "train" in found else {}


def _as_listed(
    whole: list[tuple[Path, Drawn]], lists: Mapping[str, Path], problems: Problems
) -> dict[str, list[tuple[Path, Drawn]]]:
    drawn = dict(whole)
    found = {}
    for split, path in lists.items():
        images, missing = as_listed(names_in(path), [(image, image) for image in drawn])
        if images or split != "test":
            found[split] = [(image, drawn[image]) for image in images]
            for name in missing:
                problems.add("listed-without-image", f"{path}: {name}")
    used = {image for own in found.values() for image, _ in own}
    for image in drawn:
        if image not in used:
            problems.add("not-listed", image)
    return found


def _named_by(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Split, and the place that the data set's own file says."""
    for split, keys in _SPLIT_KEYS.items():
        value = next((content[key] for key in keys if isinstance(content.get(key), str)), None)
        if value is not None:
            yield split, value


def _tails(root: Path, value: str) -> list[Path]:
    """What a path may stand for below ``root``, whatever it begins with elsewhere."""
    parts = [part for part in value.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return [root.joinpath(*parts[i:]) for i in range(len(parts))]


def _folders(root: Path, content: Mapping[str, Any]) -> dict[str, tuple[Path, Path]]:
    """The folders that ``train``, ``val`` and ``test`` name: below ``root``, whatever they begin with elsewhere."""
    found = {}
    for split, value in _named_by(content):
        images = next((folder for folder in _tails(root, value) if folder.is_dir()), None)
        if images is None or images.is_symlink():
            continue
        inner = images.relative_to(root).parts
        last = max((i for i, part in enumerate(inner) if part.lower() == "images"), default=None)
        if last is not None:
            found[split] = (images, root.joinpath(*inner[:last], "labels", *inner[last + 1 :]))
        elif (images / "images").is_dir():  # "train: train" stands for train/images
            found[split] = (images / "images", images / "labels")
        else:
            found[split] = (images, images)
    same = {pair for pair in found.values()}
    return found if "train" in found and len(same) == len(found) else {}


# ---- label files


def _label_files(folder: Path) -> dict[Path, Path]:
    """By the path below ``folder``, without suffix."""
    if not folder.is_dir():
        return {}
    files = [path for path in files_below(folder, (".txt",)) if path.name not in NAMES]
    return {composed(path.relative_to(folder).with_suffix("")): path for path in files}


def _is_label_file(path: Path | None) -> bool:
    """Whether its first line is a class and numbers; other texts are captions."""
    try:
        words = (read_text(path).split("\n")[0] if path else "x").split()
        return all(float(word) == float(word) for word in words) and len(words) != 1
    except (OSError, ValueError):
        return False


def _objects(path: Path, problems: Problems) -> Sequence[tuple[str, int, Polygon]]:
    """(How messages call it, the class's number, the outline) of each line."""
    found, noted = _parsed(path, stamp_of(path))
    for problem in noted:
        problems.add(*problem)
    return found


@lru_cache(maxsize=100_000)  # the data set is opened several times before it is trained on
def _parsed(path: Path, _: object) -> tuple[list[tuple[str, int, Polygon]], list[tuple[str, str, str]]]:
    problems = Problems([])
    return _parse(path, problems), problems.noted


def _parse(path: Path, problems: Problems) -> list[tuple[str, int, Polygon]]:
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        problems.add("label-file", path, str(error))
        return []
    found = []
    for number, line in enumerate(lines, start=1):
        words, place = line.split(), f"{path}:{number}"
        if not words:
            continue
        first = whole_number(words[0].removesuffix(".0"))
        try:
            numbers = [float(word) for word in words[1:]]
        except ValueError:
            problems.add("outline", place, shown(line))
            continue
        if first is None:
            problems.add("unknown-category", place, f"{shown(words[0])} instead of the number of a class")
        elif len(words) == _BOX:
            problems.add("boxes", place)
        else:
            outline = problems.outline([numbers], None, place, relative=True)
            found += [(place, first, outline)] if outline is not None else []
    return found


def _numbered(objects: Mapping[Path, Sequence[tuple[str, int, Polygon]]]) -> dict[int, object]:
    highest = max((number for some in objects.values() for _, number, _ in some), default=0)
    return {number: f"class {number}" for number in range(min(highest, 1000) + 1)}


def _pairs(
    images: Path,
    labels: Mapping[Path, Path],
    searched: Path,
    objects: Mapping[Path, Sequence[tuple[str, int, Polygon]]],
    codes: Mapping[int, int],
    problems: Problems,
) -> list[tuple[Path, Drawn]]:
    found, used = [], set()
    for image in files_below(images, IMAGE_SUFFIXES):
        key = composed(image.relative_to(images).with_suffix(""))
        file = labels.get(key)
        used.add(key)
        if file is None:
            problems.add("no-label", image)
            found.append((image, Drawn(searched, image, (), largest_first=True)))
            continue
        drawn = []
        for place, number, outline in objects[file]:
            if number in codes:
                drawn.append(Object(codes[number], outline))
            else:
                problems.add("unknown-category", place, f"class {number}; listed: 0 to {max(codes)}")
        found.append((image, Drawn(file, image, tuple(drawn), largest_first=True)))
    for key, file in labels.items():
        if key not in used:
            problems.add("label-without-image", file)
    return found
