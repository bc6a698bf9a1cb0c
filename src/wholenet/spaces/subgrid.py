"""The part of a grid that is left: which edges, which operations, how wide each cell's bottleneck and each level is.

A cell stays as long as somebody reads it. What can go by itself is an incoming edge, as long as another is left; an
operation, as long as another is left; a group of channels of the expanded width; the bottleneck as a whole, of which
the residual path stays; and a group of channels of all feature maps of a level.

Letters: L layers, K operations, S slots; level i = 0..3 stands for stride 4 * 2**i; G groups of channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from wholenet.file_keys import check_keys
from wholenet.files import shown
from wholenet.spaces.links import LEVELS, NEAR, STRIDES, Reach, by_place, masks
from wholenet.spaces.sizes import operation_names

GROUPS = 8
"""Groups that the expanded width of a cell, and the channels of a level, are removed in: less where there are less
channels than that."""


def groups_of(width: int) -> int:
    """In how many groups ``width`` channels are removed."""
    return min(GROUPS, width)


def channels_of(group: int, width: int) -> range:
    """The channels of one group; all groups together are ``width``, and differ by one at most.

    >>> [len(channels_of(group, 18)) for group in range(8)]
    [2, 2, 2, 3, 2, 2, 2, 3]
    """
    groups = groups_of(width)
    return range(width * group // groups, width * (group + 1) // groups)


@dataclass(frozen=True)
class CellPart:
    """What is left of one cell. Without operations and groups its residual path alone is."""

    inputs: tuple[int, ...]
    """What it reads, by ``Edge.place``: levels of the layer before, or stems, and of those before that; ascending."""
    operations: tuple[int, ...]
    """Places on alpha's last axis; ascending."""
    groups: tuple[int, ...]
    """Groups of channels of the bottleneck; ascending."""

    @property
    def bare(self) -> bool:
        """Whether its residual path alone is left."""
        return not self.groups


@dataclass(frozen=True)
class Subgrid:
    """What is left of a grid.

    Raises:
        ValueError: if a cell is off the grid, reads nothing, a neighbour that is not there or what is no neighbour, or
            has operations without channels, or if the decoder misses a level, or a level has no channels.
    """

    layers: int
    operations: tuple[str, ...]
    """Names of the K that the supernet chose from."""
    cells: Mapping[tuple[int, int], CellPart]
    """By (layer, level), both from 0, in that order."""
    levels: tuple[tuple[int, ...], ...]
    """Groups of channels of the feature maps of each level; ascending."""
    reach: Reach = NEAR
    """How far cells read."""

    def __post_init__(self) -> None:
        known = set(range(GROUPS))
        if len(self.levels) != LEVELS or not all(groups and set(groups) <= known for groups in self.levels):
            raise ValueError(
                f"expected groups of channels, numbers from 0 to {GROUPS - 1}, for each of {LEVELS} levels, "
                f"found {shown(self.levels)}"
            )
        last = self.layers - 1
        for level in range(LEVELS):
            if (last, level) not in self.cells:
                raise ValueError(
                    f"nothing is left at stride {STRIDES[level]} of the last layer, which the decoder reads"
                )
        for (layer, level), part in self.cells.items():
            where = f"the cell at layer {layer + 1}, stride {STRIDES[level] if 0 <= level < LEVELS else level}"
            if not (0 <= layer < self.layers and 0 <= level < LEVELS):
                raise ValueError(f"{where} lies off the grid of {self.layers} layers")
            if not part.inputs:
                raise ValueError(f"{where} reads nothing")
            known = by_place(layer, level, self.reach)
            for place in part.inputs:
                edge = known.get(place)
                if edge is None or (edge.back <= layer and (layer - edge.back, edge.source) not in self.cells):
                    back, source = divmod(place, LEVELS)
                    which = "the layer before" if back == 0 else f"the layer {back + 1} before"
                    raise ValueError(f"{where} reads level {source} of {which}, which is not there")
            if bool(part.operations) != bool(part.groups):
                raise ValueError(f"{where} has operations without channels, or channels without operations")
            if not set(part.operations) <= set(range(len(self.operations))) or not set(part.groups) <= set(
                range(GROUPS)
            ):
                raise ValueError(f"{where} has an operation or a group of channels that there is not")

    def masks(self) -> dict[str, Tensor]:
        """``alpha`` [L, 4, K] and ``beta`` [L, 4, S], true for what is left to choose from."""
        whole = masks(self.layers, len(self.operations), self.reach)
        found = {name: torch.zeros_like(mask) for name, mask in whole.items()}
        for (layer, level), part in self.cells.items():
            found["alpha"][layer, level, list(part.operations)] = True
            known = by_place(layer, level, self.reach)
            found["beta"][layer, level, [known[place].slot for place in part.inputs]] = True
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :func:`subgrid_from_dict` gives the subgrid back. Inputs are strides of the layer before, or
        with a further reach "LAYER/STRIDE", where layer 0 is the stems."""
        cells = [
            {
                "layer": layer + 1,
                "stride": STRIDES[level],
                "inputs": [_named(layer, level, self.reach)[place] for place in part.inputs],
                "operations": [self.operations[place] for place in part.operations],
                "groups": list(part.groups),
            }
            for (layer, level), part in self.cells.items()
        ]
        levels = {str(stride): list(groups) for stride, groups in zip(STRIDES, self.levels, strict=True)}
        return {"layers": self.layers, "operations": list(self.operations), "cells": cells, "levels": levels}


def _named(layer: int, level: int, reach: Reach) -> dict[int, int | str]:
    """What :meth:`Subgrid.to_dict` calls what a cell may read, by place."""
    known = by_place(layer, level, reach).items()
    return {place: STRIDES[edge.source] if reach == NEAR else edge.origin for place, edge in known}


def subgrid_from_dict(values: Mapping[str, Any], reach: Reach = NEAR) -> Subgrid:
    """The subgrid of plain values, which may come from anywhere, of a grid of this ``reach``.

    Raises:
        ValueError: if they are none.
    """
    where = "the subnet"
    check_keys(values, {"layers": int, "operations": list, "cells": list, "levels": dict}, where, only=True)
    check_keys(values["levels"], {str(stride): list for stride in STRIDES}, f"{where}, levels", only=True)
    try:
        levels = tuple(_in_order(values["levels"][str(stride)], _whole) for stride in STRIDES)
        operations = operation_names(",".join(map(_text, values["operations"])))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    cells = dict[tuple[int, int], CellPart]()
    for cell in values["cells"]:
        keys = {"layer": int, "stride": int, "inputs": list, "operations": list, "groups": list}
        check_keys(cell, keys, f"{where}, cell {shown(cell)}", only=True)
        try:
            place = (cell["layer"] - 1, STRIDES.index(cell["stride"]))
            part = CellPart(
                _in_order(cell["inputs"], lambda name, at=place: _place(name, *at, reach)),
                _in_order(cell["operations"], operations.index),
                _in_order(cell["groups"], _whole),
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"{where}: the cell {shown(cell)} is none: {error}") from error
        if place in cells:
            raise ValueError(f"{where}: the cell at layer {cell['layer']}, stride {cell['stride']} is there twice")
        cells[place] = part
    try:
        return Subgrid(values["layers"], operations, dict(sorted(cells.items())), levels, reach)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _place(name: Any, layer: int, level: int, reach: Reach) -> int:
    """What is called ``name`` in plain values.

    Raises:
        ValueError: if a cell there cannot read it.
    """
    if reach == NEAR:  # what is no neighbour is said later
        return STRIDES.index(name)
    for place, known in _named(layer, level, reach).items():
        if name == known:
            return place
    raise ValueError(f"it cannot read {shown(name)}; expected LAYER/STRIDE within its reach, such as 0/8, a stem")


def _in_order(values: Sequence[Any], number: Callable[[Any], int]) -> tuple[int, ...]:
    """The numbers of what is named."""
    found = sorted(map(number, values))
    if len(set(found)) < len(found):
        raise ValueError(f"{shown(values)} has something twice; expected each once")
    return tuple(found)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"expected numbers of groups of channels, found {shown(value)}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected names of operations, found {shown(value)}")
    return value


def whole_grid(
    layers: int, operations: tuple[str, ...], width: Sequence[int], channels: Sequence[int], reach: Reach = NEAR
) -> Subgrid:
    """All of a grid; ``width``: of the bottlenecks of each level; ``channels``: of its feature maps."""
    cells = {
        (layer, level): CellPart(
            tuple(by_place(layer, level, reach)),
            tuple(range(len(operations))),
            tuple(range(groups_of(width[level]))),
        )
        for layer in range(layers)
        for level in range(LEVELS)
    }
    return Subgrid(layers, operations, cells, tuple(tuple(range(groups_of(c))) for c in channels), reach)


def read_only(subgrid: Subgrid) -> Subgrid:
    """``subgrid`` without the cells that nobody reads."""
    read = {(subgrid.layers - 1, level) for level in range(LEVELS)}
    for (layer, level), part in reversed(list(subgrid.cells.items())):
        if (layer, level) in read:
            read |= {(layer - 1 - place // LEVELS, place % LEVELS) for place in part.inputs}
    return replace(subgrid, cells={at: part for at, part in subgrid.cells.items() if at in read})
