"""Parameters and arithmetic of a model, counted on ``meta`` tensors: nothing is computed, any size fits.

A multiply-add ("MAC") is one multiplication and one addition; FLOPs count it twice. Convolutions and matrix products
only, as `torch.utils.flop_counter` counts; element-wise work is not included.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from wholenet.ops.forms import plain_form
from wholenet.spaces.supernet import create_model


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


def count(name: str, *, num_classes: int = 19, height: int = 1024, width: int = 2048, cell: str = "mixture") -> Counts:
    """Count the model ``name`` on one image of height x width pixels.

    Raises:
        ValueError: for an unknown name, or a size below 1 pixel.
    """
    if height < 1 or width < 1:
        raise ValueError(f"an input of {height}x{width} pixels has nothing to count; give HEIGHTxWIDTH, e.g. 1024x2048")
    with torch.device("meta"):
        model = create_model(name, num_classes=num_classes, cell=cell).eval()
        x = torch.empty(1, 3, height, width)
        weights = {name: torch.empty(mask.shape) for name, mask in model.net.masks.items()}

    def flops(plain: bool) -> int:
        with plain_form(model, plain=plain), FlopCounterMode(display=False) as counter, torch.no_grad():
            model.net(x, weights)
        return counter.get_total_flops()

    parameters = sum(p.numel() for p in model.net.parameters())
    plain = flops(plain=True)
    return Counts(parameters=parameters, macs=plain // 2, flops=plain, macs_merged=flops(plain=False) // 2)
