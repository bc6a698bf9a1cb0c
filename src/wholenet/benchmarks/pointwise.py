"""1x1 convolutions as matrix products over channels_last maps, against torch's: layer by layer, and in a step.

With one thread and fewer than 16 images torch keeps 1x1 convolutions from oneDNN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.benchmarks.measure import (
    LOSS,
    channels_last,
    compared,
    interleaved,
    largest_difference,
    made,
    random_batch,
)
from wholenet.benchmarks.row import Row, Setting

ENCODER = (
    (32, 16, 2),
    (16, 96, 2),
    (96, 24, 4),
    (24, 144, 4),
    (144, 40, 8),
    (40, 240, 8),
    (240, 80, 16),
    (80, 480, 16),
)
"""1x1 convolutions of an encoder of inverted bottlenecks, EfficientNet's: inputs, outputs, stride of the maps."""


def as_product(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution of stride 1 as a matrix product."""
    return F.linear(input.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


@contextmanager
def by_products(model: nn.Module) -> Iterator[None]:
    """Every 1x1 convolution of ``model`` as a matrix product."""
    changed = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == layer.stride == (1, 1) and layer.groups == 1:
            layer._conv_forward = as_product
            changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer._conv_forward


def run(setting: Setting) -> Iterator[Row]:
    device = setting.device
    height, width = setting.crop
    for inputs, outputs, stride in ENCODER:
        yield _layer(inputs, outputs, (height // stride, width // stride), setting)

    double, probe = made("nano", device).double(), random_batch(2, (64, 96), device, torch.float64)

    def gradients() -> list[Tensor]:
        out = double(probe.images)
        return [out.detach(), *torch.autograd.grad(LOSS(out, probe.targets), list(double.parameters()))]

    by_torch = gradients()
    with by_products(double):
        error = largest_difference(by_torch, gradients())

    model = made(setting.size, device).placed(device)
    batch = channels_last(random_batch(setting.batch, setting.crop, device))

    def step() -> None:
        model.zero_grad()
        LOSS(model(batch.images), batch.targets).backward()

    def step_by_products() -> None:
        with by_products(model):
            step()

    taken = interleaved({"convolutions": step, "products": step_by_products}, setting.rounds, device)
    yield from compared("weight step, 1x1 as products", taken, "products", ["convolutions"], error, device)


def _layer(inputs: int, outputs: int, size: tuple[int, int], setting: Setting) -> Row:
    """Forward and backward of one layer."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(setting.device, memory_format=torch.channels_last)

    x, weight = random(setting.batch, inputs, *size), random(outputs, inputs, 1, 1)
    gradient = random(setting.batch, outputs, *size)

    def through(form: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype = torch.float32) -> list[Tensor]:
        given = [value.detach().to(dtype).requires_grad_() for value in (x, weight)]
        out = form(*given)
        return [out.detach(), *torch.autograd.grad(out, given, gradient.to(dtype))]

    forms = {"convolution": F.conv2d, "product": as_product}
    error = largest_difference(*(through(form, torch.float64) for form in forms.values()))
    taken = interleaved(
        {name: lambda form=form: through(form) for name, form in forms.items()}, setting.rounds, setting.device
    )
    name = f"1x1, {inputs} to {outputs} channels, {size[0]}x{size[1]}"
    (found,) = compared(name, taken, "product", ["convolution"], error, setting.device)
    return found
