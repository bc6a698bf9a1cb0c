"""The space of AutoDispNet as a :class:`Space`: its settings, and which of its networks is built."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from wholenet.architecture import Weights
from wholenet.checked import Channels, checked
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
from wholenet.spaces.autodispnet.layout import FINAL_DECODER, FINAL_WIDTH, FINEST, SIZES, Shape
from wholenet.spaces.autodispnet.net import DisparityNet
from wholenet.spaces.autodispnet.pair import Pair
from wholenet.spaces.cell_tables import Table
from wholenet.spaces.space import Decode, Facts, GenotypeKind, Space

StemFactor = Annotated[float, Field(ge=1, le=64)]
Displacement = Annotated[int, Field(ge=0, le=4096)]
Upsamplings = Annotated[int, Field(ge=1, le=4)]
Stages = Annotated[int, Field(ge=1, le=3)]


@checked
class AutoDispNetSettings:
    """What shapes a network of this space."""

    size: Literal["full", "tiny"] = "full"
    """Which cells there are: full (features at an eighth, down to 1/64), or tiny (no feature cell, down to 1/16), for
    CPUs."""
    width: Channels | None = None
    """C: channels of the first cells' nodes. Default: 24 in a search, 42 of a discrete network (AutoDispNet-C); 8 of
    tiny."""
    stem_factor: StemFactor | None = None
    """The stem's channels over C. Default: 64/42; 2 of tiny."""
    displacement: Displacement | None = None
    """The largest shift of the correlation, in pixels of its resolution: an eighth, of tiny a quarter. Default: 40; 8
    of tiny."""
    two_sided: bool | None = None
    """Shifts go both ways. Default: only if `published`; disparities of rectified pairs are not negative."""
    decoder: Upsamplings | None = None
    """Upsampling cells, each with a prediction. Default: 3 in a search, 4 of a discrete network; 2 of tiny."""
    affine: bool = False
    """BatchNorms of a supernet have an affine map; a discrete network's always have."""
    stages: Stages = 1
    """1 is AutoDispNet-C; each further one refines what the one before estimates (S): 3 is AutoDispNet-CSS."""
    published: bool = False
    """As the released networks: no BatchNorm, features correlated as they are, and no dilated convolution of stride 2
    in the space. Small networks learn nothing in minutes so."""

    def __post_init__(self) -> None:
        for final in (False, True):
            shape = self.shape(final=final)
            if shape.decoder > shape.coarsest - FINEST:
                raise ValueError(
                    f"decoder={shape.decoder}: size={self.size!r} has features at {shape.coarsest - FINEST} finer "
                    f"resolutions than its coarsest; give at most {shape.coarsest - FINEST}"
                )

    def shape(self, *, final: bool) -> Shape:
        """What the settings come to; ``final``: of a discrete network."""
        whole = SIZES[self.size]
        if final and self.size == "full":
            whole = replace(whole, width=FINAL_WIDTH, decoder=FINAL_DECODER)
        given = {name: getattr(self, name) for name in ("width", "stem_factor", "displacement", "decoder")}
        return replace(whole, **{name: value for name, value in given.items() if value is not None})


def _build(settings: AutoDispNetSettings, facts: Facts, genotype: DisparityGenotype | None) -> nn.Module:
    final = genotype is not None
    shape = settings.shape(final=final)
    two_sided = settings.published if settings.two_sided is None else settings.two_sided
    return DisparityNet(
        _table(settings) if genotype is None else genotype.table(),
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
        for name in edge.operations
    }


AUTODISPNET = Space(
    name="autodispnet",
    settings=AutoDispNetSettings,
    build=_build,
    tasks=("stereo",),
    variants={size: {"size": size} for size in SIZES},
    costs=_costs,
    example=lambda image: Pair(image, image),
    genotype=GenotypeKind(genotype_from_dict, check=_check, decoder=_decoder, published=PUBLISHED),
)
