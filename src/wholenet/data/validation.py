"""The part of train that stands for a validation split where a data set has none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from os.path import commonpath
from pathlib import Path, PurePosixPath

from wholenet.data.folder import CHANNEL, Pair
from wholenet.data.naming import composed
from wholenet.data.pieces import Stacked, place_of
from wholenet.data.splits import seeded_order, share_count

_SLICE = re.compile(r"(?:(?<=[_\-. ])|^)(?:z|sl|slice)[_\-]?\d+(?=[_\-. ]|$)[_\-. ]?", re.IGNORECASE)
_LAST_OF_TWO = re.compile(r"(.*\d.*?)[_\-. ]\d+$")


def with_val(
    root: Path, pairs: Mapping[str, list[Pair]], val_share: float, seed: int, *, by_folder: bool = False
) -> tuple[dict[str, list[Pair]], tuple[str, ...]]:
    """The splits, val taken from train where it is missing, with a note that says so.

    Slices of one case, as their names say, stay on one side: neighbours in both would flatter the score.

    Args:
        root: the folder of the data set.
        pairs: split -> images with masks.
        val_share: how much of train becomes val.
        seed: which part.
        by_folder: whether images of one folder, of a patient for instance, stay on one side.

    Raises:
        DataError: if val is missing and train has fewer than two images.
        ValueError: if val is missing and ``val_share`` is not between 0 and 1.
    """
    if "val" in pairs:
        return dict(pairs), ()
    by_name = {composed(place_of(pair[0]).relative_to(root)).as_posix(): pair for pair in pairs["train"]}
    count = share_count(len(by_name), val_share, f"{root}: train, of which a part must become val")
    ways = {"folders": _folders(by_name) if by_folder else {}, "cases": _cases(by_name)}
    what, groups = next(((what, own) for what, own in ways.items() if 1 < len(own) < len(by_name)), ("", {}))
    if groups:
        held = _about(groups, count, seed)
        chosen = {name for group in held for name in groups[group]}
        images = f"{len(chosen)} of the {len(by_name)} images"
        whole = f"{len(held)} of the {len(groups)} {what} of train, with {images},"
    else:
        chosen = set(seeded_order(by_name, seed)[:count])
        whole = f"{count} of the {len(by_name)} images of train"
    divided = {
        "train": [pair for name, pair in by_name.items() if name not in chosen],
        "val": [pair for name, pair in by_name.items() if name in chosen],
    }
    note = set_aside_note(whole, len(chosen), val_share, seed)
    return {**divided, **{split: own for split, own in pairs.items() if split != "train"}}, (note,)


def set_aside_note(whole: str, count: int, share: float, seed: int) -> str:
    """The sentence on ``count`` images, called ``whole``, that became val.

    >>> set_aside_note("1 of the 4 images of train", 1, 0.2, 0)
    'no val split: 1 of the 4 images of train was set aside for it (--val-share 0.2, --data-seed 0)'
    """
    was = "was" if count == 1 else "were"
    return f"no val split: {whole} {was} set aside for it (--val-share {share}, --data-seed {seed})"


def _folders(names: Iterable[str]) -> dict[str, list[str]]:
    """The names in each folder on the first level on which there are several; a file beside them is one of its own.

    >>> _folders(["a/p1/x/1.png", "a/p1/y/2.png", "a/p2/1.png", "a/3.png"])
    {'a/p1': ['a/p1/x/1.png', 'a/p1/y/2.png'], 'a/p2': ['a/p2/1.png'], 'a/3.png': ['a/3.png']}
    """
    names = list(names)
    above = len(PurePosixPath(commonpath([PurePosixPath(name).parent.as_posix() for name in names])).parts)
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[PurePosixPath(*PurePosixPath(name).parts[: above + 1]).as_posix()].append(name)
    return dict(found)


def _cases(by_name: Mapping[str, Pair]) -> dict[str, list[str]]:
    """The names of the slices of each case; an image whose name does not say that it is a slice is a case of its own.

    Where nnU-Net's names are used, the last of two numbers is a slice's; elsewhere only one that is called so.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for name, (image, mask) in by_name.items():
        place = PurePosixPath(name)
        numbered = isinstance(image, Stacked) or CHANNEL.search(image.stem if isinstance(image, Path) else "")
        of_nnunet = numbered and isinstance(mask, Path) and not CHANNEL.search(mask.stem)
        stem = CHANNEL.sub("", place.stem) if of_nnunet and not isinstance(image, Stacked) else place.stem
        case = case_of(stem, last_of_two=bool(of_nnunet))
        found[(place.parent / case).as_posix()].append(name)
    return dict(found)


def case_of(stem: str, *, last_of_two: bool = False) -> str:
    """The name of what an image is a slice of, by its own; the same where that says nothing of a slice.

    >>> [case_of(stem) for stem in ("z003_la_007", "p7_slice_12", "brain 4 z12 axial", "la_007_012")]
    ['la_007', 'p7', 'brain 4 axial', 'la_007_012']
    >>> [case_of(stem, last_of_two=True) for stem in ("la_007_012", "la_007")]
    ['la_007', 'la_007']
    """
    called, times = _SLICE.subn("", stem)
    if times:
        return called.strip("_-. ")
    last = _LAST_OF_TWO.match(stem) if last_of_two else None
    return last[1] if last else stem


def _about(groups: Mapping[str, list[str]], count: int, seed: int) -> list[str]:
    """Groups that hold about ``count`` names together: at least one, and never all."""
    chosen: list[str] = []
    held = 0
    for group in seeded_order(groups, seed)[:-1]:
        more = held + len(groups[group])
        if chosen and abs(more - count) >= abs(held - count):
            break
        chosen.append(group)
        held = more
    return chosen
