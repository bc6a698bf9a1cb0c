"""What there is to say of whole splits: classes, balance, crops, the same picture twice.

Letters: K classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import median_low

import numpy as np

from wholenet.data.check import PAPER_CROP, SplitStats, check_trainable, crop_advice, ignored_codes, stats_of
from wholenet.data.finding import EXAMPLES, Finding, Severity, of_files, of_two_splits
from wholenet.data.folder import Mask, Pair
from wholenet.data.label_findings import train_counts
from wholenet.data.sample import IGNORE, Classes, DataError
from wholenet.data.survey import MaskFacts, Surveyed

RARE = 0.001
"""Share of the labelled pixels below which a class is called rare."""
DOMINANT = 0.95
"""Share above which one is said to be nearly all there is."""
MOSTLY_IGNORED = 0.5
MUCH_SMALLER = 0.25
"""Share of the usual image's area below which the smallest image should not settle everyone's crop."""
_NAMED = 10
"""Classes that a finding names."""


def split_stats(pairs: Sequence[Pair], found: Surveyed, classes: Classes) -> SplitStats | None:
    """Of the pairs that can be used; None if there are none."""
    usable = [(found.images[i], found.masks[m]) for i, m in pairs if i in found.images and m in found.masks]
    usable = [(image, mask) for image, mask in usable if image.size == mask.size]
    if not usable:
        return None
    counts = sum((train_counts(mask, classes)[0] for _, mask in usable), np.zeros(256, np.int64)).tolist()
    return stats_of([image.size for image, _ in usable], counts, classes)


def of_classes(
    splits: Mapping[str, Sequence[Pair]], found: Surveyed, stats: Mapping[str, SplitStats], classes: Classes
) -> list[Finding]:
    """Which classes occur where, and how often."""
    findings = []
    masks = {name: [mask for _, mask in splits[name] if mask in found.masks] for name in stats}
    for name, split in stats.items():
        labelled, everything = sum(split.class_pixels), sum(split.class_pixels) + split.ignore_pixels
        if not labelled:
            what = f"{name}: all {everything} pixels of its {split.images} masks are ignored ({ignored_codes(classes)})"
            advice = "There is nothing to learn or to score; check the masks and the ids in classes.json."
            findings.append(Finding("error", "all-ignored", what, advice, _examples(masks[name]), split.images))
        elif split.ignore_pixels > MOSTLY_IGNORED * everything:
            share = split.ignore_pixels / everything
            what = f"{name}: {share:.0%} of the pixels are ignored ({ignored_codes(classes)})"
            advice = "They count neither in the loss nor in the score. If one of these is a class, name it."
            worst = sorted(masks[name], key=lambda mask: -_ignored_share(found.masks[mask], classes))
            findings.append(Finding("warning", "mostly-ignored", what, advice, _examples(worst), split.images))
    train = stats.get("train")
    if train is None or not sum(train.class_pixels):
        return findings
    try:
        check_trainable(train, classes)
    except DataError as error:
        example = _examples(masks["train"])
        return [*findings, Finding("error", "one-class", str(error), files=example, count=train.images)]

    held = {mask: train_counts(found.masks[mask], classes)[0] > 0 for some in masks.values() for mask in some}

    def holding(some: Sequence[int], names: Sequence[str]) -> list[Mask]:
        wanted = list(some)
        return [mask for name in names for mask in masks[name] if held[mask][wanted].any()]

    return [*findings, *_missing(stats, classes, holding), *_balance(train, classes, holding)]


def of_sizes(
    pairs: Sequence[Pair], found: Surveyed, stats: SplitStats | None, crop: tuple[int, int] | None
) -> list[Finding]:
    """Whether ``crop`` (height, width) fits into the training images; if None, whether the default will be usual."""
    sizes = {image: found.images[image].size for image, _ in pairs if image in found.images}
    if not sizes or stats is None:
        return []
    if crop is not None:
        small = [path for path, (height, width) in sizes.items() if height < crop[0] or width < crop[1]]
        what = f"of train smaller than the crop: {crop_advice(stats, crop)}"
        return of_files("error", "smaller-than-crop", small, what, "Give a smaller --crop, or remove these images.")
    usual = _cropped(median_low(h for h, _ in sizes.values()), median_low(w for _, w in sizes.values()))
    smallest = _cropped(stats.min_height, stats.min_width)
    if smallest[0] * smallest[1] >= MUCH_SMALLER * usual[0] * usual[1]:
        return []
    small = [path for path, size in sizes.items() if np.prod(_cropped(*size)) < MUCH_SMALLER * np.prod(usual)]
    small = small or [path for path, (h, w) in sizes.items() if h == stats.min_height or w == stats.min_width]
    what = (
        "of train much smaller than the others: every crop will be as small as the smallest image, "
        f"{stats.min_height}x{stats.min_width}, where {usual[0]}x{usual[1]} would be usual"
    )
    return of_files("warning", "small-crop", small, what, "Remove these images, enlarge them, or give --crop.")


def of_ignored_masks(masks: Sequence[Mask], found: Surveyed, classes: Classes) -> list[Finding]:
    """Masks without a single labelled pixel."""
    counted = {mask: train_counts(found.masks[mask], classes) for mask in masks if mask in found.masks}
    blank = [mask for mask, (counts, unknown, _) in counted.items() if not unknown and not counts[: len(classes)].any()]
    advice = "Nothing is learned from them. Remove them with their images, unless that is what is meant."
    return of_files("warning", "blank-mask", blank, "ignored throughout", advice, noun="mask")


def duplicates(splits: Mapping[str, Sequence[Pair]], found: Surveyed) -> list[Finding]:
    """The same picture in two splits, or twice in one, by its decoded pixels; coarse annotations share images."""
    copies: dict[str, list[tuple[str, Pair]]] = defaultdict(list)
    for split, pairs in splits.items():
        for pair in pairs:
            if pair[0] in found.images and split != "coarse":
                copies[found.images[pair[0]].digest].append((split, pair))
    repeated = [group for group in copies.values() if len(group) > 1]
    findings = []
    for one, other in combinations([split for split in splits if split != "coarse"], 2):
        shared = [
            (next(p for s, p in group if s == one)[0], next(p for s, p in group if s == other)[0])
            for group in repeated
            if {one, other} <= {split for split, _ in group}
        ]
        advice = (
            f"The score on {other} is not of unseen images. Remove one of each pair with its mask; where {other} is "
            "held out of train, remove copies from the data, or give it images of its own."
        )
        findings += of_two_splits(one, other, shared, advice)
    inside = [pairs for group in repeated for pairs in _per_split(group) if len(pairs) > 1]
    differ, alike = list[list[Pair]](), list[list[Pair]]()
    for pairs in inside:
        (differ if len({_labels(pair, found) for pair in pairs}) > 1 else alike).append(pairs)
    told: tuple[tuple[Severity, str, list[list[Pair]], str, str], ...] = (
        (
            "warning",
            "masks-contradict",
            differ,
            "several times in one split, with different masks",
            "Keep the pair that is right: the same image cannot have two labellings.",
        ),
        ("note", "repeated", alike, "several times in one split", "They weigh more than others; remove copies."),
    )
    for severity, kind, groups, what, advice in told:
        if groups:
            examples = tuple(" = ".join(str(image) for image, _ in pairs[:2]) for pairs in groups[:EXAMPLES])
            counted = f"{len(groups)} image{'s' * (len(groups) > 1)} {what}"
            findings.append(Finding(severity, kind, counted, advice, examples, len(groups)))
    return findings


Holding = Callable[[Sequence[int], Sequence[str]], list[Mask]]
"""(Classes, splits) -> the masks there that hold any of them."""


def _missing(stats: Mapping[str, SplitStats], classes: Classes, holding: Holding) -> list[Finding]:
    train = stats["train"]
    absent = [k for k in range(len(classes)) if not train.class_pixels[k]]
    elsewhere = {k: [n for n, s in stats.items() if n != "train" and s.class_pixels[k]] for k in absent}
    findings = []
    if found := [k for k in absent if elsewhere[k]]:
        others = [name for name in stats if any(name in elsewhere[k] for k in found)]
        what = f"no pixel of train is {_named(found, classes)}, but some of {' and '.join(others)} are: {_them(found)}"
        advice = (
            f"{'They score' if len(found) > 1 else 'It scores'} 0. Move some of these images to train, or let a class "
            "file (classes.json beside images and masks) ignore such pixels."
        )
        files = holding(found, others)
        findings.append(Finding("warning", "missing-from-train", what, advice, _examples(files), len(files)))
    if nowhere := [k for k in absent if not elsewhere[k]]:
        what = f"no pixel is {_named(nowhere, classes)}: {_them(nowhere)}"
        advice = (
            "If the masks should hold such pixels, compare their values or colours with the class table; if not, a "
            "class file (classes.json beside images and masks) can leave the class out."
        )
        findings.append(Finding("warning", "missing-class", what, advice, count=len(nowhere)))
    return findings


def _named(some: Sequence[int], classes: Classes) -> str:
    """The names of the classes, the first ten of them.

    >>> _named([0, 1], Classes(("sky", "road"), ((0, 0, 255), (128, 64, 128))))
    '"sky" or "road"'
    """
    names = [f'"{classes.names[k]}"' for k in some[:_NAMED]]
    if len(some) > _NAMED:
        return f"{', '.join(names)} or of {len(some) - _NAMED} more classes"
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _them(some: Sequence[int]) -> str:
    return f"{'they' if len(some) > 1 else 'it'} cannot be learned"


def _balance(train: SplitStats, classes: Classes, holding: Holding) -> list[Finding]:
    labelled = sum(train.class_pixels)
    shares = {k: pixels / labelled for k, pixels in enumerate(train.class_pixels)}
    rare = {k: share for k, share in shares.items() if 0 < share < RARE}
    findings = []
    if rare:
        listed = ", ".join(f"{classes.names[k]} {100 * share:.2g} %" for k, share in rare.items())
        what = f"{len(rare)} class{'es' * (len(rare) > 1)} below {RARE:.1%} of the labelled pixels of train: {listed}"
        advice = "Plain cross-entropy may never predict them: --class-balance 0.5 (a plan has it), or label more."
        files = holding(list(rare), ["train"])
        findings.append(Finding("warning", "rare-class", what, advice, _examples(files), len(files)))
    k, share = max(shares.items(), key=lambda item: item[1])
    if share > DOMINANT:
        what = f'{share:.1%} of the labelled pixels of train are "{classes.names[k]}"'
        advice = (
            "Always answering it scores well by accuracy: look at the mIoU beside that of the best constant class. "
            "--class-balance 0.5 gives the others more weight."
        )
        findings.append(Finding("warning", "dominant-class", what, advice))
    return findings


def _examples(files: Sequence[Mask]) -> tuple[str, ...]:
    return tuple(map(str, files[:EXAMPLES]))


def _ignored_share(facts: MaskFacts, classes: Classes) -> float:
    counts = train_counts(facts, classes)[0]
    return counts[IGNORE] / max(counts.sum(), 1)


def _cropped(height: int, width: int) -> tuple[int, int]:
    return min(height, PAPER_CROP[0]), min(width, PAPER_CROP[1])


def _per_split(group: Sequence[tuple[str, Pair]]) -> list[list[Pair]]:
    return [[pair for name, pair in group if name == split] for split in dict.fromkeys(name for name, _ in group)]


def _labels(pair: Pair, found: Surveyed) -> str:
    mask = found.masks.get(pair[1])
    return "" if mask is None else mask.digest
