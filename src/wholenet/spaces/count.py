"""Parameters and arithmetic of a model, counted where little is computed: any size of image fits.

A multiply-add ("MAC") is one multiplication and one addition; FLOPs count it twice. Convolutions and matrix products
only, as `torch.utils.flop_counter` counts; element-wise work is not included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from wholenet.checked import Cells, Channels, Classes, Side
from wholenet.ops.forms import plain_form
from wholenet.spaces.darts import SPACES, DartsNet
from wholenet.spaces.grid import STRIDES
from wholenet.spaces.supernet import Supernet, create_model

COARSEST = max(STRIDES)
"""Side of the patch that is a pixel of the coarsest feature map."""


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
def count(
    name: str, *, num_classes: Classes = 19, height: Side = 1024, width: Side = 2048, cell: str = "mixture"
) -> Counts:
    """Count the model ``name`` on one image of height x width pixels.

    Raises:
        ValueError: for an unknown name, or a number out of bounds.
    """
    model = create_model(name, num_classes=num_classes, cell=cell).eval()
    parameters = sum(p.numel() for p in model.net.parameters())
    whole = not (height % COARSEST or width % COARSEST)
    plain, merged = (linear_flops if whole else meta_flops)(model, height, width)
    return Counts(parameters=parameters, macs=plain // 2, flops=plain, macs_merged=merged // 2)


def linear_flops(model: Supernet, height: int, width: int) -> tuple[int, int]:
    """FLOPs of the plain form and of that which runs, for an image of whole ``COARSEST`` x ``COARSEST`` patches.

    By running the model on one patch and on two, which is much faster than pretending to on all: every feature map has
    a whole number of pixels per patch, so FLOPs are those of a patch times their number, and a constant.
    """
    patches = height * width // COARSEST**2
    one, two = (_both_forms(model, torch.zeros(1, model.spec["in_channels"], COARSEST, n * COARSEST)) for n in (1, 2))
    plain, merged = (first + (patches - 1) * (second - first) for first, second in zip(one, two, strict=True))
    return plain, merged


def meta_flops(model: Supernet, height: int, width: int) -> tuple[int, int]:
    """The same for any image, on ``meta`` tensors; ``model`` is moved there."""
    # Made on the CPU and then moved: torch fills meta tensors with random numbers ten times more slowly than real ones.
    return _both_forms(model.to("meta"), torch.empty(1, model.spec["in_channels"], height, width, device="meta"))


def _both_forms(model: Supernet, x: Tensor) -> tuple[int, int]:
    weights = {name: torch.zeros(mask.shape, device=x.device) for name, mask in model.net.masks.items()}

    def flops(plain: bool) -> int:
        with plain_form(model, plain=plain), FlopCounterMode(display=False) as counter, torch.no_grad():
            model.net(x, weights)
        return counter.get_total_flops()

    return flops(True), flops(False)


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
    space: str,
    *,
    num_classes: Classes = 10,
    height: Side = 32,
    width: Side = 32,
    channels: Channels = 16,
    cells: Cells = 8,
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
