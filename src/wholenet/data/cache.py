"""Keep decoded samples in memory, up to a limit."""

from __future__ import annotations

from typing import Any, Generic

import numpy as np

from wholenet.data.splits import Item, Numbered


class Cached(Generic[Item]):
    """A data set whose samples, of which arrays are a part, are read once and then kept, until they fill ``limit``
    bytes."""

    def __init__(self, data: Numbered[Item], limit: int) -> None:
        self.data = data
        self.room = limit
        self.kept: dict[int, Item] = {}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Item:
        if index in self.kept:
            return self.kept[index]
        sample = self.data[index]
        size = _bytes(sample)
        if size <= self.room:
            self.room -= size
            self.kept[index] = sample
        return sample


def _bytes(sample: Any) -> int:
    """Of its arrays."""
    parts = sample if isinstance(sample, tuple) else vars(sample).values()
    return sum(part.nbytes for part in parts if isinstance(part, np.ndarray))
