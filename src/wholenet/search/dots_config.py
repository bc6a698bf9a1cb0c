"""What DOTS asks of the config of its run, which is two searches that follow each other. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wholenet.search.methods import METHODS

if TYPE_CHECKING:
    from wholenet.search.cell_config import CellConfig

TOPOLOGY = "topology"
"""Folder, in a run on dots, of its second search."""


def check_dots(config: CellConfig) -> None:
    """Make sure that ``config`` leaves to its searches the choices and the order that are theirs.

    Raises:
        ValueError: naming the first part that does not.
    """
    needed = {"selection": "strength", "sampling": "none", "perturbation": "none", "relaxation": "softmax"}
    needed |= {"pruning": "none", "arch_optimizer": "adam"}
    needed |= {"stages": 1, "skip_dropout": "", "skip_limit": type(config).skip_limit}
    needed |= {"stopping": "none", "groups": 1, "edge_weights": False, "capped_edges": False, "auxiliary_skip": False}
    if other := [name for name, value in needed.items() if getattr(config, name) != value]:
        raise ValueError(
            f"{other[0]}={getattr(config, other[0])!r} does not go with space 'dots', which chooses in groups and "
            "pairs of its own; take one of the other spaces (darts, s1 to s4, nb201), or method 'darts'"
        )
    if config.keeps_supernet or METHODS[config.method].searches:
        raise ValueError(
            f"method {config.method!r} with protocol={config.protocol!r} is no single search for a genotype, and space "
            "'dots' is two that follow each other; take method 'darts'"
        )


def topology_fields(config: CellConfig) -> dict[str, Any] | None:
    """What is special about the second search: weights and pairs learn together, on all images. None after it."""
    if config.survivors or config.epochs_before:
        return None
    place = {"out": str(Path(config.out) / TOPOLOGY), "protocol": "search"}
    length = {"epochs": config.topology_epochs, "epochs_before": config.epochs}
    return {**place, **length, "gradient": "one-level", "split": "same", "eigenvalue_every": 0}


def topology_words(config: CellConfig) -> str:
    """What the second search is, for people."""
    return f"operations are chosen; {config.epochs} epoch{'s' * (config.epochs > 1)} for pairs of edges"
