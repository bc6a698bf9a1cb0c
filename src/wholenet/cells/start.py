"""What a search on a cell space starts with: its supernet and its optimisers."""

from __future__ import annotations

import dataclasses

import torch

from wholenet.search.capped_edges import begin
from wholenet.search.cell_config import CellConfig
from wholenet.search.state import TrainState
from wholenet.search.steps import make_optimizers, sgd
from wholenet.spaces.catalog import SPACES, create_from
from wholenet.spaces.cell_family import family_of
from wholenet.spaces.space import Spec

ARCH_BETAS = (0.5, 0.999)
"""Of the architecture's Adam (DARTS' code)."""
ARCH_MOMENTUM = 0.9
"""Of SGD (GOLD-NAS' code)."""
SETTINGS = ("channels", "cells", "affine", "groups", "edge_weights", "capped_edges", "auxiliary_skip")
SETTINGS += ("survivors", "operations")
"""Of the network, where its space has them."""


def spec_of(config: CellConfig, num_classes: int) -> Spec:
    """What makes the supernet of a search."""
    space = SPACES[config.space]
    known = {field.name for field in dataclasses.fields(space.settings)}
    settings = space.settings_of({name: getattr(config, name) for name in SETTINGS if name in known})
    return Spec(
        space=config.space,
        settings=space.values_of(settings),
        outputs=num_classes,
        relaxation=config.relaxation,
    )


def initial_search(config: CellConfig, num_classes: int, device: torch.device) -> TrainState:
    """The supernet and the optimisers before the first step; weights come from torch's global random state."""
    model = create_from(spec_of(config, num_classes)).placed(device)
    family = family_of(config.space)
    # Fair DARTS begins with all gates at one half, DOTS with all logits at zero.
    if not config.moves_architecture or config.relaxation == "sigmoid" or family.starts_uniform:
        model.arch.set_uniform()
    elif config.capped_edges:
        begin(model.arch)
    optimizers = make_optimizers(
        model,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        arch_lr=config.arch_lr,
        arch_weight_decay=config.arch_weight_decay,
        arch_betas=(family.later.betas if config.survivors else None) or ARCH_BETAS,
    )
    if config.arch_optimizer == "sgd":
        decay, logits = config.arch_weight_decay, list(model.arch.parameters())
        optimizers = optimizers[0], sgd(logits, config.arch_lr, ARCH_MOMENTUM, decay)
    return TrainState(model, *optimizers)
