"""Class tables: read from ``classes.json`` or ``classes.yaml``, checked, and written back.

Letters: K classes.
"""

from __future__ import annotations

import colorsys
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn
from unicodedata import normalize

from wholenet.data.sample import IGNORE, Classes, DataError
from wholenet.files import is_plain, read_json, read_text, read_yaml, shown

Color = tuple[int, int, int]

CLASS_FILES = ("classes.json", "classes.yaml", "classes.yml")
"""The names a class file goes by, beside the images or in the masks folder."""

LABELMAP = "labelmap.txt"
"""CVAT's table of names and colours beside its masks, read where there is no class file."""
DATASET = "dataset.json"
"""nnU-Net's table of names and values, likewise."""
ROBOFLOW = "_classes.csv"
"""Roboflow's, "Pixel Value, Class" with a row for each, likewise."""
ID2LABEL = "id2label.json"
"""Value -> name, as many data sets on the Hugging Face hub have it, likewise."""
CLASS_DICT = "class_dict.csv"
"""A table of names and colours, "name,r,g,b" with a row for each, as CamVid and DeepGlobe are passed on, likewise."""
CLASS_NAMES = "class_names.txt"
"""LabelMe's names beside the masks that its labelme2voc.py draws, in the order of their values, likewise."""
TABLES_OF_OTHERS = (LABELMAP, DATASET, ROBOFLOW, ID2LABEL, CLASS_DICT, CLASS_NAMES)
_FIRST_LINE = re.IGNORECASE | re.MULTILINE
_LABELMAP_HEAD = "# label:color_rgb"

MAX_CLASSES = 254
"""Masks are bytes: 255 is ``IGNORE``, and 254 marks unknown pixels while a mask is being read."""

MAX_NAME = 200
"""Characters of a class's name: it stands in tables, legends and on terminals."""

MAX_VALUE = 65535
"""The largest pixel value of a 16-bit mask."""

_FORMS = """Accepted forms of a class file (JSON or YAML):
  {"ignore_index": 255, "classes": [{"id": 0, "name": "sky", "color": [128, 128, 128]}, {"id": 1, "name": "road"}]}
  ["sky", "road"]
  {"0": "sky", "1": "road"}
"id" (the pixel value) may be left out: then it is the position. "color" may be left out too. "ignore_index" is a
number or a list of them; "ignore_colors" lists the colours of RGB masks that count nowhere."""

_TOP_KEYS = ("classes", "ignore_index", "ignore_color", "ignore_colors")
_CLASS_KEYS = ("id", "name", "color")


def read_classes(path: str | Path) -> Classes:
    """The class table of a JSON or YAML file. 255 is ignored besides what the file says, unless a class has that id.

    Raises:
        DataError: if the file cannot be read, has an unknown form, repeats an id, a name or a colour, has an id
            outside 0..65535, a class that is also ignored, or not between 2 and 254 classes.
    """
    path = Path(path)
    table = _parse(_load(path), str(path))
    _check(table, str(path))
    if IGNORE in table.values or IGNORE in table.ignore_values:
        return table
    return replace(table, ignore_values=(*table.ignore_values, IGNORE))


def classes_to_dict(classes: Classes) -> dict[str, Any]:
    """The table in the form of a class file, of plain lists and numbers; ``classes_from_dict`` gives it back exactly.

    >>> table = Classes(("sky", "road"), ((0, 0, 255), (128, 64, 128)), values=(7, 8))
    >>> classes_from_dict(json.loads(json.dumps(classes_to_dict(table)))) == table
    True
    """
    return {
        "ignore_index": list(classes.ignore_values),
        "ignore_colors": [list(color) for color in classes.ignore_colors],
        "classes": [
            {"id": value, "name": name, "color": list(color)}
            for value, name, color in zip(classes.values, classes.names, classes.colors, strict=True)
        ],
    }


def classes_from_dict(table: Mapping[str, Any]) -> Classes:
    """The table that ``classes_to_dict`` wrote.

    Raises:
        DataError: if ``table`` does not have that form.
    """
    return _parse(table, "the class table")


def format_classes(classes: Classes) -> str:
    """The text of a ``classes.json`` for a person to paste and edit, one class to a line.

    >>> print(format_classes(Classes(("sky", "road"), ((0, 0, 255), (128, 64, 128)))))
    {
      "ignore_index": [255],
      "classes": [
        {"id": 0, "name": "sky", "color": [0, 0, 255]},
        {"id": 1, "name": "road", "color": [128, 64, 128]}
      ]
    }
    """
    table = classes_to_dict(classes)
    rows = ",\n".join(f"    {json.dumps(entry)}" for entry in table["classes"])
    return f'{{\n  "ignore_index": {table["ignore_index"]},\n  "classes": [\n{rows}\n  ]\n}}'


@lru_cache(maxsize=8)  # asked for once per mask
def default_colors(k: int) -> tuple[Color, ...]:
    """``k`` distinct colours (up to ``MAX_CLASSES``): hues a golden ratio apart, in three shades.

    None is a grey, so an RGB mask that holds plain indices, (3, 3, 3), is never mistaken for one drawn in them;
    and none is black, the colour of ignored pixels.

    >>> len(set(default_colors(254)))
    254
    """
    shades = ((0.85, 0.95), (0.60, 0.75), (0.95, 0.60))
    return tuple(_rgb(index * 0.61803398875 % 1.0, *shades[index % 3]) for index in range(k))


def fill_colors(colors: Sequence[Color | None], taken: Iterable[Color] = ()) -> tuple[Color, ...]:
    """``colors`` with a default colour, used neither there nor in ``taken``, in place of each None."""
    used = {color for color in colors if color is not None} | set(taken)
    fresh = (color for color in default_colors(len(colors) + len(used)) if color not in used)
    return tuple(next(fresh) if color is None else color for color in colors)


def named_classes(names: Sequence[object], where: str, colors: Sequence[object] | None = None) -> Classes:
    """The table of classes of these names and the values 0, 1, ...; 255 is ignored.

    Raises:
        DataError: if a name is none, or occurs twice, a colour is none, or there are not between 2 and 254.
    """
    entries = [{"name": name} for name in names]
    for entry, color in zip(entries, colors or (), strict=False):
        entry |= {} if color is None else {"color": color}
    table = _parse({"classes": entries}, where)
    _check(table, where)
    return replace(table, ignore_values=(IGNORE,))


def by_name(wanted: Classes, known: Classes, where: str) -> Classes:
    """``known``, of which the classes of ``wanted`` stay, in its order, with its colours; the others are ignored.

    Raises:
        DataError: if one of ``wanted`` is not known.
    """
    values = dict(zip(known.names, known.values, strict=True))
    missing = [name for name in wanted.names if name not in values]
    if missing:
        _fail(where, f"no annotation is of {shown(missing[0])}; those there are of: {', '.join(known.names)}")
    chosen = tuple(values[name] for name in wanted.names)
    left = tuple(value for value in known.values if value not in chosen)
    return replace(wanted, values=chosen, ignore_values=(*left, IGNORE), ignore_colors=())


def same_names(found: Classes, expected: Classes, where: str) -> None:
    """Make sure that two tables name the same classes in the same order.

    Raises:
        DataError: naming the first class in which they differ.
    """
    if found.names == expected.names:
        return
    if len(found) != len(expected):
        difference = f"{len(found)} classes there, {len(expected)} expected"
    else:
        pairs = zip(found.names, expected.names, strict=True)
        index, (has, wants) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
        difference = f'class {index} is "{has}" there, "{wants}" was expected'
    raise DataError(
        f"the classes of {where} are not the ones asked for: {difference}.\n"
        f"there:    {', '.join(found.names)}\nexpected: {', '.join(expected.names)}\n"
        "The order decides which output of a model means what: use the class file the model was trained with."
    )


def _rgb(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _fail(where: str, problem: str) -> NoReturn:
    raise DataError(f"{where}: {problem}.\n{_FORMS}")


# ---- from text to plain values


def _load(path: Path) -> Any:
    try:
        if path.name == LABELMAP:
            return [_labelmap_entry(line) for line in read_text(path).splitlines() if line.strip() and line[0] != "#"]
        if path.name == DATASET:
            return _dataset_table(read_json(path)["labels"])
        if path.name == ROBOFLOW:
            rows = [line.split(",", 1) for line in read_text(path).splitlines()[1:] if line.strip()]
            return [{"id": row[0].strip(), "name": row[-1].strip()} for row in rows]
        if path.name == CLASS_DICT:
            return [_class_dict_entry(line) for line in read_text(path).splitlines()[1:] if line.strip()]
        if path.name == CLASS_NAMES:
            return [line.strip() for line in read_text(path).splitlines() if line.strip()]
        return read_json(path) if path.suffix.lower() == ".json" else read_yaml(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: this class file cannot be read: {error}.\n{_FORMS}") from error


def is_table_of_others(path: Path) -> bool:
    """Whether this is one of ``TABLES_OF_OTHERS``: others have files of that name, too."""
    try:
        if path.name == ROBOFLOW and path.is_file():
            return re.match(r"\ufeff?\s*pixel value\s*,\s*class\b", read_text(path), re.IGNORECASE) is not None
        if path.name == ID2LABEL and path.is_file():
            table = read_json(path)
            return isinstance(table, dict) and bool(table) and all(key.isdecimal() for key in table)
        if path.name == CLASS_DICT and path.is_file():
            return (
                re.match(r"\ufeff?\s*\w+\s*,\s*r\w*\s*,\s*g\w*\s*,\s*b\w*\s*$", read_text(path), _FIRST_LINE)
                is not None
            )
        if path.name == CLASS_NAMES and path.is_file():
            return "_background_" in read_text(path).splitlines()
        if path.name == LABELMAP and path.is_file():
            return read_text(path).startswith(_LABELMAP_HEAD)
        content = read_json(path) if path.name == DATASET and path.is_file() else None
    except (OSError, ValueError):
        return False
    if not isinstance(content, dict) or not ("channel_names" in content or "modality" in content):
        return False
    return isinstance(content.get("labels"), dict)


def _dataset_table(labels: Mapping[str, Any]) -> dict[str, Any]:
    """{"road": 1}, or {"1": "road"} as older versions have it; "ignore" is no class."""
    region = next((name for name, value in labels.items() if isinstance(value, list)), None)
    if region is not None:
        alone = {value: name for name, value in labels.items() if isinstance(value, int)}
        values = sorted({v for value in labels.values() if isinstance(value, list) for v in value if type(v) is int})
        names = {str(value): alone.get(value, f"label {value}") for value in sorted({*alone, *values})}
        raise ValueError(
            f"{shown(region)} is a region of the labels {shown(labels[region])}, and regions overlap; here each pixel "
            f"has one class. Name the labels themselves in a classes.json beside it: {json.dumps(names)}"
        )
    by_name = {name: key for key, name in labels.items()} if all(key.isdecimal() for key in labels) else dict(labels)
    ignored = {"ignore_index": by_name.pop("ignore")} if "ignore" in by_name else {}
    return {"classes": [{"id": value, "name": name} for name, value in by_name.items()], **ignored}


def _class_dict_entry(line: str) -> dict[str, Any]:
    """ "Car,64,0,128" """
    name, *color = line.split(",")
    return {"name": name.strip(), "color": [int(part) if part.strip().isdecimal() else part for part in color]}


def _labelmap_entry(line: str) -> dict[str, Any]:
    """ "road:128,0,0::" """
    name, color = line.rsplit(":", 3)[:2] if line.count(":") >= 3 else (line, "")
    return {
        "name": name.strip(),
        "color": [int(part) if part.strip().isdecimal() else part for part in color.split(",")],
    }


# ---- from plain values to a table


def _parse(content: Any, where: str) -> Classes:
    whole = content if isinstance(content, Mapping) and "classes" in content else {"classes": content}
    _known_keys(whole, _TOP_KEYS, where)
    entries = _entries(whole["classes"], where)
    ignore_values = whole.get("ignore_index", [])
    ignore_colors = whole.get("ignore_colors", [])
    if not isinstance(ignore_colors, list):
        _fail(where, f"ignore_colors must be a list of colours, found {shown(ignore_colors)}")
    single = [whole["ignore_color"]] if "ignore_color" in whole else []
    ignored = tuple(_color(color, where) for color in [*ignore_colors, *single])
    return Classes(
        names=tuple(_name(entry.get("name"), where) for entry in entries),
        colors=fill_colors([_color(e["color"], where) if "color" in e else None for e in entries], taken=ignored),
        values=tuple(_value(entry["id"], where) for entry in entries),
        ignore_values=tuple(
            _value(v, where) for v in (ignore_values if isinstance(ignore_values, list) else [ignore_values])
        ),
        ignore_colors=ignored,
    )


def _entries(listed: Any, where: str) -> list[dict[str, Any]]:
    """Every form of the list of classes as the long one: {"id", "name"} and maybe "color" for each."""
    if isinstance(listed, Mapping):
        by_value = {_value(key, where): name for key, name in listed.items()}
        return [{"id": value, "name": by_value[value]} for value in sorted(by_value)]
    if not isinstance(listed, list):
        _fail(where, f"expected a list of classes, found {shown(listed)}")
    if len(listed) > MAX_CLASSES:
        _fail(where, f"a class table needs 2 to {MAX_CLASSES} classes, found {len(listed)}")
    entries = [dict(entry) if isinstance(entry, Mapping) else {"name": entry} for entry in listed]
    for entry in entries:
        _known_keys(entry, _CLASS_KEYS, where)
    return [{"id": position, **entry} for position, entry in enumerate(entries)]


def _known_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            _fail(where, f"unknown key {shown(key)}; known here: {', '.join(known)}")


def _name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not name.strip():
        _fail(
            where, f"a class's name must be text, found {shown(name)} (in YAML, quote words such as 'no' and numbers)"
        )
    if not is_plain(name) or len(name) > MAX_NAME:
        _fail(where, f"a class's name is up to {MAX_NAME} characters, none of them for control, found {shown(name)}")
    return normalize("NFC", name)


def _value(value: Any, where: str) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_VALUE:
        _fail(where, f"an id must be a whole number in 0..{MAX_VALUE}, found {shown(value)}")
    return number


def _color(color: Any, where: str) -> Color:
    if not isinstance(color, (list, tuple)) or len(color) != 3 or not all(_is_byte(part) for part in color):
        _fail(where, f"a colour must be three whole numbers in 0..255, found {shown(color)}")
    red, green, blue = color
    return red, green, blue


def _is_byte(part: Any) -> bool:
    return isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= 255


# ---- what a table written by hand must satisfy


def _check(classes: Classes, where: str) -> None:
    if not 2 <= len(classes) <= MAX_CLASSES:
        _fail(where, f"a class table needs 2 to {MAX_CLASSES} classes, found {len(classes)}")
    for what, listed in (("id", classes.values), ("name", classes.names), ("color", classes.colors)):
        repeated = _repeated(listed)
        if repeated:
            _fail(where, f"the {what} {repeated[0]!r} belongs to more than one class; each class needs its own")
    for what, listed, ignored in (
        ("id", classes.values, classes.ignore_values),
        ("color", classes.colors, classes.ignore_colors),
    ):
        for name, value in zip(classes.names, listed, strict=True):
            if value in ignored:
                _fail(where, f'class "{name}" has the {what} {value!r}, which the file also says to ignore; drop one')


def _repeated(listed: Iterable[Any]) -> list[Any]:
    return [item for item, count in Counter(listed).items() if count > 1]
