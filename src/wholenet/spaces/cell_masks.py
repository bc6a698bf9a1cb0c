"""The choices that a table of cells leaves, as boolean masks."""

from __future__ import annotations

import torch
from torch import Tensor

from wholenet.spaces.cell_tables import Table


def table_masks(table: Table) -> dict[str, Tensor]:
    """Which operations each edge still has, by type of cell: [edges, O]."""
    return {
        kind: torch.tensor([[name not in edge.removed for name in edge.operations] for edge in edges], device="cpu")
        for kind, edges in table.items()
    }
