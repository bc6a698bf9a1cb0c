"""Parts and sums of data sets, and orders that depend on nothing but names and a seed."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Generic, Protocol, TypeVar

from wholenet.data.sample import DataError, Sample, SegmentationData

Item = TypeVar("Item", covariant=True)


class Numbered(Protocol[Item]):
    """What is got by its number, from 0."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item: ...


class Part(Generic[Item]):
    """Some samples of another data set, by their indices there."""

    def __init__(self, data: Numbered[Item], indices: Iterable[int]) -> None:
        self.data = data
        self.indices = tuple(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Item:
        return self.data[self.indices[index]]


def spread(length: int, count: int | None) -> list[int]:
    """So many indices of ``length``, spread evenly; all if there are no more, or None are asked for.

    >>> spread(10, 4), spread(3, 5), spread(2, None)
    ([0, 2, 5, 7], [0, 1, 2], [0, 1])
    """
    if count is None or count >= length:
        return list(range(length))
    return [i * length // count for i in range(count)]


def evenly_spaced(data: SegmentationData, count: int | None) -> SegmentationData:
    """So many samples of ``data``, spread evenly over it; all of it if there are no more, or None are asked for."""
    return data if count is None or count >= len(data) else Part(data, spread(len(data), count))


class Joined:
    """Several data sets one after the other; a ``SegmentationData``."""

    def __init__(self, datas: Sequence[SegmentationData]) -> None:
        self.datas = tuple(datas)
        self._ends = tuple(accumulate(len(data) for data in self.datas))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Sample:
        index = range(len(self))[index]
        which = bisect_right(self._ends, index)
        return self.datas[which][index - (self._ends[which] - len(self.datas[which]))]


def seeded_order(names: Iterable[str], seed: int) -> list[str]:
    """The names in an order that looks random but is a property of each name: a new name moves no other past another.

    >>> order = seeded_order(["a", "b", "c"], seed=0)
    >>> [name for name in seeded_order(["d", "c", "b", "a"], seed=0) if name != "d"] == order
    True
    """
    return sorted(names, key=lambda name: _hash(f"{seed}:{name}"))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()  # a file's name may be any bytes


def seeded_indices(count: int, seed: int) -> list[int]:
    """0 to ``count`` - 1 in :func:`seeded_order`."""
    return [int(name) for name in seeded_order(map(str, range(count)), seed)]


def share_count(total: int, share: float, what: str) -> int:
    """How many of ``total`` samples make up ``share`` of them, with at least one on either side.

    Raises:
        ValueError: if ``share`` is not between 0 and 1.
        DataError: if there are fewer than two samples.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"{what}: a share must lie between 0 and 1, both excluded; found {share}")
    if total < 2:
        raise DataError(f"{what}: {total} image(s) cannot be divided in two; at least 2 are needed")
    return min(max(round(share * total), 1), total - 1)


def set_aside(total: int, share: float, seed: int, what: str) -> tuple[list[int], list[int]]:
    """Of ``total`` samples the indices of those that stay in train, and of those that become val.

    Raises:
        ValueError: if ``share`` is not between 0 and 1.
        DataError: if there are fewer than two samples.
    """
    count = share_count(total, share, f"{what}: train, of which a part must become val")
    order = seeded_indices(total, seed)
    return sorted(order[count:]), sorted(order[:count])


def split_train(data: Numbered[Item], share: float, seed: int) -> tuple[Part[Item], Part[Item]]:
    """Two disjoint parts that cover ``data``: ``share`` of it for the weights, the rest for the architecture.

    Raises:
        ValueError: if ``share`` is not between 0 and 1.
        DataError: if there are fewer than two samples.
    """
    count = share_count(len(data), share, "train, to be divided between weights and architecture")
    order = seeded_indices(len(data), seed)
    return Part(data, sorted(order[:count])), Part(data, sorted(order[count:]))
