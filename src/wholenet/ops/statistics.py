"""BatchNorm's running statistics: how far a batch moves them, and when they must not move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


def counted_step(norm: nn.BatchNorm2d) -> float:
    """Count the batch that ``norm`` is about to see, if it is in training mode and may; how far its running statistics
    go towards that batch's, in [0, 1].

    That is its ``momentum``, or, if that is None, one over the number of batches so far: then the statistics are the
    plain averages over all batches (``nn.BatchNorm2d``; ``torch.optim.swa_utils.update_bn`` asks for it). Whatever runs
    a BatchNorm in another form reads its momentum here.

    A BatchNorm with an attribute ``seen`` sees the batch so many times at once: one pass stands for as many that would
    be the same.
    """
    if not norm.training:
        return 0.0
    seen: int = getattr(norm, "seen", 1)
    if norm.num_batches_tracked is not None:  # None within still_statistics
        norm.num_batches_tracked.add_(seen)
    if norm.momentum is not None:
        return norm.momentum if seen == 1 else 1 - (1 - norm.momentum) ** seen
    return 0.0 if norm.num_batches_tracked is None else seen / float(norm.num_batches_tracked)


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
