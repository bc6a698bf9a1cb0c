"""What can be removed from a grid, what is left then, and what that costs: closed forms over :class:`Subgrid`.

Letters: H x W pixels of an image; level i = 0..3 stands for stride 4 * 2**i; F filters at level 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from wholenet.ops.bottleneck import hidden_width
from wholenet.ops.operations import Operation
from wholenet.ops.shares import Kernel, kernel_of
from wholenet.spaces.grid import LEVELS, Edge
from wholenet.spaces.sizes import GridSize
from wholenet.spaces.subgrid import CellPart, Subgrid, channels_of, groups_of, read_only, subgrid_from_dict, whole_grid
from wholenet.spaces.subnets import Unit

KINDS = ("edge", "operation", "channels", "bottleneck")
"""Of units, and where they are: an edge by (layer, target, source), an operation and a group of channels by (layer,
level, which), a bottleneck by (layer, level)."""

COUNTED = {"edges": "inputs", "operations": "operations", "channel groups": "groups"}


class GridSubnets:
    """The subnets of the grids of one size.

    Args:
        size: of the grid.
        operations: the candidates.
        outputs: classes to tell apart.
        channels: of the images.

    Raises:
        ValueError: for an operation that does not work channel by channel with a declared kernel
            (:class:`wholenet.ops.shares.Kernel`): what removing channels of it leaves is not known.
    """

    def __init__(self, size: GridSize, operations: Sequence[Operation], outputs: int, channels: int) -> None:
        self.size = size
        self.operations = tuple(operations)
        self.outputs = outputs
        self.channels = channels
        self.kernels = [_kernel(operation) for operation in operations]
        self.widths = tuple(size.filters * 2**level // size.sampling * size.expansion for level in range(LEVELS))
        """Of the whole bottlenecks, by level."""

    def whole(self) -> Subgrid:
        """All of the grid."""
        names = tuple(operation.name for operation in self.operations)
        return whole_grid(self.size.layers, names, self.widths)  # pyright: ignore[reportArgumentType]

    def from_dict(self, values: Mapping[str, Any]) -> Subgrid:
        """The subgrid of plain values.

        Raises:
            ValueError: if they are none of this grid.
        """
        found = subgrid_from_dict(values)
        whole = self.whole()
        if (found.layers, found.operations) != (whole.layers, whole.operations):
            raise ValueError(
                f"the subnet is of a grid of {found.layers} layers and {', '.join(found.operations)}; this one has "
                f"{whole.layers} and {', '.join(whole.operations)}"
            )
        for at, part in found.cells.items():
            if not set(part.groups) <= set(whole.cells[at].groups):
                raise ValueError(f"the subnet has groups of channels that a width of {self.widths[at[1]]} has not")
        return found

    def least(self, subnet: Subgrid, height: int, width: int) -> int:
        """The cheapest way from stems to the four levels of the last layer, all cells bare: by dynamic programming over
        the sets of levels that a layer may have, from the first layer to the last."""
        pixels = _pixels(height, width)
        every = [frozenset(some) for n in range(1, LEVELS + 1) for some in itertools.combinations(range(LEVELS), n)]
        found = {some: sum(self._stem(level, height, width) for level in some) for some in every}
        for layer in range(subnet.layers):
            after = dict[frozenset[int], int]()
            inputs = {
                level: subnet.cells[layer, level].inputs for level in range(LEVELS) if (layer, level) in subnet.cells
            }
            for some in every:
                if not some <= inputs.keys():
                    continue
                ways = [
                    cost
                    + sum(min(self._edge(s, level, pixels) for s in inputs[level] if s in before) for level in some)
                    for before, cost in found.items()
                    if all(before & set(inputs[level]) for level in some)
                ]
                if ways:
                    after[some] = min(ways)
            found = after
        return found[frozenset(range(LEVELS))] + self._decoder(pixels)

    def units(self, subnet: Subgrid, floor: float = 0.0) -> list[Unit]:
        """Edges of cells that have another, operations likewise, groups of channels but the last, and bottlenecks; with
        a floor above 0 no bottleneck, and no more channels of any than leave that share of its groups."""
        found = list[Unit]()
        for (layer, level), part in subnet.cells.items():
            if len(part.inputs) > 1:
                found += [Unit("edge", (layer, level, source)) for source in part.inputs]
            if len(part.operations) > 1:
                found += [Unit("operation", (layer, level, place)) for place in part.operations]
            if len(part.groups) > max(1, math.ceil(floor * groups_of(self.widths[level]))):
                found += [Unit("channels", (layer, level, group)) for group in part.groups]
            if not part.bare and not floor:
                found.append(Unit("bottleneck", (layer, level)))
        return found

    def count(self, subnet: Subgrid) -> dict[str, int]:
        """Edges, operations, groups of channels, bottlenecks and cells."""
        parts = subnet.cells.values()
        sums = {name: sum(len(getattr(part, field)) for part in parts) for name, field in COUNTED.items()}
        return {**sums, "bottlenecks": sum(not part.bare for part in parts), "cells": len(parts)}

    def without(self, subnet: Subgrid, unit: Unit) -> Subgrid:
        """``subnet`` without ``unit`` and without the cells that nobody reads then."""
        layer, level, *which = unit.where
        part = subnet.cells[layer, level]
        if unit.kind == "bottleneck":
            part = replace(part, operations=(), groups=())
        else:
            field = {"edge": "inputs", "operation": "operations", "channels": "groups"}[unit.kind]
            part = replace(part, **{field: tuple(one for one in getattr(part, field) if one != which[0])})
        left = Subgrid(subnet.layers, subnet.operations, {**subnet.cells, (layer, level): part})
        return read_only(left) if unit.kind == "edge" else left

    def macs(self, subnet: Subgrid, height: int, width: int) -> int:
        """Multiply-adds of the form that runs on a CPU: kernels mixed first, 1 x 1 convolutions at the smaller size."""
        pixels = _pixels(height, width)
        read = {source for (layer, _), part in subnet.cells.items() if layer == 0 for source in part.inputs}
        total = sum(self._stem(level, height, width) for level in read)
        for (_layer, level), part in subnet.cells.items():
            for source in part.inputs:
                total += self._edge(source, level, pixels)
            total += self._bottleneck(level, part, pixels[level])
        return total + self._decoder(pixels)

    def gates(self, net: nn.Module, subnet: Subgrid, units: Sequence[Unit]) -> Tensor:
        """Derivatives in the units' gates. An edge's output is that of its BatchNorm, whose affine map is linear in the
        gate; a bottleneck's likewise; a channel that its BatchNorm makes zero stays zero behind the activation; the
        kernels of an operation are linear themselves."""
        parameters = dict(net.named_parameters())
        found = dict[str, Tensor]()

        def slopes(name: str) -> Tensor:  # [channels]: parameter times gradient
            if name not in found:
                own = [parameters[f"{name}.{half}"] for half in ("weight", "bias")]
                found[name] = sum((p.detach() * _gradient(p) for p in own), torch.zeros_like(own[0]))
            return found[name]

        gates = []
        for unit in units:
            layer, level, *which = unit.where
            cell = f"cells.{layer}_{level}.cell"
            if unit.kind == "edge":
                gates.append(slopes(f"transitions.{Edge(layer, which[0], level).key}.norm").sum())
            elif unit.kind == "bottleneck":
                gates.append(slopes(f"{cell}.project.1").sum())
            elif unit.kind == "channels":
                kept = self._kept(subnet.cells[layer, level], level)
                mine = torch.isin(kept, torch.tensor(channels_of(which[0], self.widths[level])))
                norm = slopes(f"{cell}.norm")
                gates.append(norm[mine.to(norm.device)].sum())
            else:
                prefix = f"{cell}.depthwise.convs.{self.operations[which[0]].key}."
                own = [p for name, p in parameters.items() if name.startswith(prefix)]
                gates.append(torch.stack([(p.detach() * _gradient(p)).sum() for p in own]).sum())
        return torch.stack(gates)

    def cut(self, name: str, tensor: Tensor, old: Subgrid, new: Subgrid) -> Tensor:
        """What is left of a tensor: of those of bottlenecks the channels that are, of all others everything."""
        section, _, rest = name.partition(".")
        key, _, rest = rest.partition(".")
        axis = next((axis for start, axis in AXES.items() if rest.startswith(f"cell.{start}")), None)
        if section != "cells" or axis is None or tensor.ndim == 0:
            return tensor
        layer, level = (int(place) for place in key.split("_"))
        before, after = (self._kept(subnet.cells[layer, level], level) for subnet in (old, new))
        if len(before) == len(after):
            return tensor
        kept = torch.isin(before, after).nonzero().flatten().to(tensor.device)
        return tensor.index_select(axis, kept)

    def widths_of(self, subnet: Subgrid) -> dict[tuple[int, int], int]:
        """Expanded channels that are left of each bottleneck, by (layer, level); bare cells are left out."""
        return {at: len(self._kept(part, at[1])) for at, part in subnet.cells.items() if not part.bare}

    def _kept(self, part: CellPart, level: int) -> Tensor:
        """The channels of the bottleneck that are left, of the whole one's: int64 [w]."""
        return torch.tensor([c for group in part.groups for c in channels_of(group, self.widths[level])])

    def _bottleneck(self, level: int, part: CellPart, pixels: int) -> int:
        if part.bare:
            return 0
        width = len(self._kept(part, level))
        inside = self.size.filters * 2**level // self.size.sampling
        side = merged_side([self.kernels[place] for place in part.operations])
        hidden = hidden_width(self.widths[level])
        return 2 * inside * width * pixels + width * side**2 * pixels + 2 * width * hidden

    def _edge(self, source: int, target: int, pixels: Sequence[int]) -> int:
        return self.size.filters**2 * 2 ** (source + target) * min(pixels[source], pixels[target])

    def _decoder(self, pixels: Sequence[int]) -> int:
        head = self.size.head
        merged = sum(self.size.filters * 2**level * head * pixels[level] for level in range(LEVELS))
        return merged + head * self.outputs * pixels[0]

    def _stem(self, level: int, height: int, width: int) -> int:
        own, half = self.size.filters * 2**level, self.size.filters * 2**level // 2
        first, second = (_halved(height, width, level + times) for times in (1, 2))
        return 9 * (self.channels * half + half * half) * first + 9 * half * own * second


def merged_side(kernels: Sequence[tuple[int, int]]) -> int:
    """Side of the one kernel that equals those of (side, dilation), as ``ops.mixture`` merges them.

    >>> merged_side([(3, 1), (5, 1)]), merged_side([(3, 2)]), merged_side([(3, 1), (3, 2)])
    (5, 3, 5)
    """
    step = math.gcd(*(dilation for side, dilation in kernels if side > 1)) or 1
    return max(dilation // step * (side - 1) + 1 if side > 1 else 1 for side, dilation in kernels)


@cache
def _kernel(operation: Operation) -> tuple[int, int]:
    """Side and dilation of what ``operation`` declares.

    Raises:
        ValueError: see :class:`GridSubnets`.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        small, large = operation.make(4), operation.make(6)
    kernel: Kernel | None = kernel_of(small)
    shapes = [{name: tuple(t.shape) for name, t in layer.state_dict().items()} for layer in (small, large)]
    by_channel = shapes[0].keys() == shapes[1].keys() and all(
        a[:1] == (4,) and b[:1] == (6,) and a[1:] == b[1:] for a, b in zip(*(s.values() for s in shapes), strict=True)
    )
    if kernel is None or not by_channel:
        raise ValueError(
            f"channels of the operation {operation.name!r} cannot be removed: expected one that works channel by "
            "channel and declares its kernel (docs/extending.md); leave the operation or the budget out"
        )
    return max(kernel.weight.shape[2:]), kernel.dilation


AXES = {"expand": 0, "depthwise": 0, "norm": 0, "gate.squeeze.weight": 1, "gate.excite": 0, "project.0": 1}
"""Along which axis tensors of a bottleneck have its expanded channels, by the beginning of their names; others have
none."""


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _halved(height: int, width: int, times: int) -> int:
    """Pixels after so many halvings, each rounded up."""
    return -(-height // 2**times) * -(-width // 2**times)


def _pixels(height: int, width: int) -> list[int]:
    return [_halved(height, width, level + 2) for level in range(LEVELS)]
