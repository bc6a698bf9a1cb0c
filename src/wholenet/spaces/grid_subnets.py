"""What can be removed from a grid, what is left then, and what that costs: sums over :class:`Subgrid`.

Letters: level i = 0..3 stands for stride 4 * 2**i; F filters at level 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from wholenet.files import shown
from wholenet.ops.operations import Operation
from wholenet.ops.shares import Kernel, kernel_of
from wholenet.spaces.device_table import DeviceTable
from wholenet.spaces.grid_channels import STEM, Channels, axes_of
from wholenet.spaces.grid_costs import GridCost, GridMacs, GridTimes, all_merged, merged_kernel
from wholenet.spaces.links import LEVELS, STRIDES, Edge
from wholenet.spaces.sizes import GridSize
from wholenet.spaces.subgrid import (
    GROUPS,
    CellPart,
    Subgrid,
    channels_of,
    groups_of,
    read_only,
    subgrid_from_dict,
    whole_grid,
)
from wholenet.spaces.subnets import Unit

KINDS = ("edge", "operation", "channels", "bottleneck", "width")
"""Of units, and where they are: an edge by (layer, target, source), an operation and a group of expanded channels by
(layer, level, which), a bottleneck by (layer, level), a group of channels of all feature maps of a level by (level,
which)."""

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
        self.features = tuple(size.filters * 2**level for level in range(LEVELS))
        """Channels of the whole feature maps, by level."""

    def whole(self) -> Subgrid:
        """All of the grid."""
        names = tuple(operation.name for operation in self.operations)
        return whole_grid(self.size.layers, names, self.widths, self.features)

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
        for level, groups in enumerate(found.levels):
            every = whole.levels[level]
            if not set(groups) <= set(every) or (self.size.sampling > 1 and groups != every):
                raise ValueError(
                    f"the subnet has the groups of channels {shown(groups)} at stride {STRIDES[level]}; this grid can "
                    f"be left with {'all' if self.size.sampling > 1 else 'some'} of {shown(every)}"
                )
        return found

    def multiply_adds(self, height: int, width: int) -> GridMacs:
        """Of the form that runs on a CPU."""
        return GridMacs(self.size, self.outputs, self.channels, (height, width))

    def times(self, table: DeviceTable) -> GridTimes:
        """By the units that were measured.

        Raises:
            ValueError: if the table lacks one.
        """
        return GridTimes(table, list(all_merged(self.kernels)), self.widths, self.features)

    def cost(self, subnet: Subgrid, by: GridCost) -> int:
        """The sum over all parts."""
        channels, inside = zip(*self.channels_of(subnet), strict=True)
        read = {source for (layer, _), part in subnet.cells.items() if layer == 0 for source in part.inputs}
        total = by.rest() + by.decoder(channels) + sum(by.stem(level, channels, inside[level]) for level in read)
        for (_layer, level), part in subnet.cells.items():
            total += sum(by.edge(source, level, channels) for source in part.inputs)
            total += by.addition(level) * (len(part.inputs) - 1)
            total += self._cell(level, channels, part, by)
        return total

    def least(self, subnet: Subgrid, by: GridCost, kinds: Collection[str] = KINDS) -> int:
        """The cheapest way from stems to the four levels of the last layer, all cells and levels as narrow as they can
        be: by dynamic programming over the sets of levels that a layer may have, from the first layer to the last."""
        narrow = self._narrowest(subnet, by, kinds)
        if "edge" not in kinds:
            return self.cost(narrow, by)
        channels, inside = zip(*self.channels_of(narrow), strict=True)
        every = [frozenset(some) for n in range(1, LEVELS + 1) for some in itertools.combinations(range(LEVELS), n)]
        found = {some: sum(by.stem(level, channels, inside[level]) for level in some) for some in every}
        for layer in range(narrow.layers):
            after = dict[frozenset[int], int]()
            parts = {level: narrow.cells[layer, level] for level in range(LEVELS) if (layer, level) in narrow.cells}
            cells = {level: self._cell(level, channels, part, by) for level, part in parts.items()}
            for some in every:
                if not some <= parts.keys():
                    continue
                ways = [
                    cost
                    + sum(
                        cells[level] + min(by.edge(s, level, channels) for s in parts[level].inputs if s in before)
                        for level in some
                    )
                    for before, cost in found.items()
                    if all(before & set(parts[level].inputs) for level in some)
                ]
                if ways:
                    after[some] = min(ways)
            found = after
        return found[frozenset(range(LEVELS))] + by.decoder(channels) + by.rest()

    def narrower(self, by: GridCost, most: int) -> Subgrid:
        """The dearest grid that costs no more than ``most`` and has all cells and edges: of every level and of every
        bottleneck the first few groups of channels, as many in all, or one more or less in bottlenecks than in levels.

        Raises:
            ValueError: if the narrowest costs more.
        """
        whole, found = self.whole(), list[Subgrid]()
        for n in range(1, GROUPS + 1) if self.size.sampling == 1 and by.narrows else [GROUPS]:
            levels = tuple(_first(groups, n) for groups in whole.levels)
            for m in range(max(1, n - 1), min(GROUPS, n + 1) + 1) if len(levels[0]) else ():
                cells = {at: replace(part, groups=_first(part.groups, m)) for at, part in whole.cells.items()}
                found.append(replace(whole, cells=cells, levels=levels))
        fitting = [subnet for subnet in found if self.cost(subnet, by) <= most]
        if not fitting:
            least = min(self.cost(subnet, by) for subnet in found)
            raise ValueError(
                f"the narrowest grid with all cells and edges costs {by.in_words(least)}, more than "
                f"{by.in_words(most)}; give budget_by (saliency-by-kind, ...), which removes cells too, or more"
            )
        return max(fitting, key=lambda subnet: self.cost(subnet, by))

    def units(self, subnet: Subgrid, floor: float = 0.0) -> list[Unit]:
        """Edges of cells that have another, operations likewise, groups of channels but the last, and bottlenecks; with
        a floor above 0 no bottleneck, and no more channels of any, or of any level, than leave that share of the
        groups."""
        found = list[Unit]()
        for level, groups in enumerate(subnet.levels if self.size.sampling == 1 else ()):
            if len(groups) > _most_that_stay(floor, self.features[level]):
                found += [Unit("width", (level, group)) for group in groups]
        for (layer, level), part in subnet.cells.items():
            if len(part.inputs) > 1:
                found += [Unit("edge", (layer, level, source)) for source in part.inputs]
            if len(part.operations) > 1:
                found += [Unit("operation", (layer, level, place)) for place in part.operations]
            if len(part.groups) > _most_that_stay(floor, self.widths[level]):
                found += [Unit("channels", (layer, level, group)) for group in part.groups]
            if not part.bare and not floor:
                found.append(Unit("bottleneck", (layer, level)))
        return found

    def count(self, subnet: Subgrid) -> dict[str, int]:
        """Edges, operations, groups of channels, bottlenecks, cells, and groups of channels of levels."""
        parts = subnet.cells.values()
        sums = {name: sum(len(getattr(part, field)) for part in parts) for name, field in COUNTED.items()}
        levels = sum(map(len, subnet.levels))
        return {**sums, "bottlenecks": sum(not part.bare for part in parts), "cells": len(parts), "widths": levels}

    def without(self, subnet: Subgrid, unit: Unit) -> Subgrid:
        """``subnet`` without ``unit`` and without the cells that nobody reads then."""
        if unit.kind == "width":
            level, gone = unit.where
            groups = tuple(group for group in subnet.levels[level] if group != gone)
            return replace(subnet, levels=(*subnet.levels[:level], groups, *subnet.levels[level + 1 :]))
        layer, level, *which = unit.where
        part = subnet.cells[layer, level]
        if unit.kind == "bottleneck":
            part = replace(part, operations=(), groups=())
        else:
            field = {"edge": "inputs", "operation": "operations", "channels": "groups"}[unit.kind]
            part = replace(part, **{field: tuple(one for one in getattr(part, field) if one != which[0])})
        left = replace(subnet, cells={**subnet.cells, (layer, level): part})
        return read_only(left) if unit.kind == "edge" else left

    def macs(self, subnet: Subgrid, height: int, width: int) -> int:
        """:meth:`cost` by :meth:`multiply_adds`."""
        return self.cost(subnet, self.multiply_adds(height, width))

    def gates(self, net: nn.Module, subnet: Subgrid, units: Sequence[Unit]) -> Tensor:
        """Derivatives in the units' gates. An edge's output is that of its BatchNorm, whose affine map is linear in the
        gate; a bottleneck's likewise; a channel that its BatchNorm makes zero stays zero behind the activation; the
        kernels of an operation are linear themselves. A group of channels of a level is a gate on all that adds to it:
        every edge into the level, its bottlenecks, its stem, also inside."""
        own = dict(net.named_parameters())
        slopes = {name: p.detach() * _gradient(p) for name, p in own.items()}
        found = []
        for unit in units:
            gated = self._gated(subnet, unit, own)
            found.append(torch.stack([_some(slopes[name], which).sum() for name, which in gated]).sum())
        return torch.stack(found)

    def factors(self, net: nn.Module, subnet: Subgrid, units: Sequence[Unit]) -> list[Tensor]:
        """The scales of the BatchNorms that the units' gates are on, or the entries of an operation's kernels."""
        own = dict(net.named_parameters())
        found = []
        for unit in units:
            gated = self._gated(subnet, unit, own)
            scales = [_some(own[name], which) for name, which in gated if not name.endswith(".bias")]
            found.append(torch.cat([scale.flatten() for scale in scales]))
        return found

    def choice(self, unit: Unit) -> tuple[str, tuple[int, ...]] | None:
        """An edge is one of beta's options, an operation one of alpha's."""
        if unit.kind == "edge":
            layer, level, source = unit.where
            return "beta", (layer, level, Edge(layer, source, level).slot)
        return ("alpha", unit.where) if unit.kind == "operation" else None

    def _gated(self, subnet: Subgrid, unit: Unit, own: Collection[str]) -> list[tuple[str, Tensor | None]]:
        """The parameters that a gate on ``unit`` multiplies, of the network's ``own``; which of their channels: bool
        [channels], or None for all."""
        if unit.kind == "width":
            level, _ = unit.where
            after = self.without(subnet, unit)
            gone = _gone(self._features(subnet, level), self._features(after, level))
            found = _halves(gone, *self._written(subnet, level))
            if any(level in part.inputs for (layer, _), part in subnet.cells.items() if layer == 0):
                inside = _gone(self._inside(subnet, level), self._inside(after, level))
                found += _halves(gone, f"stems.{level}.2.1")
                found += _halves(inside, f"stems.{level}.0.1", f"stems.{level}.1.1") if inside.any() else []
            return found
        layer, level, *which = unit.where
        cell = f"cells.{layer}_{level}.cell"
        if unit.kind == "edge":
            return _halves(None, f"transitions.{Edge(layer, which[0], level).key}.norm")
        if unit.kind == "bottleneck":
            return _halves(None, f"{cell}.project.1")
        if unit.kind == "channels":
            gone = torch.tensor(channels_of(which[0], self.widths[level]))
            return _halves(torch.isin(self._kept(subnet.cells[layer, level], level), gone), f"{cell}.norm")
        prefix = f"{cell}.depthwise.convs.{self.operations[which[0]].key}."
        return [(name, None) for name in own if name.startswith(prefix)]

    def cut(self, name: str, tensor: Tensor, old: Subgrid, new: Subgrid) -> Tensor:
        """What is left of a tensor: of each axis of channels those that are."""
        for axis, of in axes_of(name) if tensor.ndim else ():
            before, after = (self._channels(subnet, of) for subnet in (old, new))
            if len(before) != len(after):
                tensor = tensor.index_select(axis, torch.isin(before, after).nonzero().flatten().to(tensor.device))
        return tensor

    def widths_of(self, subnet: Subgrid) -> dict[tuple[int, int], int]:
        """Expanded channels that are left of each bottleneck, by (layer, level); bare cells are left out."""
        return {at: len(self._kept(part, at[1])) for at, part in subnet.cells.items() if not part.bare}

    def channels_of(self, subnet: Subgrid) -> list[tuple[int, int]]:
        """Channels that are left of the feature maps of each level, and inside its stem."""
        return [(len(self._features(subnet, level)), len(self._inside(subnet, level))) for level in range(LEVELS)]

    def _kept(self, part: CellPart, level: int) -> Tensor:
        """The channels of the bottleneck that are left, of the whole one's: int64 [w]."""
        return torch.tensor([c for group in part.groups for c in channels_of(group, self.widths[level])])

    def _features(self, subnet: Subgrid, level: int) -> Tensor:
        """The channels of a level that are left, of the whole one's: int64 [c]."""
        return torch.tensor([c for group in subnet.levels[level] for c in channels_of(group, self.features[level])])

    def _inside(self, subnet: Subgrid, level: int) -> Tensor:
        """Those inside the stem of a level, half as many: each goes with the last of two of the level."""
        features = [c for group in subnet.levels[level] for c in channels_of(group, self.features[level])]
        return torch.tensor(sorted({c // 2 for c in features}))

    def _channels(self, subnet: Subgrid, of: Channels) -> Tensor:
        """What is left of the channels that an axis has: int64, ascending."""
        if isinstance(of, tuple) and of[0] == STEM:
            return self._inside(subnet, of[1])
        if isinstance(of, tuple):
            return self._kept(subnet.cells[of], of[1])
        if of is not None:
            return self._features(subnet, of)
        before = [sum(self.features[:level]) for level in range(LEVELS)]
        return torch.cat([self._features(subnet, level) + before[level] for level in range(LEVELS)])

    def _written(self, subnet: Subgrid, level: int) -> list[str]:
        """The BatchNorms of cells and edges that add to the features of a level, by their names in the network."""
        parts = [(layer, part) for (layer, of), part in subnet.cells.items() if of == level]
        names = [
            f"transitions.{Edge(layer, source, level).key}.norm" for layer, part in parts for source in part.inputs
        ]
        return names + [f"cells.{layer}_{level}.cell.project.1" for layer, part in parts if not part.bare]

    def _narrowest(self, subnet: Subgrid, by: GridCost, kinds: Collection[str]) -> Subgrid:
        """``subnet`` without what can go of these kinds, but for edges."""
        cells, channels = {}, [features for features, _ in self.channels_of(subnet)]
        for at, part in subnet.cells.items():
            if "bottleneck" in kinds:
                part = replace(part, operations=(), groups=())
            elif not part.bare:
                if "channels" in kinds:
                    part = replace(part, groups=_smallest(part.groups, self.widths[at[1]]))
                if "operation" in kinds:
                    some = [replace(part, operations=places) for places in (*zip(part.operations), part.operations)]
                    part = min(some, key=lambda one, level=at[1]: self._cell(level, channels, one, by))
            cells[at] = part
        levels = subnet.levels
        if "width" in kinds and self.size.sampling == 1 and by.narrows:
            levels = tuple(_smallest(groups, c) for groups, c in zip(levels, self.features, strict=True))
        return replace(subnet, cells=cells, levels=levels)

    def _cell(self, level: int, channels: Sequence[int], part: CellPart, by: GridCost) -> int:
        if part.bare:
            return by.bare(level)
        width = sum(len(channels_of(group, self.widths[level])) for group in part.groups)
        return by.bottleneck(level, channels, width, merged_kernel([self.kernels[at] for at in part.operations]))


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


def _first(groups: Sequence[int], eighths: int) -> tuple[int, ...]:
    return tuple(groups[: max(1, len(groups) * eighths // GROUPS)])


def _smallest(groups: Sequence[int], width: int) -> tuple[int]:
    return (min(groups, key=lambda group: len(channels_of(group, width))),)


def _most_that_stay(floor: float, width: int) -> int:
    """Groups that no more can go of."""
    return max(1, math.ceil(floor * groups_of(width)))


def _halves(which: Tensor | None, *norms: str) -> list[tuple[str, Tensor | None]]:
    return [(f"{norm}.{half}", which) for norm in norms for half in ("weight", "bias")]


def _gone(before: Tensor, after: Tensor) -> Tensor:
    """Which of ``before`` are not there any more."""
    return ~torch.isin(before, after)


def _some(values: Tensor, kept: Tensor | None) -> Tensor:
    return values if kept is None else values[kept.to(values.device)]


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
