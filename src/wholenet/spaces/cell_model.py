"""Networks of the cell spaces by name: the supernet of a space, and the discrete network of a genotype."""

from __future__ import annotations

from typing import Any

from wholenet.architecture import AS_GIVEN, RELAXATIONS, Architecture, uniform_weights
from wholenet.checked import Cells, Channels, Classes, Groups, checked_numbers
from wholenet.spaces.darts import SPACES, DartsNet
from wholenet.spaces.darts_genotype import CellGenotype, cell_genotype_from_dict
from wholenet.spaces.supernet import Supernet

CellSupernet = Supernet[DartsNet]


@checked_numbers
def create_cell_model(
    space: str,
    *,
    num_classes: Classes,
    in_channels: Channels = 3,
    channels: Channels = 16,
    cells: Cells = 8,
    relaxation: str = "softmax",
    affine: bool = False,
    groups: Groups = 1,
    edge_weights: bool = False,
    auxiliary_skip: bool = False,
    genotype: CellGenotype | dict[str, Any] | None = None,
    auxiliary: bool = False,
) -> CellSupernet:
    """An untrained supernet of a cell space; with a ``genotype`` (or its plain values), that discrete network.

    Weights come from torch's global random state: call ``torch.manual_seed`` first for a repeatable start.

    Args:
        space: one of ``SPACES``; of a genotype, where it was found.
        num_classes: classes to tell apart.
        in_channels: of the images.
        channels: C of the first cells.
        cells: how many.
        relaxation: how logits become weights; edge weights are always a softmax over the edges into a node.
        affine: whether BatchNorms of the supernet have an affine map; a discrete network's always have.
        groups: one in so many channels goes through the operations.
        edge_weights: edges have weights of their own.
        auxiliary_skip: a skip connection on each edge, beside the choice.
        genotype: what to build instead of the supernet.
        auxiliary: with an auxiliary head; of a discrete network.

    Raises:
        ValueError: for an unknown space or relaxation (the known ones are listed), or a number that does not do.
    """
    if space not in SPACES:
        raise ValueError(f"unknown space {space!r}; known: {', '.join(SPACES)}")
    if relaxation not in (*RELAXATIONS, AS_GIVEN):
        raise ValueError(f"unknown relaxation {relaxation!r}; known: {', '.join((*RELAXATIONS, AS_GIVEN))}")
    if isinstance(genotype, dict):
        genotype = cell_genotype_from_dict(genotype)
    spec = {
        "space": space,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "channels": channels,
        "cells": cells,
        "relaxation": relaxation,
        "affine": affine,
        "groups": groups,
        "edge_weights": edge_weights,
        "auxiliary_skip": auxiliary_skip,
        "genotype": None if genotype is None else genotype.to_dict(),
        "auxiliary": auxiliary,
    }
    shape: dict[str, Any] = {"channels": channels, "cells": cells, "in_channels": in_channels}
    if genotype is not None:
        net = DartsNet(genotype.table(), num_classes, search=False, auxiliary=auxiliary, **shape)
        return Supernet(net, Architecture.fixed({}, {}), spec)
    net = DartsNet(
        SPACES[space],
        num_classes,
        affine=affine,
        groups=groups,
        edge_weights=edge_weights,
        auxiliary_skip=auxiliary_skip,
        **shape,
    )
    if relaxation == AS_GIVEN:
        return Supernet(net, Architecture.fixed(uniform_weights(net.masks), net.masks), spec)
    edges = dict.fromkeys((name for name in net.masks if name.endswith("_edges")), RELAXATIONS["softmax"])
    return Supernet(net, Architecture(net.masks, RELAXATIONS[relaxation], edges), spec)
