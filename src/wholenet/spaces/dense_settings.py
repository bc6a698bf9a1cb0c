"""What shapes a dense grid. Imports no torch: the command line reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from wholenet.checked import checked
from wholenet.registry import later
from wholenet.spaces.reach import LEVELS, Reach
from wholenet.spaces.sizes import (
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

Levels = Annotated[int, Field(ge=1, le=LEVELS - 1)]
Links = Annotated[int, Field(ge=0, le=LEVELS * MAX_LAYERS)]
Parts = Annotated[int, Field(ge=1, le=64)]
MOST_UNBIASED = 3
"""Links drawn, up to which the probabilities are computed: they are sums over ordered draws."""
operations_called = later("wholenet.ops.operations:operations_called")


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
