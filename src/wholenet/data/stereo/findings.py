"""What there is to say of pairs with disparity: facts in, findings out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil

import numpy as np

from wholenet.data.finding import EXAMPLES, Finding, but_for_numbers, of_files, of_two_splits
from wholenet.data.sample import DataError
from wholenet.data.stereo.facts import BINS, PairFacts, TruthFacts
from wholenet.data.stereo.matching import Matches
from wholenet.data.stored import PictureError
from wholenet.ranks import rank_correlation

MOSTLY = 0.75
"""Share of the known pixels with 0 from which on 0 seems to stand for unknown."""
LEAST_POINTS = 12
"""Fewer matches say nothing."""
SURE = 0.75
"""Share of the matches that must agree on a sign."""
ROWS = 1.0
"""Pixels that rows may not differ by."""
FACTOR = 4 / 3
"""That truth and matches may differ by, either way."""
STEP, STEP_OF_TINY = 8, 4
"""Pixels of the image that a displacement of the correlation stands for, at levels 3 and 2."""


def of_splits(facts: Mapping[str, Sequence[PairFacts]]) -> list[Finding]:
    """Of pairs that are in two splits, by their pixels."""
    places = {name: {pair.digest: pair.place for pair in found if pair.digest} for name, found in facts.items()}
    findings = []
    for one, other in combinations(places, 2):
        shared = [(place, places[other][digest]) for digest, place in places[one].items() if digest in places[other]]
        advice = f"The score on {other} is not of unseen pairs. Remove one of each."
        findings += of_two_splits(one, other, shared, advice, noun="pair")
    return findings


def of_pairs(facts: Sequence[PairFacts]) -> list[Finding]:
    """Of files that cannot be read, and of sizes."""
    groups: dict[tuple[str, str], list[DataError]] = defaultdict(list)
    for pair in facts:
        for problem in pair.problems:
            kind, reason = (problem.kind, problem.reason) if isinstance(problem, PictureError) else ("pair", "")
            groups[kind, but_for_numbers(reason)].append(problem)
    findings = []
    for (kind, _), group in groups.items():
        first = group[0]
        if not isinstance(first, PictureError):
            findings.append(Finding("error", kind, str(first), count=len(group)))
            continue
        files = [problem.place for problem in group if isinstance(problem, PictureError)]
        findings += of_files("error", kind, files, f"cannot be used: {first.reason}", first.advice, noun="file")
    differ = [pair for pair in facts if pair.differ]
    if differ:
        what = f"{len(differ)} pair{'s' * (len(differ) > 1)} of several sizes. {differ[0].differ}"
        findings.append(Finding("error", "sizes", what, files=_named(differ), count=len(differ)))
    findings += of_files(
        "warning",
        "same-image",
        [pair.place for pair in facts if pair.alike],
        "with the same pixels in left and right",
        "Nothing can be measured in it: put the right image in its place, or remove the pair.",
        noun="pair",
    )
    return findings


def of_truths(facts: Sequence[PairFacts]) -> list[Finding]:
    """Of the numbers in truths."""
    there = [(pair, pair.truth) for pair in facts if pair.truth is not None]
    mixed = [(p, t) for p, t in there if t.low < 0 < t.high and not p.either_sign]
    minus = [(p, t) for p, t in there if t.low < 0 and (p.either_sign or t.high <= 0)]
    zeros = [(p, t) for p, t in there if t.known and t.zeros > MOSTLY * t.known]
    beyond = [(p, t) for p, t in there if p.size is not None and max(-t.low, t.high) > p.size[1]]
    unknown = [p for p, t in there if not t.known]
    return [
        *_of_range(
            "truth-signs",
            mixed,
            "with disparities on both sides of 0",
            "Expected 0 or more (d = x_left - x_right), or 0 or less throughout. Mark what is not known as NaN.",
        ),
        *_of_range(
            "truth-zero",
            zeros,
            f"with 0 px at more than {MOSTLY:.0%} of the known pixels",
            "0 px is infinitely far away. If it stands for unknown, write NaN or infinite there (0 in a 16-bit PNG).",
        ),
        *_of_range(
            "truth-above-width",
            beyond,
            "with disparities beyond the width of the image",
            "Are these other units, or marks for unknown? Mark that as NaN, or give --disparity-scale.",
        ),
        *of_files(
            "note",
            "truth-negative",
            [pair.truth_place for pair, _ in minus],
            "of negative disparities, whose sign is dropped",
            "",
            noun="file",
        ),
        *of_files(
            "warning",
            "truth-unknown",
            [pair.truth_place for pair in unknown],
            "without any known pixel; left out",
            "Restore the truth, or remove the pair.",
            noun="file",
        ),
    ]


def _of_range(kind: str, found: Sequence[tuple[PairFacts, TruthFacts]], what: str, advice: str) -> list[Finding]:
    """An error about some truths, with the range of the first."""
    if not found:
        return []
    shown = f"{what} ({found[0][1].low:g} to {found[0][1].high:g} px)"
    return of_files("error", kind, [pair.truth_place for pair, _ in found], shown, advice, noun="file")


def _named(pairs: Sequence[PairFacts]) -> tuple[str, ...]:
    return tuple(pair.place for pair in pairs[:EXAMPLES])


def of_range(counts: np.ndarray, reach: float | None) -> list[Finding]:
    """How far the disparities go, or what of them is beyond ``reach``.

    Args:
        counts: pixels by whole pixels of disparity, as ``TruthFacts.counts``.
        reach: largest disparity, in pixels, that a network can see; None only says which it takes.
    """
    pixels, largest = int(counts.sum()), _largest(counts)
    if not pixels:
        return []
    needed, of_tiny = (max(1, ceil(largest / step)) for step in (STEP, STEP_OF_TINY))
    units = f"(of {STEP} px each; with --size tiny {of_tiny}, of {STEP_OF_TINY} px)"
    if reach is None:
        what = f"disparities up to {largest} px: --displacement {needed} holds them {units}"
        return [Finding("note", "largest-disparity", what)]
    above = int(counts[min(int(reach), BINS - 1) + 1 :].sum())
    if not above:
        return []
    what = (
        f"{100 * above / pixels:.2f} % of the known pixels have a disparity above {reach:g} px, which the correlation "
        f"does not reach; the largest is {largest} px"
    )
    advice = f"--displacement {needed} would hold them {units}."
    return [Finding("warning", "beyond-reach", what, advice, count=above)]


def _largest(counts: np.ndarray) -> int:
    there = np.flatnonzero(counts)
    return int(there[-1]) if there.size else 0


def of_matches(found: Matches) -> list[Finding]:
    """Of points that were found in both images, which tell whether left, right and truth are what they should be."""
    if len(found) < LEAST_POINTS:
        return []
    findings = []
    off = float(np.median(np.abs(found.rows)))
    if off >= ROWS:
        what = f"left and right are not rectified: rows differ by about {off:.0f} px, measured at {len(found)} points"
        advice = "Rectify the images first (OpenCV: stereoRectify and remap): a point must be in the same row of both."
        findings.append(Finding("warning", "rows", what, advice))
    shift = float(np.median(found.columns))
    if shift <= -1 and float((found.columns < 0).mean()) > SURE:
        what = f"left and right seem exchanged: the median of {len(found)} matches is at {shift:.0f} px"
        findings.append(Finding("warning", "exchanged", what, "Exchange the folders, or the names of the images."))
        return findings
    return findings + _of_truth(found)


def _of_truth(found: Matches) -> list[Finding]:
    fit = np.isfinite(found.truth) & (np.abs(found.rows) <= ROWS) & (found.columns >= 1)
    truth, measured = found.truth[fit], found.columns[fit]
    if len(truth) < LEAST_POINTS:
        return []
    alike = rank_correlation(truth, measured) or 0.0
    if alike <= -0.5:
        what = (
            f"the truth looks like depth: it is smaller where the images differ more (rank correlation {alike:.2f} at "
            f"{len(truth)} points)"
        )
        advice = "Disparity is focal length (in pixels) x baseline / depth, in pixels of the image: convert it."
        return [Finding("warning", "depth", what, advice)]
    factor = float(np.median(truth / measured))
    if alike >= 0.7 and not 1 / FACTOR <= factor <= FACTOR:
        what = f"the truth is about {factor:.2g} times what the images show, at {len(truth)} points"
        advice = (
            "Is it of the image in another size, or in other units? --disparity-scale says what one unit is in pixels."
        )
        return [Finding("warning", "truth-factor", what, advice)]
    return []
