"""Removing units of a network in the midst of its training: weights, statistics and the optimiser's memory follow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wholenet.spaces.catalog import left_of, shrink, subnets
from wholenet.spaces.supernet import Supernet


def shrink_training(model: Supernet[Any], optimizer: torch.optim.Optimizer, subnet: Any) -> None:
    """Leave ``subnet`` alone of ``model``, and of what the ``optimizer`` of its weights remembers, both in place."""
    known, before = subnets(model.spec), left_of(model.spec)
    names = {id(parameter): name for name, parameter in model.net.named_parameters()}
    shrink(model, subnet)
    left = dict(model.net.named_parameters())
    for group in optimizer.param_groups:
        old, group["params"] = group["params"], []
        for parameter in old:
            memory, name = optimizer.state.pop(parameter, None), names[id(parameter)]
            if name not in left:
                continue
            group["params"].append(left[name])
            if memory is not None:
                optimizer.state[left[name]] = {
                    key: known.cut(name, value, before, subnet)
                    if isinstance(value, Tensor) and value.shape == parameter.shape
                    else value
                    for key, value in memory.items()
                }
