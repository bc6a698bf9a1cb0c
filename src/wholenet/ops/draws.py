"""Random numbers that several passes over one batch have in common: dropped paths, noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


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
