"""The correlation layer, forward and backward: a plain loop over shifts, against rows as products of matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from wholenet.benchmarks.measure import compared, interleaved, largest_difference
from wholenet.benchmarks.row import Row, Setting
from wholenet.spaces.autodispnet.correlation import Correlation


class Size(NamedTuple):
    """Of features, and of the layer."""

    channels: int
    height: int
    width: int
    displacement: int


SIZES = (Size(32, 16, 32, 8), Size(144, 32, 64, 40))
"""Those of ``tiny`` on images of 64 x 128, and of ``full`` on images of 256 x 512."""


def features(pairs: int, size: Size, device: torch.device, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Noise, of both images, in the layout that convolutions leave."""
    generator = torch.Generator().manual_seed(0)
    shape = (pairs, size.channels, size.height, size.width)
    made = [torch.randn(shape, generator=generator, dtype=dtype).to(device) for _ in range(2)]
    return [x.contiguous(memory_format=torch.channels_last).requires_grad_() for x in made]


def step(layer: Correlation, inputs: list[Tensor]) -> list[Tensor]:
    """The output, and gradients of the sum of its squares."""
    out = layer(*inputs)
    return [out.detach(), *torch.autograd.grad(out.square().sum(), inputs)]


def forms(size: Size, inputs: list[Tensor]) -> dict[str, Callable[[], list[Tensor]]]:
    """What to time, by name."""
    fast, plain = Correlation(size.displacement), Correlation(size.displacement)
    plain.plain = True
    return {"plain": lambda: step(plain, inputs), "fast": lambda: step(fast, inputs)}


def run(setting: Setting) -> Iterator[Row]:
    device, small = setting.device, Size(6, 5, 9, 4)
    in_float64 = forms(small, features(2, small, device, torch.float64))
    error = largest_difference(in_float64["plain"](), in_float64["fast"]())
    for size in SIZES:
        taken = interleaved(forms(size, features(setting.batch, size, device)), setting.rounds, device)
        what = f"correlation, {size.channels} channels, {size.displacement + 1} shifts"
        yield from compared(what, taken, "fast", ["plain"], error, device)
