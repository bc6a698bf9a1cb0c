"""At which size a network sees an image when it predicts.

Crops that a network is trained on are zoomed at random; whole images are seen at one zoom. Where that is far from those
of the training, objects are larger or smaller than any that it has learned.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from wholenet.ops.resize import resize


def percent(zoom: float) -> int:
    """What is counted of it."""
    return round(zoom * 100)


def zoomed(length: int, zoom: float) -> int:
    """A side of ``length`` pixels, as the network sees it: rounded up.

    >>> [zoomed(length, 0.6) for length in (480, 33, 1)]
    [288, 20, 1]
    """
    # Whole numbers alone: exported graphs compute the same of sizes that are not known yet.
    return (length * percent(zoom) + 99) // 100


def seen_at(zoom: float, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Class logits [B, classes, H, W] of images ``x`` [B, C, H, W] that ``run``, which makes such, sees at ``zoom``."""
    if zoom == 1:
        return run(x)
    height, width = x.shape[-2:]
    return resize(run(resize(x, (zoomed(height, zoom), zoomed(width, zoom)))), (height, width))
