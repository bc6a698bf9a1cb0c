"""A supernet that gets smaller as it trains, until it costs what it may (ours): one run, one set of weights.

In each epoch of the search a gate is imagined on every unit that could go, a factor at 1. Its derivative comes out of
the weight step's own backward pass for nothing; to first order, removing the unit changes the loss by minus that. The
absolute values are summed over the steps: the *saliency* of the unit. At the end of the epoch those go that score
lowest (:mod:`wholenet.search.scores`), until a straight line from the whole network to the budget is met. Their
weights, statistics and momenta go with them; the logits of what is left stay as they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch

from wholenet.search.config import FitConfig
from wholenet.search.goals import Goal, begun_with, goal_for, least_cost
from wholenet.search.phases import Phase
from wholenet.search.scores import SCORES, Seen, press
from wholenet.search.shrinking import shrink_training
from wholenet.search.state import TrainState
from wholenet.spaces.catalog import left_of, subnets
from wholenet.spaces.device_table import DeviceTable
from wholenet.spaces.space import Spec
from wholenet.spaces.subnets import Unit

NEAR = 0.98
"""Of the goal: what would leave less is removed only if nothing else can go. Not of the way there, or what saves much,
as a stem does, could never go, and all else would."""
FAR = 0.9
"""Of the goal: what leaves less, since a large unit had to go, gets back what need not have gone before it."""
AT_ONCE = 16
"""Part of the units that can go, of which each goes before all are ranked again: one in so many."""


def removal_for(
    config: FitConfig,
    state: TrainState,
    search: Phase | None,
    say: Callable[[str], None],
    table: DeviceTable | None = None,
    over: float | None = None,
) -> Removal:
    """What meets the budget of a run: nothing more has to go where the network is made narrower, here and now.

    Args:
        config: of the run, which says how its budget is met (:func:`wholenet.search.budget_way.settled_budget`).
        state: of the run, before its first step.
        search: the phase in which units are removed.
        say: told what went.
        table: of a budget in milliseconds.
        over: see :class:`Removal`; default: as ``config`` says.
    """
    goal, by = goal_for(state.model.spec, config, table), config.scoring
    if by is None:
        raise ValueError(f"budget={config.budget!r}: how it is met is not settled, which is done as a run begins")
    if config.narrower:
        _, left = begun_with(state.model.spec, config, goal)
        if left != left_of(state.model.spec):
            shrink_training(state.model, state.weight_optimizer, left)
            state.average_anew()
        cost, words = subnets(state.model.spec).cost(left, goal.cost), goal.cost.in_words
        how = f"{left.layers} layer{'s' * (left.layers > 1)}" if by == "shallower" else "narrower"
        say(f"{how} from the start: {words(cost)} of {words(goal.whole)} ({cost / goal.whole:.0%})")
    return Removal(
        state,
        goal,
        None if config.narrower else search,
        by="random" if config.narrower else by,
        pressure=config.budget_pressure,
        kinds=config.budget_kinds,
        over=(config.budget_over or 0.0) if over is None else over,
        floor=config.budget_floor or 0.0,
        seed=config.seed if config.budget_seed is None else config.budget_seed,
        say=say,
    )


class Removal:
    """Lets the supernet of a run get smaller over its search.

    Args:
        state: of the run; its model and its weights' optimiser are changed in place.
        goal: see :func:`goal_of`.
        search: the phase in which units are removed, at the end of each epoch (``search.phases.removing``); None:
            nothing goes.
        by: how units are ranked, a name in ``search.scores.SCORES``.
        kinds: of units that may go; None: all.
        over: the share of the search's epochs over which they go, from its beginning.
        floor: share of each bottleneck and each level that stays, as long as the goal can be met so.
        pressure: strength, in the last epoch of removal, of the penalty of a score that has one; it grows from epoch to
            epoch in equal steps.
        seed: of chance.
        say: told what went.
    """

    def __init__(
        self,
        state: TrainState,
        goal: Goal,
        search: Phase | None,
        *,
        by: str,
        kinds: tuple[str, ...] | None = None,
        over: float = 1.0,
        floor: float,
        pressure: float = 0.0,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self.state = state
        self.goal = goal
        self.score = SCORES[by]
        self.kinds = kinds
        self.first = 0 if search is None else search.first
        self.epochs = 0 if search is None else max(1, round(over * (search.end - search.first)))
        """In which units go, from the first."""
        self.floor = floor
        self.pressure = pressure
        self.seed = seed
        self.say = say
        self.known = subnets(state.model.spec)
        self._gone = list[Unit]()
        """Units that went after this epoch, in this order."""
        self._read: tuple[Spec, Any, Sequence[Unit], Callable[[], Mapping[Unit, int]]] | None = None
        state.weight_optimizer.register_step_pre_hook(self._look)
        logits = state.model.arch.logits
        self._gates = {
            name: torch.ones_like(logits[name], requires_grad=True) for name in self.known.gated if name in logits
        }
        if self._gates and self.score.looks:
            state.model.arch.gates = lambda: self._gates if self._removing else {}

    def describe(self) -> dict[str, Any]:
        """Its part of an epoch's record: what the network that was trained and scored costs, and what it is."""
        left = self._now()[0]
        taken = {"ms": self._cost(left) / 1e6} if self.goal.cost.name == "ms" else {}
        return {"macs": self.macs, "whole_macs": self.whole_macs, **taken, "subnet": left.to_dict()}

    @property
    def whole_macs(self) -> int:
        """Multiply-adds of the whole network, all its layers included."""
        if self.goal.cost.name == "macs":
            return self.goal.whole
        return self.known.macs(self.known.whole(), *self.goal.cost.size)

    @property
    def macs(self) -> int:
        """Multiply-adds of the network as it is now."""
        return self.known.macs(self._now()[0], *self.goal.cost.size)

    def after_epoch(self) -> bool:
        """Remove what goes after the epoch that ends now, if it is one of those in which units go.

        Returns:
            Whether something went.
        """
        if not self._removing:
            return False
        before, units, saved = self._now()
        target = self.goal.after(self.state.epoch + 1 - self.first, self.epochs)
        chance = random.Random(f"{self.seed} {self.state.epoch}")
        seen = Seen(self.state.model, self.known, before, units, saved(), self.state.gates, chance)
        ranks, left = self.score.ranks(seen), before
        self._gone = []
        for floor in (self.floor, 0.0):
            left = self._reduced(left, target, ranks, floor)
        if target == self.goal.most and self._cost(left) < FAR * target:
            left = self._with_what_fits(before, left, target)
        self.state.gates = None
        if left == before:
            return False
        shrink_training(self.state.model, self.state.weight_optimizer, left)
        counts = [self.known.count(subnet) for subnet in (before, left)]
        gone = [f"{n - counts[1][kind]} {kind}" for kind, n in counts[0].items() if n > counts[1][kind]]
        now, whole, words = self._cost(left), self.goal.whole, self.goal.cost.in_words
        self.say(f"removed {', '.join(gone)}: {words(now)} of {words(whole)} are left ({now / whole:.0%})")
        return True

    def _reduced(self, left: Any, target: int, ranks: Mapping[Unit, float], floor: float) -> Any:
        """``left`` without units in the order of their rank, until it costs no more than ``target`` or none can go."""
        while self._cost(left) > target:
            start = left
            saved = self._saved(left, self._units(left, floor))
            per = saved if self.score.per_cost else dict.fromkeys(saved, 1)
            order = sorted((unit for unit, n in saved.items() if n > 0), key=lambda unit: ranks[unit] / per[unit])
            if not order:
                break
            for least in (NEAR * self.goal.most, 0):
                left = self._without_some(left, order, target, least, floor)
                if left != start:
                    break
            else:
                break
        return left

    def _without_some(self, left: Any, order: Sequence[Unit], target: int, least: float, floor: float) -> Any:
        """``left`` without the first few of ``order`` that can go, none of which leaves less than ``least``."""
        wanted = -(-len(order) // AT_ONCE)
        for unit in order:
            if not wanted or self._cost(left) <= target:
                break
            if unit not in self._units(left, floor):  # went with another
                continue
            smaller = self.known.without(left, unit)
            # What goes must not bar the way to the goal, as an edge may without which another level has to stay.
            reaches = least_cost(self.known, smaller, self.goal.cost, self.kinds) <= self.goal.most
            if reaches and self._cost(smaller) >= least:
                left, wanted = smaller, wanted - 1
                self._gone.append(unit)
        return left

    def _with_what_fits(self, before: Any, left: Any, target: int) -> Any:
        """``left`` with those units that went from ``before`` and need not have gone, the last ones first."""
        for unit in reversed(self._gone):
            more = before
            for other in self._gone:
                if other != unit and other in self._units(more):
                    more = self.known.without(more, other)
            if self._cost(left) < self._cost(more) <= target:
                left = more
                self._gone.remove(unit)
        return left

    @torch.no_grad()
    def _look(self, *given: Any) -> None:  # noqa: ARG002
        """Before each weight step: add the derivatives in the gates up, or the penalty's gradient to the weights'."""
        if self._removing and self.score.pressed:
            strength = self.pressure * (self.state.epoch + 1 - self.first) / self.epochs
            left, _, saved = self._now()
            press(self.state.model, self.known, left, saved(), strength)
        if self._removing and self.score.looks:
            slopes = {name: torch.zeros_like(g) if g.grad is None else g.grad for name, g in self._gates.items()}
            found = self.known.gates(self.state.model.net, *self._now()[:2], slopes).abs()
            for gate in self._gates.values():
                gate.grad = None
            self.state.gates = found if self.state.gates is None else self.state.gates + found

    @property
    def _removing(self) -> bool:
        return self.first <= self.state.epoch < self.first + self.epochs

    def _units(self, left: Any, floor: float = 0.0) -> Sequence[Unit]:
        """What may go next."""
        return [unit for unit in self.known.units(left, floor) if self.kinds is None or unit.kind in self.kinds]

    def _now(self) -> tuple[Any, Sequence[Unit], Callable[[], Mapping[Unit, int]]]:
        """What is left, what can go of it, and what that saves; read anew only when the network has another spec."""
        spec = self.state.model.spec
        if self._read is None or self._read[0] is not spec:
            left = left_of(spec)
            units = self._units(left)
            self._read = spec, left, units, cache(lambda: self._saved(left, units))
        return self._read[1:]

    def _saved(self, left: Any, units: Sequence[Unit]) -> dict[Unit, int]:
        """What ``left`` costs less without each of its units."""
        cost = self._cost(left)
        return {unit: cost - self._cost(self.known.without(left, unit)) for unit in units}

    def _cost(self, left: Any) -> int:
        return self.known.cost(left, self.goal.cost)
