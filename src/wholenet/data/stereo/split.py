"""Splits of pairs that are read from files, and the part of train that becomes val where there is none.

Letters: H x W pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError
from wholenet.data.splits import Part, seeded_order, set_aside, share_count
from wholenet.data.stereo.disparity_files import as_truth, read_disparity
from wholenet.data.stereo.sample import StereoSample, StereoSource, StereoSplit
from wholenet.data.stereo.trees import PairFiles
from wholenet.data.validation import set_aside_note

VISIBLE = 255
"""In Middlebury's masks; 128 is hidden to the right image, 0 unknown."""
AGREE = 1.0
"""Pixels by which the truths of both images may differ at one point."""


class FilePairs:
    """Pairs in files, read when they are asked for; a ``StereoSplit``.

    Args:
        pairs: their files.
        scale: pixels of disparity per unit of the files; None is as the files say.
        max_megapixels: larger files are refused before they are decoded.
    """

    def __init__(
        self, pairs: Sequence[PairFiles], scale: float | None = None, max_megapixels: float = MAX_MEGAPIXELS
    ) -> None:
        self.pairs = tuple(pairs)
        self.scale = scale
        self.max_megapixels = max_megapixels

    @property
    def names(self) -> tuple[str, ...]:
        """Where each is in its split, fit for a file's name."""
        return tuple(pair.key.replace("/", "__") for pair in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> StereoSample:
        """Read one pair.

        Raises:
            DataError: if a file cannot be read, or sizes differ.
            IndexError: if there is no such pair.
        """
        pair = self.pairs[range(len(self))[index]]
        left, right = read_image(pair.left, self.max_megapixels), read_image(pair.right, self.max_megapixels)
        truth = as_truth(self.truth(pair), pair.truth, either_sign=pair.either_sign)
        if problem := size_problem(pair, left.shape[:2], right.shape[:2], truth.shape):
            raise DataError(problem)
        other = self.right_truth(pair, truth)
        visible = self.visible(pair, truth, other)
        return StereoSample(
            left,
            right,
            truth,
            visible,
            other,
            None if other is None else seen_by(other[:, ::-1], truth[:, ::-1])[:, ::-1],
        )

    def truth(self, pair: PairFiles) -> NDArray[np.float32]:
        """The disparity in a file, of the sign that it has.

        Raises:
            PictureError: if it cannot be read.
        """
        return read_disparity(pair.truth, self.scale, self.max_megapixels, of_sintel=pair.of_sintel)

    def right_truth(self, pair: PairFiles, truth: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The disparity of the right image [H, W], 0 or more; None where no file has it.

        Raises:
            DataError: if it cannot be read, or is of another size than the left one's, ``truth``.
        """
        if pair.right_truth is None:
            return None
        found = read_disparity(pair.right_truth, self.scale, self.max_megapixels)
        if found.shape != truth.shape:
            raise DataError(_differ(pair.truth, truth.shape, pair.right_truth, found.shape))
        return as_truth(found, pair.right_truth, either_sign=pair.either_sign)

    def visible(
        self, pair: PairFiles, truth: NDArray[np.float32], right_truth: NDArray[np.float32] | None
    ) -> NDArray[np.bool_] | None:
        """Which pixels of known ``truth`` [H, W] the right image sees, by files that say so, or else by its own truth.

        Returns:
            bool [H, W]; None where neither is there.

        Raises:
            DataError: if a file cannot be read, or has another size.
        """
        if not pair.seen_in:
            return None if right_truth is None else seen_by(truth, right_truth)
        visible = np.isfinite(truth)
        for path in pair.seen_in:
            if pair.sight == "truth":
                values = read_disparity(path, self.scale, self.max_megapixels)
                seen = np.isfinite(values)
            else:
                values = read_image(path, self.max_megapixels)[..., 0]
                seen = values == VISIBLE if pair.sight == "mask" else values == 0
            if seen.shape != truth.shape:
                raise DataError(_differ(pair.truth, truth.shape, path, seen.shape))
            visible &= seen
        return visible


def seen_by(truth: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which pixels of the left image the right one sees: where its disparity, at the place that ``truth`` says, is
    known and the same but for a pixel. What lies outside of it is not seen.

    Args:
        truth: disparity of the left image [H, W], 0 or more; NaN where it is not known.
        other: of the right image. In the mirror, of both, left and right change places.

    Returns:
        bool [H, W].
    """
    row, column = np.nonzero(np.isfinite(truth))
    there = np.rint(column - truth[row, column]).astype(int)
    seen = np.zeros(truth.shape, bool)
    inside = there >= 0
    row, column, there = row[inside], column[inside], there[inside]
    with np.errstate(invalid="ignore"):
        seen[row, column] = np.abs(other[row, there] - truth[row, column]) <= AGREE
    return seen


def size_problem(
    pair: PairFiles, left: tuple[int, ...], right: tuple[int, ...] | None, truth: tuple[int, ...] | None
) -> str:
    """What to say of files whose sizes differ; nothing where they are equal. None is not known."""
    if right is not None and left != right:
        return _differ(pair.left, left, pair.right, right)
    if truth is not None and left != truth:
        return (
            f"{_differ(pair.left, left, pair.truth, truth)}. If the truth is of the image in another size, its "
            "numbers have to be scaled with it"
        )
    return ""


def _differ(one: Path, size: tuple[int, ...], other: Path, other_size: tuple[int, ...]) -> str:
    shown = ["x".join(map(str, each)) for each in (size, other_size)]
    return f"{one} is {shown[0]} but {other} is {shown[1]} (height x width); both must have one size"


class SomePairs(Part[StereoSample]):
    """Some pairs of another split, by their indices there; a ``StereoSplit``."""

    data: StereoSplit

    @property
    def names(self) -> tuple[str, ...]:
        """As the other split calls them."""
        names = self.data.names
        return tuple(names[index] for index in self.indices)


def files_with_val(
    where: Path, splits: Mapping[str, Sequence[PairFiles]], val_share: float, seed: int
) -> tuple[dict[str, Sequence[PairFiles]], tuple[str, ...]]:
    """The splits, val taken from train where it is missing, whole scenes at a time; with a note that says so.

    Raises:
        DataError: if val is missing and train has fewer than two pairs.
    """
    if "val" in splits:
        return dict(splits), ()
    train = splits["train"]
    count = share_count(len(train), val_share, f"{where}: train, of which a part must become val")
    scenes: dict[str, list[PairFiles]] = defaultdict(list)
    for pair in train:
        scenes[pair.scene].append(pair)
    if 1 < len(scenes) < len(train):
        held: set[str] = set()
        for scene in seeded_order(scenes, seed)[:-1]:
            if held and sum(len(scenes[one]) for one in held) >= count:
                break
            held.add(scene)
        chosen = {pair.key for pair in train if pair.scene in held}
        what = f"{len(held)} of the {len(scenes)} scenes of train, with {len(chosen)} of the {len(train)} pairs,"
    else:
        chosen = set(seeded_order([pair.key for pair in train], seed)[:count])
        what = f"{len(chosen)} of the {len(train)} pairs of train"
    parts = {
        "train": [pair for pair in train if pair.key not in chosen],
        "val": [pair for pair in train if pair.key in chosen],
    }
    note = set_aside_note(what, len(chosen), val_share, seed)
    return {**parts, **{name: own for name, own in splits.items() if name != "train"}}, (note,)


def with_val(source: StereoSource, where: str, val_share: float, seed: int) -> StereoSource:
    """A data set that is known by name, val taken from its train where it is missing.

    Raises:
        DataError: if there are fewer than two pairs.
    """
    if "val" in source.splits:
        return source
    train = source.splits["train"]
    left, held = set_aside(len(train), val_share, seed, where)
    parts = {"train": SomePairs(train, left), "val": SomePairs(train, held)}
    note = set_aside_note(f"{len(held)} of the {len(train)} pairs of train", len(held), val_share, seed)
    return replace(source, splits={**source.splits, **parts}, notes=(*source.notes, note))
