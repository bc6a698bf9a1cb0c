"""The cell spaces of image classification, DARTS and S1 to S4, each as a :class:`Space`."""

from __future__ import annotations

from functools import partial
from typing import Any

from wholenet.architecture import Weights
from wholenet.checked import Cells, Channels, Groups, checked
from wholenet.spaces.darts import TABLES, DartsNet, Table
from wholenet.spaces.darts_genotype import CellGenotype, cell_genotype_from_dict
from wholenet.spaces.space import Facts, GenotypeKind, Space
from wholenet.spaces.supernet import Supernet

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
    auxiliary_skip: bool = False
    """A skip connection on each edge, beside the choice (DARTS-)."""
    auxiliary: bool = False
    """An auxiliary head; of a discrete network."""


def _build(table: Table, settings: CellSettings, facts: Facts, genotype: CellGenotype | None) -> DartsNet:
    shape: dict[str, Any] = {"channels": settings.channels, "cells": settings.cells, "in_channels": facts.channels}
    if genotype is not None:
        return DartsNet(genotype.table(), facts.outputs, search=False, auxiliary=settings.auxiliary, **shape)
    return DartsNet(
        table,
        facts.outputs,
        affine=settings.affine,
        groups=settings.groups,
        edge_weights=settings.edge_weights,
        auxiliary_skip=settings.auxiliary_skip,
        **shape,
    )


def _no_weights(_genotype: CellGenotype) -> Weights:
    """A discrete network of cells has nothing to weigh."""
    return {}


def cell_space(name: str, table: Table) -> Space:
    """The space of all networks whose cells choose from ``table``."""
    return Space(
        name=name,
        settings=CellSettings,
        build=partial(_build, table),
        tasks=("classification",),
        multiple=4,
        genotype=GenotypeKind(cell_genotype_from_dict, _no_weights),
    )


CELL_SPACES = tuple(cell_space(name, table) for name, table in TABLES.items())
