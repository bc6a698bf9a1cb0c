"""Named sizes of the grid supernet. No tensors here: the command line reads this table without importing torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from wholenet.files import shown
from wholenet.registry import is_name

Filters = Annotated[int, Field(ge=2, le=4096)]
MAX_LAYERS = 100
"""The paper's deepest grid has 14; a file that claims a billion would have us lay out a table of them."""
Layers = Annotated[int, Field(ge=1, le=MAX_LAYERS)]
Head = Literal["plain", "dpc"]
"""Of networks for masks: that of the network's own paper, or one with the dense prediction cell."""
GridHead = Literal[Head, "skip"]
"""Of the grid, where a pretrained encoder may make the stems."""
HEAD: Head = "plain"
SKIP_WIDTH = 128
SKIP_KEPT = 0.8
"""Of a head that reads an encoder's maps (ours): its least width, and the share of its maps that training keeps."""


def check_head(head: GridHead | str, *, pretrained: bool) -> None:
    """Make sure that there is an encoder where a head reads its maps.

    Raises:
        ValueError: if there is none.
    """
    if head == "skip" and not pretrained:
        raise ValueError(f"head={head!r} reads the maps of a pretrained stem; give --stem timm/NAME, or leave it out")


Size = Literal["nano", "tiny", "small", "base", "medium", "large"]
"""Names of ``GRID_SIZES``."""


@dataclass(frozen=True, kw_only=True)
class GridSize:
    """Shape of a grid supernet (seed paper, Table 3)."""

    layers: int
    """L: layers of the grid."""
    filters: int
    """F: a feature map at stride s has F * s / 4 channels."""
    expansion: int
    """E: width of a cell's bottleneck over its input."""
    sampling: int = 1
    """1 / S: one in so many channels passes through a cell; the others bypass it."""
    head: int = 256
    """Channels of the decoder's common feature map at stride 4."""

    def __post_init__(self) -> None:
        for field in ("layers", "filters", "expansion", "sampling", "head"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field}={getattr(self, field)}: a grid needs at least 1")
        if self.filters % (2 * self.sampling):
            raise ValueError(
                f"filters={self.filters} cannot be halved in the stem and cut into {self.sampling} equal parts; "
                f"use a multiple of {2 * self.sampling}"
            )


GRID_SIZES: dict[str, GridSize] = {
    # Ours, for CPUs and tests.
    "nano": GridSize(layers=3, filters=8, expansion=2, head=64),
    "tiny": GridSize(layers=4, filters=16, expansion=3, head=64),
    # The paper's Table 3; its second row has no name there.
    "small": GridSize(layers=10, filters=16, expansion=3),
    "base": GridSize(layers=14, filters=16, expansion=6),
    "medium": GridSize(layers=14, filters=64, expansion=6, sampling=4),
    "large": GridSize(layers=10, filters=64, expansion=3),
}


OPERATIONS = "conv_3x3,conv_5x5"
"""Candidates of a grid's cell where none are given: those of the seed paper."""
MOST_OPERATIONS = 32


def operation_names(text: str, example: str = OPERATIONS) -> tuple[str, ...]:
    """The names in a setting of operations.

    Raises:
        ValueError: if they are no names, or there are two of one.

    >>> operation_names("conv_3x3,dil_conv_3x3")
    ('conv_3x3', 'dil_conv_3x3')
    """
    names = tuple(text.split(","))
    if not all(map(is_name, names)) or len(names) > MOST_OPERATIONS:
        raise ValueError(
            f"operations={shown(text)}: expected up to {MOST_OPERATIONS} names joined by commas, without spaces, such "
            f"as {example}"
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"operations={shown(text)}: {shown(twice)} is there twice; give each operation once")
    return names


def operation_label(name: str) -> str:
    """How people call the operation: a plain kernel by its size alone.

    >>> operation_label("conv_3x3"), operation_label("dil_conv_3x3")
    ('3x3', 'dil_conv_3x3')
    """
    size = name.removeprefix("conv_")
    return size if size.replace("x", "").isdigit() else name


FUSED = ("lstm", "gru")
"""Controls of recurrent cells that no search made."""
RANDOM_CELLS = tuple(f"random-rnn-{seed}" for seed in range(100))
"""Recurrent cells drawn at random, each by its seed: what a search has to beat."""
RECURRENT_NAMES = ("darts-rnn-v1", "darts-rnn-v2", "enas-rnn", *FUSED, *RANDOM_CELLS)
RANDOM_DISPARITY_CELLS = tuple(f"random-autodispnet-{seed}" for seed in range(100))
"""Likewise, of networks that estimate disparity."""
DISPARITY_NAMES = ("autodispnet", *RANDOM_DISPARITY_CELLS)
PUBLISHED_PATHS = {
    "autodeeplab": "autodeeplab",
    **dict.fromkeys(RECURRENT_NAMES, "recurrent"),
    **dict.fromkeys(DISPARITY_NAMES, "autodispnet"),
}
"""Genotypes by name of networks that segment, model language, or estimate disparity, and their spaces."""
GRIDS = ("grid", "dense-grid")
"""Spaces whose network is the grid's, with one reach or another."""
LAYERED = (*GRIDS, "autodeeplab")
"""Spaces whose setting `layers` says how deep a network is."""
DECODINGS = {"dense-grid": ("threshold", "strongest")}
"""Of spaces that take some of the decodings alone, these; the first where none is given."""
OWN_CELLS = ("nb201", "dots")
"""Spaces of image classification whose cells are not those of ``spaces/cell_tables.py``."""


def grid_size(name: str, filters: int | None = None, layers: int | None = None) -> GridSize:
    """The size called ``name``, or one with other ``filters`` or ``layers``.

    Raises:
        ValueError: for an unknown name; the message lists the known ones. For filters that the size cannot have.

    >>> grid_size("small").layers, grid_size("tiny", 10).filters, grid_size("tiny", layers=2).layers
    (10, 10, 2)
    """
    if name not in GRID_SIZES:
        raise ValueError(f"unknown size {name!r}; known: {', '.join(GRID_SIZES)}")
    given = {name: value for name, value in {"filters": filters, "layers": layers}.items() if value is not None}
    return replace(GRID_SIZES[name], **given)
