import numpy as np

from wholenet.data.cache import Cached
from wholenet.data.sample import Sample


class Counting:
    def __init__(self, size):
        self.reads = [0] * size

    def __len__(self):
        return len(self.reads)

    def __getitem__(self, index):
        self.reads[index] += 1
        return Sample(np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8), str(index))


def test_samples_are_read_once_until_the_limit_is_reached():
    data = Counting(3)
    cached = Cached(data, limit=2 * (18 + 6))
    assert len(cached) == 3
    for _ in range(2):
        assert [cached[i].name for i in range(3)] == ["0", "1", "2"]
    assert data.reads == [1, 1, 2]
