"""Both stages of DOTS as one :class:`Space`: without survivors the first, with them the second."""

from __future__ import annotations

from typing import Any

from wholenet.checked import Cells, Channels, checked
from wholenet.spaces.darts import DartsNet
from wholenet.spaces.darts_genotype import CellGenotype, cell_genotype_from_dict
from wholenet.spaces.dots.network import DotsNet
from wholenet.spaces.dots.survivors import survivors_table
from wholenet.spaces.space import Facts, GenotypeKind, Space

NAME = "dots"


@checked
class DotsSettings:
    """What shapes a network of this space."""

    channels: Channels = 16
    """C of the first cells."""
    cells: Cells = 8
    """How many; two of them reduce."""
    affine: bool = False
    """BatchNorms in the cells of a supernet have an affine map; a discrete network's always have."""
    survivors: str = ""
    """The operations that the first stage left, free:parametric for each of the 28 edges; empty: the first stage."""

    def __post_init__(self) -> None:
        if self.survivors:
            survivors_table(self.survivors)


def _build(settings: DotsSettings, facts: Facts, genotype: CellGenotype | None) -> DartsNet:
    shape: dict[str, Any] = {"channels": settings.channels, "cells": settings.cells, "in_channels": facts.channels}
    if genotype is not None:
        return DartsNet(genotype.table(), facts.outputs, search=False, **shape)
    return DotsNet(facts.outputs, settings.survivors, affine=settings.affine, **shape)


DOTS = Space(
    name=NAME,
    settings=DotsSettings,
    build=_build,
    tasks=("classification",),
    multiple=4,
    genotype=GenotypeKind(cell_genotype_from_dict),
)
