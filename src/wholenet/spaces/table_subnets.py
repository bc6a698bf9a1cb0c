"""What can be removed from a supernet of cells that walks over a table, what is left then, and what that costs.

All cells of a type have the same table, so an operation of an edge goes from all of them at once. What is left is a
table, too: the whole one, in which edges have lost operations.

Letters: E edges of a type of cell, O operations; H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from wholenet.file_keys import check_keys
from wholenet.files import shown
from wholenet.spaces.cell_masks import table_masks
from wholenet.spaces.cell_tables import CellEdge, Table
from wholenet.spaces.grid_costs import macs_in_words
from wholenet.spaces.module_macs import Modules, option_macs
from wholenet.spaces.option_subnets import OptionSubnets
from wholenet.spaces.subnets import Unit

remembered = lru_cache(maxsize=8)
"""For what makes :class:`TableSubnets` of settings and facts: they know what was counted before."""
OPERATION = "operation"
"""The one kind of units; where: the place of the type of cell in the table, of the edge, of the operation."""
UNREADING = ("none", "noise")
"""Operations whose output says nothing of their input."""


@dataclass(frozen=True)
class Subtable:
    """What is left of a table."""

    table: Table

    def to_dict(self) -> dict[str, list[list[str]]]:
        """Plain values: names of what each edge still offers, by type of cell, in the order of the table."""
        return {kind: [list(edge.left) for edge in edges] for kind, edges in self.table.items()}

    def masks(self) -> dict[str, Tensor]:
        """Which options are left, by type of cell [E, O]."""
        return table_masks(self.table)

    def edges(self) -> list[tuple[int, int, CellEdge]]:
        """All of them, with the places of their type of cell and their own in it."""
        return [(k, e, edge) for k, edges in enumerate(self.table.values()) for e, edge in enumerate(edges)]


@dataclass(frozen=True)
class OptionMacs:
    """What the parts of a network of cells cost: multiply-adds of their convolutions and matrices for one image, or
    pair, of ``size``."""

    size: tuple[int, int]
    options: Sequence[Sequence[Mapping[str, int]]]
    """Of each operation of each edge of each type of cell, in the order of the table; over all cells of it."""
    rest: int
    """Of all else."""
    name: str = "macs"

    def in_words(self, amount: int) -> str:
        """An amount, for people: "1.23 GMACs"."""
        return macs_in_words(amount)


class TableSubnets(OptionSubnets[Subtable]):
    """The subnets of the supernets of one table.

    Args:
        space: name of the space, for messages.
        table: the whole one.
        build: makes the network of a table.
        modules: network -> which of its modules an option alone runs (``Space.costs``).
        channels: of an image.
        example: an image [1, channels, H, W] -> what the network is called with; None: that.
    """

    by_hand = "their own settings of channels and cells"

    def __init__(
        self,
        space: str,
        table: Table,
        build: Callable[[Table], Any],
        modules: Callable[[Any], Modules],
        channels: int,
        example: Callable[[Tensor], Any] | None = None,
    ) -> None:
        super().__init__(space)
        self.table, self.build, self.modules = table, build, modules
        self.channels, self.example = channels, example
        self.gated = tuple(table)
        self._counted: dict[tuple[int, int], OptionMacs] = {}

    def whole(self) -> Subtable:
        """All of it."""
        return Subtable(self.table)

    def from_dict(self, values: Mapping[str, Any]) -> Subtable:
        """The part of plain values, which may come from anywhere.

        Raises:
            ValueError: if they are none of this table, or leave an edge nothing that reads its input.
        """
        check_keys(values, dict.fromkeys(self.table, list[list[str]]), "the subnet", only=True)
        return Subtable({kind: tuple(self._edges(kind, values[kind])) for kind in self.table})

    def multiply_adds(self, height: int, width: int) -> OptionMacs:
        """Of the convolutions and matrices: those that run, in whatever form."""
        size = (height, width)
        if size not in self._counted:
            with torch.device("meta"):
                net = self.build(self.table).eval()
                image = torch.zeros(1, self.channels, *size)
                counted, rest = option_macs(net, self.modules(net), self.example(image) if self.example else image)
            options = [
                [dict(zip(edge.operations, map(int, row), strict=True)) for edge, row in zip(edges, rows, strict=True)]
                for edges, rows in ((self.table[kind], counted[kind].tolist()) for kind in self.table)
            ]
            self._counted[size] = OptionMacs(size, options, rest)
        return self._counted[size]

    def cost(self, subnet: Subtable, by: OptionMacs) -> int:
        """The sum over all operations that are left, and what is around them."""
        return by.rest + sum(by.options[k][e][name] for k, e, edge in subnet.edges() for name in edge.left)

    def least(self, subnet: Subtable, by: OptionMacs, kinds: Collection[str] = (OPERATION,)) -> int:
        """Of each edge the cheapest operation that reads its input."""
        if OPERATION not in kinds:
            return self.cost(subnet, by)
        return by.rest + sum(min(by.options[k][e][name] for name in reading(edge)) for k, e, edge in subnet.edges())

    def units(self, subnet: Subtable, floor: float = 0.0) -> list[Unit]:  # noqa: ARG002
        """All operations, but the last one of an edge that reads its input. No share of anything stays (``floor``)."""
        return [
            Unit(OPERATION, (k, e, edge.operations.index(name)))
            for k, e, edge in subnet.edges()
            for name in edge.left
            if reading(edge) != [name]
        ]

    def count(self, subnet: Subtable) -> dict[str, int]:
        """Operations that read their input."""
        return {"operations": sum(len(reading(edge)) for _, _, edge in subnet.edges())}

    def without(self, subnet: Subtable, unit: Unit) -> Subtable:
        """``subnet`` without the operation that ``unit`` is."""
        k, e, place = unit.where
        kind = list(self.table)[k]
        edges = list(subnet.table[kind])
        edges[e] = replace(edges[e], removed=edges[e].removed | {edges[e].operations[place]})
        return Subtable({**subnet.table, kind: tuple(edges)})

    def choices(self, subnet: Subtable, unit: Unit) -> list[tuple[str, tuple[int, ...]]]:  # noqa: ARG002
        """The option that the operation is, of its type of cell."""
        return [(list(self.table)[unit.where[0]], unit.where[1:])]

    def _edges(self, kind: str, left: Sequence[Sequence[str]]) -> list[CellEdge]:
        whole = self.table[kind]
        if len(left) != len(whole):
            raise ValueError(f"the subnet: {kind} has {len(left)} edges; expected {len(whole)}")
        return list(map(partial(_edge, kind), whole, left))


def reading(edge: CellEdge) -> list[str]:
    """Operations that an edge still has and that read its input."""
    return [name for name in edge.left if name not in UNREADING]


def _edge(kind: str, whole: CellEdge, left: Sequence[str]) -> CellEdge:
    edge = replace(whole, removed=frozenset(whole.operations) - (set(left) & set(whole.left)))
    if list(edge.left) != list(left) or not reading(edge):
        raise ValueError(
            f"the subnet: {shown(list(left))} on the {kind} cell's edge from node {whole.source} to {whole.target}; "
            f"expected some of {', '.join(whole.left)}, in this order, one of which reads its input"
        )
    return edge
