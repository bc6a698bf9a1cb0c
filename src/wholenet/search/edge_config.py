"""What weights of edges, and a choice by them, ask of the config of a run. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wholenet.search.cell_config import CellConfig


def check_edges(config: CellConfig) -> None:
    """Make sure that capped edges, and a selection by edges, have what they are about.

    Raises:
        ValueError: naming what they lack.
    """
    asked = "capped_edges=True" if config.capped_edges else "selection='edges'"
    if not config.capped_edges and config.selection != "edges":
        return
    if not config.edge_weights:
        raise ValueError(f"{asked} is about weights of edges, and edge_weights=False gives them none; give True")
    if config.space == "nb201":
        raise ValueError(
            f"{asked} chooses two edges into a node, and space 'nb201' keeps all of them; leave it out, or take one of "
            "DARTS' spaces"
        )
    if config.capped_edges and config.perturbation != "none":
        raise ValueError(
            f"perturbation={config.perturbation!r} disturbs weights that sum to 1, and those of capped_edges=True do "
            "not; leave one of them out"
        )
