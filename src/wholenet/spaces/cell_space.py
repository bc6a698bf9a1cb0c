"""The cell spaces of image classification, DARTS, S1 to S4 and those of users, each as a :class:`Space`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch

from wholenet.checked import Cells, Channels, Groups, checked
from wholenet.ops.candidates import CANDIDATES
from wholenet.ops.cell_trial import check_cell_operation
from wholenet.spaces.cell_tables import EXAMPLE, PUBLISHED, Offered, Table, offering, table_from
from wholenet.spaces.darts import Cell, DartsNet
from wholenet.spaces.darts_genotype import CellGenotype, cell_genotype_from_dict
from wholenet.spaces.sizes import operation_names
from wholenet.spaces.space import Facts, GenotypeKind, Space
from wholenet.spaces.supernet import Supernet
from wholenet.spaces.survivors import surviving
from wholenet.spaces.table_subnets import Subtable, TableSubnets, remembered

CellSupernet = Supernet[DartsNet]


@checked
class CellSettings:
    """What shapes a network of cells."""

    channels: Channels = 16
    """C of the first cells."""
    cells: Cells = 8
    """How many; two of them reduce."""
    affine: bool = False
    """BatchNorms of a supernet have an affine map; a discrete network's always have."""
    groups: Groups = 1
    """One in so many channels goes through the operations (PC-DARTS)."""
    edge_weights: bool = False
    """Edges have weights of their own (PC-DARTS)."""
    capped_edges: bool = False
    """And these are capped, so that two edges into a node can win (DA2S)."""
    auxiliary_skip: bool = False
    """A skip connection on each edge, beside the choice (DARTS-)."""
    auxiliary: bool = False
    """An auxiliary head; of a discrete network."""
    operations: str | None = None
    """Candidates of every edge, joined by commas, in the place of the table's."""
    survivors: str = ""
    """What searches before left on each edge of the table; empty: all."""

    def __post_init__(self) -> None:
        if self.operations is not None:
            operation_names(self.operations, EXAMPLE)


@dataclass(frozen=True, kw_only=True)
class CellSpace(Space):
    """A space of cells; :func:`cell_space` makes one."""

    table: Table
    """What its edges offer."""


def check_operations(table: Table) -> None:
    """Make sure that the operations of ``table`` are there, and do what a cell asks of them.

    Raises:
        ValueError: for one that is not registered, or does not.
    """
    for name in dict.fromkeys(name for edges in table.values() for edge in edges for name in edge.operations):
        check_cell_operation(CANDIDATES.called(name))


def _table(name: str, table: Table, settings: CellSettings) -> Table:
    """What the edges of a supernet of these settings offer, in the space ``name`` with this ``table``."""
    if settings.operations is not None:
        table = offering(settings.operations, name, table)
    return surviving(settings.survivors, table) if settings.survivors else table


def _build(
    name: str,
    table: Table,
    settings: CellSettings,
    facts: Facts,
    genotype: CellGenotype | None,
    subnet: Subtable | None = None,
) -> DartsNet:
    if genotype is not None:
        table = genotype.table()
    else:
        table = _table(name, table, settings) if subnet is None else subnet.table
    if torch.get_default_device().type != "meta":  # a model folder is being looked at: nothing is computed yet
        check_operations(table)
    shape: dict[str, Any] = {"channels": settings.channels, "cells": settings.cells, "in_channels": facts.channels}
    if genotype is not None:
        return DartsNet(table, facts.outputs, search=False, auxiliary=settings.auxiliary, **shape)
    return DartsNet(
        table,
        facts.outputs,
        affine=settings.affine,
        groups=settings.groups,
        edge_weights=settings.edge_weights,
        capped_edges=settings.capped_edges,
        auxiliary_skip=settings.auxiliary_skip,
        **shape,
    )


def _costs(net: DartsNet) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Operations, by edge; all cells of a type have the same choice."""
    return {
        f"cells.{number}.mixtures.{edge.source}_{edge.target}.operations.{operation}": (kind, (row, place))
        for number, (cell, kind) in enumerate(zip(net.cells, net.kinds, strict=True))
        for row, edge in enumerate(cast(Cell, cell).edges)
        for place, operation in enumerate(edge.operations)
    }


def _subnets(name: str, table: Table, settings: CellSettings, facts: Facts) -> TableSubnets:
    def build(left: Table) -> DartsNet:
        return _build(name, table, settings, facts, None, Subtable(left))

    return TableSubnets(name, _table(name, table, settings), build, _costs, facts.channels)


def cell_space(name: str, edges: Offered) -> CellSpace:
    """A search space of DARTS' cells whose edges offer something else, to be registered.

    Args:
        name: of the space.
        edges: names of operations, the same on every edge; or, for "normal" and "reduce" each, (source, target) ->
            names. A cell's nodes 0 and 1 are the outputs of the two cells before it, 2 to 5 its own, and all fourteen
            edges from an earlier to a later one are there, with equally many operations in a cell.

    Raises:
        ValueError: for an operation that is not registered, or edges that there cannot be (the first is named).

    >>> cell_space("mine", ["skip_connect", "sep_conv_3x3", "sep_conv_7x7"]).table["normal"][0].operations
    ('skip_connect', 'sep_conv_3x3', 'sep_conv_7x7')
    """
    table = table_from(name, edges)
    check_operations(table)
    return _space(name, table)


def _space(name: str, table: Table) -> CellSpace:
    return CellSpace(
        name=name,
        settings=CellSettings,
        build=partial(_build, name, table),
        tasks=("classification",),
        multiple=4,
        genotype=GenotypeKind(cell_genotype_from_dict),
        added={"operations": None, "capped_edges": False, "survivors": ""},
        table=table,
        costs=_costs,
        subnets=remembered(partial(_subnets, name, table)),
    )


CELL_SPACES = tuple(_space(name, table) for name, table in PUBLISHED.items())
"""Those that the papers have."""
