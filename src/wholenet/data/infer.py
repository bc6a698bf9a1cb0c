"""The classes of a data set without a class file, as far as its masks tell them.

Letters: K classes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from wholenet.data.classes import MAX_CLASSES, MAX_VALUE, Color, default_colors, fill_colors, format_classes
from wholenet.data.folder import Mask
from wholenet.data.pictures import is_gray, ranges, unpack_color
from wholenet.data.sample import IGNORE, Classes, DataError
from wholenet.data.survey import THREADS, MaskFacts, look_at_mask

BINARY = Classes(("background", "foreground"), ((0, 0, 0), (255, 255, 255)), values=(0, 255), ignore_values=())
"""Masks of 0 and 255, the usual way to mark one kind of thing."""

_SHOWN = 20
_MOST_IN_ONE_MASK = 64
"""Values in one mask above which it is taken for a picture, or for instance numbers."""
_SMOOTHED_VALUES = 8
_EXTREMES = 0.5
"""Share of the pixels that are 0 or 255 even in black and white masks with smoothed edges."""


def infer_classes(masks: Sequence[Mask]) -> Classes:
    """Read every mask and number the classes by the pixel values found; see :func:`classes_of`.

    Raises:
        DataError: if a mask cannot be read, or as :func:`classes_of`.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        return classes_of(dict(zip(masks, pool.map(look_at_mask, masks), strict=True)))


def classes_of(masks: Mapping[Mask, MaskFacts]) -> Classes:
    """Number the classes by the pixel values found: 0..max, with 255 ignored.

    Masks of 0 and 255 alone, and 1-bit masks, become "background" and "foreground". Palette masks lend their colours.

    Raises:
        DataError: where the values do not speak for themselves: RGB masks, numbers with wide gaps, palettes that
            disagree, two ways to write black and white, smoothed edges, pictures instead of masks, one class only, or
            more than 254. The message proposes a ``classes.json`` where it can.
    """
    tally = _Tally()
    for path, facts in masks.items():
        tally.add(path, facts)
    values = _values(tally, masks)
    if values <= {0, 255} and 255 in values:
        return _at_least_two(values, BINARY, masks)
    _refuse_smoothed(tally, masks)
    labels = values - {IGNORE}
    _refuse_gaps(values, masks)
    if values == {0, 1, IGNORE}:
        _refuse_two_ways(masks)
    classes = _numbered(max(labels, default=0) + 1, tally.palette, masks)
    _refuse_pictures(masks)
    return _at_least_two(labels, classes, masks)


def written_in_two_ways(masks: Mapping[Mask, MaskFacts]) -> tuple[Mask, Mask] | None:
    """A mask of 0 and 1 and one of 0 and 255, if no mask holds both 1 and 255: foreground, written in two ways."""
    ones = [path for path, facts in masks.items() if facts.kind != "bits" and 1 in facts.counts]
    whites = [path for path, facts in masks.items() if facts.kind != "bits" and IGNORE in facts.counts]
    return (ones[0], whites[0]) if ones and whites and not set(ones) & set(whites) else None


@dataclass
class _Tally:
    """Pixels per code over all masks, by the kind of the file, and the colours palettes give to the indices used."""

    codes: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    palette: dict[int, Color] = field(default_factory=dict)
    _first_use: dict[int, Mask] = field(default_factory=dict)

    def add(self, path: Mask, facts: MaskFacts) -> None:
        """Count one mask in.

        Raises:
            DataError: if its palette gives an index another colour than the palette of an earlier mask.
        """
        self.codes[facts.kind].update(facts.counts)
        for index, color in facts.palette.items():
            self._agree(index, color, path)

    def _agree(self, index: int, color: Color, path: Mask) -> None:
        first = self._first_use.setdefault(index, path)
        if self.palette.setdefault(index, color) != color:
            raise DataError(
                f"palettes disagree: index {index} is {self.palette[index]} in {first} but {color} in {path}. So the "
                "indices may not mean the same in every file. If they do, say so with a classes.json; if only the "
                "colours are right, convert the masks to RGB and give each class its colour in classes.json."
            )


def _values(tally: _Tally, masks: Mapping[Mask, MaskFacts]) -> set[int]:
    """The pixel values that occur; RGB masks count by their grey level, if all of them are grey."""
    colors = tally.codes["color"]
    if not is_gray(np.array(list(colors), dtype=np.int64)).all():
        raise DataError(_colors_message(colors, masks))
    values = set(tally.codes["index"]) | {code & 255 for code in colors}
    bits = set(tally.codes["bits"])
    return values | {255 * bit for bit in bits} if values <= {0, 255} else values | bits


def _for_example(masks: Iterable[Mask]) -> str:
    return f" (for example {next(iter(masks), 'none')})"


def _colors_message(colors: Counter[int], masks: Mapping[Mask, MaskFacts]) -> str:
    common = [(unpack_color(code), count) for code, count in colors.most_common(_SHOWN)]
    listed = ", ".join(f"{color} ({count} pixels)" for color, count in common)
    many = (
        f", the {_SHOWN} most frequent of {len(colors)}; so many colours often mean that the masks were saved as JPEG "
        "or resized with interpolation, or that these are the images"
        if len(colors) > _SHOWN
        else ""
    )
    proposal = Classes(tuple(f"class {i}" for i in range(len(common))), tuple(color for color, _ in common))
    colored = [path for path, facts in masks.items() if facts.kind == "color"]
    return (
        f"the masks are RGB pictures{_for_example(colored)} and there is no class file to say what their colours mean. "
        f"Found: {listed}{many}."
        f"\nSave this as classes.json beside the images and masks folders, with your names:\n{format_classes(proposal)}"
    )


def _refuse_smoothed(tally: _Tally, masks: Mapping[Mask, MaskFacts]) -> None:
    counts = tally.codes["index"]
    extremes = counts[0] + counts[255]
    if len(counts) >= _SMOOTHED_VALUES and counts[0] and counts[255] and extremes >= _EXTREMES * counts.total():
        gray = [path for path, facts in masks.items() if set(facts.counts) - {0, 255}]
        raise DataError(
            f"{len(gray)} of {len(masks)} masks{_for_example(gray)} are black and white, 0 and 255, but for "
            f"{counts.total() - extremes} grey pixels of {len(counts) - 2} values between: edges smoothed by resizing "
            "or by JPEG. Those are no classes. Make the masks black and white again (threshold at 128), and resize "
            "masks with nearest-neighbour sampling."
        )


def _refuse_gaps(values: set[int], masks: Mapping[Mask, MaskFacts]) -> None:
    """Where the values are no class numbers, 255 need not mean "ignore": it is offered with the others."""
    labels = values - {IGNORE}
    if not labels or 2 * len(labels) >= max(labels) + 1:
        return
    holding = [path for path, facts in masks.items() if max(labels) in facts.counts]
    found = (
        f"the masks hold the values {ranges(tuple(values))}{_for_example(holding)} and no class file says what they "
        "mean: with so many gaps below the largest they are hardly class numbers 0, 1, 2, ... (grey levels of a "
        "palette, perhaps?)."
    )
    listed = tuple(sorted(values))
    if len(listed) > MAX_CLASSES or not 0 <= min(listed) <= max(listed) <= MAX_VALUE:
        raise DataError(
            f"{found} A class file names up to {MAX_CLASSES} classes, of values in 0..{MAX_VALUE}; these are "
            f"{len(listed)} values in {min(listed)}..{max(listed)}. Name those that are classes in a classes.json and "
            "list the others as ignore_index; write others in the masks for what is out of range."
        )
    names = tuple(f"class {value}" for value in listed)
    proposal = Classes(names, default_colors(len(listed)), listed, () if IGNORE in values else (IGNORE,))
    doubtful = f" Below, {IGNORE} is a class; if it is to be ignored, take its line out, with the comma before it."
    raise DataError(
        f"{found}{doubtful if IGNORE in values else ''}"
        f"\nIf they are right, save this as classes.json, with your names:\n{format_classes(proposal)}"
    )


def _refuse_two_ways(masks: Mapping[Mask, MaskFacts]) -> None:
    found = written_in_two_ways(masks)
    if found is not None:
        raise DataError(
            f"some masks hold 0 and 1 ({found[0]}), others 0 and 255 ({found[1]}), none both 1 and 255: foreground "
            "written in two ways, of which 255 would be ignored. Write all masks one way. If 255 does mean ignore, say "
            'so with a classes.json: {"ignore_index": 255, "classes": ["background", "foreground"]}'
        )


def _refuse_pictures(masks: Mapping[Mask, MaskFacts]) -> None:
    strange = [path for path, facts in masks.items() if len(facts.counts) > _MOST_IN_ONE_MASK]
    if strange:
        raise DataError(
            f"{len(strange)} of {len(masks)} masks hold more than {_MOST_IN_ONE_MASK} different values each"
            f"{_for_example(strange)}, like photographs or instance numbers, not like classes. Are images and masks in "
            "each other's folder? If they are right, name the classes in a classes.json."
        )


def _at_least_two(found: Iterable[int], classes: Classes, masks: Iterable[Mask]) -> Classes:
    values = sorted(found)
    if len(values) < 2:
        raise DataError(
            f"every pixel of the masks{_for_example(masks)} that counts has the value "
            f"{values[0] if values else IGNORE}: there is nothing to learn from one class. If the masks are right, "
            "name all classes in a classes.json."
        )
    return classes


def _numbered(k: int, palette: dict[int, Color], masks: Mapping[Mask, MaskFacts]) -> Classes:
    if k > MAX_CLASSES:
        holding = [path for path, facts in masks.items() if k - 1 in facts.counts]
        raise DataError(
            f"the masks hold values up to {k - 1}; at most {MAX_CLASSES} classes are supported"
            f"{_for_example(holding)}. If most of these are no classes (instance numbers, for example), name those "
            "that are in a classes.json."
        )
    given = [palette.get(index) for index in range(k)]
    known = [color for color in given if color is not None]
    distinct = len(set(known)) == len(known)
    return Classes(tuple(f"class {i}" for i in range(k)), fill_colors(given if distinct else [None] * k))
