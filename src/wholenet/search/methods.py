"""The published ways to search, each a point in the product of small parts. Imports no torch.

A method is a table of values for fields of the configs (:class:`wholenet.search.cell_config.CellConfig`, and as far as
the grid has them :class:`wholenet.search.config.FitConfig`); whatever is given by hand comes on top. What the parts do
is in the modules that they are named after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.search.protocols import PROTOCOLS


@dataclass(frozen=True)
class Method:
    """One published method, or somebody's own."""

    name: str
    source: str
    """Paper and section."""
    parts: dict[str, Any] = field(default_factory=dict)
    """What is not as DARTS has it, on whatever space."""
    choice: dict[str, Any] = field(default_factory=dict)
    """How its discrete network is chosen: left out where a space has its own ways."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """How it trains on CIFAR's cells."""
    searches: tuple[dict[str, Any], ...] = ()
    """Of a method that searches several times and keeps the best: what is special about each."""

    @property
    def on_cells(self) -> dict[str, Any]:
        """All that is special about it on a cell space."""
        return {**self.parts, **self.choice, **self.recipe}


STRENGTHS = (3e-4, 9e-4, 27e-4, 81e-4)
DROP_PATHS = (0.0, 0.2, 0.4, 0.6)

_PUBLISHED = (
    Method("darts", "DARTS, Sec. 2; RobustDARTS' code"),
    Method("darts-es", "RobustDARTS, Sec. 4.3", {"stopping": "code"}),
    Method("darts-ada", "RobustDARTS, Sec. 5.3", {"stopping": "code", "after_stopping": "regularize"}),
    Method(
        "r-darts-l2",
        "RobustDARTS, Sec. 5.2 and 5.4",
        searches=tuple({"weight_decay": strength} for strength in STRENGTHS),
    ),
    Method(
        "r-darts-dp",
        "RobustDARTS, Sec. 5.1 and 5.4",
        searches=tuple({"drop_path": p, "cutout": 16 if p else 0} for p in DROP_PATHS),
    ),
    Method("random-ws", "Li and Talwalkar 2019, as RobustDARTS' code has it", {"sampling": "random"}),
    Method("sdarts-rs", "SmoothDARTS, Sec. 3.2", {"gradient": "first-order", "perturbation": "random"}),
    Method("sdarts-adv", "SmoothDARTS, Sec. 3.3", {"gradient": "first-order", "perturbation": "adversarial"}),
    Method(
        "fair-darts",
        "Fair DARTS, Sec. 4",
        {"gradient": "first-order", "relaxation": "sigmoid", "regularizer": "zero-one"},
        choice={"selection": "gates"},
        recipe={"batch": 128, "lr": 0.005, "arch_lr": 3e-3},
    ),
    Method("beta-darts", "beta-DARTS, Sec. 3.3", {"gradient": "first-order", "regularizer": "beta-decay"}),
    Method("darts-minus", "DARTS-, Sec. 3.2", {"gradient": "first-order", "auxiliary_skip": True}),
    Method(
        "pc-darts",
        "PC-DARTS, Sec. 3 and 4.2",
        {"gradient": "first-order", "groups": 4, "edge_weights": True},
        recipe={"warmup_share": 0.3, "batch": 256, "lr": 0.1, "lr_end": 0.0, "arch_lr": 6e-4},
    ),
    Method("gdas", "GDAS, Sec. 3.2", {"gradient": "first-order", "relaxation": "gumbel"}),
    Method("snas", "SNAS, Sec. 2.2 and 2.3", {"gradient": "one-level", "split": "same", "relaxation": "concrete"}),
    Method(
        "drnas",
        "DrNAS, Sec. 2.2",
        {"gradient": "first-order", "relaxation": "dirichlet", "regularizer": "anchor", "arch_weight_decay": 0.0},
    ),
    Method(
        "proxyless",
        "ProxylessNAS, Sec. 3.2 and 3.3",
        {"gradient": "first-order", "relaxation": "path", "regularizer": "cost", "arch_weight_decay": 0.0},
    ),
    Method(
        "da2s",
        "Discretization-aware Architecture Search (DA2S), as its code has it",
        {
            "gradient": "first-order",
            "relaxation": "sharpened",
            "regularizer": "scheduled-entropy",
            "edge_weights": True,
            "capped_edges": True,
        },
        choice={"selection": "edges"},
    ),
    Method(
        "gold-nas",
        "GOLD-NAS, as its code has it, but for a bug (search/gate_pruning.py)",
        {
            "gradient": "one-level",
            "split": "same",
            "relaxation": "sigmoid",
            "pruning": "gates",
            "arch_optimizer": "sgd",
            "arch_weight_decay": 0.0,
        },
        choice={"selection": "survivors"},
        recipe={"batch": 96, "lr": 0.01, "lr_end": 0.01, "arch_lr": 1.0},
    ),
    Method(
        "p-darts",
        "P-DARTS, Sec. 3; settings of its code",
        {"gradient": "first-order", "stages": 3, "skip_dropout": "0.1,0.4,0.7", "arch_clip": 5.0},
        choice={"skip_limit": 2},
        recipe={
            "cells": 5,
            "stage_cells": 6,
            "epochs": 25,
            "warmup_share": 0.4,
            "batch": 96,
            "lr_end": 0.0,
            "arch_lr": 6e-4,
        },
    ),
    Method("milenas", "MiLeNAS, Eqs. 5 and 6, lambda = 1", {"gradient": "mixed-level"}),
    Method("darts-pt", "DARTS-PT, Sec. 4", {"gradient": "first-order", "selection": "perturbation"}),
    Method("one-level", "both gradients from the training batch", {"gradient": "one-level", "split": "same"}),
    Method("mixed-level", "MiLeNAS, by the name of its part", {"gradient": "mixed-level"}),
    Method("no-split", "The devil is in discretization discrepancy, Sec. 4.5", {"split": "same"}),
    Method(
        "single-stage",
        "The devil is in discretization discrepancy, Sec. 3.2, on a cell space",
        {"gradient": "first-order", "split": "same", "protocol": "single-stage"},
        recipe={"affine": True, "warmup_share": 0.05, "search_share": 0.35, "lr_end": 0.0, "val_share": 0.1},
    ),
)
METHODS: Registry[Method] = Registry("method", {method.name: method for method in _PUBLISHED}, load=load_plugins)
"""By name."""


def method_called(name: str) -> Method:
    """The method of that name.

    Raises:
        ValueError: if there is none; of a protocol it says that it is one.
    """
    if name in PROTOCOLS and name not in METHODS:
        raise ValueError(f"method={name!r}: that is a protocol, not a method; give protocol={name!r}")
    return METHODS.called(name)
