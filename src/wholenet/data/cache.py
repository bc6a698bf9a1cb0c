"""Keep decoded samples in memory, up to a limit."""

from __future__ import annotations

from wholenet.data.sample import Sample, SegmentationData


class Cached:
    """A data set whose samples are read once and then kept, until they fill ``limit`` bytes."""

    def __init__(self, data: SegmentationData, limit: int) -> None:
        self.data = data
        self.room = limit
        self.kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        if index in self.kept:
            return self.kept[index]
        sample = self.data[index]
        size = sample.image.nbytes + sample.mask.nbytes
        if size <= self.room:
            self.room -= size
            self.kept[index] = sample
        return sample
