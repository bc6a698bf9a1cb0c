"""Gates on parts of a network that parameters multiply, as BatchNorm's affine maps do: their derivatives are in the
parameters' gradients, and nothing more is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

Gated = tuple[str, Tensor | None]
"""A parameter that a gate multiplies, by its name, and which of its channels: bool [channels], or None for all."""


def slopes(own: Mapping[str, nn.Parameter], gated: Sequence[Sequence[Gated]]) -> Tensor:
    """The derivative of the loss in a gate on each of some parts, a factor at 1: float [parts].

    Args:
        own: the parameters of the network, by name, with their gradients.
        gated: of each part.
    """
    found = {name: p.detach() * _gradient(p) for name, p in own.items()}
    return torch.stack([torch.stack([_some(found[name], which).sum() for name, which in part]).sum() for part in gated])


def scales(own: Mapping[str, nn.Parameter], gated: Sequence[Sequence[Gated]]) -> list[Tensor]:
    """What multiplies each of some parts, without what is added: float [some] of each."""
    found = []
    for part in gated:
        some = [_some(own[name], which) for name, which in part if not name.endswith(".bias")]
        found.append(torch.cat([scale.flatten() for scale in some]))
    return found


def halves(which: Tensor | None, *norms: str) -> list[Gated]:
    """The affine maps of BatchNorms, by their names."""
    return [(f"{norm}.{half}", which) for norm in norms for half in ("weight", "bias")]


def _some(values: Tensor, kept: Tensor | None) -> Tensor:
    return values if kept is None else values[kept.to(values.device)]


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
