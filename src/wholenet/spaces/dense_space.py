"""The dense grid as a :class:`Space`: the grid of the seed paper with links from every earlier layer and level, after
DCNAS (Zhang et al., CVPR 2021), whose text names the idea and few numbers (docs/dense-grid.md)."""

from __future__ import annotations

from functools import partial

from wholenet.ops.operations import operations_called
from wholenet.spaces.dense_decoding import decode_dense
from wholenet.spaces.dense_genotype import DenseGenotype, dense_genotype_from_dict
from wholenet.spaces.dense_settings import DenseGridSettings
from wholenet.spaces.grid import Grid
from wholenet.spaces.grid_space import (
    check_counted,
    check_same_operations,
    check_values,
    grid_costs,
    tried_operations,
)
from wholenet.spaces.grid_subnets import GridSubnets
from wholenet.spaces.sizes import DECODINGS, GRID_SIZES, HEAD
from wholenet.spaces.space import Decode, Facts, GenotypeKind, Space
from wholenet.spaces.subgrid import Subgrid


def _build(
    settings: DenseGridSettings, facts: Facts, genotype: DenseGenotype | None, subnet: Subgrid | None = None
) -> Grid:
    some = genotype if subnet is None else subnet
    known = None if subnet is None else _subnets(settings, facts)
    return Grid(
        settings.shape,
        facts.outputs,
        facts.channels,
        cell=settings.cell,
        activation=settings.activation,
        operations=tried_operations(settings.names),
        kept=None if some is None else some.masks(),
        widths=None if known is None or subnet is None else known.widths_of(subnet),
        levels=None if known is None or subnet is None else known.channels_of(subnet),
        reach=settings.reach if genotype is None else genotype.reach,
        tied=settings.tied,
        sampled=settings.sampled_links or None if genotype is None else None,
        unbiased=settings.unbiased_links,
        head=settings.head,
    )


def _subnets(settings: DenseGridSettings, facts: Facts) -> GridSubnets:
    check_counted(settings.cell, settings.head)
    operations = operations_called(settings.names)
    return GridSubnets(settings.shape, operations, facts.outputs, facts.channels, settings.reach, tied=settings.tied)


def _check(genotype: DenseGenotype, settings: DenseGridSettings) -> None:
    if genotype.layers != settings.shape.layers:
        raise ValueError(
            f"the genotype has {genotype.layers} layers, the network {settings.shape.layers}; give the size or the "
            "layers that it was decoded from"
        )
    check_same_operations(genotype.operations, settings.names)


def _decoder(settings: DenseGridSettings) -> Decode:
    return partial(decode_dense, reach=settings.reach, most=settings.kept_links or None, operations=settings.names)


DENSE_GRID = Space(
    name="dense-grid",
    settings=DenseGridSettings,
    build=_build,
    tasks=("segmentation",),
    variants={size: {"size": size} for size in GRID_SIZES},
    added={"head": HEAD},
    subnets=_subnets,
    costs=grid_costs,
    check_batch=check_values,
    genotype=GenotypeKind(
        dense_genotype_from_dict,
        DenseGenotype.weights,
        _check,
        decoder=_decoder,
        decodings=DECODINGS["dense-grid"],
        supernet_settings=("reach_layers", "reach_levels", "sampled_links", "unbiased_links", "kept_links"),
    ),
)
