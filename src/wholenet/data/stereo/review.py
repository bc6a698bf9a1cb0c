"""Pairs with disparity, looked at before anything is trained on them: all that is wrong or odd, at once.

`wholenet check-data` shows what is found here; :func:`open_stereo` stops at its errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wholenet.checked import Disparity, DisparityScale, InnerShare, Megapixels, Seed, checked_numbers
from wholenet.data.finding import Finding, by_severity, refuse_errors
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sample import DataError
from wholenet.data.sets import Asked, data_set, open_as
from wholenet.data.splits import spread
from wholenet.data.stereo.facts import PairFacts, Progress, counted, facts_of
from wholenet.data.stereo.findings import of_matches, of_pairs, of_range, of_splits, of_truths
from wholenet.data.stereo.matching import matches
from wholenet.data.stereo.sample import StereoSample, StereoSource, StereoSplit
from wholenet.data.stereo.split import FilePairs, SomePairs, files_with_val, with_val
from wholenet.data.stereo.trees import find_tree

MATCHED = 4
"""Pairs of train in which points are looked for in both images."""
LOOKED_AT = 100
"""Pairs of a split that are read before a run; `wholenet check-data` reads all."""
OF_A_SET = 2
"""And of a data set that is known by name."""


@dataclass(frozen=True)
class StereoReview:
    """What a look at pairs brought to light."""

    where: str
    findings: tuple[Finding, ...]
    """Errors first."""
    source: StereoSource | None = None
    """The data set, without pairs whose truth knows nothing; None if it cannot be opened for one of the errors."""
    facts: Mapping[str, tuple[PairFacts, ...]] = field(default_factory=dict)
    """Of each split, of the pairs that were read."""


@checked_numbers
def review_stereo(
    where: str | Path,
    *,
    val_share: InnerShare = 0.2,
    seed: Seed = 0,
    scale: DisparityScale | None = None,
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
    reach: Disparity | None = None,
    most: int | None = None,
    progress: Progress | None = None,
) -> StereoReview:
    """Read pairs of any arrangement that is known (``data/stereo/trees.py``), and say all that is wrong or odd.

    Args:
        where: the folder, or the name of a data set.
        val_share: how much of train becomes val where there is none.
        seed: which part.
        scale: pixels of disparity per unit of the files; None is as the files say.
        max_megapixels: larger files are refused before they are decoded.
        reach: largest disparity, in pixels, that a network is to see; None only says how far they go.
        most: pairs of each split that are read, evenly spread; None is all.
        progress: told of (pairs done, pairs in all).

    Raises:
        ValueError: for a number out of bounds, or ``scale`` with a data set by name, whose disparity is in pixels.
    """
    findings: list[Finding] = []
    try:
        source = _opened(where, val_share, seed, scale, max_megapixels, findings)
    except (DataError, OSError) as error:
        if not any(finding.severity == "error" for finding in findings):
            findings.append(Finding("error", "no-stereo", str(error)))
        return StereoReview(str(where), tuple(by_severity(findings)))
    chosen = {name: spread(len(split), most) for name, split in source.splits.items()}
    total = sum(map(len, chosen.values()))
    facts: dict[str, tuple[PairFacts, ...]] = {}
    for name, indices in chosen.items():
        before = sum(map(len, facts.values()))

        def show(done: int, _: int, before: int = before) -> None:
            if progress:
                progress(before + done, total)

        facts[name] = tuple(facts_of(source.splits[name], indices, show))
    everything = [pair for found in facts.values() for pair in found]
    findings += [*of_pairs(everything), *of_splits(facts), *of_truths(everything)]
    for name, indices in chosen.items():
        if len(indices) < len(source.splits[name]):
            what = f"{len(indices)} of the {len(source.splits[name]):,} pairs of {name} were looked at"
            findings.append(Finding("note", "looked-at", what, "wholenet check-data looks at all."))
    findings += of_matches(matches(_good_samples(source.splits["train"], chosen["train"], facts["train"])))
    findings += of_range(counted(everything), reach)
    source = replace(source, splits=_without_unknown(source.splits, chosen, facts))
    empty = [name for name, split in source.splits.items() if not len(split)]
    if empty:
        what = f"{empty[0]} has no pair of whose disparity anything is known"
        findings.append(Finding("error", "no-truth", what, "Restore the truth of its pairs."))
    return StereoReview(str(where), tuple(by_severity(findings)), source, facts)


def open_stereo(
    where: str | Path,
    *,
    val_share: InnerShare = 0.2,
    seed: Seed = 0,
    scale: DisparityScale | None = None,
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
    reach: Disparity | None = None,
) -> StereoSource:
    """Open pairs in a folder, or a data set by its name, after a look at some of them.

    Its notes say how it was read, and what :func:`review_stereo` warns of.

    Args:
        where: as there, and so are the others.
        val_share: see there.
        seed: see there.
        scale: see there.
        max_megapixels: see there.
        reach: see there.

    Raises:
        DataError: for the errors that are found.
        ValueError: as there.
    """
    found = review_stereo(
        where,
        val_share=val_share,
        seed=seed,
        scale=scale,
        max_megapixels=max_megapixels,
        reach=reach,
        most=LOOKED_AT if data_set(where) is None else OF_A_SET,
    )
    refuse_errors(found.findings, str(where))
    assert found.source is not None  # there is one where there is no error
    told = [(finding.severity, finding.in_one_line) for finding in found.findings]
    notes = [f"warning: {what}" if severity == "warning" else what for severity, what in told]
    return replace(found.source, notes=tuple(notes))


def _opened(
    where: str | Path,
    val_share: float,
    seed: int,
    scale: float | None,
    max_megapixels: float,
    findings: list[Finding],
) -> StereoSource:
    """The data set, what is said of it on the way being added to the findings."""
    if (known := data_set(where)) is not None:
        if scale is not None:
            raise ValueError(f"disparity_scale={scale:g} is of files; the disparity of {known.name} is in pixels")
        asked = Asked(val_share=val_share, seed=seed, max_megapixels=max_megapixels)
        source = with_val(open_as(StereoSource, known, asked, "stereo"), known.name, val_share, seed)
        findings += [Finding("note", "how-read", note) for note in source.notes]
        return source
    root = Path(where).expanduser()
    tree = find_tree(root)
    findings += tree.findings
    splits, divided = tree.splits, ()
    if any(finding.severity == "error" for finding in tree.findings):
        splits = {name: pairs for name, pairs in splits.items() if pairs}
    else:
        splits, divided = files_with_val(root, splits, val_share, seed)
    notes = (f"read as {tree.told}", *tree.notes, *divided)
    findings += [Finding("note", "how-read", note) for note in notes]
    if "train" not in splits:
        raise DataError(f"{root} has no pair in train that is whole")
    return StereoSource(
        splits={name: FilePairs(pairs, scale, max_megapixels) for name, pairs in splits.items()}, notes=notes
    )


def _good_samples(split: StereoSplit, indices: list[int], facts: tuple[PairFacts, ...]) -> list[StereoSample]:
    good = []
    for index, pair in zip(indices, facts, strict=True):
        mixed = pair.truth is not None and pair.truth.low < 0 < pair.truth.high and not pair.either_sign
        if not (pair.problems or pair.differ or pair.alike or mixed):
            good.append(index)
    return [split[good[i]] for i in spread(len(good), MATCHED)]


def _without_unknown(
    splits: Mapping[str, StereoSplit], chosen: Mapping[str, list[int]], facts: Mapping[str, tuple[PairFacts, ...]]
) -> dict[str, StereoSplit]:
    kept: dict[str, StereoSplit] = {}
    for name, split in splits.items():
        bare = {i for i, f in zip(chosen[name], facts[name], strict=True) if f.truth is not None and not f.truth.known}
        kept[name] = SomePairs(split, [i for i in range(len(split)) if i not in bare]) if bare else split
    return kept
