"""Random numbers that several passes over one batch, or the processes that share it, have in common: dropped paths,
noise.

Letters: B samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from wholenet import parallel


class Draws:
    """What passes draw from torch's global generators, the same in each.

    Whatever runs within :meth:`same` draws what the first of them drew. Afterwards the generators are where the first
    left them, however many there were.

    Args:
        device: where the passes run.
    """

    def __init__(self, device: torch.device) -> None:
        self.gpus = [device] if device.type == "cuda" else []
        self.start: list[Tensor] | None = None
        """The generators' states before the first: the CPU's, then the GPU's."""

    @contextmanager
    def same(self) -> Iterator[None]:
        """One pass."""
        if self.start is None:
            self.start = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self.gpus)]
            yield
            return
        with torch.random.fork_rng(self.gpus):
            own, *of_gpus = self.start
            torch.set_rng_state(own)
            for gpu, state in zip(self.gpus, of_gpus, strict=True):
                torch.cuda.set_rng_state(state, gpu)
            yield


class _Rows:
    """Which samples of a batch this process has, while it is another share than of a training batch."""

    first_of_all: tuple[int, int] | None = None
    """The number of the first of them, and how many the batch has."""


@contextmanager
def rows_of(first: int, samples: int) -> Iterator[None]:
    """Within the block, what this process sees are the samples from number ``first`` on of a batch of ``samples``.
    Elsewhere each process has an equal share of a batch."""
    before, _Rows.first_of_all = _Rows.first_of_all, (first, samples)
    try:
        yield
    finally:
        _Rows.first_of_all = before


def drawn_for_all(like: Tensor, fill: Callable[[Tensor], Tensor]) -> Tensor:
    """Random numbers for samples ``like`` these, [B, ...]: they are drawn for the whole batch, in every process the
    same, and those of the own samples taken. So several processes draw what one does, and stay together.

    Args:
        like: of what shape, type and device.
        fill: puts random numbers into a tensor, from torch's global generators, and returns it.
    """
    own = torch.empty_like(like)
    first, samples = _Rows.first_of_all or (parallel.rank() * len(own), parallel.processes() * len(own))
    if samples == len(own):
        return fill(own)
    strides = (own[0].numel(), *own.stride()[1:])
    whole = torch.empty_strided((samples, *own.shape[1:]), strides, dtype=own.dtype, device=own.device)
    return fill(whole)[first : first + len(own)]


def dropped(x: Tensor, kept: float, like: Tensor | None = None) -> Tensor:
    """``x`` [B, ...] with each number kept with probability ``kept`` and divided by it, and else zero.

    Args:
        x: what is dropped of.
        kept: above 0.
        like: a tensor of the shape of what is drawn, which ``x`` is multiplied with: what lies along an axis of
            length 1 goes as a whole. None: each number for itself.
    """
    drawn = drawn_for_all(x if like is None else like, lambda whole: whole.bernoulli_(kept))
    return x * (drawn / kept)
