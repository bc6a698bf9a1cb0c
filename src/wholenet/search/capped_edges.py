"""How a search with capped edges begins (DA2S, as its code has it): operations wait until edges have moved."""

from __future__ import annotations

import torch

from wholenet.architecture import CAPPED, Architecture

FIRST = {3: 0.666, 4: 0.5, 5: 0.4}
"""Logits of edges at the start by their number: as good as two of them."""
SHRINK = 0.1
"""Of the noise of the logits, against other searches: 1e-4."""
WAIT = 7 / 49
"""Share of the search in which operations stay: 7 of 50 epochs."""


def begin(arch: Architecture) -> None:
    """Set the logits of ``arch`` to what the search starts at."""
    with torch.no_grad():
        for name, logits in arch.logits.items():
            logits.mul_(SHRINK)
            if arch.others.get(name) is CAPPED:
                for row, number in zip(logits, arch.mask(name).sum(-1).tolist(), strict=True):
                    row.add_(FIRST.get(number, 0.0))


def waiting(arch: Architecture) -> frozenset[str]:
    """The parameters that stay at this time of the search."""
    return frozenset(set(arch.logits) - set(arch.others) if arch.progress < WAIT else ())
