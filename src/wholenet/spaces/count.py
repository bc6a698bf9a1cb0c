"""Parameters and arithmetic of a model, counted on ``meta`` tensors: nothing is computed, any size fits.

A multiply-add ("MAC") is one multiplication and one addition; FLOPs count it twice. Convolutions and matrix products
only, as `torch.utils.flop_counter` counts; element-wise work is not included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from wholenet.ops.forms import plain_form
from wholenet.spaces.darts import SPACES, DartsNet
from wholenet.spaces.supernet import Supernet, create_model


@dataclass(frozen=True)
class Counts:
    """What one forward pass of one image costs."""

    parameters: int
    """Weights of the network; the handful of architecture parameters is not included."""
    macs: int
    """Multiply-adds in the plain form (every candidate operation run), as papers count."""
    flops: int
    """2 * ``macs``."""
    macs_merged: int
    """Multiply-adds as run: kernels mixed first, 1 x 1 convolutions at the cheaper resolution."""


@lru_cache(maxsize=32)
def count(name: str, *, num_classes: int = 19, height: int = 1024, width: int = 2048, cell: str = "mixture") -> Counts:
    """Count the model ``name`` on one image of height x width pixels.

    Raises:
        ValueError: for an unknown name, or a size below 1 pixel.
    """
    if height < 1 or width < 1:
        raise ValueError(f"an input of {height}x{width} pixels has nothing to count; give HEIGHTxWIDTH, e.g. 1024x2048")
    # Made on the CPU and then moved: torch fills meta tensors with random numbers ten times more slowly than real ones.
    model = create_model(name, num_classes=num_classes, cell=cell).to("meta").eval()
    x = torch.empty(1, 3, height, width, device="meta")
    weights = {name: torch.empty(mask.shape, device="meta") for name, mask in model.net.masks.items()}

    def flops(plain: bool) -> int:
        with plain_form(model, plain=plain), FlopCounterMode(display=False) as counter, torch.no_grad():
            model.net(x, weights)
        return counter.get_total_flops()

    parameters = sum(p.numel() for p in model.net.parameters())
    plain = flops(plain=True)
    return Counts(parameters=parameters, macs=plain // 2, flops=plain, macs_merged=flops(plain=False) // 2)


@dataclass(frozen=True)
class SupernetCounts:
    """What a search supernet of a cell space is, and what one forward pass of one image costs."""

    parameters: int
    """Weights of the network; architecture parameters are not included."""
    architecture_parameters: int
    macs: int
    """Multiply-adds, every candidate operation run."""
    flops: int
    """2 * ``macs``."""


@lru_cache(maxsize=32)
def count_cells(
    space: str, *, num_classes: int = 10, height: int = 32, width: int = 32, channels: int = 16, cells: int = 8
) -> SupernetCounts:
    """Count the search supernet of the cell space ``space``.

    Raises:
        ValueError: for an unknown space, or a size that cannot be halved twice.
    """
    if space not in SPACES:
        raise ValueError(f"unknown cell space {space!r}; known: {', '.join(SPACES)}")
    if height % 4 or width % 4 or min(height, width) < 4:
        raise ValueError(f"an input of {height}x{width} cannot be halved twice; give multiples of 4, e.g. 32x32")
    net = DartsNet(SPACES[space], num_classes, channels=channels, cells=cells).to("meta").eval()
    weights = {kind: torch.empty(mask.shape, device="meta") for kind, mask in net.masks.items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, 3, height, width, device="meta"), weights)
    flops = counter.get_total_flops()
    own = sum(parameter.numel() for parameter in net.parameters())
    return SupernetCounts(own, sum(mask.numel() for mask in net.masks.values()), flops // 2, flops)


@torch.no_grad()
def macs_as_run(model: Supernet, height: int, width: int) -> int:
    """Multiply-adds of one image of height x width pixels through ``model``, discrete or not, in the form that runs.

    By running it once, which for one forward pass is faster than pretending to. The model must be in eval mode.
    """
    x = torch.zeros(1, model.spec["in_channels"], height, width, device=next(model.net.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() // 2
