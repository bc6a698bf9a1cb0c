"""How much a network needs its units: what scores lowest per multiply-add that it saves is removed first (ours).

A score is a table entry: numbers for the units that can go, out of what the run knows after an epoch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from wholenet.spaces.subnets import Subnets, Unit
from wholenet.spaces.supernet import Supernet


@dataclass(frozen=True)
class Seen:
    """What a run knows after an epoch."""

    model: Supernet[Any]
    known: Subnets[Any]
    left: Any
    """The subnet that the model is."""
    units: Sequence[Unit]
    """Of it."""
    saved: Mapping[Unit, int]
    """What the network costs less without each of them."""
    gates: Tensor | None
    """Absolute derivatives in the units' gates, summed over the epoch's steps: float [number of units]."""
    chance: random.Random
    """Of the run and the epoch."""


@dataclass(frozen=True)
class UnitScore:
    """A way of ranking units."""

    values: Callable[[Seen], Sequence[float]]
    """One for each unit, none below 0."""
    looks: bool = True
    """Whether it wants the gates."""
    by_kind: bool = True
    """Whether what a unit is worth per saving is counted in means of its kind: of every kind goes first what is cheap
    for it. Otherwise a kind that the loss sees less of, such as the bottlenecks early on, goes before all others."""
    per_cost: bool = True
    """Whether it is divided by what the unit saves."""
    factors: bool = False
    """Whether it looks at what multiplies the units' outputs."""
    pressed: bool = False
    """Whether a penalty presses what multiplies the units' outputs towards 0 meanwhile (:func:`press`)."""

    def ranks(self, seen: Seen) -> Mapping[Unit, float]:
        """The score of each unit, to be divided by what it saves if it is ``per_cost``."""
        found = dict(zip(seen.units, self.values(seen), strict=True))
        if not self.by_kind:
            return found
        scale = {}
        for kind in {unit.kind for unit in found}:
            # By measured time, a smaller kernel may be the slower one: what saves nothing does not go.
            own = [unit for unit in found if unit.kind == kind and seen.saved[unit] > 0]
            worth = [found[unit] / (seen.saved[unit] if self.per_cost else 1) for unit in own]
            scale[kind] = sum(worth) / len(worth) if sum(worth) else 1.0
        return {unit: value / scale[unit.kind] for unit, value in found.items()}


def _saliency(seen: Seen) -> list[float]:
    """First-order Taylor: what the loss changes by when the unit goes (Molchanov et al., "Importance Estimation for
    Neural Network Pruning", 2019, Sec. 3.1, who square it)."""
    return [0.0] * len(seen.units) if seen.gates is None else seen.gates.tolist()


def _magnitude(seen: Seen) -> list[float]:
    """What the unit's BatchNorms multiply by (Liu et al., "Learning Efficient Convolutional Networks through Network
    Slimming", 2017, Sec. 3)."""
    factors = seen.known.factors(seen.model.net, seen.left, seen.units)
    return [some.detach().abs().mean().item() for some in factors]


def _weights(seen: Seen) -> list[float]:
    """Edges and operations by the architecture's weight, as discretization has it; what has none by its saliency."""
    weights = {name: value.detach().cpu() for name, value in seen.model.arch().items()}
    choices = [seen.known.choices(seen.left, unit) for unit in seen.units]
    pairs = zip(choices, _saliency(seen), strict=True)
    return [sum(weights[name][at].item() for name, at in some) if some else slope for some, slope in pairs]


def _chance(seen: Seen) -> list[float]:
    return [seen.chance.random() for _ in seen.units]


def press(model: Supernet[Any], known: Subnets[Any], left: Any, saved: Mapping[Unit, int], strength: float) -> None:
    """Add to the gradients of ``model`` those of a penalty: ``strength`` times the sum over the units of what each
    saves, in means of its kind, times the absolute values of what its output is multiplied by.

    After Gordon et al., "MorphNet", CVPR 2018, where channels are pressed by their multiply-adds; here units of all
    kinds are, and each kind alike.
    """
    means = {
        kind: mean(cost for unit, cost in saved.items() if unit.kind == kind) for kind in {unit.kind for unit in saved}
    }
    costs = [cost / (means[unit.kind] or 1) for unit, cost in saved.items()]
    with torch.enable_grad():
        factors = known.factors(model.net, left, list(saved))
        terms = [cost * some.abs().sum() for cost, some in zip(costs, factors, strict=True)]
        (strength * torch.stack(terms).sum()).backward()


SCORES: dict[str, UnitScore] = {
    "saliency": UnitScore(_saliency, by_kind=False),
    "saliency-by-kind": UnitScore(_saliency),
    "magnitude": UnitScore(_magnitude, looks=False, factors=True),
    "weights": UnitScore(_weights),
    "pressed": UnitScore(_magnitude, looks=False, per_cost=False, factors=True, pressed=True),
    "random": UnitScore(_chance, looks=False, by_kind=False, per_cost=False),
}
"""By the names of ``search.budget_config.Scoring``."""
