"""What there is to say of the values in masks, once a class table reads them.

Letters: K classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from wholenet.data.classes import MAX_CLASSES, MAX_VALUE, default_colors, fill_colors, format_classes
from wholenet.data.drawn import OBJECTS, OUTLINES
from wholenet.data.finding import Finding, of_files
from wholenet.data.folder import Mask
from wholenet.data.infer import BINARY, written_in_two_ways
from wholenet.data.pictures import UNKNOWN, labels_of, ranges, unpack_color
from wholenet.data.sample import IGNORE, Classes
from wholenet.data.survey import MaskFacts

UNCOUNTED = 1 << 32
"""Stands for all codes beyond those that are counted; no code itself."""
_PROPOSED = 20
"""Most unknown values that a class file is proposed for."""


def of_labels(
    masks: Mapping[Mask, MaskFacts], classes: Classes, *, inferred: bool, where: Path | None = None
) -> list[Finding]:
    """What is odd about the values of the masks, read by a class table.

    Args:
        masks: the facts of all of them.
        classes: the table.
        inferred: whether it was made from the masks.
        where: the class file, if there is one.
    """
    files = {mask: facts for mask, facts in masks.items() if facts.format not in (OUTLINES, OBJECTS)}
    findings = [*_unknown_values(masks, classes, where), *_binary(files, classes, inferred)]
    findings += _mixed_binary(files, classes) if not inferred else []
    findings += _other_palette(masks, classes)
    kinds = Counter(
        "from outlines of objects"
        if facts.format == OUTLINES
        else "of a file for each object, joined"
        if facts.format == OBJECTS
        else "RGB, by the colours of the class table"
        if labels_of(facts.codes(), classes).by_color
        else "RGB with three equal channels, by value"
        if facts.kind == "color"
        else "palette, by index, whatever its colours"
        if facts.palette
        else "16-bit, by value"
        if facts.mode.startswith("I")
        else "grey or 1-bit, by value"
        for facts in masks.values()
    )
    listed = "; ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return [*findings, Finding("note", "mask-kinds", f"masks are read: {listed}", count=len(masks))]


def train_counts(facts: MaskFacts, classes: Classes) -> tuple[np.ndarray, dict[int, int], bool]:
    """Pixels per train id (256 numbers), pixels per unknown code, and whether codes are colours.

    The colours beyond those counted are unknown too, under ``UNCOUNTED``.
    """
    labels = labels_of(facts.codes(), classes)
    pixels = np.array(list(facts.counts.values()), np.int64)
    counts = np.zeros(256, np.int64)
    np.add.at(counts, labels.train_ids, pixels)
    strange = labels.train_ids == UNKNOWN
    unknown = dict(zip(labels.codes[strange].tolist(), pixels[strange].tolist(), strict=True))
    counts[UNKNOWN] = 0
    if facts.uncounted:
        unknown[UNCOUNTED] = facts.uncounted
    return counts, unknown, labels.by_color


def _unknown_values(masks: Mapping[Mask, MaskFacts], classes: Classes, where: Path | None) -> list[Finding]:
    findings = []
    for by_color in (False, True):
        pixels: Counter[int] = Counter()
        holders: Counter[int] = Counter()
        files = []
        for path, facts in masks.items():
            _, unknown, colored = train_counts(facts, classes)
            if unknown and colored == by_color:
                pixels.update(unknown)
                holders.update(unknown.keys())
                files.append(path)
        if files:
            white = not by_color and any(IGNORE in facts.counts for facts in masks.values())
            findings += _unknown_finding(files, pixels, holders, classes, by_color, where, white)
    return findings


def _unknown_finding(
    files: list[Mask],
    pixels: Counter[int],
    holders: Counter[int],
    classes: Classes,
    by_color: bool,
    where: Path | None,
    white: bool,
) -> list[Finding]:
    codes = [code for code, _ in pixels.most_common() if code != UNCOUNTED]
    spelled = [str(unpack_color(code)) if by_color else str(code) for code in codes]
    listed = ", ".join(
        f"{text} ({pixels[code]} pixels in {holders[code]} masks)"
        for text, code in list(zip(spelled, codes, strict=True))[:10]
    )
    more = f" and {len(codes) - 10} more" if len(codes) > 10 else ""
    if by_color:
        expected = ", ".join(f"{color} {name}" for color, name in zip(classes.colors, classes.names, strict=True))
        ignored = ", ".join(map(str, classes.ignore_colors))
    else:
        expected, ignored = ranges(classes.values), ranges(classes.ignore_values)
    what = (
        f"with pixels of no known class: {listed}{more}; expected {expected}{f', ignored {ignored}' if ignored else ''}"
    )
    ignore = "ignore_colors" if by_color else "ignore_index"
    if len(codes) > _PROPOSED or len(codes) + len(classes) > MAX_CLASSES:
        advice = (
            "So many different values often mean that the masks were saved as JPEG, resized with interpolation, or are "
            f"the images. If they are right, add the classes to classes.json, or list values as {ignore}."
        )
    elif not by_color and not all(0 <= code <= MAX_VALUE for code in codes):
        advice = f"A class, and what is ignored, has a value in 0..{MAX_VALUE}: write others in the masks."
    else:
        target = f"save this as {where or 'classes.json beside the images and masks'}"
        also = (
            f". {IGNORE}, which the masks hold too, stays ignored in it: if it is a class, make it one there instead"
            if white and IGNORE in classes.ignore_values
            else ""
        )
        advice = (
            f"If they are classes, {target}, with your names; if they should not count, list them as {ignore}{also}:\n"
            f"{format_classes(_with_unknown(classes, codes, by_color))}"
        )
    return of_files("error", "unknown-values", files, what, advice, noun="mask")


def _with_unknown(classes: Classes, codes: list[int], by_color: bool) -> Classes:
    spelled = ["-".join(map(str, unpack_color(code))) if by_color else str(code) for code in codes]
    names = [f"class {text}" if f"class {text}" not in classes.names else f"unknown {text}" for text in spelled]
    if by_color:
        free = [value for value in range(256) if value not in (*classes.values, *classes.ignore_values)]
        colors, values = [unpack_color(code) for code in codes], free[: len(codes)]
    else:
        taken = {*classes.colors, *classes.ignore_colors}
        colors, values = fill_colors([None] * len(codes), taken), codes
    return replace(
        classes,
        names=(*classes.names, *names),
        colors=(*classes.colors, *colors),
        values=(*classes.values, *values),
    )


def _gray_values(masks: Mapping[Mask, MaskFacts], classes: Classes) -> dict[Mask, set[int]]:
    """The values of each mask, 1-bit ones as 0 and 255; empty if any is read by colour."""
    values = {}
    for path, facts in masks.items():
        if labels_of(facts.codes(), classes).by_color:
            return {}
        codes = set(facts.counts)
        values[path] = {255 * code for code in codes} if facts.kind == "bits" else {code & 0xFFFF for code in codes}
        if facts.kind == "color":
            values[path] = {code & 255 for code in codes}
    return values


def _binary(masks: Mapping[Mask, MaskFacts], classes: Classes, inferred: bool) -> list[Finding]:
    """Masks of 0 and 255 alone: taken for background and foreground, or half ignored."""
    values = _gray_values(masks, classes)
    if set[int]().union(*values.values()) != {0, 255}:
        return []
    white = [path for path, found in values.items() if 255 in found]
    if classes == BINARY:
        what = "of black and white, 0 and 255: 0 is background, 255 foreground, and nothing is ignored"
        advice = "To name them, or to ignore 255, write a classes.json."
        return of_files("note", "binary", white, what, advice, noun="mask") if inferred else []
    if IGNORE not in classes.ignore_values or all(masks[path].kind == "bits" for path in white):
        return []
    first, second = classes.names[:2]
    proposal = Classes((first, second), BINARY.colors, BINARY.values, ())
    what = "of black and white, 0 and 255, of which the class file ignores 255: the white is not trained on"
    advice = f"If white is a class, save this as classes.json:\n{format_classes(proposal)}"
    return of_files("error", "binary-ignored", white, what, advice, noun="mask")


def _mixed_binary(masks: Mapping[Mask, MaskFacts], classes: Classes) -> list[Finding]:
    values = set[int]().union(*_gray_values(masks, classes).values())
    found = written_in_two_ways(masks) if values == {0, 1, 255} and IGNORE in classes.ignore_values else None
    if found is None:
        return []
    white = [path for path, facts in masks.items() if facts.kind != "bits" and 255 in facts.counts]
    what = f"with 255 and without 1, where others ({found[0]}) hold 1 and no 255"
    advice = "255 is ignored. If it is foreground, written in another way, change it to 1 in these masks."
    return of_files("warning", "binary-two-ways", white, what, advice, noun="mask")


def _other_palette(masks: Mapping[Mask, MaskFacts], classes: Classes) -> list[Finding]:
    """Palettes in which an index has the colour that the class table gives to another class."""
    if classes.colors == default_colors(len(classes)):
        return []
    class_of_color = {color: name for name, color in zip(classes.names, classes.colors, strict=True)}
    class_of_value = dict(zip(classes.values, classes.names, strict=True))
    files, first = [], ""
    for path, facts in masks.items():
        clashes = [
            f"index {index} is {class_of_value[index]} by value, but has the colour {color} of {class_of_color[color]}"
            for index, color in sorted(facts.palette.items())
            if index in class_of_value and class_of_color.get(color, class_of_value[index]) != class_of_value[index]
        ]
        if clashes:
            files.append(path)
            first = first or clashes[0]
    advice = (
        "Palette masks are read by index. If the colours are right, convert the masks to RGB; if the indices are, "
        "correct the colours in the class file."
    )
    what = f"whose palette gives classes each other's colours ({first})"
    return of_files("warning", "palette-colors", files, what, advice, noun="mask")
