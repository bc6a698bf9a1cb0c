"""The data set ``scenes``: three splits, each its own range of scene indices."""

from __future__ import annotations

from typing import Literal

from wholenet.data.sample import DataSource, Sample
from wholenet_scenes.classes import CLASSES
from wholenet_scenes.scene import draw_scene

Split = Literal["train", "val", "test"]
SPLIT_SIZES: dict[str, int] = {"train": 400, "val": 60, "test": 100}
SPLIT_STRIDE = 1_000_000
"""Each split draws from its own range of this many indices: that is what keeps the splits apart."""


class Scenes:
    """One split of the built-in data set; scene i is drawn when it is asked for.

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

    def __getitem__(self, index: int) -> Sample:
        """Draw scene ``index`` of the split, 0 <= index < len."""
        if not 0 <= index < self.size:
            raise IndexError(f"scene {index} of split {self.split!r}, which has scenes 0 to {self.size - 1}")
        image, mask = draw_scene(self.seed, self.first + index, self.height, self.width)
        return Sample(image, mask, f"scene-{self.split}-{index:05d}")


def open_scenes(seed: int = 0) -> DataSource:
    """The data set ``scenes`` with its three splits, at 192 x 256 pixels.

    >>> open_scenes().classes.names[:3]
    ('sky', 'building', 'road')
    """
    splits = {"train": Scenes("train", seed=seed), "val": Scenes("val", seed=seed), "test": Scenes("test", seed=seed)}
    notes = ("drawn on the fly: every scene is a function of the seed and its index, nothing is read from disk",)
    return DataSource("scenes", CLASSES, splits, notes)
