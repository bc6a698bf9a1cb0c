"""The space of Auto-DeepLab as a :class:`Space`: which of its two networks is built, and how it is decoded."""

from __future__ import annotations

from functools import partial

from torch import nn

from wholenet.spaces.autodeeplab.final import FinalNet
from wholenet.spaces.autodeeplab.genotype import (
    OPERATIONS,
    PUBLISHED,
    PathGenotype,
    decode,
    genotype_from_dict,
)
from wholenet.spaces.autodeeplab.images import check_batch
from wholenet.spaces.autodeeplab.settings import SIZES, AutoDeepLabSettings
from wholenet.spaces.autodeeplab.subnets import TrellisSubnets
from wholenet.spaces.autodeeplab.subtrellis import Subtrellis
from wholenet.spaces.autodeeplab.supernet import Cell, Trellis
from wholenet.spaces.autodeeplab.trellis import all_moves
from wholenet.spaces.sizes import HEAD
from wholenet.spaces.space import Decode, Facts, GenotypeKind, Space


def _build(
    settings: AutoDeepLabSettings, facts: Facts, genotype: PathGenotype | None, subnet: Subtrellis | None = None
) -> nn.Module:
    shape = settings.shape
    if genotype is not None:
        return FinalNet(
            genotype,
            settings.final_filters or shape.filters,
            shape.head,
            facts.outputs,
            facts.channels,
            path_keep=settings.path_keep,
            separable_atrous=settings.separable_atrous,
            dpc=settings.head == "dpc",
        )
    return Trellis(
        shape.layers,
        shape.filters,
        shape.blocks,
        facts.outputs,
        facts.channels,
        transitions=settings.transitions,
        affine=settings.affine,
        separable_atrous=settings.separable_atrous,
        resize_first=settings.resize_first,
        kept=None if subnet is None else subnet.masks(),
    )


def _subnets(settings: AutoDeepLabSettings, facts: Facts) -> TrellisSubnets:
    shape = settings.shape
    whole = partial(_build, settings, facts, None)
    return TrellisSubnets(shape.layers, shape.blocks, settings.transitions, whole)


def _decoder(settings: AutoDeepLabSettings) -> Decode:
    return partial(decode, layers=settings.shape.layers, transitions=settings.transitions)


def _costs(net: Trellis) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Operations, by edge, in all cells and all their runs; of a move what brings its source to the cell. The run of
    the cell that a move adds belongs to the operations."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for at, cell in net.cells.items():
        assert isinstance(cell, Cell)
        for (i, block), row in cell.rows.items():
            for place, name in enumerate(OPERATIONS):
                found[f"cells.{at}.edges.{i}_{block}.{name}"] = ("alpha", (row, place))
    for move in all_moves(net.layers):
        found[f"cells.{move.layer}_{move.target}.before.{move.source}"] = ("beta", net.place_of(move))
    return found


def _at(net: nn.Module, time: float) -> None:
    """Drop path rises with the time."""
    if isinstance(net, FinalNet):
        net.time = time


RECIPE = {"lr": 0.05, "weight_decay": 4e-5}
"""Of the discrete network: the paper's rate (poly, power 0.9), the release's weight decay."""
AUTODEEPLAB = Space(
    name="autodeeplab",
    settings=AutoDeepLabSettings,
    build=_build,
    tasks=("segmentation",),
    variants={size: {"size": size} for size in SIZES},
    recipe=RECIPE,
    added={"head": HEAD},
    genotype=GenotypeKind(
        genotype_from_dict,
        decoder=_decoder,
        supernet_settings=("layers", "blocks", "transitions", "affine", "resize_first"),
        published=PUBLISHED,
    ),
    at=_at,
    subnets=_subnets,
    costs=_costs,
    check_batch=lambda _settings, images, size: check_batch(images, size),
)
