"""BatchNorm's running statistics: when they must not move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def still_statistics(*parts: nn.Module) -> Iterator[None]:
    """Within the block, every BatchNorm in ``parts`` that is in training mode normalises by the batch and leaves its
    running statistics alone; in eval mode it uses them as ever.
    """
    norms = [m for part in parts for m in part.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # A step of length zero, not other buffers: a pass that is run again must save the same tensors.
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
