"""Endless, repeatable batches: batch k is a pure function of (seed, stream, k).

So a continued run needs no state of a sampler or a random generator, only the number of the next batch, and the number
of worker processes changes nothing.

Letters: B images, C channels, H x W pixels.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import SegmentationData

UNGUARDED = (
    "worker processes import the script that starts them, so it must not train when it is imported: put the call below "
    '`if __name__ == "__main__":` in a file, or use workers=0'
)

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""(image [H, W, C], mask uint8 [H, W], random source) -> both changed, all of one size: the image as uint8 of a
photograph, else as :meth:`wholenet.data.pixels.Pixels.augmentable` gives it."""


class Order(Dataset[Any]):
    """Which samples make batch k, and the random source of each: an abstract stream of batches.

    The samples are the data set in a random order, then in another, and so on without a seam, so every sample is seen
    once before any is seen twice, whatever the batch size.

    Args:
        size: samples in the data set.
        batch: B.
        seed: of the run.
        stream: tells the streams of one run apart ("weights", "architecture"): same data, separately drawn.
        batches: length.
        shares: into how many equal shares every batch is cut, for as many processes.
        share: which of them this stream gives, from 0.
    """

    def __init__(
        self, size: int, batch: int, *, seed: int, stream: str, batches: int, shares: int = 1, share: int = 0
    ) -> None:
        self.size = size
        self.batch = batch
        self.key = [seed, *stream.encode()]
        self.batches = batches
        self.places = range(batch * share // shares, batch * (share + 1) // shares)
        """Of this share in each batch."""

    def __len__(self) -> int:
        return self.batches

    def indices(self, k: int) -> list[int]:
        """Which samples make this share of batch k."""
        positions = [k * self.batch + place for place in self.places]
        orders = {turn: self.rng(0, turn).permutation(self.size) for turn in {p // self.size for p in positions}}
        return [int(orders[p // self.size][p % self.size]) for p in positions]

    def rng(self, purpose: int, number: int) -> np.random.Generator:
        """A random source of its own for each purpose (0: the order, 1: augmentation) and number (turn, or sample)."""
        return np.random.default_rng([*self.key, purpose, number])


class BatchStream(Order):
    """Item k is batch k, or this share of it: images float32 [B, C, H, W] and masks int64 [B, H, W].

    Args:
        data: where samples come from.
        batch: B.
        augment: see ``Augment``.
        pixels: what the images are.
        order: the rest of :class:`Order`.
    """

    def __init__(
        self, data: SegmentationData, batch: int, augment: Augment, pixels: Pixels = PHOTO, **order: Any
    ) -> None:
        super().__init__(len(data), batch, **order)
        self.data = data
        self.augment = augment
        self.pixels = pixels

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        images, masks = [], []
        for place, index in zip(self.places, self.indices(k), strict=True):
            sample = self.data[index]
            image, mask = self.augment(sample.image, sample.mask, self.rng(1, k * self.batch + place))
            images.append(self.pixels.augmented(image))
            masks.append(mask)
        # [B, H, W, C] seen as [B, C, H, W] is channels_last already.
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(masks)).long()


def batches(stream: Order, first: int, workers: int, *, pinned: bool = False) -> Iterator[Any]:
    """Batches ``first``, ``first`` + 1, ... of a stream, read ahead by ``workers`` processes (0: in this one).

    The processes start when the first batch is asked for. ``pinned`` memory can be copied to a GPU while it computes.
    """
    # A generator of its own, or the loader would draw from torch's, and a continued run would draw once more.
    generator = torch.Generator().manual_seed(0)
    order = range(first, len(stream))
    yield from DataLoader(
        stream,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        generator=generator,
        worker_init_fn=_start_worker,
        pin_memory=pinned,
    )


def check_workers(workers: int) -> None:
    """Make sure that the script that is running lets itself be imported, if ``workers`` processes are to read batches.

    Where processes are not forked, each imports the script that is run; one that begins to train when it is imported
    would begin again in each of them.

    Raises:
        ValueError: if it does not.
        SystemExit: in a process that is just importing it.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself finds it out
        raise SystemExit(UNGUARDED)
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    if not workers or method == "fork":
        return
    tried = multiprocessing.Process(target=_nothing, daemon=True)
    tried.start()
    tried.join()
    if tried.exitcode:
        raise ValueError(UNGUARDED)


def _nothing() -> None:
    pass


def _start_worker(_number: int) -> None:
    # No threads inside a worker: there is a process for every core already.
    cv2.setNumThreads(0)
    # Both reach every process of a terminal or a job; the one that trains still wants its batches, and ends this one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
