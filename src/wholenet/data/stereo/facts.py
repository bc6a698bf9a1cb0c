"""What is in the files of pairs, as far as it can be judged without another pair.

Letters: H x W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError
from wholenet.data.stereo.disparity_files import as_truth
from wholenet.data.stereo.sample import StereoSplit
from wholenet.data.stereo.split import FilePairs, size_problem
from wholenet.data.stereo.trees import PairFiles

BINS = 4096
"""Disparities are counted by whole pixels up to that."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TruthFacts:
    """What a truth holds."""

    pixels: int
    known: int
    """Pixels with a number."""
    zeros: int
    """And of these, those with 0."""
    low: float
    """Smallest number, of the sign that the file has; 0 where there is none."""
    high: float
    counts: NDArray[np.int64]
    """At n the pixels whose disparity without sign is above n - 1 and at most n; as long as it must be."""
    visible: int | None = None
    """Known pixels that the right image sees; None where the data does not say."""


@dataclass(frozen=True)
class PairFacts:
    """What the files of a pair hold."""

    place: str
    """The left image, or the name of the pair."""
    truth_place: str
    size: tuple[int, int] | None = None
    """(height, width) of the left image, if it can be read."""
    problems: tuple[DataError, ...] = ()
    """Files that cannot be read."""
    differ: str = ""
    """What to say of sizes that differ."""
    alike: bool = False
    """Whether left and right are the same image."""
    digest: bytes = b""
    """Of the pixels of both, where they can be read: equal of equal pairs."""
    either_sign: bool = False
    """Whether signs in the truth mean nothing."""
    truth: TruthFacts | None = None


def counted(facts: Iterable[PairFacts]) -> NDArray[np.int64]:
    """The ``counts`` of all truths together, [BINS]."""
    found = np.zeros(BINS, np.int64)
    for pair in facts:
        if pair.truth is not None:
            found[: len(pair.truth.counts)] += pair.truth.counts
    return found


def facts_of(split: StereoSplit, indices: Sequence[int], progress: Progress | None = None) -> list[PairFacts]:
    """Read these pairs of a split, several at a time.

    Args:
        split: in files, or any other.
        indices: of the pairs.
        progress: told of (pairs done, pairs in all) after each.
    """
    found = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for facts in pool.map(lambda index: _look(split, index), indices):
            found.append(facts)
            if progress:
                progress(len(found), len(indices))
    return found


def _look(split: StereoSplit, index: int) -> PairFacts:
    if isinstance(split, FilePairs):
        return _of_files(split, split.pairs[index])
    name = split.names[index]
    try:
        sample = split[index]
    except (OSError, ValueError) as error:
        problem = error if isinstance(error, DataError) else DataError(f"{name}: {error!r}")
        return PairFacts(name, name, problems=(problem,))
    shapes = [list(each.shape) for each in (sample.left, sample.right, sample.disparity)]
    if shapes[0] != shapes[1] or shapes[0] != [*shapes[2], 3] or sample.left.dtype != np.uint8:
        kinds = f"{sample.left.dtype} {shapes[0]} and {sample.right.dtype} {shapes[1]}, disparity {shapes[2]}"
        return PairFacts(name, name, differ=f"{name}: images {kinds}; expected uint8 [H, W, 3] twice, and [H, W]")
    alike = bool((sample.left == sample.right).all())
    truth = _of_truth(sample.disparity, sample.visible)
    digest = _digest((sample.left, sample.right))
    return PairFacts(name, name, (shapes[2][0], shapes[2][1]), alike=alike, digest=digest, truth=truth)


def _of_files(split: FilePairs, pair: PairFiles) -> PairFacts:
    problems: list[DataError] = []
    images = []
    for path in (pair.left, pair.right):
        try:
            images.append(read_image(path, split.max_megapixels))
        except DataError as error:
            problems.append(error)
    truth = facts = None
    try:
        truth = split.truth(pair)
        facts = _of_truth(truth)
        right_truth = split.right_truth(pair, truth)
        facts = _of_truth(truth, split.visible(pair, as_truth(truth, pair.truth, either_sign=True), right_truth))
    except DataError as error:
        problems.append(error)
    differ = ""
    if len(images) == 2:
        differ = size_problem(pair, images[0].shape[:2], images[1].shape[:2], None if truth is None else truth.shape)
    return PairFacts(
        str(pair.left),
        str(pair.truth),
        (images[0].shape[0], images[0].shape[1]) if len(images) == 2 else None,
        tuple(problems),
        differ,
        len(images) == 2 and not differ and bool((images[0] == images[1]).all()),
        _digest(images) if len(images) == 2 else b"",
        pair.either_sign,
        facts,
    )


def _digest(images: Iterable[NDArray[np.uint8]]) -> bytes:
    found = blake2b(digest_size=16)
    for image in images:
        found.update(repr(image.shape).encode())
        found.update(image.tobytes())
    return found.digest()


def _of_truth(truth: NDArray[np.float32], visible: NDArray[np.bool_] | None = None) -> TruthFacts:
    known = truth[np.isfinite(truth)]
    whole = np.ceil(np.abs(known)).clip(0, BINS - 1).astype(np.int64)
    return TruthFacts(
        pixels=truth.size,
        known=known.size,
        zeros=int((known == 0).sum()),
        low=float(known.min()) if known.size else 0.0,
        high=float(known.max()) if known.size else 0.0,
        counts=np.bincount(whole),
        visible=None if visible is None else int((visible & np.isfinite(truth)).sum()),
    )
