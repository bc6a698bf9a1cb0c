"""The data sets ``scenes`` and ``scenes-stereo``: three splits, each its own range of scene indices."""

from __future__ import annotations

from typing import Literal

from wholenet.data.sample import DataSource, Sample
from wholenet.data.stereo.sample import StereoSample, StereoSource
from wholenet_scenes.classes import CLASSES
from wholenet_scenes.pairs import BASELINE_M, draw_pair
from wholenet_scenes.scene import draw_scene

Split = Literal["train", "val", "test"]
SPLIT_SIZES: dict[str, int] = {"train": 400, "val": 60, "test": 100}
SPLIT_STRIDE = 1_000_000
"""Each split draws from its own range of this many indices: that is what keeps the splits apart."""
NOTE = "drawn on the fly: every scene is a function of the seed and its index, nothing is read from disk"


class DrawnSplit:
    """What the splits of both data sets have in common: which scenes are theirs, and what they are called.

    Args:
        split: "train", "val" or "test"; they share no scene.
        size: the number of scenes; None means 400, 60 and 100.
        seed: which world.
        height, width: of every image, in pixels.

    Raises:
        ValueError: if there is no such split, or ``size`` is not from 1 to a million.
    """

    def __init__(
        self, split: Split, size: int | None = None, seed: int = 0, height: int = 192, width: int = 256
    ) -> None:
        if split not in SPLIT_SIZES:
            raise ValueError(f"scenes has no split {split!r}; it has {', '.join(SPLIT_SIZES)}")
        size = SPLIT_SIZES[split] if size is None else size
        if not 1 <= size <= SPLIT_STRIDE:
            raise ValueError(f"size={size} scenes asked of split {split!r}; choose from 1 to {SPLIT_STRIDE}")
        self.split, self.size, self.seed, self.height, self.width = split, size, seed, height, width
        self.first = SPLIT_STRIDE * list(SPLIT_SIZES).index(split)

    def __len__(self) -> int:
        return self.size

    def scene(self, index: int) -> int:
        """Which scene of its world stands at ``index``.

        Raises:
            IndexError: if none does.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"scene {index} of split {self.split!r}, which has scenes 0 to {self.size - 1}")
        return self.first + index

    def name(self, index: int) -> str:
        """What the scene at ``index`` is called."""
        return f"scene-{self.split}-{index:05d}"


class Scenes(DrawnSplit):
    """One split of the built-in data set; scene i is drawn when it is asked for. Its arguments are
    :class:`DrawnSplit`'s."""

    def __getitem__(self, index: int) -> Sample:
        """Draw scene ``index`` of the split, 0 <= index < len."""
        image, mask = draw_scene(self.seed, self.scene(index), self.height, self.width)
        return Sample(image, mask, self.name(index))


class ScenePairs(DrawnSplit):
    """One split of the built-in pairs: the scenes of :class:`Scenes`, index by index, seen by two eyes.

    Args:
        split, size, seed, height, width: as of :class:`DrawnSplit`.
        baseline_m: from eye to eye, in metres; disparities grow with it.

    Raises:
        ValueError: as :class:`DrawnSplit`; where a pair is drawn, as :func:`wholenet_scenes.pairs.draw_pair`.
    """

    def __init__(
        self,
        split: Split,
        size: int | None = None,
        seed: int = 0,
        height: int = 192,
        width: int = 256,
        baseline_m: float = BASELINE_M,
    ) -> None:
        super().__init__(split, size, seed, height, width)
        self.baseline_m = baseline_m

    @property
    def names(self) -> tuple[str, ...]:
        """Of each pair."""
        return tuple(map(self.name, range(self.size)))

    def __getitem__(self, index: int) -> StereoSample:
        """Draw pair ``index`` of the split, 0 <= index < len."""
        return draw_pair(self.seed, self.scene(index), self.height, self.width, self.baseline_m)


def open_scenes(seed: int = 0) -> DataSource:
    """The data set ``scenes`` with its three splits, at 192 x 256 pixels.

    >>> open_scenes().classes.names[:3]
    ('sky', 'building', 'road')
    """
    splits = {"train": Scenes("train", seed=seed), "val": Scenes("val", seed=seed), "test": Scenes("test", seed=seed)}
    return DataSource("scenes", CLASSES, splits, (NOTE,))


def open_scene_pairs(seed: int = 0) -> StereoSource:
    """The data set ``scenes-stereo`` with its three splits, at 192 x 256 pixels and a baseline of half a metre.

    >>> len(open_scene_pairs().splits["val"])
    60
    """
    pairs = (ScenePairs("train", seed=seed), ScenePairs("val", seed=seed), ScenePairs("test", seed=seed))
    return StereoSource(splits={split.split: split for split in pairs}, notes=(NOTE,))
