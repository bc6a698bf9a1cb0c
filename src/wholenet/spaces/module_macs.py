"""Multiply-adds of a network's convolutions and matrices, one by one: of those that an option alone runs, and the rest.

Letters: G groups, O options of a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from wholenet.ops.forms import plain_form

COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
"""Modules whose multiply-adds count: of each number of the output as many as it has weights."""
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
"""And of each number of the input."""
Modules = Mapping[str, tuple[str, tuple[int, ...]]]
"""Names of the modules that one option alone runs -> (mask, index of the option in it); see ``Space.costs``."""


def option_macs(net: Any, modules: Modules, inputs: Any) -> tuple[dict[str, Tensor], int]:
    """Multiply-adds of the options of a supernet, in the plain form, in one call with ``inputs``.

    A network without memory (on ``meta``) computes nothing.

    Args:
        net: in eval mode, with ``masks``.
        modules: see :data:`Modules`.
        inputs: what it is called with, on its device.

    Returns:
        float64 [G..., O] by architecture parameter, on the CPU, 0 where an option costs nothing, or none exists; and
        what all else costs.
    """
    found = {name: torch.zeros(mask.shape, dtype=torch.float64, device="cpu") for name, mask in net.masks.items()}
    rest, hooks = [0], []

    def count_into(path: str) -> Any:
        of_option = _owner(path, modules)

        def count(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            weight = module.weight
            assert isinstance(weight, Tensor)
            macs = (given[0] if isinstance(module, TRANSPOSED) else output).numel() * weight[0].numel()
            if of_option is None:
                rest[0] += macs
            else:
                found[of_option[0]][of_option[1]] += macs

        return count

    for path, module in net.named_modules():
        if isinstance(module, (*COUNTED, *TRANSPOSED)):
            hooks.append(module.register_forward_hook(count_into(path)))
    weights = {name: mask.to(dtype=torch.get_default_dtype(), device=_device(net)) for name, mask in net.masks.items()}
    try:
        with torch.no_grad(), plain_form(net):
            net(inputs, weights)
    finally:
        for hook in hooks:
            hook.remove()
    return found, rest[0]


def _owner(path: str, modules: Modules) -> tuple[str, tuple[int, ...]] | None:
    """The option that runs the module called ``path``."""
    while path:
        if path in modules:
            return modules[path]
        path = path.rpartition(".")[0]
    return None


def _device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device
