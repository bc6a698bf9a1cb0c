"""How decided an architecture is: entropy over the phases of a run, and how far each choice moved from uniform.

Letters: L layers, O options of a group (a cell's operations, or its incoming edges).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.spaces.grid import DEFAULT
from wholenet.spaces.links import STRIDES
from wholenet.spaces.sizes import operation_label

DECIDED_GAIN = 0.05
"""A group is said to have decided something when its strongest option gained at least so much over 1 / O. Five
percentage points is what separates 0.50 from 0.55; the seed paper's own operations ended between 0.53 and 0.55."""


@dataclass(frozen=True)
class EpochEntropy:
    """Normalised entropy after one epoch: 1 is uniform, 0 one-hot."""

    epoch: int
    """From 0."""
    alpha: float
    beta: float


@dataclass(frozen=True)
class PhaseEntropy:
    """Normalised entropy at the two ends of one phase."""

    phase: str
    first: int
    end: int
    """Epochs, half-open, counted from 0; of a run still going, as far as it got."""
    before: EpochEntropy
    """After the last epoch of the phase before; of the first phase, after its own first epoch."""
    after: EpochEntropy


@dataclass(frozen=True)
class Movement:
    """How far the groups of one architecture parameter moved from uniform."""

    groups: list[list[float]]
    """[L, 4]: :func:`distance_to_uniform` of each group; 0 is uniform, 1 one-hot."""
    mean: float
    max: float
    decided: float
    """Share in [0, 1] of the groups whose strongest option gained ``DECIDED_GAIN`` or more over 1 / O."""


@dataclass(frozen=True)
class Choice:
    """What one group prefers."""

    parameter: str
    """"alpha" or "beta"."""
    layer: int
    """From 1, as in the paper."""
    stride: int
    option: str
    """The strongest: an operation, or the stride that the edge comes from."""
    weight: float
    options: int
    movement: float


def entropy_history(records: Sequence[Mapping[str, Any]]) -> list[EpochEntropy]:
    """The entropies in the records of a run, epoch by epoch."""
    found = ((record["epoch"], record["entropy"]) for record in records if record.get("entropy"))
    return [EpochEntropy(epoch, entropy["alpha"], entropy["beta"]) for epoch, entropy in found]


def entropy_per_phase(records: Sequence[Mapping[str, Any]]) -> list[PhaseEntropy]:
    """Entropy at the start and at the end of each phase that ``records`` reach into."""
    phase_of = {record["epoch"]: record["phase"] for record in records}
    phases: list[PhaseEntropy] = []
    for phase, group in groupby(entropy_history(records), key=lambda entropy: phase_of[entropy.epoch]):
        own = list(group)
        before = phases[-1].after if phases else own[0]
        phases.append(PhaseEntropy(phase, own[0].epoch, own[-1].epoch + 1, before, own[-1]))
    return phases


def distance_to_uniform(weights: Tensor, mask: Tensor) -> Tensor:
    """Total variation distance of each group from uniform, over the distance that one-hot has: [..., O] -> [...].

    The distance of one-hot is 1 - 1 / O, so groups of two and of three options are comparable: 0 is uniform, 1 is
    one-hot for all of them. A group without a choice (one option) counts as 0.

    >>> distance_to_uniform(torch.tensor([0.75, 0.25, 0.0]), torch.tensor([True, True, False])).item()
    0.5
    """
    options = mask.sum(-1, keepdim=True)
    distance = ((weights - 1 / options).abs() * mask).sum(-1) / 2
    farthest = 1 - 1 / options[..., 0]
    return torch.where(farthest > 0, distance / farthest.clamp_min(1e-12), 0.0)


def movement(weights: Tensor, mask: Tensor) -> Movement:
    """How far the groups of ``weights`` [L, 4, O] moved from uniform."""
    moved = distance_to_uniform(weights, mask)
    gain = weights.amax(-1) - 1 / mask.sum(-1)
    # A hair below the threshold: 0.55 - 0.5 in float32 is 0.0500000119 or 0.0499999523.
    decided = (gain > DECIDED_GAIN - 1e-6).float().mean()
    return Movement(moved.tolist(), moved.mean().item(), moved.max().item(), decided.item())


def most_decided(
    weights: Weights, masks: Mapping[str, Tensor], count: int = 5, operations: Sequence[str] = DEFAULT
) -> list[Choice]:
    """The ``count`` groups that moved farthest from uniform, the farthest first; ties in the order of the table. Cells
    choose among ``operations``, by name."""
    choices = []
    for name, own in weights.items():
        moved = distance_to_uniform(own, masks[name])
        for layer in range(len(own)):
            for level, stride in enumerate(STRIDES):
                best = int(own[layer, level].argmax())
                own_name = operation_label(operations[best]) if name == "alpha" else None
                option = own_name or f"stride {STRIDES[level + best - 1]}"
                choices.append(
                    Choice(
                        name,
                        layer + 1,
                        stride,
                        option,
                        own[layer, level, best].item(),
                        int(masks[name][layer, level].sum()),
                        moved[layer, level].item(),
                    )
                )
    return sorted(choices, key=lambda choice: -choice.movement)[:count]
