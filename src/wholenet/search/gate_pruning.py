"""A search that removes options as it goes, until what is left costs as little as it may (GOLD-NAS' code).

Each option has a gate, the sigmoid of its logit. A *node* is what some gates feed together; the *share* of a gate is
its part of the sum of its node's. A penalty on the shares grows from epoch to epoch while few options go, and shrinks
when many do. At the end of each epoch of the search the options of the smallest shares go for good: their logits fall
so far that their gates are 0. Nothing else is kept of it: the logits say what is gone, the records how many went when.

In its code the sum of a node is lost on all its edges but the first, so that the options of ten edges of fourteen can
never go, while its network leaves them out for good as soon as their gates are small; here the sum is that of the
node on every edge, and options go at the ends of epochs alone.

Letters: R rows of an architecture parameter, O options of a row, N nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from wholenet.architecture import Architecture, Weights
from wholenet.search.phases import Phase, phase_at
from wholenet.search.state import TrainState

STEP = 1e-5
"""First step of the penalty's strength."""
FACTOR = 2.0
"""On the step, for each epoch in which few options go; on the strength, the other way, where many do."""
AT_ONCE = 4
"""Options that go in an epoch beside those below ``LOWEST``, at most; as many are many."""
LOWEST = 0.01
"""An option with a share of no more goes."""
LOW = 0.05
"""And so may those of the smallest shares, up to here."""
GONE = -10_000.0
"""Added to the logit of an option that goes; below half of it, it is gone."""
OPTIONS = "options"
"""In a record: options that were left in its epoch."""


def strength(gone: Sequence[int]) -> float:
    """Of the penalty, after epochs in which so many options went.

    >>> [round(1e5 * strength([0, 0, 0, 4, 0][:epochs]), 9) for epochs in range(6)]
    [0.0, 2.0, 6.0, 14.0, 7.0, 9.0]
    """
    found, step = 0.0, STEP
    for number in gone:
        if number >= AT_ONCE:
            found, step = found / FACTOR, STEP
        else:
            step *= FACTOR
            found += step
    return found


def nodes_of(arch: Architecture, nodes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Which rows feed which node, by architecture parameter: 0 or 1, [N, R] with R all groups in a row.

    Args:
        arch: the architecture.
        nodes: number of the node of each row [R], where rows feed one together; elsewhere each is a node of its own.
    """
    found = {}
    for name, logits in arch.logits.items():
        rows = logits[..., 0].numel()
        of_row = nodes.get(name, torch.arange(rows)).to(logits.device)
        found[name] = (of_row.unique()[:, None] == of_row).to(logits.dtype)
    return found


@dataclass
class GateShares:
    """``strength`` times the sum over all options that are left of ln(1 + n g / S) (1 + ``cost`` f), with g the gate of
    an option, S the sum and n the number of those of its node, and f what it costs, in millions of multiply-adds.

    With equal gates, all terms are ln 2, the sum is as large as it can be, and has no gradient in the logits.
    """

    nodes: Mapping[str, Tensor]
    """:func:`nodes_of` the architecture."""
    cost: float = 0.0
    """The paper's mu."""
    strength: float = 0.0
    """Lambda, at this time."""

    def shares(self, arch: Architecture) -> Weights:
        """g / S of each option, [R, O]; 0 of those that are gone."""
        found = {}
        for name, gates in arch().items():
            rows, of = gates.flatten(0, -2), self.nodes[name].to(gates)
            found[name] = rows / (of.T @ (of @ rows.sum(-1)))[:, None].clamp_min(torch.finfo(rows.dtype).tiny)
        return found

    def __call__(self, arch: Architecture, time: float) -> Tensor:  # noqa: ARG002
        """The term to add: a scalar, differentiable in the logits."""
        terms = []
        for name, share in self.shares(arch).items():
            there, of = left_of(arch, name).to(share), self.nodes[name].to(share)
            number = (of.T @ (of @ there.sum(-1)))[:, None]
            costs = 1.0
            if self.cost and arch.costs is not None:
                costs = 1 + self.cost * 1e-6 * arch.costs[name].flatten(0, -2)
            terms.append((there * costs * (1 + number * share).log()).sum())
        return self.strength * torch.stack(terms).sum()


def left_of(arch: Architecture, name: str) -> Tensor:
    """Which options of ``name`` are left: boolean [R, O]."""
    return ((arch.logits[name].detach() > GONE / 2) & arch.mask(name)).flatten(0, -2)


class GatePruning:
    """What a search with ``pruning`` does between its epochs.

    Args:
        state: of the run; its architecture knows what options cost.
        phases: of the run.
        penalty: grows and shrinks with what goes.
        floor: share of what all options cost together; once those that are left cost less, no more go, and the penalty
            ends.
    """

    def __init__(self, state: TrainState, phases: Sequence[Phase], penalty: GateShares, floor: float) -> None:
        self.state, self.phases, self.penalty, self.floor = state, phases, penalty, floor
        costs = state.model.arch.costs
        assert costs is not None
        self.costs = {name: cost.double().cpu().flatten(0, -2) for name, cost in costs.items()}
        self.whole = sum(cost.sum().item() for cost in self.costs.values())

    def begin(self) -> None:
        """Set the strength of the penalty, as the records and the logits have it."""
        left = [record[OPTIONS] for record in self.state.records if record["arch_loss"] is not None]
        gone = [before - after for before, after in pairwise([*left, self._number()])]
        self.penalty.strength = 0.0 if self.finished else strength(gone)

    @property
    def cost(self) -> float:
        """Multiply-adds of the options that are left, all together."""
        arch = self.state.model.arch
        return sum(cost[left_of(arch, name).cpu()].sum().item() for name, cost in self.costs.items())

    @property
    def finished(self) -> bool:
        """Whether what is left costs as little as it may."""
        return self.cost < self.floor * self.whole

    def after_epoch(self) -> None:
        """Let options go, where the epoch was one of the search."""
        if phase_at(self.phases, self.state.epoch).moves_architecture and not self.finished:
            prune(self.state.model.arch, self.penalty)
        self.begin()

    def describe(self) -> dict[str, Any]:
        """What a record says of it."""
        cost = round(self.cost / self.whole, 6) if self.whole else 1.0
        return {OPTIONS: self._number(), "options_cost": cost, "pruning_strength": self.penalty.strength}

    def _number(self) -> int:
        arch = self.state.model.arch
        return sum(int(left_of(arch, name).sum()) for name in arch.logits)


@torch.no_grad()
def prune(arch: Architecture, penalty: GateShares) -> int:
    """Let the options go whose shares are at most ``LOWEST``, one after the other from the smallest, and then up to
    ``AT_ONCE`` more of at most ``LOW``. The shares of a node rise as soon as one of its options is gone.

    Returns:
        How many went.
    """
    low = gone = 0
    while True:
        shares = {
            name: share.masked_fill(~left_of(arch, name), torch.inf) for name, share in penalty.shares(arch).items()
        }
        name = min(shares, key=lambda name: shares[name].min().item())
        smallest = shares[name].min().item()
        if smallest > LOW or (smallest > LOWEST and low == AT_ONCE):
            return gone
        low += smallest > LOWEST
        arch.logits[name].view(-1)[shares[name].argmin()] += GONE
        gone += 1
