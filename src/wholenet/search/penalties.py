"""Terms on the architecture: the entropy penalty of the seed paper, and what cures of DARTS add to its loss.

Each is called with (architecture, time in epochs) and gives a scalar, differentiable in the logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wholenet.architecture import CAPPED, RELAXATIONS, Architecture, group_entropy
from wholenet.discretization_aware import CAP, KEPT
from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.sampled_weights import concentrations
from wholenet.search.search_config import SearchConfig

Penalty = Callable[[Architecture, float], Tensor]
"""(architecture, time in epochs) -> the term to add."""

LINKS = "beta"
"""The architecture parameter of links between cells."""
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _progress: 1.0,
    "linear": lambda progress: progress,
}
"""f(t) by name, of progress in [0, 1] from the epoch where the penalty starts to the end of the search phase."""


@dataclass(frozen=True)
class EntropyPenalty:
    """``f(t) * sum_name c_name * H_name`` with H the entropy summed over groups, in nats.

    The paper prints the sum of p ln p, which is -H; minimising that would *raise* the entropy, against its aim and its
    Fig. 3. This adds +H, so a positive magnitude lowers it.

    Args:
        magnitudes: c per architecture parameter ("alpha", "beta"); zero or absent is no penalty.
        schedule: "constant" (a step from 0 to 1 at ``start``) or "linear" (0 at ``start``, 1 at ``end``).
        start: time, in epochs, before which f is 0. The paper: 15 % of all epochs.
        end: time, in epochs, at which the search phase ends.
    """

    magnitudes: dict[str, float] = field(default_factory=dict)
    schedule: str = "constant"
    start: float = 0.0
    end: float = 1.0

    def factor(self, time: float) -> float:
        """f at ``time`` in epochs (fractions count)."""
        if time < self.start:
            return 0.0
        length = self.end - self.start
        return SCHEDULES[self.schedule](min(1.0, (time - self.start) / length) if length > 0 else 1.0)

    def __call__(self, arch: Architecture, time: float) -> Tensor:
        """The term to add to the architecture loss: a scalar, differentiable in the logits."""
        factor = self.factor(time)
        active = {name: c for name, c in self.magnitudes.items() if c * factor}
        if not active:
            return torch.zeros((), device=next(arch.parameters()).device)
        entropies = arch.entropies()
        return torch.stack([c * factor * entropies[name] for name, c in active.items()]).sum()


@dataclass(frozen=True)
class BetaDecay:
    """``lambda(t)`` times the mean over groups of the log of the summed exponentials of their logits (beta-DARTS).

    Its gradient in a logit is that option's weight: the strong are pulled down more than the weak, so it works against
    one-hot weights, the opposite of an entropy penalty. ``lambda`` rises linearly from 0.
    """

    magnitude: float = 50.0
    """lambda at ``end``; the paper's 0.5 per epoch over 100 epochs."""
    end: float = 100.0
    """Time, in epochs, at which it is reached."""

    def factor(self, time: float) -> float:
        """lambda at ``time`` in epochs."""
        return self.magnitude * min(1.0, max(0.0, time) / self.end)

    def __call__(self, arch: Architecture, time: float) -> Tensor:
        """The term to add: a scalar, differentiable in the logits."""
        sums = [
            logits.masked_fill(~arch.mask(name), -torch.inf).logsumexp(-1).flatten()
            for name, logits in arch.logits.items()
        ]
        return self.factor(time) * torch.cat(sums).mean()


@dataclass(frozen=True)
class ZeroOne:
    """``-magnitude`` times the mean of (gate - 1/2)^2 over all gates (Fair DARTS): pushes each gate to 0 or 1.

    For an architecture whose weights are gates (:func:`wholenet.architecture.masked_sigmoid`). At exactly one half its
    gradient is zero; the task has to break the tie.
    """

    magnitude: float = 10.0

    def __call__(self, arch: Architecture, time: float) -> Tensor:  # noqa: ARG002
        """The term to add: a scalar, from 0 (all gates one half) to ``-magnitude`` / 4 (all 0 or 1)."""
        gates = torch.cat([weights[arch.mask(name)] for name, weights in arch().items()])
        return -self.magnitude * (gates - 0.5).square().mean()


@dataclass(frozen=True)
class Anchor:
    """``magnitude`` times the sum over all options of (concentration - 1)^2 (DrNAS, Sec. 2.2, the anchor at one): it
    holds the spread of a Dirichlet distribution's samples near that of the uniform distribution over mixtures.

    The paper leaves the distance open. Its code decays the logits by 1e-3, whose gradient this one has where a logit is
    positive; where it is negative, this one stays a distance of concentrations, and bounded.
    """

    magnitude: float = 5e-4

    def __call__(self, arch: Architecture, time: float) -> Tensor:  # noqa: ARG002
        """The term to add: a scalar, differentiable in the logits; 0 where all logits are."""
        found = [
            concentrations(logits)[arch.mask(name)]
            for name, logits in arch.logits.items()
            if name not in arch.others  # these are no concentrations
        ]
        return self.magnitude * (torch.cat(found) - 1).square().sum()


@dataclass(frozen=True)
class ExpectedCost:
    """``magnitude`` times (E / U - 1), with E what the options cost at the weights that are drawn, U at uniform ones
    (ProxylessNAS, Sec. 3.3.1 and its code's "add#linear", whose reference is a target for E).

    E is linear in the weights, so its gradient is that of the expected cost, whatever was drawn; with "two-paths" it
    reaches one pair, drawn for it alone. Costs are multiply-adds (``spaces/option_costs.py``); what all networks of the
    space have in common is in neither.
    """

    magnitude: float = 0.1

    def __call__(self, arch: Architecture, time: float) -> Tensor:  # noqa: ARG002
        """The term to add: a scalar, differentiable in the logits; 0 on average where all options are equally likely.

        Raises:
            ValueError: if nobody has counted what the options cost.
        """
        if arch.costs is None:
            raise ValueError(
                "regularizer='cost' needs Architecture.costs: spaces.option_costs.option_costs(model.spec, (H, W))"
            )
        drawn = arch.drawn()
        found = torch.stack([(cost * drawn[name]).sum() for name, cost in arch.costs.items()]).sum()
        usual = torch.stack([_mean_of_options(cost, arch.mask(name)).sum() for name, cost in arch.costs.items()]).sum()
        return self.magnitude * (found / usual - 1)


def _mean_of_options(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(-1) / mask.sum(-1).clamp_min(1)


@dataclass(frozen=True)
class ScheduledEntropy:
    """``magnitude * lin(t) * (log(t) * L_a + edges * L_b)`` (DA2S, as its code has it): draws each edge to one
    operation, later and more and more, and each node to two edges, from the start.

    L_a is the entropy of the operations, summed over the edges. L_b sums over the nodes with more than two edges the
    entropy of these and ``pairs`` times (s - 2)^2, with s the sum of their logits, capped at 1, that are positive; it
    is of edges whose weights are capped, and there is none where no edge has them. The search lasts from t = 1 to
    ``epochs``, whatever its length. Entropies are in nats.
    """

    magnitude: float = 0.1
    edges: float = 4.0
    pairs: float = 0.2
    epochs: int = 50
    still: int = 7
    """Epochs, of ``epochs``, without L_a."""

    def time(self, progress: float) -> float:
        """t, of progress in [0, 1] of the search."""
        return 1 + (self.epochs - 1) * progress

    def linear(self, t: float) -> float:
        """From 0 at t = 1 to 1 at ``epochs``."""
        return (t - 1) / (self.epochs - 1)

    def logarithmic(self, t: float) -> float:
        """0 up to t = ``still`` + 1, then rising; 1.006 at 50."""
        return 0.0 if t < self.still + 1 else math.log(t - self.still) / math.log(self.epochs - self.still - 1)

    def terms(self, arch: Architecture) -> tuple[Tensor, Tensor]:
        """L_a and L_b: scalars, differentiable in the logits."""
        weights = arch()
        zero = next(iter(weights.values())).new_zeros(())
        operations = [group_entropy(w, arch.mask(name)).sum() for name, w in weights.items() if name not in arch.others]
        edges = [self._of_edges(arch, name, weights[name]) for name, own in arch.others.items() if own is CAPPED]
        return sum(operations, start=zero), sum(edges, start=zero)

    def _of_edges(self, arch: Architecture, name: str, weights: Tensor) -> Tensor:
        mask = arch.mask(name)
        number = mask.sum(-1)
        chooses = number > KEPT
        entropy = group_entropy(weights / number[..., None], mask)[chooses].sum()
        positive = torch.where(mask, arch.logits[name].clamp(min=0, max=CAP), 0.0).sum(-1)
        return entropy + self.pairs * (positive[chooses] - KEPT).square().sum()

    def __call__(self, arch: Architecture, time: float) -> Tensor:  # noqa: ARG002
        """The term to add: a scalar, differentiable in the logits."""
        t = self.time(arch.progress)
        operations, edges = self.terms(arch)
        return self.magnitude * self.linear(t) * (self.logarithmic(t) * operations + self.edges * edges)


@dataclass(frozen=True)
class EffectiveLinks:
    """``magnitude`` times the share of the search that is over, times the sum over cells of
    max(0, N - ``most``)^2 + max(0, 1 - N)^2, with N = 1 / (sum of squared weights of the links into the cell): the
    number of links that count, n where n are equal, 1 where one has all (after DCNAS, which names such a term; the form
    is ours).

    The second part is 0 wherever the weights of a cell's links sum to one.
    """

    magnitude: float = 0.1
    most: float = 3.0
    """Links of a cell that decoding by threshold keeps at most."""

    @staticmethod
    def numbers(arch: Architecture) -> Tensor:
        """N of each cell that has links, [cells].

        Raises:
            ValueError: if the architecture has none.
        """
        if LINKS not in arch.logits:
            raise ValueError(f"regularizer='effective-links' is on weights of links, {LINKS!r}, and there are none")
        weights = arch()[LINKS]
        return 1 / weights.square().sum(-1)[arch.mask(LINKS).any(-1)]

    def __call__(self, arch: Architecture, time: float) -> Tensor:  # noqa: ARG002
        """The term to add: a scalar, differentiable in the logits."""
        n = self.numbers(arch)
        return self.magnitude * arch.progress * ((n - self.most).relu().square() + (1 - n).relu().square()).sum()


@dataclass(frozen=True)
class Regularizer:
    """A term on the architecture, by name: what ``--regularizer`` takes."""

    name: str
    term: Penalty | None

    @property
    def penalties(self) -> dict[str, Penalty]:
        """The term by the name that an error gives it; none, if there is none."""
        return {} if self.term is None else {self.name: self.term}


REGULARIZERS: Registry[Regularizer] = Registry(
    "regularizer",
    {
        kind.name: kind
        for kind in (
            Regularizer("none", None),
            Regularizer("beta-decay", BetaDecay()),
            Regularizer("zero-one", ZeroOne()),
            Regularizer("anchor", Anchor()),
            Regularizer("cost", ExpectedCost()),
            Regularizer("scheduled-entropy", ScheduledEntropy()),
            Regularizer("effective-links", EffectiveLinks()),
        )
    },
    load=load_plugins,
)


def check_registered(config: SearchConfig) -> None:
    """Make sure that the term and the relaxation that ``config`` names are there; its other parts are looked up as it
    is made.

    Raises:
        ValueError: if one is not.
    """
    for registry, name in ((REGULARIZERS, config.regularizer), (RELAXATIONS, config.relaxation)):
        registry.called(name)  # which says what there is
