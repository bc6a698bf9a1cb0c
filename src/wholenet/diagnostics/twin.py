"""The twin of a supernet: uniform architecture weights, other network weights, the same function.

With every candidate kept, what a search learned can be written into the network's own weights: an edge's weight into
the affine map of its BatchNorm, an operation's into its kernel, or into the last BatchNorm of its bottleneck. So such a
search expresses nothing that training without one could not; it can only make training go another way. That ends where
something is removed (:mod:`wholenet.search.removal`), where gates do not sum to one and a residual path is scaled by
them, and where paths are sampled.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch

from wholenet.architecture import RELAXATIONS, uniform_weights
from wholenet.ops.bottleneck import MixtureCell, SeparateCell
from wholenet.spaces.grid import Grid
from wholenet.spaces.supernet import Supernet, with_weights


@torch.no_grad()
def uniform_twin(model: Supernet[Any]) -> Supernet[Any] | None:
    """A copy of ``model`` at uniform architecture weights that computes what ``model`` does, in either mode.

    Returns:
        None where there is none known: other networks than the grid's, whose skips have no weights of their own;
        transitions that several edges share, links that are drawn anew in every pass, gates over whole bottlenecks
        (their residual path is scaled too), operations that declare no kernel.
    """
    if not isinstance(model.net, Grid) or model.discrete or model.net.tied or model.net.sampled is not None:
        return None
    net, now = copy.deepcopy(model.net), model.arch.scored()
    uniform = uniform_weights({name: mask.to(now[name].device) for name, mask in net.masks.items()})
    factors = {name: now[name] / uniform[name] for name in now}  # of what exists; the rest is not looked at
    for row in net.edges:
        for edges in row:
            for edge in edges:
                if edge.key in net.transitions:
                    norm = cast(Any, net.transitions[edge.key]).norm
                    for parameter in (norm.weight, norm.bias):
                        parameter *= factors["beta"][edge.layer, edge.target, edge.slot]
    for key, partial in net.cells.items():
        layer, level = map(int, key.split("_"))
        own = factors["alpha"][layer, level, net.offered[layer][level]]
        cell = cast(Any, partial).cell
        if isinstance(cell, MixtureCell):
            if cell.depthwise.alone:
                return None
            for convolution, factor in zip(cell.depthwise.convs.values(), own, strict=True):
                for parameter in convolution.parameters():
                    parameter *= factor
        elif isinstance(cell, SeparateCell):
            if model.arch.relaxation is RELAXATIONS["sigmoid"]:
                return None
            for operation, factor in zip(cell.operations.values(), own, strict=True):
                norm = cast(Any, operation).project[1]
                for parameter in (norm.weight, norm.bias):
                    parameter *= factor
    own_net = Supernet(net, model.arch, model.spec).train(model.training)
    return with_weights(own_net, uniform)


@torch.no_grad()
def twin_difference(model: Supernet[Any], size: tuple[int, int] = (64, 64)) -> float | None:
    """The largest difference between the logits of ``model`` and of its twin, over the largest logit, in float64 and
    eval mode, on an image of noise of ``size`` = (H, W). None where no twin is known."""
    wide = copy.deepcopy(model).cpu().double().eval()
    twin = uniform_twin(wide)
    if twin is None:
        return None
    image = torch.randn(1, model.spec.channels, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = wide(image)
    return ((twin(image) - expected).abs().max() / expected.abs().max()).item()
