"""Labelled images, looked at before anything is trained on them.

Letters: N images, H x W pixels, K classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import combinations
from pathlib import Path

import numpy as np

from wholenet.checked import Megapixels, checked_numbers
from wholenet.data.facts_cache import FactsCache
from wholenet.data.file_findings import of_images, unusable
from wholenet.data.finding import EXAMPLES, Finding, by_severity, of_files, of_two_splits
from wholenet.data.labelled import LabelledSource, image_files, open_labelled
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sample import DataError
from wholenet.data.sets import data_set
from wholenet.data.survey import survey

RARE = 0.01
"""Images of a class, as a share of those of the largest, below which it is called rare."""


@dataclass(frozen=True)
class LabelledReview:
    """What a look at labelled images brought to light."""

    where: str
    findings: tuple[Finding, ...]
    """Errors first."""
    source: LabelledSource | None = None
    """The data set; None if it cannot be opened for one of the errors."""
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Split -> images of each class; K numbers."""


@checked_numbers
def review_labelled(
    where: str | Path,
    *,
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledReview:
    """Open labelled images, of any form that :func:`wholenet.data.labelled.open_labelled` knows, and say all that is
    wrong or odd."""
    root = Path(where).expanduser()
    files = image_files(root) if data_set(where) is None else []
    cache = FactsCache(root if files else None)
    found = survey(files, [], max_megapixels=max_megapixels, cache=cache, progress=progress)
    damaged = unusable(found)
    findings = [*damaged, *of_images(found.images)]
    try:
        source = open_labelled(where if data_set(where) is not None else root, max_megapixels)
    except DataError as error:
        told = [] if damaged else [Finding("error", "labelled-data", str(error))]
        return LabelledReview(str(where), tuple(by_severity([*findings, *told])))
    findings += labelled_findings(source)
    k = len(source.classes)
    counts = {name: tuple(np.bincount(source.splits[name].labels, minlength=k).tolist()) for name in _in_order(source)}
    return LabelledReview(str(where), tuple(by_severity(findings)), source, counts)


def labelled_findings(source: LabelledSource) -> list[Finding]:
    """The classes' balance, and the same image in two splits or under two labels."""
    train = np.bincount(source.splits["train"].labels, minlength=len(source.classes))
    findings = []
    if absent := [name for name, count in zip(source.classes, train, strict=True) if not count]:
        what = f"no image of train is {', '.join(map(repr, absent[:EXAMPLES]))}: it cannot be learned"
        advice = "Add images of these classes, or take the classes out."
        findings.append(Finding("warning", "missing-from-train", what, advice, count=len(absent)))
    if rare := [name for name, count in zip(source.classes, train, strict=True) if 0 < count < RARE * train.max()]:
        what = f"{', '.join(map(repr, rare[:EXAMPLES]))} has fewer than a hundredth of the images of the largest class"
        findings.append(Finding("warning", "rare-class", what, "It may never be predicted.", count=len(rare)))
    return [*findings, *_duplicates(source)]


def _in_order(source: LabelledSource) -> list[str]:
    return [name for name in ("train", "val", "test") if name in source.splits]


def _duplicates(source: LabelledSource) -> list[Finding]:
    copies: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for name, split in source.splits.items():
        for index, image in enumerate(split.images):
            copies[blake2b(image.tobytes(), digest_size=16).digest()].append((name, index))
    repeated = [group for group in copies.values() if len(group) > 1]

    def called(name: str, index: int) -> str:
        return str(source.files[name][index]) if name in source.files else f"{name} image {index}"

    findings = []
    for one, other in combinations(_in_order(source), 2):
        shared = [
            [called(*next(at for at in group if at[0] == name)) for name in (one, other)]
            for group in repeated
            if {one, other} <= {name for name, _ in group}
        ]
        advice = f"The score on {other} is not of unseen images. Remove one of each pair."
        findings += of_two_splits(one, other, shared, advice)
    torn = [group for group in repeated if len({int(source.splits[n].labels[i]) for n, i in group}) > 1]
    names = [" = ".join(called(*at) for at in group[:2]) for group in torn]
    advice = "Keep the right one: the same image cannot be of two classes."
    return [*findings, *of_files("warning", "labels-contradict", names, "under two different labels", advice)]
