"""The grid of the seed paper as a :class:`Space`: what is needed to build and to name it."""

from __future__ import annotations

from typing import Literal

from wholenet.checked import checked
from wholenet.spaces.decoding import decode
from wholenet.spaces.encoder import Encoder
from wholenet.spaces.encoder_name import parts_of_name
from wholenet.spaces.genotype import Genotype, genotype_from_dict, read_genotype, write_genotype
from wholenet.spaces.grid import STRIDES, Grid
from wholenet.spaces.sizes import GRID_SIZES, Size, grid_size
from wholenet.spaces.space import Facts, GenotypeKind, Space


@checked
class GridSettings:
    """What shapes a grid."""

    size: Size = "small"
    """A name in ``GRID_SIZES``."""
    cell: Literal["mixture", "separate"] = "mixture"
    """Kernels mixed inside one bottleneck, or "separate": a whole bottleneck per kernel (Eq. 3 to the letter)."""
    activation: Literal["relu", "relu6", "hardswish"] = "hardswish"
    """After each BatchNorm that has one."""
    stem: str | None = None
    """"timm/NAME": an encoder in the place of the stems. Its weights are the network's."""

    def __post_init__(self) -> None:
        if self.stem is not None:
            parts_of_name(self.stem)


def _build(settings: GridSettings, facts: Facts, genotype: Genotype | None) -> Grid:
    kept = None if genotype is None else genotype.masks()
    return Grid(
        grid_size(settings.size),
        facts.outputs,
        facts.channels,
        cell=settings.cell,
        activation=settings.activation,
        kept=kept,
        encoder=None if settings.stem is None else Encoder(settings.stem, STRIDES),
    )


def _check(genotype: Genotype, settings: GridSettings) -> None:
    layers = grid_size(settings.size).layers
    if genotype.layers != layers:
        raise ValueError(
            f"the genotype has {genotype.layers} layers, grid-{settings.size} has {layers}; give the size it was "
            "decoded from"
        )


GRID = Space(
    name="grid",
    settings=GridSettings,
    build=_build,
    tasks=("segmentation",),
    later={"stem": None},
    variants={size: {"size": size} for size in GRID_SIZES},
    genotype=GenotypeKind(
        genotype_from_dict, Genotype.weights, _check, decode=decode, read=read_genotype, write=write_genotype
    ),
)
