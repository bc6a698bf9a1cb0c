"""The classes of a data set without a class file, as far as its masks tell them.

Letters: K classes.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wholenet.data.classes import MAX_CLASSES, Color, default_colors, fill_colors, format_classes
from wholenet.data.pictures import is_gray, ranges, read_raw_mask, unpack_color
from wholenet.data.sample import IGNORE, Classes, DataError

BINARY = Classes(("background", "foreground"), ((0, 0, 0), (255, 255, 255)), values=(0, 255), ignore_values=())
"""Masks of 0 and 255, the usual way to mark one kind of thing."""

_SHOWN = 20


def infer_classes(masks: Sequence[Path]) -> Classes:
    """Read every mask and number the classes by the pixel values found: 0..max, with 255 ignored.

    Masks of 0 and 255 alone, and 1-bit masks, become "background" and "foreground". Palette masks lend their colours.

    Raises:
        DataError: where the values do not speak for themselves: RGB masks, numbers with wide gaps, palettes that
            disagree, one class only, or more than 254. The message proposes a ``classes.json`` where it can.
    """
    tally = _Tally()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for path, census in zip(masks, pool.map(_census, masks), strict=True):
            tally.add(path, census)
    values = _values(tally)
    if values <= {0, 255} and 255 in values:
        return _at_least_two(values, BINARY)
    labels = values - {IGNORE}
    _refuse_gaps(labels)
    return _at_least_two(labels, _numbered(max(labels) + 1, tally.palette))


@dataclass(frozen=True)
class _Census:
    """One mask: of which kind it is, and how many pixels have each code."""

    kind: str
    palette: tuple[Color, ...]
    counts: dict[int, int]


def _census(path: Path) -> _Census:
    raw = read_raw_mask(path)
    codes, counts = np.unique(raw.codes, return_counts=True)
    return _Census(raw.kind, raw.palette, dict(zip(codes.tolist(), counts.tolist(), strict=True)))


@dataclass
class _Tally:
    """Pixels per code over all masks, by the kind of the file, and the colours palettes give to the indices used."""

    codes: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    palette: dict[int, Color] = field(default_factory=dict)
    _first_use: dict[int, Path] = field(default_factory=dict)

    def add(self, path: Path, census: _Census) -> None:
        """Count one mask in.

        Raises:
            DataError: if its palette gives an index another colour than the palette of an earlier mask.
        """
        self.codes[census.kind].update(census.counts)
        for index in census.counts:
            if index < len(census.palette):
                self._agree(index, census.palette[index], path)

    def _agree(self, index: int, color: Color, path: Path) -> None:
        first = self._first_use.setdefault(index, path)
        if self.palette.setdefault(index, color) != color:
            raise DataError(
                f"palettes disagree: index {index} is {self.palette[index]} in {first} but {color} in {path}. So the "
                "indices may not mean the same in every file. If they do, say so with a classes.json; if only the "
                "colours are right, convert the masks to RGB and give each class its colour in classes.json."
            )


def _values(tally: _Tally) -> set[int]:
    """The pixel values that occur; RGB masks count by their grey level, if all of them are grey."""
    colors = tally.codes["color"]
    if not is_gray(np.array(list(colors), dtype=np.int64)).all():
        raise DataError(_colors_message(colors))
    values = set(tally.codes["index"]) | {code & 255 for code in colors}
    bits = set(tally.codes["bits"])
    return values | {255 * bit for bit in bits} if values <= {0, 255} else values | bits


def _colors_message(colors: Counter[int]) -> str:
    common = [(unpack_color(code), count) for code, count in colors.most_common(_SHOWN)]
    listed = ", ".join(f"{color} ({count} pixels)" for color, count in common)
    many = (
        f", the {_SHOWN} most frequent of {len(colors)}; so many colours often mean that the masks were saved as JPEG "
        "or resized with interpolation"
        if len(colors) > _SHOWN
        else ""
    )
    proposal = Classes(tuple(f"class {i}" for i in range(len(common))), tuple(color for color, _ in common))
    return (
        f"the masks are RGB pictures and there is no class file to say what their colours mean. Found: {listed}{many}."
        f"\nSave this as classes.json beside the images and masks folders, with your names:\n{format_classes(proposal)}"
    )


def _refuse_gaps(labels: set[int]) -> None:
    if labels and 2 * len(labels) < max(labels) + 1:
        values = tuple(sorted(labels))
        proposal = Classes(tuple(f"class {value}" for value in values), default_colors(len(values)), values)
        raise DataError(
            f"the masks hold the values {ranges(values)} and no class file says what they mean: with so many gaps "
            "below the largest they are hardly class numbers 0, 1, 2, ... (grey levels of a palette, perhaps?)."
            f"\nIf they are right, save this as classes.json, with your names:\n{format_classes(proposal)}"
        )


def _at_least_two(found: Iterable[int], classes: Classes) -> Classes:
    values = sorted(found)
    if len(values) < 2:
        raise DataError(
            f"every pixel of the masks that counts has the value {values[0] if values else IGNORE}: there is nothing "
            "to learn from one class. If the masks are right, name all classes in a classes.json."
        )
    return classes


def _numbered(k: int, palette: dict[int, Color]) -> Classes:
    if k > MAX_CLASSES:
        raise DataError(
            f"the masks hold values up to {k - 1}; at most {MAX_CLASSES} classes are supported. If most of these "
            "are no classes (instance numbers, for example), name those that are in a classes.json."
        )
    given = [palette.get(index) for index in range(k)]
    known = [color for color in given if color is not None]
    distinct = len(set(known)) == len(known)
    return Classes(tuple(f"class {i}" for i in range(k)), fill_colors(given if distinct else [None] * k))
