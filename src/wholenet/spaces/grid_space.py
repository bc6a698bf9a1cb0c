"""The grid of the seed paper as a :class:`Space`: what is needed to build and to name it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, cast

import torch

from wholenet.checked import checked
from wholenet.ops.bottleneck import SeparateCell
from wholenet.ops.operations import Operation, check_operation, operations_called
from wholenet.spaces.decoding import DECODINGS, decode
from wholenet.spaces.encoder import Encoder
from wholenet.spaces.encoder_name import parts_of_name
from wholenet.spaces.genotype import Genotype, genotype_from_dict, read_genotype, write_genotype
from wholenet.spaces.grid import PAPER_EDGE_SLOTS, Grid
from wholenet.spaces.grid_subnets import GridSubnets
from wholenet.spaces.links import STRIDES
from wholenet.spaces.sizes import (
    GRID_SIZES,
    HEAD,
    OPERATIONS,
    Filters,
    GridHead,
    GridSize,
    Layers,
    Size,
    check_head,
    grid_size,
    operation_names,
)
from wholenet.spaces.space import Decode, Facts, GenotypeKind, Space
from wholenet.spaces.subgrid import Subgrid


@checked
class GridSettings:
    """What shapes a grid."""

    size: Size = "small"
    """A name in ``GRID_SIZES``."""
    cell: Literal["mixture", "separate"] = "mixture"
    """Operations mixed inside one bottleneck, or "separate": a whole bottleneck for each (Eq. 3 to the letter)."""
    activation: Literal["relu", "relu6", "hardswish"] = "hardswish"
    """After each BatchNorm that has one."""
    operations: str = OPERATIONS
    """Candidates of each cell: names in ``ops.operations.OPERATIONS``, joined by commas."""
    stem: str | None = None
    """"timm/NAME": an encoder in the place of the stems. Its weights are the network's."""
    filters: Filters | None = None
    """Channels at stride 4; None: those of the size."""
    layers: Layers | None = None
    """Layers of the grid; None: those of the size."""

    head: GridHead = HEAD
    """What makes class logits of the four levels: "plain" adds them up, "skip" adds the maps of the encoder, "dpc" has
    the dense prediction cell."""

    def __post_init__(self) -> None:
        grid_size(self.size, self.filters, self.layers)
        operations_called(self.names)
        check_head(self.head, pretrained=self.stem is not None)
        if self.stem is not None:
            parts_of_name(self.stem)

    @property
    def grid_size(self) -> GridSize:
        """The size, with what of it is another."""
        return grid_size(self.size, self.filters, self.layers)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the operations."""
        return operation_names(self.operations)


def tried_operations(names: Sequence[str]) -> list[Operation]:
    """The operations called so, each tried once; not where a model folder is being looked at, when nothing is computed
    yet.

    Raises:
        ValueError: for one that is unknown, or does not do what an operation has to.
    """
    operations = operations_called(names)
    if torch.get_default_device().type != "meta":
        for operation in operations:
            check_operation(operation)
    return operations


def check_same_operations(of_genotype: Sequence[str], of_network: Sequence[str]) -> None:
    """Make sure that a genotype chooses among the operations that the network has.

    Raises:
        ValueError: if it does not.
    """
    if tuple(of_genotype) != tuple(of_network):
        of = ",".join(of_genotype)
        raise ValueError(
            f"the genotype chooses among the operations {of}, the network among {','.join(of_network)}; give "
            f"--operations {of}"
        )


def _build(settings: GridSettings, facts: Facts, genotype: Genotype | None, subnet: Subgrid | None = None) -> Grid:
    some = genotype if subnet is None else subnet
    kept = None if some is None else some.masks()
    known = None if subnet is None else _subnets(settings, facts)
    return Grid(
        settings.grid_size,
        facts.outputs,
        facts.channels,
        cell=settings.cell,
        activation=settings.activation,
        operations=tried_operations(settings.names),
        kept=kept,
        widths=None if known is None or subnet is None else known.widths_of(subnet),
        levels=None if known is None or subnet is None else known.channels_of(subnet),
        encoder=None if settings.stem is None else Encoder(settings.stem, STRIDES),
        head=settings.head,
    )


def check_counted(cell: str, head: str) -> None:
    """Make sure that what can be removed from a grid with these cells and this head, and what it costs, is known.

    Raises:
        ValueError: if it is not.
    """
    if cell != "mixture":
        raise ValueError(
            f"cell={cell!r} has a bottleneck per operation; channels and operations are removed from cell='mixture' "
            "alone"
        )
    if head != HEAD:
        raise ValueError(f"head={head!r}: what it costs is not counted; leave it out")


def _subnets(settings: GridSettings, facts: Facts) -> GridSubnets:
    check_counted(settings.cell, settings.head)
    if settings.stem is not None:
        raise ValueError(
            f"stem={settings.stem!r}: what an encoder of another library costs is not counted; leave it out"
        )
    operations = operations_called(settings.names)
    return GridSubnets(settings.grid_size, operations, facts.outputs, facts.channels)


def _check(genotype: Genotype, settings: GridSettings) -> None:
    layers = settings.grid_size.layers
    if genotype.layers != layers:
        raise ValueError(
            f"the genotype has {genotype.layers} layers, grid-{settings.size} has {layers}; give the size it was "
            "decoded from"
        )
    check_same_operations(genotype.operations, settings.names)


def _decoder(settings: GridSettings) -> Decode:
    return partial(decode, operations=settings.names)


def grid_costs(net: Grid) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Edges, and what each operation has of a cell for itself: with cell="mixture" its kernel alone. Of edges that
    share their transition, none has it for itself."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    edges = [edge for row in net.edges for edge in itertools.chain.from_iterable(row)]
    readers = Counter(map(net.transition_of, edges))
    for edge in edges:
        if readers[key := net.transition_of(edge)] == 1:
            found[f"transitions.{key}"] = ("beta", (edge.layer, edge.target, edge.slot))
    for at, partial_cell in net.cells.items():
        layer, level = map(int, at.split("_"))
        cell = cast(Any, partial_cell).cell
        separate = isinstance(cell, SeparateCell)
        inside: str = "operations" if separate else "depthwise.convs"
        names: list[str] = list(cell.operations if separate else cast(Any, cell).depthwise.convs)
        for place, key in zip(net.offered[layer][level], names, strict=True):
            found[f"cells.{at}.cell.{inside}.{key}"] = ("alpha", (layer, level, place))
    return found


def check_values(_settings: Any, images: int, size: tuple[int, int]) -> None:
    """Make sure that BatchNorm has two values per channel to normalise at the coarsest level.

    Raises:
        ValueError: if a step has one.
    """
    height, width = size
    stride = max(STRIDES)
    if images * -(-height // stride) * -(-width // stride) < 2:
        raise ValueError(
            f"batch={images} with a crop of {height}x{width} leaves one value per channel at stride {stride}, which "
            f"BatchNorm cannot normalise; use a batch of 2 or more, or a crop larger than {stride}x{stride}"
        )


GRID = Space(
    name="grid",
    settings=GridSettings,
    build=_build,
    tasks=("segmentation",),
    variants={size: {"size": size} for size in GRID_SIZES},
    added={"operations": OPERATIONS, "stem": None, "filters": None, "layers": None, "head": HEAD},
    subnets=_subnets,
    costs=grid_costs,
    slots={"beta": PAPER_EDGE_SLOTS},
    check_batch=check_values,
    genotype=GenotypeKind(
        genotype_from_dict,
        Genotype.weights,
        _check,
        decode=decode,
        read=read_genotype,
        write=write_genotype,
        decoder=_decoder,
        decodings=tuple(DECODINGS),
    ),
)
