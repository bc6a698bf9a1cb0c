"""The kernel of an operation that works channel by channel: what it takes to remove channels of it."""

from __future__ import annotations

from functools import cache

import torch

from wholenet.ops.operations import Operation
from wholenet.ops.shares import Kernel, kernel_of


@cache
def declared_kernel(operation: Operation) -> tuple[int, int]:
    """Side and dilation of what ``operation`` declares.

    Raises:
        ValueError: if it declares none, or does not work channel by channel.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        small, large = operation.make(4), operation.make(6)
    kernel: Kernel | None = kernel_of(small)
    shapes = [{name: tuple(t.shape) for name, t in layer.state_dict().items()} for layer in (small, large)]
    by_channel = shapes[0].keys() == shapes[1].keys() and all(
        a[:1] == (4,) and b[:1] == (6,) and a[1:] == b[1:] for a, b in zip(*(s.values() for s in shapes), strict=True)
    )
    if kernel is None or not by_channel:
        raise ValueError(
            f"channels of the operation {operation.name!r} cannot be removed: expected one that works channel by "
            "channel and declares its kernel (docs/extending.md); leave the operation or the budget out"
        )
    return max(kernel.weight.shape[2:]), kernel.dilation
