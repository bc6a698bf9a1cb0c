"""What shapes a network of Auto-DeepLab's space, and its sizes. Imports no torch: the command line reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from wholenet.checked import checked
from wholenet.spaces.sizes import HEAD, Filters, Head, Layers

Transitions = Literal["outgoing", "incoming"]
"""Which moves compete: those out of a node (the paper: a walk from the stem), or those into one (the seed paper: a walk
from the end)."""
MAX_BLOCKS = 20
"""A file that claims a billion would have us build them."""
Blocks = Annotated[int, Field(ge=1, le=MAX_BLOCKS)]
Kept = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class TrellisSize:
    """Shape of the networks."""

    layers: int
    """L of the supernet; a discrete network has as many as its genotype."""
    filters: int
    """F: a cell at stride s is F * s / 4 wide."""
    blocks: int
    """Of a cell of the supernet."""
    head: int
    """Channels of the discrete network's pyramid and decoder; its stem has a quarter of them, then half."""


SIZES = {
    "paper": TrellisSize(layers=12, filters=8, blocks=5, head=256),
    # Ours, for CPUs and tests.
    "tiny": TrellisSize(layers=4, filters=4, blocks=3, head=64),
}


@checked
class AutoDeepLabSettings:
    """What shapes a network of this space."""

    size: Literal["paper", "tiny"] = "paper"
    """Layers, filters and blocks by name: paper (12, 8, 5), or tiny (4, 4, 3), for CPUs."""
    layers: Layers | None = None
    """Layers of the supernet; default: those of the size."""
    filters: Filters | None = None
    """Channels of a block at stride 4, each coarser level twice those of the one before; default: those of the size.
    The published networks have 20, 32 and 48."""
    blocks: Blocks | None = None
    """Blocks of a cell of the supernet; default: those of the size."""
    final_filters: Filters | None = None
    """`filters` of the discrete network, where it is to have others than the supernet."""
    transitions: Transitions = "outgoing"
    """Which moves' weights sum to one: those out of a node (the paper), or those into it (the seed paper)."""
    separable_atrous: bool = False
    """Atrous convolutions are depthwise separable, as in DARTS and both PyTorch ports, not full (the release)."""
    affine: bool = False
    """BatchNorms in the supernet's cells have an affine map: for a supernet that is kept. The discrete network's always
    have."""
    resize_first: bool = False
    """What the supernet's cells read is resized before its ReLU, as in public code."""
    path_keep: Kept = 0.8
    """Scheduled drop path of the discrete network: the probability with which, at the end, its last cell keeps the
    output of an operation; 1 drops nothing (the release; the paper's is not known)."""

    head: Head = HEAD
    """Of the discrete network: the atrous pyramid (plain, the paper), or the dense prediction cell in its place."""

    def __post_init__(self) -> None:
        shape = self.shape
        if shape.filters * shape.blocks % 2:
            raise ValueError(
                f"filters={shape.filters} with blocks={shape.blocks}: the stem has half of their product as channels; "
                "give an even number of filters, or of blocks"
            )

    @property
    def shape(self) -> TrellisSize:
        """What size, layers, filters and blocks come to."""
        given = {"layers": self.layers, "filters": self.filters, "blocks": self.blocks}
        return replace(SIZES[self.size], **{name: value for name, value in given.items() if value is not None})
