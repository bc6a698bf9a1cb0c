"""Which images Auto-DeepLab's networks take, and which pixels of one each level's map is of: every s-th, from the first
on, s its stride. The paper resizes with aligned corners, which comes to the same where a side is a multiple of 32 and
one more, as its own are; at others that stretches maps, and their far end is off by up to s - 1 pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from wholenet import parallel
from wholenet.ops.resize import restride
from wholenet.spaces.autodeeplab.trellis import STRIDES
from wholenet.spaces.reach import FINEST

SMALLEST = 17
"""Least side of an image: below it, two levels are one pixel."""


def halved(height: int, width: int) -> tuple[int, int]:
    """Sizes after a convolution of stride 2, in the very form in which torch has them: an export compares these."""
    return (height - 1) // 2 + 1, (width - 1) // 2 + 1


def level_sizes(stem: Tensor) -> list[tuple[int, int]]:
    """Sizes of the levels' maps, given the finest: each half of the one before, rounded up."""
    sizes = [(stem.shape[-2], stem.shape[-1])]
    for _ in STRIDES[1:]:
        height, width = sizes[-1]
        sizes.append(halved(height, width))
    return sizes


def to_image(logits: Tensor, x: Tensor, level: int) -> Tensor:
    """A level's logits at the size of the images ``x``."""
    return restride(logits, (x.shape[-2], x.shape[-1]), level + FINEST, corners=True)


def check_images(x: Tensor, training: bool) -> None:
    """Make sure that networks of this space can do something with the images ``x`` [B, C, H, W].

    Raises:
        ValueError: if not.
    """
    if torch.compiler.is_compiling():  # sizes are not known there
        return
    # In evaluation nothing is normalised over the batch.
    check_batch(len(x) * parallel.processes() if training else 2, (x.shape[-2], x.shape[-1]))


def check_batch(images: int, size: tuple[int, int]) -> None:
    """Make sure that networks of this space can be trained on so many images at once, of (height, width).

    Raises:
        ValueError: if not.
    """
    height, width = size
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"images of {height}x{width} pixels have no four levels in the space 'autodeeplab', whose coarsest has "
            f"stride {STRIDES[-1]}; expected sides of at least {SMALLEST}"
        )
    if images < 2:
        raise ValueError(
            "a batch of one image: networks of the space 'autodeeplab' normalise what they pool of whole images over "
            "the batch; train with at least two, --batch 2"
        )
