"""Searches that follow each other in one run, each begun anew on what the one before left of its options. Imports no
torch.

A space may have stages of its own (DOTS has two). On others a config says how many there are, and how much deeper each
network is than the one before (P-DARTS): its edges offer less and less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wholenet.search.dots_config import topology_fields, topology_words
from wholenet.search.methods import METHODS
from wholenet.spaces.survivors import kept_operations

if TYPE_CHECKING:
    from wholenet.search.cell_config import CellConfig

STAGES = "stages"
"""Folder, in a run of several stages, of the second and those after it, by their numbers."""
DECAY = 0.2
"""Of dropout on skips, for each epoch of the search (P-DARTS' code)."""


@dataclass(frozen=True)
class OwnStages:
    """The stages that a space has, whatever the method."""

    fields: Callable[[CellConfig], dict[str, Any] | None]
    """The config of a search -> what is special about that of the search after it; None: it is the last."""
    words: Callable[[CellConfig], str]
    """The config of a search that follows another -> what it is, for people."""


OF_SPACE: Mapping[str, OwnStages] = {"dots": OwnStages(topology_fields, topology_words)}
"""By space."""


def following_fields(config: CellConfig) -> dict[str, Any] | None:
    """What is special about the config of the search after that of ``config``; None: it is the last."""
    if config.space in OF_SPACE:
        return OF_SPACE[config.space].fields(config)
    stage = config.stage + 1
    if stage >= config.stages:
        return None
    place = Path(config.out) / STAGES if stage == 1 else Path(config.out).parent
    cells = config.cells + config.stage_cells
    return {"out": str(place / str(stage + 1)), "protocol": "search", "stage": stage, "cells": cells}


def later(config: CellConfig) -> list[CellConfig]:
    """The searches that follow that of ``config``, without what is left for them."""
    following = config.following
    return [] if following is None else [following, *later(following)]


def in_words(config: CellConfig) -> str:
    """What a search is that follows another, for people."""
    if config.space in OF_SPACE:
        return OF_SPACE[config.space].words(config)
    left = " or ".join(map(str, sorted(set(_kept(config, config.stage).values()))))
    return (
        f"stage {config.stage + 1} of {config.stages}: {config.cells} cells, {left} operations on each edge, "
        f"{config.epochs} epochs"
    )


def kept_after(config: CellConfig) -> dict[str, int]:
    """Operations that the search of ``config`` leaves on an edge, by type of cell."""
    return _kept(config, config.stage + 1)


def _kept(config: CellConfig, stage: int) -> dict[str, int]:
    table = config.whole_table
    return {kind: kept_operations(len(edges[0].operations), config.stages, stage) for kind, edges in table.items()}


def skip_rates(config: CellConfig) -> list[float]:
    """Of dropout on skips, at the beginning of each stage.

    Raises:
        ValueError: if there is not one for each, or one is no probability below 1.
    """
    if not config.skip_dropout:
        return [0.0] * config.stages
    try:
        rates = [float(word) for word in config.skip_dropout.split(",")]
    except ValueError:
        rates = []
    if len(rates) != config.stages or not all(0 <= rate < 1 for rate in rates):
        raise ValueError(
            f"skip_dropout={config.skip_dropout!r}: expected {config.stages} probabilities of at least 0 and below 1, "
            "one for each of the stages, joined by commas"
        )
    return rates


def skip_rate(start: float, epoch: int, first: int, epochs: int) -> float:
    """Of dropout on skips in ``epoch`` of a stage of ``epochs`` whose search begins in epoch ``first``: it falls from
    ``start`` linearly, begins again with the search, and falls exponentially (P-DARTS' code).

    >>> [round(skip_rate(0.7, epoch, 10, 25), 6) for epoch in (0, 9, 10, 11, 24)]
    [0.672, 0.42, 0.7, 0.573112, 0.042567]
    """
    if epoch < first:
        return start * (epochs - 1 - epoch) / epochs
    return start * math.exp(-DECAY * (epoch - first))


def check_stages(config: CellConfig) -> None:
    """Make sure that searches that follow each other, dropout on skips and their limit have what they are about.

    Raises:
        ValueError: naming what they lack.
    """
    if config.space not in OF_SPACE:
        if config.epochs_before or (config.survivors and not config.stage):
            raise ValueError(
                "survivors and epochs_before are given by a run itself, to its later searches; leave them out with "
                f"{config.space!r}"
            )
        if config.stage >= config.stages:
            raise ValueError(f"stage={config.stage}: stages={config.stages} ends before; leave it out, runs count it")
    skip_rates(config)
    limited = config.skip_limit < type(config).skip_limit
    asked = f"stages={config.stages}" if config.stages > 1 else f"skip_limit={config.skip_limit}"
    if config.stages == 1 and not limited:
        return
    needed: dict[str, Any] = {"selection": "strength"}
    if config.stages > 1:
        needed |= {"sampling": "none", "stopping": "none", "pruning": "none", "architecture": "learned"}
    if other := [name for name, value in needed.items() if getattr(config, name) != value]:
        raise ValueError(
            f"{asked} chooses by the weights that a search learns, which goes with {other[0]}={needed[other[0]]!r}, "
            f"not {getattr(config, other[0])!r}"
        )
    if config.stages > 1 and (config.keeps_supernet or METHODS[config.method].searches):
        raise ValueError(
            f"{asked} is searches that follow each other, for a genotype; method {config.method!r} with protocol="
            f"{config.protocol!r} is something else: take method 'p-darts' or 'darts', and protocol='search'"
        )
