"""The dense grid as a :class:`Space`: the grid of the seed paper with links from every earlier layer and level, after
DCNAS (Zhang et al., CVPR 2021), whose text names the idea and few numbers (docs/dense-grid.md)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from wholenet.checked import checked
from wholenet.ops.operations import operations_called
from wholenet.spaces.dense_decoding import decode_dense
from wholenet.spaces.dense_genotype import DenseGenotype, dense_genotype_from_dict
from wholenet.spaces.grid import Grid
from wholenet.spaces.grid_space import check_counted, check_same_operations, grid_costs, tried_operations
from wholenet.spaces.grid_subnets import GridSubnets
from wholenet.spaces.links import LEVELS, Reach
from wholenet.spaces.sampled_links import MOST_UNBIASED
from wholenet.spaces.sizes import (
    DECODINGS,
    GRID_SIZES,
    HEAD,
    MAX_LAYERS,
    OPERATIONS,
    Filters,
    GridSize,
    Head,
    Layers,
    Size,
    grid_size,
    operation_names,
)
from wholenet.spaces.space import Decode, Facts, GenotypeKind, Space
from wholenet.spaces.subgrid import Subgrid

Levels = Annotated[int, Field(ge=1, le=LEVELS - 1)]
Links = Annotated[int, Field(ge=0, le=LEVELS * MAX_LAYERS)]
Parts = Annotated[int, Field(ge=1, le=64)]


@checked
class DenseGridSettings:
    """What shapes a dense grid."""

    size: Size = "small"
    """That of a grid (`wholenet info`); `layers`, `filters` and `channel_sampling` replace what it says."""
    layers: Layers | None = None
    """Layers; default: those of the size."""
    filters: Filters | None = None
    """Channels at stride 4, each coarser level twice those of the one before; default: those of the size."""
    cell: Literal["mixture", "separate"] = "mixture"
    """Operations mixed inside one bottleneck, or a whole bottleneck for each."""
    activation: Literal["relu", "relu6", "hardswish"] = "hardswish"
    """After each BatchNorm that has one."""
    operations: str = OPERATIONS
    """Candidates of each cell, joined by commas; after DCNAS: conv_3x3,conv_5x5,conv_7x7."""
    head: Head = HEAD
    """What makes class logits of the four levels: "plain" adds them up, "dpc" has the dense prediction cell."""
    reach_layers: Layers | None = None
    """Layers back that a cell reads from, the stems counting as one; default: all. With 1, and `reach_levels` 1, this
    is the grid."""
    reach_levels: Levels = LEVELS - 1
    """Levels up or down that it reads from: 1 to 3."""
    tied: bool = False
    """All links from one cell to one level have one transition, which runs once."""
    sampled_links: Links = 0
    """Links of each cell that a pass in training takes, drawn by their weights; 0: all. After DCNAS: 3."""
    unbiased_links: bool = False
    """The weight of a drawn link is divided by the probability that it is drawn, instead of making them sum to one."""
    kept_links: Links = 3
    """Links of each cell that decoding by threshold keeps at most; 0: any number."""
    channel_sampling: Parts | None = None
    """One in so many channels passes through a cell, the others bypass it; default: that of the size. After DCNAS:
    4."""

    def __post_init__(self) -> None:
        shape = self.shape  # which says what is wrong with it
        operations_called(self.names)
        if self.reach_layers is not None and self.reach_layers > shape.layers:
            raise ValueError(
                f"reach_layers={self.reach_layers}: {shape.layers} layers reach back {shape.layers} at most, to the "
                "stems; leave it out for all"
            )
        if self.unbiased_links and not 1 <= self.sampled_links <= MOST_UNBIASED:
            raise ValueError(
                f"unbiased_links is of sampled_links from 1 to {MOST_UNBIASED}, not {self.sampled_links}: the "
                "probability of being drawn is a sum over ordered draws"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the operations."""
        return operation_names(self.operations)

    @property
    def shape(self) -> GridSize:
        """What size, layers, filters and channel sampling come to."""
        given = {"layers": self.layers, "filters": self.filters, "sampling": self.channel_sampling}
        return replace(grid_size(self.size), **{name: value for name, value in given.items() if value is not None})

    @property
    def reach(self) -> Reach:
        """Of its cells."""
        return Reach(self.shape.layers if self.reach_layers is None else self.reach_layers, self.reach_levels)


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
    genotype=GenotypeKind(
        dense_genotype_from_dict,
        DenseGenotype.weights,
        _check,
        decoder=_decoder,
        decodings=DECODINGS["dense-grid"],
    ),
)
