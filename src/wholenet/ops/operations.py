"""The candidate operations of the grid's cell: what can stand between its expansion and its BatchNorm, by name.

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from wholenet.ops.shares import Kernel, kernel_of
from wholenet.plugins import load_plugins
from wholenet.registry import Registry, is_name


@dataclass(frozen=True)
class Operation:
    """A candidate operation of the grid's cell.

    Raises:
        ValueError: for a name that is none.
    """

    name: str
    make: Callable[[int], nn.Module]
    """Channels C -> a layer, [B, C, H, W] -> the same shape. It leaves its input as it was, uses nothing random, and
    keeps constants as buffers, so that it can be computed in float64. What it declares (``shares``, see
    :class:`wholenet.ops.shares.Kernel`) is computed together with others; one that declares nothing runs as it is."""

    def __post_init__(self) -> None:
        if not is_name(self.name) or "." in self.name:  # weights are found by it, at the dots between names
            raise ValueError(f"operation {self.name!r}: expected a name of letters, digits, '-' and '_'")

    @property
    def key(self) -> str:
        """Name of its weights in a network.

        >>> [Operation(name, nn.Conv2d).key for name in ("conv_3x3", "mine")]
        ['k3', 'op_mine']
        """
        kernel = re.fullmatch(r"conv_(\d+)x\1", self.name)  # so called since before there were others
        return f"k{kernel[1]}" if kernel else f"op_{self.name}"


class DepthwiseConvolution(nn.Conv2d):
    """Each channel by a kernel of its own, zero-padded to the same size; without bias.

    Args:
        channels: C.
        kernel: an odd size.
        dilation: pixels from one tap to the next.

    Raises:
        ValueError: for an even size.
    """

    def __init__(self, channels: int, kernel: int, dilation: int = 1) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"a kernel of {kernel}x{kernel}: expected an odd size, which has a middle")
        padding = dilation * (kernel // 2)
        super().__init__(channels, channels, kernel, padding=padding, dilation=dilation, groups=channels, bias=False)

    @property
    def shares(self) -> Kernel:
        """All of it."""
        return Kernel(self.weight, int(self.dilation[0]))


def convolution(kernel: int, dilation: int = 1) -> Operation:
    """A depthwise convolution as a candidate: "conv_3x3", "dil_conv_3x3" (of dilation 2), "dil3_conv_3x3"."""
    dilated = {1: "", 2: "dil_"}.get(dilation, f"dil{dilation}_")
    return Operation(
        f"{dilated}conv_{kernel}x{kernel}", lambda channels: DepthwiseConvolution(channels, kernel, dilation)
    )


OPERATIONS: Registry[Operation] = Registry(
    "grid operation",
    {own.name: own for own in (convolution(3), convolution(5), convolution(7), convolution(3, dilation=2))},
    load=load_plugins,
)
"""By the names that the literature has for convolutions; :func:`wholenet.register` adds to them."""


def operations_called(names: Sequence[str]) -> list[Operation]:
    """The operations of these names.

    Raises:
        ValueError: if there is none of a name; it says how one of somebody's own gets known.
    """
    return [OPERATIONS.called(name) for name in names]


@cache
def check_operation(operation: Operation) -> None:
    """Try ``operation`` on a small map, in float64.

    Raises:
        ValueError: if it makes no layer, changes its input or the shape, or does not compute what it declares.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        layer = operation.make(4)
        if not isinstance(layer, nn.Module):
            raise ValueError(f"operation {operation.name!r} makes a {type(layer).__name__}; expected a torch.nn.Module")
        layer.double().eval()
        x = torch.linspace(-1, 1, 4 * 13 * 11, dtype=torch.float64).view(1, 4, 13, 11)
        given = x.clone()
        out = layer(given)
    if not torch.equal(given, x):
        raise ValueError(
            f"operation {operation.name!r} changes its input, which others read too: let it make a new map"
        )
    if not isinstance(out, Tensor) or out.shape != x.shape:
        found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(f"operation {operation.name!r} makes {found} of a map {tuple(x.shape)}; expected that shape")
    declared = kernel_of(layer)
    if declared is not None and not torch.allclose(declared.applied(x), out, rtol=1e-9, atol=1e-9):
        raise ValueError(
            f"operation {operation.name!r} does not compute what it declares, the depthwise convolution by its "
            "`shares`: let the two agree, or declare nothing"
        )
