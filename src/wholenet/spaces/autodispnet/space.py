"""The space of AutoDispNet as a :class:`Space`: which of its networks is built."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from wholenet.architecture import Weights
from wholenet.spaces.autodispnet.cells import Cell
from wholenet.spaces.autodispnet.correlation import Correlation
from wholenet.spaces.autodispnet.genotype import (
    OPERATIONS,
    PUBLISHED,
    DisparityGenotype,
    check_offered,
    decode,
    genotype_from_dict,
    search_table,
)
from wholenet.spaces.autodispnet.layout import SIZES
from wholenet.spaces.autodispnet.net import DisparityNet
from wholenet.spaces.autodispnet.pair import Pair
from wholenet.spaces.autodispnet.settings import AutoDispNetSettings
from wholenet.spaces.cell_tables import Table
from wholenet.spaces.space import Decode, Facts, GenotypeKind, Space
from wholenet.spaces.table_subnets import Subtable, TableSubnets, remembered

NAME = "autodispnet"


def _build(
    settings: AutoDispNetSettings, facts: Facts, genotype: DisparityGenotype | None, subnet: Subtable | None = None
) -> nn.Module:
    final = genotype is not None
    shape = settings.shape(final=final)
    two_sided = settings.published if settings.two_sided is None else settings.two_sided
    return DisparityNet(
        genotype.table() if genotype is not None else _table(settings) if subnet is None else subnet.table,
        shape,
        facts.channels,
        search=not final,
        norm=not settings.published,
        affine=settings.affine or final,
        correlation=Correlation(shape.displacement, two_sided=two_sided, normalised=not settings.published),
        stages=settings.stages,
    )


def _table(settings: AutoDispNetSettings) -> Table:
    return search_table(strided_dilation=not settings.published)


def _pair(image: Tensor) -> Pair:
    """Whose left and right are one image."""
    return Pair(image, image)


@remembered
def _subnets(settings: AutoDispNetSettings, facts: Facts) -> TableSubnets:
    def build(table: Table) -> nn.Module:
        return _build(settings, facts, None, Subtable(table))

    return TableSubnets(NAME, _table(settings), build, _costs, facts.channels, _pair)


def _check(genotype: DisparityGenotype, settings: AutoDispNetSettings) -> None:
    check_offered(genotype, _table(settings))


def _decode(weights: Weights, _decoding: str, _tau: float, *, settings: AutoDispNetSettings) -> DisparityGenotype:
    return decode(weights, _table(settings))


def _decoder(settings: AutoDispNetSettings) -> Decode:
    return partial(_decode, settings=settings)


def _costs(net: DisparityNet) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Operations, by edge; all cells of a type have the same choice."""
    return {
        f"{path}.operations.{edge.source}_{edge.target}.{name}": (cell.at.kind, (row, OPERATIONS.index(name)))
        for path, cell in net.named_modules()
        if isinstance(cell, Cell)
        for row, edge in enumerate(cell.edges)
        for name in edge.left
    }


AUTODISPNET = Space(
    name=NAME,
    settings=AutoDispNetSettings,
    build=_build,
    tasks=("stereo",),
    variants={size: {"size": size} for size in SIZES},
    costs=_costs,
    subnets=_subnets,
    example=_pair,
    genotype=GenotypeKind(
        genotype_from_dict, check=_check, decoder=_decoder, supernet_settings=("affine",), published=PUBLISHED
    ),
)
