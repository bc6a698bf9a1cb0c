"""NAS-Bench-201's search space as a :class:`Space`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from wholenet.checked import Channels, Groups, checked
from wholenet.spaces.cell_tables import Table
from wholenet.spaces.nb201.genotype import (
    KIND,
    NAME,
    TABLE,
    Nb201Genotype,
    genotype_from_dict,
    read_genotype,
    write_genotype,
)
from wholenet.spaces.nb201.network import CELLS, STAGES, Nb201Cell, Nb201Net
from wholenet.spaces.space import Facts, GenotypeKind, Space
from wholenet.spaces.survivors import surviving
from wholenet.spaces.table_subnets import Subtable, TableSubnets, remembered

Cells = Annotated[int, Field(ge=STAGES, le=66 * STAGES)]


@checked
class Nb201Settings:
    """What shapes a network of this space."""

    channels: Channels = 16
    """C of the first stage."""
    cells: Cells = CELLS
    """How many, in three equal stages."""
    affine: bool = False
    """BatchNorms in the cells of a supernet have an affine map; a discrete network's always have."""
    groups: Groups = 1
    """One in so many channels goes through the operations (PC-DARTS)."""
    edge_weights: bool = False
    """Edges have weights of their own (PC-DARTS)."""
    auxiliary_skip: bool = False
    """A skip connection on each edge, beside the choice (DARTS-)."""
    survivors: str = ""
    """What searches before left on each edge; empty: all."""

    def __post_init__(self) -> None:
        if self.cells % STAGES:
            raise ValueError(f"cells={self.cells}: expected a multiple of {STAGES}, as many in each of the stages")
        if self.survivors:
            surviving(self.survivors, TABLE)


def _build(
    settings: Nb201Settings, facts: Facts, genotype: Nb201Genotype | None, subnet: Subtable | None = None
) -> Nb201Net:
    shape: dict[str, Any] = {"channels": settings.channels, "cells": settings.cells, "in_channels": facts.channels}
    if genotype is not None:
        return Nb201Net(genotype.table(), facts.outputs, search=False, **shape)
    return Nb201Net(
        _table(settings) if subnet is None else subnet.table,
        facts.outputs,
        affine=settings.affine,
        groups=settings.groups,
        edge_weights=settings.edge_weights,
        auxiliary_skip=settings.auxiliary_skip,
        **shape,
    )


def _table(settings: Nb201Settings) -> Table:
    return surviving(settings.survivors, TABLE) if settings.survivors else TABLE


@remembered
def _subnets(settings: Nb201Settings, facts: Facts) -> TableSubnets:
    def build(table: Table) -> Nb201Net:
        return _build(settings, facts, None, Subtable(table))

    return TableSubnets(NAME, _table(settings), build, _costs, facts.channels)


def _costs(net: Nb201Net) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Operations, by edge; all cells have the same choice."""
    return {
        f"layers.{number}.mixtures.{row}.operations.{name}": (KIND, (row, place))
        for number, cell in enumerate(net.layers)
        if isinstance(cell, Nb201Cell)
        for row, edge in enumerate(cell.edges)
        for place, name in enumerate(edge.operations)
    }


RECIPE = {
    "cells": CELLS,
    "epochs": 200,
    "batch": 256,
    "lr": 0.1,
    "weight_decay": 5e-4,
    "clip": 0.0,
    "drop_path": 0.0,
    "cutout": 0,
    "auxiliary": 0.0,
}
"""How the benchmark trained its networks; its momentum was Nesterov's, ours is not."""
NB201 = Space(
    name=NAME,
    settings=Nb201Settings,
    build=_build,
    tasks=("classification",),
    recipe=RECIPE,
    multiple=4,
    genotype=GenotypeKind(genotype_from_dict, read=read_genotype, write=write_genotype),
    added={"survivors": ""},
    costs=_costs,
    subnets=_subnets,
)
