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


@torch.no_grad()
def macs_as_run(model: Supernet, height: int, width: int) -> int:
    """Multiply-adds of one image of height x width pixels through ``model``, discrete or not, in the form that runs.

    By running it once, which for one forward pass is faster than pretending to. The model must be in eval mode.
    """
    x = torch.zeros(1, model.spec["in_channels"], height, width, device=next(model.net.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() // 2
