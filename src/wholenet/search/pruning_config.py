"""What pruning of gates asks of the config of a run. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wholenet.search.cell_config import CellConfig


def check_pruning(config: CellConfig) -> None:
    """Make sure that pruning, and a selection by what it leaves, have what they are about.

    Raises:
        ValueError: naming what they lack.
    """
    if config.selection == "survivors" and config.pruning == "none":
        raise ValueError("selection='survivors' keeps what pruning leaves, and pruning='none'; give pruning='gates'")
    if config.pruning == "none":
        return
    needed = {"relaxation": "sigmoid", "sampling": "none", "stopping": "none", "edge_weights": False}
    needed |= {"architecture": "learned"}
    if other := [name for name, value in needed.items() if getattr(config, name) != value]:
        name = other[0]
        raise ValueError(
            f"pruning={config.pruning!r} removes the options of a search whose gates get small, which goes with "
            f"{name}={needed[name]!r}, not {getattr(config, name)!r}"
        )
    if config.selection == "perturbation":
        raise ValueError(
            f"pruning={config.pruning!r} leaves some options, and selection='perturbation' chooses among all; give "
            "selection='survivors'"
        )
