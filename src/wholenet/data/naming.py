"""What the names of files and folders say: which are of images, which of masks, and which name one thing twice."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Mapping
from pathlib import Path
from unicodedata import normalize

IMAGE_WORDS = frozenset(
    (
        *("image", "images", "img", "imgs", "im", "pic", "picture", "pictures", "photo", "photos"),
        *("rgb", "sat", "input", "x", "training", "test"),
    )
)
MASK_WORDS = frozenset(
    (
        *("mask", "masks", "label", "labels", "labelids", "lbl", "gt", "seg"),
        *(
            "segmentation",
            "annotation",
            "annot",
            "manual",
            "target",
            "truth",
            "y",
            "semantic",
            "instance",
            "color",
            "colour",
        ),
    )
)
"""Words that say what a file is, in names of images and of masks."""

IMAGE_FOLDER_WORDS = frozenset(
    (
        *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures"),
        *("rgb", "ortho", "stills", "raw", "jpeg", "input"),
    )
)
MASK_FOLDER_WORDS = frozenset(
    (
        *("mask", "masks", "label", "labels", "labeled", "labelled", "labelids", "gt", "seg", "segmentation"),
        *("semantic", "truth", "groundtruth", "annotation", "annotations", "annot", "manual"),
    )
)
DERIVED_WORDS = frozenset(
    (
        *("color", "colors", "colour", "colours", "colored", "coloured", "rgb", "vis", "viz", "overlay", "overlays"),
        *("preview", "object", "objects", "instance", "instances", "edge", "edges", "boundary", "boundaries", "depth"),
    )
)
"""The same of folders, and of those that hold another form of what the masks say."""
_SHOWING = re.compile(r"(.+)[_-](?:vis|viz|overlays?|previews?)", re.IGNORECASE)


def composed(path: Path) -> Path:
    """The path in Unicode's composed form (NFC): systems write one name in different ways."""
    return Path(normalize("NFC", str(path)))


def words_of(name: str) -> set[str]:
    """The words of a name, in lower case.

    >>> sorted(words_of("Part1_GroundTruth-RGB"))
    ['ground', 'part', 'rgb', 'truth']
    """
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def shows_another(key: Path, keys: Container[Path]) -> bool:
    """Whether a picture is for people to look at another one of ``keys``, by its name; all without suffix.

    >>> beside = {Path("label"), Path("label_viz"), Path("overlay")}
    >>> [shows_another(key, beside) for key in sorted(beside)]
    [False, True, False]
    """
    match = _SHOWING.fullmatch(key.name)
    return match is not None and key.with_name(match[1]) in keys


def paired_by_words(images: Collection[Path], masks: Mapping[Path, str]) -> dict[Path, Path]:
    """Image -> mask, where all of these names are equal, one to one, but for words that say what a file is.

    Args:
        images: paths without suffix.
        masks: the same, with the whole stem of each.
    """
    of_images = {_without(key, IMAGE_WORDS): key for key in images}
    of_masks = {_without(key, MASK_WORDS): key for key in masks}
    if len(of_images) == len(images) and len(of_masks) == len(masks) and of_images.keys() == of_masks.keys():
        return {of_images[rest]: of_masks[rest] for rest in sorted(of_images)}
    return _paired_by_rests(images, masks)


def _without(key: Path, words: Container[str]) -> tuple[str, ...]:
    """The folder, and the words and numbers of a name, but for ``words``."""
    parts = re.findall(r"[^\W\d_]+|\d+|[^\w\s.-]", key.name)
    return (key.parent.as_posix(), *(part for part in parts if part.lower() not in words))


def _paired_by_rests(images: Collection[Path], masks: Mapping[Path, str]) -> dict[Path, Path]:
    """The same, where what all images or all masks have in common is more: "20_training" with "20_manual1".

    A word that says what a file is must be in it. Of what else there is, words or numbers, either side may have none;
    otherwise it is the same on both.
    """
    of_images, shared = _rests({key: key.name for key in images})
    of_masks, shared_by_masks = _rests(masks)
    fits = len(of_images) == len(images) and len(of_masks) == len(masks) and of_images.keys() == of_masks.keys()
    others = [_without_kind(word, IMAGE_WORDS) for word in shared]
    others_of_masks = [_without_kind(word, MASK_WORDS) for word in shared_by_masks]
    kinds = others != shared or others_of_masks != shared_by_masks
    left, right = list(filter(None, others)), list(filter(None, others_of_masks))
    if len(images) < 2 or not fits or not kinds or (left and right and left != right):
        return {}
    return {of_images[rest]: of_masks[rest] for rest in sorted(of_images)}


def _rests(names: Mapping[Path, str]) -> tuple[dict[tuple[str, ...], Path], list[str]]:
    """What is left of each name without the words at either end that all share; and those words."""
    words = {key: re.split(r"[\W_]+", name) for key, name in names.items()}
    first = _common(words.values())
    last = _common([list(reversed(some[first:])) for some in words.values()])
    example = next(iter(words.values()), [])
    rests = {(key.parent.as_posix(), *some[first : len(some) - last]): key for key, some in words.items()}
    return rests, [*example[:first], *example[len(example) - last :]]


def _common(lists: Iterable[list[str]]) -> int:
    """How many of the first words are the same in all."""
    count = 0
    for column in zip(*lists, strict=False):
        if len(set(column)) > 1:
            break
        count += 1
    return count


def _without_kind(word: str, words: Container[str]) -> str:
    """ "1" of "mask1"; nothing of "leftImg8bit"; the whole word where it does not say what a file is."""
    letters = word.rstrip("0123456789")
    if letters.lower() in words:
        return word[len(letters) :]
    parts = words_of(word)
    return "" if len(parts) > 1 and any(part in words for part in parts) else word
