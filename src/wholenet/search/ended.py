"""A search that is over, for a selection that asks more of its supernet than its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wholenet.architecture import Weights
from wholenet.spaces.cell_family import CellFamily
from wholenet.spaces.cell_tables import Table

Change = Callable[[Weights], Weights]
"""The architecture weights of the supernet -> those to take in their place, shaped alike."""


@dataclass(frozen=True)
class Ended:
    """What such a selection may look at, and do: its supernet is not needed for anything after it."""

    table: Table
    """What the edges offer."""
    family: CellFamily
    """What is kept of them, and the genotype that is made of that."""
    weights: Callable[[], Weights]
    """-> the architecture weights, without gradient."""
    accuracy: Callable[[Change], float]
    """-> of the supernet at other architecture weights, in [0, 1], on what is held out."""
    tune: Callable[[Change], None]
    """Trains the weights of the supernet at other architecture weights, for ``tune_epochs``."""
    seed: int
    """Of the run."""
    progress: Callable[[int, int], None]
    """To be told (what is decided, what there is to decide)."""
