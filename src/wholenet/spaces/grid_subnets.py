"""What can be removed from a grid, what is left then, and what that costs: sums over :class:`Subgrid`.

The dense grid is the same with a further reach; where its links share transitions, they go together.

Letters: level i = 0..3 stands for stride 4 * 2**i; F filters at level 0.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from wholenet.files import shown
from wholenet.ops.operations import Operation
from wholenet.spaces.cheapest_tree import Node, cheapest_tree
from wholenet.spaces.declared_kernels import declared_kernel
from wholenet.spaces.device_table import DeviceTable
from wholenet.spaces.gated_parameters import Gated, halves, scales, slopes
from wholenet.spaces.grid_channels import STEM, Channels, axes_of
from wholenet.spaces.grid_costs import GridCost, GridMacs, GridTimes, all_merged, merged_kernel
from wholenet.spaces.links import LEVELS, NEAR, STRIDES, Edge, Reach, by_place
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
"""Of units, and where they are: an edge by (layer, target, ``Edge.place``), an operation and a group of expanded
channels by (layer, level, which), a bottleneck by (layer, level), a group of channels of all feature maps of a level by
(level, which). Edges that share a transition are one unit, named by the first of them that may be there."""

COUNTED = {"edges": "inputs", "operations": "operations", "channel groups": "groups"}


class GridSubnets:
    """The subnets of the grids of one size.

    Args:
        size: of the grid.
        operations: the candidates.
        outputs: classes to tell apart.
        channels: of the images.
        reach: how far cells read.
        tied: all edges from one cell to one level have one transition.

    Raises:
        ValueError: for an operation that does not work channel by channel with a declared kernel
            (:class:`wholenet.ops.shares.Kernel`): what removing channels of it leaves is not known.
    """

    gated = ()
    scaled = True

    def __init__(
        self,
        size: GridSize,
        operations: Sequence[Operation],
        outputs: int,
        channels: int,
        reach: Reach = NEAR,
        *,
        tied: bool = False,
    ) -> None:
        self.size = size
        self.reach = reach
        self.tied = tied and reach.layers > 1  # else no two edges start in one cell and end at one level
        self.operations = tuple(operations)
        self.outputs = outputs
        self.channels = channels
        self.kernels = [declared_kernel(operation) for operation in operations]
        self.widths = tuple(size.filters * 2**level // size.sampling * size.expansion for level in range(LEVELS))
        """Of the whole bottlenecks, by level."""
        self.features = tuple(size.filters * 2**level for level in range(LEVELS))
        """Channels of the whole feature maps, by level."""

    def whole(self) -> Subgrid:
        """All of the grid."""
        names = tuple(operation.name for operation in self.operations)
        return whole_grid(self.size.layers, names, self.widths, self.features, self.reach)

    def from_dict(self, values: Mapping[str, Any]) -> Subgrid:
        """The subgrid of plain values.

        Raises:
            ValueError: if they are none of this grid.
        """
        found = subgrid_from_dict(values, self.reach)
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
        read = {edge.source for edge in self._edges(subnet) if edge.back > edge.layer}
        total = by.rest() + by.decoder(channels) + sum(by.stem(level, channels, inside[level]) for level in read)
        total += sum(self._transitions(subnet, by, channels).values())
        for (_layer, level), part in subnet.cells.items():
            total += by.addition(level) * (len(part.inputs) - 1)
            total += self._cell(level, channels, part, by)
        return total

    def least(self, subnet: Subgrid, by: GridCost, kinds: Collection[str] = KINDS) -> int:
        """The cheapest way from stems to the four levels of the last layer, all cells and levels as narrow as they can
        be: a tree, since each cell that is left reads one."""
        narrow = self._narrowest(subnet, by, kinds)
        if "edge" not in kinds:
            return self.cost(narrow, by)
        channels, inside = zip(*self.channels_of(narrow), strict=True)
        bring = self._transitions(narrow, by, channels)
        cells = {at: self._cell(at[1], channels, part, by) for at, part in narrow.cells.items()}
        ways: dict[tuple[int, int], dict[str, list[tuple[Node, int]]]] = {(-1, level): {} for level in range(LEVELS)}
        ways |= {at: {} for at in narrow.cells}
        for edge in self._edges(narrow):
            at = (edge.layer, edge.target)
            origin = (edge.layer - edge.back, edge.source)
            ways[origin].setdefault(self._key(edge), []).append((at, cells[at]))
        steps = dict[Node, list[tuple[Node, int]]]()
        for at, own in reversed(ways.items()):  # what a transition brings can be read more than once
            steps |= own
            steps[at] = [(key, bring[key]) for key in own]
        stems = [((-1, level), by.stem(level, channels, inside[level])) for level in range(LEVELS)]
        wanted = [(narrow.layers - 1, level) for level in range(LEVELS)]
        return cheapest_tree({**steps, None: stems}, None, wanted) + by.decoder(channels) + by.rest()

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
        if self.tied:
            read = [(edge, len(subnet.cells[edge.layer, edge.target].inputs) > 1) for edge in self._edges(subnet)]
            stay = {edge.first for edge, another in read if not another}
            apart = dict.fromkeys(edge.first for edge, _ in read)
            found += [Unit("edge", (e.layer, e.target, e.source)) for e in apart if e not in stay]
        for (layer, level), part in subnet.cells.items():
            if len(part.inputs) > 1 and not self.tied:
                found += [Unit("edge", (layer, level, place)) for place in part.inputs]
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
        if unit.kind == "edge":
            cells = dict(subnet.cells)
            for edge in self._edges_of(subnet, unit):
                at = (edge.layer, edge.target)
                cells[at] = replace(
                    part := cells[at], inputs=tuple(place for place in part.inputs if place != edge.place)
                )
            return read_only(replace(subnet, cells=cells))
        part = subnet.cells[layer, level]
        if unit.kind == "bottleneck":
            part = replace(part, operations=(), groups=())
        else:
            field = {"operation": "operations", "channels": "groups"}[unit.kind]
            part = replace(part, **{field: tuple(one for one in getattr(part, field) if one != which[0])})
        return replace(subnet, cells={**subnet.cells, (layer, level): part})

    def macs(self, subnet: Subgrid, height: int, width: int) -> int:
        """:meth:`cost` by :meth:`multiply_adds`."""
        return self.cost(subnet, self.multiply_adds(height, width))

    def gates(self, net: nn.Module, subnet: Subgrid, units: Sequence[Unit], options: Mapping[str, Tensor]) -> Tensor:  # noqa: ARG002
        """Derivatives in the units' gates. An edge's output is that of its BatchNorm, whose affine map is linear in the
        gate; a bottleneck's likewise; a channel that its BatchNorm makes zero stays zero behind the activation; the
        kernels of an operation are linear themselves. A group of channels of a level is a gate on all that adds to it:
        every edge into the level, its bottlenecks, its stem, also inside."""
        own = dict(net.named_parameters())
        return slopes(own, [self._gated(subnet, unit, own) for unit in units])

    def factors(self, net: nn.Module, subnet: Subgrid, units: Sequence[Unit]) -> list[Tensor]:
        """The scales of the BatchNorms that the units' gates are on, or the entries of an operation's kernels."""
        own = dict(net.named_parameters())
        return scales(own, [self._gated(subnet, unit, own) for unit in units])

    def choices(self, subnet: Subgrid, unit: Unit) -> list[tuple[str, tuple[int, ...]]]:
        """An edge is one of beta's options, or several that share a transition; an operation is one of alpha's."""
        if unit.kind == "edge":
            return [("beta", (edge.layer, edge.target, edge.slot)) for edge in self._edges_of(subnet, unit)]
        return [("alpha", unit.where)] if unit.kind == "operation" else []

    def _gated(self, subnet: Subgrid, unit: Unit, own: Collection[str]) -> list[Gated]:
        """What a gate on ``unit`` multiplies, of the network's ``own`` parameters."""
        if unit.kind == "width":
            level, _ = unit.where
            after = self.without(subnet, unit)
            gone = _gone(self._features(subnet, level), self._features(after, level))
            found = halves(gone, *self._written(subnet, level))
            if any(edge.source == level for edge in self._edges(subnet) if edge.back > edge.layer):
                inside = _gone(self._inside(subnet, level), self._inside(after, level))
                found += halves(gone, f"stems.{level}.2.1")
                found += halves(inside, f"stems.{level}.0.1", f"stems.{level}.1.1") if inside.any() else []
            return found
        layer, level, *which = unit.where
        cell = f"cells.{layer}_{level}.cell"
        if unit.kind == "edge":
            return halves(None, f"transitions.{self._key(self._edges_of(subnet, unit)[0])}.norm")
        if unit.kind == "bottleneck":
            return halves(None, f"{cell}.project.1")
        if unit.kind == "channels":
            gone = torch.tensor(channels_of(which[0], self.widths[level]))
            return halves(torch.isin(self._kept(subnet.cells[layer, level], level), gone), f"{cell}.norm")
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
        keys = dict.fromkeys(self._key(edge) for edge in self._edges(subnet) if edge.target == level)
        cells = [at for at, part in subnet.cells.items() if at[1] == level and not part.bare]
        names = [f"transitions.{key}.norm" for key in keys]
        return names + [f"cells.{layer}_{level}.cell.project.1" for layer, level in cells]

    def _key(self, edge: Edge) -> str:
        """The name of the edge's transition, as ``Grid.transition_of`` has it."""
        return edge.first.key if self.tied else edge.key

    def _edges(self, subnet: Subgrid) -> Iterator[Edge]:
        """All that are left."""
        for at, part in subnet.cells.items():
            known = by_place(*at, self.reach)
            yield from (known[place] for place in part.inputs)

    def _edges_of(self, subnet: Subgrid, unit: Unit) -> list[Edge]:
        """Those that go with a unit."""
        layer, target, place = unit.where
        if not self.tied:
            return [by_place(layer, target, self.reach)[place]]
        key = by_place(layer, target, self.reach)[place].key
        return [edge for edge in self._edges(subnet) if edge.first.key == key]

    def _transitions(self, subnet: Subgrid, by: GridCost, channels: Sequence[int]) -> dict[str, int]:
        """What each costs, by its name."""
        return {self._key(edge): by.edge(edge.source, edge.target, channels) for edge in self._edges(subnet)}

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


def _first(groups: Sequence[int], eighths: int) -> tuple[int, ...]:
    return tuple(groups[: max(1, len(groups) * eighths // GROUPS)])


def _smallest(groups: Sequence[int], width: int) -> tuple[int]:
    return (min(groups, key=lambda group: len(channels_of(group, width))),)


def _most_that_stay(floor: float, width: int) -> int:
    """Groups that no more can go of."""
    return max(1, math.ceil(floor * groups_of(width)))


def _gone(before: Tensor, after: Tensor) -> Tensor:
    """Which of ``before`` are not there any more."""
    return ~torch.isin(before, after)
