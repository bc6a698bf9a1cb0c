"""A whole data set of images and masks, looked at before anything is trained on it: all that is wrong, at once.

`wholenet check-data` shows what is found here, and `wholenet fit` stops at its errors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wholenet.checked import InnerShare, Megapixels, Seed, checked_numbers
from wholenet.data.check import SplitStats, check_crop, check_split, measured
from wholenet.data.detect import as_source, class_file, class_table, find_tree
from wholenet.data.facts_cache import FactsCache
from wholenet.data.file_findings import (
    of_channels,
    of_images,
    of_kinds,
    of_masks,
    of_pairs,
    of_small_images,
    unusable,
)
from wholenet.data.finding import Finding, by_severity
from wholenet.data.folder import Pair
from wholenet.data.label_findings import of_labels
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pixels import PHOTO, Bands, Pixels, pixels_of
from wholenet.data.sample import Classes, DataError, DataSource
from wholenet.data.sets import Asked, DataSet, data_set, open_set
from wholenet.data.split_findings import duplicates, of_classes, of_ignored_masks, of_sizes, split_stats
from wholenet.data.survey import Surveyed, survey
from wholenet.data.tree import Tree
from wholenet.data.validation import with_val

Progress = Callable[[int, int], None]
"""Told of (files done, files in all)."""


@dataclass(frozen=True)
class Review:
    """What a look at a data set brought to light."""

    where: str
    findings: tuple[Finding, ...]
    """Errors first."""
    source: DataSource | None = None
    """The data set; None if it cannot be opened for one of the errors."""
    stats: Mapping[str, SplitStats] = field(default_factory=dict)
    """Of the splits, as far as their files can be used."""
    notes: tuple[str, ...] = ()
    """How the data was read."""


@checked_numbers
def review(
    where: str | Path,
    *,
    val_share: InnerShare = 0.2,
    seed: Seed = 0,
    crop: tuple[int, int] | None = None,
    bands: Bands = "auto",
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
    skipped: Collection[str] = (),
    progress: Progress | None = None,
) -> Review:
    """Decode every image and mask once, several at a time, and say all that is wrong or odd.

    What was decoded before, and has the same size and times, is not decoded again (``data/facts_cache.py``).

    Args:
        where: as for :func:`wholenet.data.detect.open_data`.
        val_share: as there.
        seed: as there.
        crop: (height, width) to be trained on; None leaves the choice to the data.
        bands: how image files become channels (``data/pixels.py``).
        max_megapixels: larger files are refused before they are decoded.
        skipped: splits that nobody will look at.
        progress: called after each file.

    Raises:
        ValueError: if a val split must be made and ``val_share`` is not between 0 and 1; for ``bands`` of a data set by
            name.
    """
    if (known := data_set(where)) is not None:
        if bands != "auto":
            raise ValueError(f"bands={bands!r} is about image files; {known.name} is a data set with images of its own")
        asked = Asked(val_share=val_share, seed=seed, max_megapixels=max_megapixels)
        return _of_set(known, asked, crop, skipped, progress)
    root = Path(where).expanduser()
    try:
        tree = find_tree(root)
    except (DataError, OSError) as error:
        return Review(str(where), (Finding("error", "layout", str(error)),))
    used = {split: pairs for split, pairs in tree.pairs.items() if split not in skipped}
    findings = list(tree.findings)
    splits: dict[str, list[Pair]] = dict(used)
    notes = tree.notes
    try:
        splits, divided = with_val(root, used, val_share, seed, by_folder=tree.by_folder)
        notes = (*notes, *divided)
    except DataError as error:
        if not any(finding.severity == "error" for finding in findings):  # too few images, and that is all
            example = tuple(str(image) for image, _ in used["train"])
            findings.append(Finding("error", "too-few", str(error), files=example))
    found = survey(
        [image for pairs in splits.values() for image, _ in pairs],
        [mask for pairs in splits.values() for _, mask in pairs],
        bands=bands,
        max_megapixels=max_megapixels,
        cache=FactsCache(root),
        progress=progress,
    )
    everything = [pair for pairs in splits.values() for pair in pairs]
    pixels = _pixels(splits.get("train", []), found, bands)
    findings += [*unusable(found), *of_kinds(found.images, bands), *of_channels(pixels)]
    findings += [*of_images(found.images), *of_small_images(found.images)]
    notes = notes if pixels == PHOTO else (*notes, pixels.told())
    findings += [*of_masks(found.masks), *of_pairs(everything, found)]
    findings += duplicates(splits, found)
    classes, told = _classes(root, tree, found)
    findings += told
    if classes is None:
        return Review(str(where), tuple(by_severity(findings)), notes=notes)
    table, origin, inferred = classes
    findings += of_labels(found.masks, table, inferred=inferred, where=class_file(root, tree))
    stats = {name: split_stats(pairs, found, table) for name, pairs in splits.items()}
    known = {name: split for name, split in stats.items() if split is not None}
    findings += of_ignored_masks(list(found.masks), found, table)
    findings += of_classes(splits, found, known, table)
    findings += of_sizes(splits.get("train", []), found, known.get("train"), crop)
    source = as_source(root, splits, table, (*notes, origin), max_megapixels, bands)
    source = replace(source, pixels=pixels)
    return Review(str(where), tuple(by_severity(findings)), source, known, source.notes)


def _pixels(train: Sequence[Pair], found: Surveyed, bands: Bands) -> Pixels:
    """Of the images of train, as far as they can be used and are of one kind."""
    facts = [found.images[image] for image, _ in train if image in found.images]
    if not facts:
        return PHOTO
    same = [one for one in facts if one.kind == facts[0].kind]
    return pixels_of(facts[0].type, bands, [(one.size[0] * one.size[1], one.stats) for one in same])


def _classes(root: Path, tree: Tree, found: Surveyed) -> tuple[tuple[Classes, str, bool] | None, list[Finding]]:
    """(The class table, where it comes from, whether it was inferred from the masks), or why there is none."""
    if not found.masks:
        return None, []  # everything else that is wrong has been said
    try:
        table, origin = class_table(root, tree, None, found.masks)
    except DataError as error:
        return None, [Finding("error", "classes", str(error))]
    return (table, origin, "inferred" in origin), []


def _of_set(
    known: DataSet, asked: Asked, crop: tuple[int, int] | None, skipped: Collection[str], progress: Progress | None
) -> Review:
    try:
        source = open_set(known, asked)
    except (DataError, OSError) as error:
        return Review(known.name, (Finding("error", "layout", str(error)),))
    used = {name: data for name, data in source.splits.items() if name not in skipped}
    if used and source.pixels is None:
        source = replace(source, pixels=measured(source.splits["train"]))
    total, before = sum(len(data) for data in used.values()), 0
    stats = {}
    for name, data in used.items():

        def show(done: int, _: int, before: int = before) -> None:
            if progress:
                progress(before + done, total)

        stats[name] = check_split(data, source.classes, name=name, pixels=source.pixels or PHOTO, progress=show)
        before += len(data)
    findings = []
    if crop is not None and "train" in stats:
        try:
            check_crop(stats["train"], crop, "train")
        except DataError as error:
            findings.append(Finding("error", "smaller-than-crop", str(error)))
    return Review(known.name, tuple(findings), source, stats, source.notes)
