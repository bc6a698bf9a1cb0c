"""Parameters and arithmetic of a model, counted where little is computed: any size of image fits.

A multiply-add ("MAC") is one multiplication and one addition; FLOPs count it twice. Convolutions and matrix products
only, as `torch.utils.flop_counter` counts; element-wise work is not included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from wholenet.checked import Classes, Side
from wholenet.ops.forms import plain_form
from wholenet.ops.mixture import OperationMixture
from wholenet.spaces.catalog import SPACES, create_model, find
from wholenet.spaces.links import STRIDES
from wholenet.spaces.sizes import GRIDS
from wholenet.spaces.supernet import Supernet

COARSEST = max(STRIDES)
"""Side of the patch that is a pixel of the coarsest feature map."""


@dataclass(frozen=True)
class Counts:
    """What one forward pass of one image costs."""

    parameters: int
    """Weights of the network; the handful of architecture parameters is not included."""
    architecture_parameters: int
    """Options that exist, over all choices."""
    macs: int
    """Multiply-adds in the plain form (every candidate operation run), as papers count."""
    flops: int
    """2 * ``macs``."""
    macs_merged: int
    """Multiply-adds as run: kernels mixed first, 1 x 1 convolutions at the cheaper resolution."""


@lru_cache(maxsize=32)
def count(name: str, *, num_classes: Classes = 19, height: Side = 1024, width: Side = 2048, **settings: Any) -> Counts:
    """Count the model ``name`` of :func:`wholenet.spaces.catalog.create_model` on one image, or pair, of height x width
    pixels.

    Raises:
        ValueError: for an unknown name, a number out of bounds, or a size that the space cannot have.
    """
    model = create_model(name, num_classes=num_classes, **settings).eval()
    multiple = find(name)[0].multiple
    if height % multiple or width % multiple:
        near = "x".join(str(max(1, side // multiple) * multiple) for side in (height, width))
        raise ValueError(
            f"an input of {height}x{width}: expected sides that are multiples of {multiple} for {name}, e.g. {near}"
        )
    parameters = sum(p.numel() for p in model.net.parameters())
    whole = model.spec.space in GRIDS and not (height % COARSEST or width % COARSEST) and _only_kernels(model)
    plain, merged = (linear_flops if whole else meta_flops)(model, height, width)
    options = sum(int(mask.sum()) for mask in model.net.masks.values())
    return Counts(parameters, options, macs=plain // 2, flops=plain, macs_merged=merged // 2)


def _only_kernels(model: Supernet) -> bool:
    """Whether all operations of its cells cost so much per pixel, as those do that declare a kernel."""
    return not any(layer.alone for layer in model.net.modules() if isinstance(layer, OperationMixture))


def linear_flops(model: Supernet, height: int, width: int) -> tuple[int, int]:
    """FLOPs of the plain form and of that which runs, for an image of whole ``COARSEST`` x ``COARSEST`` patches.

    By running the model on one patch and on two, which is much faster than pretending to on all: every feature map has
    a whole number of pixels per patch, so FLOPs are those of a patch times their number, and a constant.
    """
    patches = height * width // COARSEST**2
    one, two = (_both_forms(model, torch.zeros(1, model.spec.channels, COARSEST, n * COARSEST)) for n in (1, 2))
    plain, merged = (first + (patches - 1) * (second - first) for first, second in zip(one, two, strict=True))
    return plain, merged


def meta_flops(model: Supernet, height: int, width: int) -> tuple[int, int]:
    """The same for any image, on ``meta`` tensors; ``model`` is moved there."""
    # Made on the CPU and then moved: torch fills meta tensors with random numbers ten times more slowly than real ones.
    return _both_forms(model.to("meta"), torch.empty(1, model.spec.channels, height, width, device="meta"))


def _both_forms(model: Supernet, x: Tensor) -> tuple[int, int]:
    weights = {name: torch.zeros(mask.shape, device=x.device) for name, mask in model.net.masks.items()}
    example = SPACES[model.spec.space].example
    inputs = x if example is None else example(x)

    def flops(plain: bool) -> int:
        with plain_form(model, plain=plain), FlopCounterMode(display=False) as counter, torch.no_grad():
            try:
                model.net(inputs, weights)
            except (RuntimeError, AttributeError, TypeError) as error:
                if example is not None:
                    raise
                raise ValueError(
                    f"a network of the space {model.spec.space!r} cannot be counted on an image of {list(x.shape)} "
                    f"({error}); a space whose networks take something else says what, by example=..."
                ) from error
        return counter.get_total_flops()

    return flops(True), flops(False)


@torch.no_grad()
def macs_as_run(model: Supernet, height: int, width: int) -> int:
    """Multiply-adds of one image of height x width pixels through ``model``, discrete or not, in the form that runs.

    By running it once, which for one forward pass is faster than pretending to. The model must be in eval mode.
    """
    x = torch.zeros(1, model.spec.channels, height, width, device=next(model.net.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() // 2
