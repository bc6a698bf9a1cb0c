"""How far the cells of a grid reach back for what they read. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = 4
FINEST = 2
"""The maps of the finest level are the image halved so many times."""
STRIDES = tuple(4 * 2**level for level in range(LEVELS))


@dataclass(frozen=True)
class Reach:
    """How far a cell's inputs may lie."""

    layers: int = 1
    """Layers back; the stems count as the layer before the first."""
    levels: int = 1
    """Levels up or down."""

    @property
    def offsets(self) -> int:
        """Slots for the levels of one earlier layer."""
        return 2 * self.levels + 1

    @property
    def slots(self) -> int:
        """S: entries of ``beta`` per cell, those included that lie off the grid."""
        return self.layers * self.offsets
