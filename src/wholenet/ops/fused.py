"""Layers that can run on our own Triton kernels, and what they run otherwise."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.ops.statistics import counted_step


class Fusable(nn.Module):
    """A layer that has a fused form; ``fused`` says whether it runs it. The same numbers but for rounding."""

    fused: bool = False


KERNEL_NAMES: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.ReLU6: "relu6", nn.Hardswish: "hardswish"}
"""Activations that the kernels know, by the names that they know them by."""


def depthwise_convolution(x: Tensor, kernel: Tensor, fused: bool, dilation: int = 1) -> Tensor:
    """``x`` [B, C, H, W] by ``kernel`` [C, 1, K, K], each channel by its own; zero padding to the same size. Our
    kernels know no ``dilation``."""
    if fused:
        return _kernels("triton_depthwise").depthwise(x, kernel)
    return F.conv2d(x, kernel, padding=dilation * (kernel.shape[-1] // 2), dilation=dilation, groups=x.shape[1])


def norm_activation(x: Tensor, norm: nn.BatchNorm2d, activation: nn.Module | None, fused: bool) -> Tensor:
    """``activation(norm(x))``, or ``norm(x)``; running statistics move as those of ``norm`` do.

    Fused in training mode alone: in evaluation they are folded into the convolution before them.
    """
    if not (fused and norm.training):
        return norm(x) if activation is None else activation(norm(x))
    name = "identity" if activation is None else KERNEL_NAMES[type(activation)]
    out, mean, variance = _kernels("triton_norm").norm_activation(x, norm.weight, norm.bias, norm.eps, name)
    if step := counted_step(norm):
        count = x.numel() // x.shape[1]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.lerp_(mean, step)
        norm.running_var.lerp_(variance * (count / max(1, count - 1)), step)
    return out


def _kernels(name: str) -> Any:
    try:
        return importlib.import_module(f"wholenet.ops.{name}")
    except ImportError as error:
        raise ValueError(f"the fused kernels need Triton, which cannot be imported here: {error}") from error


def on_kernels(net: nn.Module) -> Callable[[Tensor, Mapping[str, Tensor]], Tensor]:
    """``net``, with its layers that have a fused form run in it.

    Raises:
        ValueError: if Triton is not installed.
    """
    _kernels("triton_depthwise")
    layers = [layer for layer in net.modules() if isinstance(layer, Fusable)]

    def run(x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        with _fused(layers):
            return net(x, weights)

    return run


@contextmanager
def _fused(layers: list[Fusable]) -> Iterator[None]:
    for layer in layers:
        layer.fused = True
    try:
        yield
    finally:
        for layer in layers:
            layer.fused = False
