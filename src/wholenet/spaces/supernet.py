"""What users hold: a network together with its architecture; and the names by which one is made."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wholenet.architecture import RELAXATIONS, Architecture
from wholenet.spaces.grid import Grid
from wholenet.spaces.sizes import GRID_SIZES, grid_size


class Supernet(nn.Module):
    """Owns ``net`` and ``arch``, saves both, and calls ``net(x, arch())``.

    Args:
        net: called with (x, weights); has ``masks``, the choices of its space.
        arch: the architecture parameters of that space.
        spec: the arguments of :func:`create_model` that make this model again, as plain values.
    """

    def __init__(self, net: Grid, arch: Architecture, spec: dict[str, Any]) -> None:
        super().__init__()
        self.net = net
        self.arch = arch
        self.spec = spec

    def placed(self, device: torch.device) -> Supernet:
        """This model on ``device``, convolution weights in channels_last layout, which is how everything here runs."""
        self.to(device)
        for parameter in self.net.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, in_channels, H, W] -> class logits [B, classes, H, W]."""
        return self.net(x, self.arch())


def create_model(
    name: str,
    *,
    num_classes: int,
    in_channels: int = 3,
    cell: str = "mixture",
    activation: str = "hardswish",
    relaxation: str = "softmax",
) -> Supernet:
    """An untrained supernet by name: "grid-" and a size of ``spaces.sizes``.

    Weights come from torch's global random state: call ``torch.manual_seed`` first for a repeatable start.

    Raises:
        ValueError: for an unknown name or option (the known ones are listed), or counts below 1.

    >>> model = create_model("grid-nano", num_classes=4)
    >>> model(torch.zeros(1, 3, 33, 47)).shape
    torch.Size([1, 4, 33, 47])
    """
    space, _, size = name.partition("-")
    if space != "grid" or size not in GRID_SIZES:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(f'grid-{s}' for s in GRID_SIZES)}")
    if num_classes < 1 or in_channels < 1:
        raise ValueError(f"num_classes={num_classes} and in_channels={in_channels} must both be at least 1")
    if relaxation not in RELAXATIONS:
        raise ValueError(f"unknown relaxation {relaxation!r}; known: {', '.join(RELAXATIONS)}")
    spec = {
        "name": name,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "cell": cell,
        "activation": activation,
        "relaxation": relaxation,
    }
    net = Grid(grid_size(size), num_classes, in_channels, cell=cell, activation=activation)
    return Supernet(net, Architecture(net.masks, RELAXATIONS[relaxation]), spec)
