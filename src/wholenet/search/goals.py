"""What a budget comes to: what a network may cost, counted how, and whether anything of it can cost as little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from wholenet.files import shown
from wholenet.search.budget_config import parse_budget
from wholenet.search.config import FitConfig
from wholenet.search.scores import SCORES
from wholenet.search.shallower import layers_within, with_all_layers, with_layers
from wholenet.search.task_config import TaskConfig
from wholenet.search.train_config import TrainConfig
from wholenet.spaces.catalog import grid_subnets, left_of, subnets
from wholenet.spaces.device_table import DeviceTable, read_table
from wholenet.spaces.space import Facts, Space, Spec
from wholenet.spaces.subnets import Cost, Subnets
from wholenet.spaces.supernet import subnets_of


@dataclass(frozen=True)
class Goal:
    """What a network may cost."""

    whole: int
    """What all of it costs."""
    most: int
    """What is left in the end costs that at most."""
    cost: Cost
    """How it is counted, and for which size of image."""
    start: int | None = None
    """Cost of what the run starts with, where that is not all of it."""

    def after(self, done: int, epochs: int) -> int:
        """What may be left after ``done`` of the ``epochs`` in which units are removed."""
        start = self.whole if self.start is None else self.start
        return start - (start - self.most) * done // epochs


def check_before_data(config: TrainConfig, space: Space, settings: Any) -> None:
    """Make sure, before data is read, that what a budget asks for is there: units that can go so, and times.

    Args:
        config: of a run, which may have a budget.
        space: of its network.
        settings: likewise.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(config, FitConfig | TaskConfig) or config.budget is None:
        return
    known = subnets_of(space, settings, Facts(2))
    if not isinstance(config, FitConfig):
        return
    if config.timed and space.name != "grid":
        raise ValueError(
            f"budget={shown(config.budget)} is a time, and units of space {space.name!r} are not timed: give the "
            "budget in multiply-adds, like 2GMACs"
        )
    _check_kinds(known, config.budget_kinds)
    _check_scoring(known, config)
    if config.device_table is not None:
        read_table(config.device_table)


def _check_kinds(known: Subnets[Any], kinds: tuple[str, ...] | None) -> None:
    there = {unit.kind: None for unit in known.units(known.whole())}
    if strange := [kind for kind in kinds or () if kind not in there]:
        raise ValueError(f"budget_units: {shown(strange[0])} is no kind of unit here; known: {', '.join(there)}")


def _check_scoring(known: Subnets[Any], config: FitConfig) -> None:
    if config.removes and SCORES[config.scoring or ""].factors and not known.scaled:
        raise ValueError(
            f"budget_by={config.scoring!r} ranks units by what BatchNorms multiply them by, and those of the space "
            f"{config.space!r} are multiplied by their weights alone; give saliency-by-kind, saliency, weights or "
            "random"
        )


def least_cost(known: Subnets[Any], left: Any, cost: Cost, kinds: tuple[str, ...] | None) -> int:
    """Of what removing units of these kinds can leave; None: of all."""
    return known.least(left, cost) if kinds is None else known.least(left, cost, kinds)


def goal_of(
    spec: Spec,
    budget: str,
    size: tuple[int, int],
    kinds: tuple[str, ...] | None = None,
    table: DeviceTable | None = None,
) -> Goal:
    """What ``budget`` means for the supernet of ``spec`` and images of ``size`` = (H, W), if these ``kinds`` may go.

    Args:
        spec: of a supernet.
        budget: a share of it, multiply-adds or milliseconds.
        size: of the image.
        kinds: of units that may go; None: all.
        table: of a budget in milliseconds: times of the units for images of that size.

    Raises:
        ValueError: if no part of the network costs as little, it costs no more already, nothing can be removed, or the
            table lacks a unit; for a kind of unit that there is not.
    """
    known, left, amount = subnets(spec), left_of(spec), parse_budget(budget)
    _check_kinds(known, kinds)
    if amount.ms is None:
        cost = known.multiply_adds(*size)
    elif table is None:
        raise ValueError(f"budget={budget!r} is a time, and there is no table of times; give one")
    else:
        cost = grid_subnets(spec).times(table)
    whole, least = known.cost(known.whole(), cost), least_cost(known, left, cost, kinds)
    start = None if spec.subnet is None else known.cost(left, cost)
    asked = int((amount.share or 0) * whole) if amount.share else amount.macs or round((amount.ms or 0) * 1e6)
    at = f"for an image of {size[0]}x{size[1]}"
    if asked >= whole:
        raise ValueError(
            f"budget={budget!r} is no less than the {cost.in_words(whole)} of the whole network {at}; leave it out, or "
            "give a larger network with it"
        )
    if least == whole:
        raise ValueError(
            f"budget={budget!r}: nothing that can be removed from this network saves anything of its "
            f"{cost.in_words(whole)} {at}; leave the budget out, or give a smaller network"
        )
    if asked < least:
        raise ValueError(
            f"budget={budget!r} is {cost.in_words(asked)} {at}; what cannot be removed costs "
            f"{cost.in_words(least)}, {least / whole:.1%} of the whole network: give at least that, or a smaller "
            "network"
        )
    if start is not None and asked >= start:
        raise ValueError(
            f"budget={budget!r} is {cost.in_words(asked)} {at}, and the network that is to shrink costs "
            f"{cost.in_words(start)} already ({start / whole:.1%} of the whole one): give less"
        )
    return Goal(whole, asked, cost, start)


def goal_for(spec: Spec, config: FitConfig, table: DeviceTable | None = None) -> Goal:
    """:func:`goal_of` the budget of ``config``, in the way that it is to be met.

    Raises:
        ValueError: if it cannot be met.
    """
    assert config.budget is not None
    _check_scoring(subnets(spec), config)
    spec = with_all_layers(spec) if config.scoring == "shallower" else spec
    goal = goal_of(spec, config.budget, config.budget_size, config.budget_kinds, table)
    if config.narrower:
        begun_with(spec, config, goal)
    return goal


def begun_with(spec: Spec, config: FitConfig, goal: Goal) -> tuple[Spec, Any]:
    """What a run begins and ends with that removes nothing: the spec of its grid, which may be shallower, and what is
    left of it.

    Raises:
        ValueError: if nothing narrow enough is.
    """
    if config.scoring == "shallower":
        spec = with_layers(spec, layers_within(spec, goal.cost, goal.most))
    try:
        return spec, subnets(spec).narrower(goal.cost, goal.most)
    except ValueError as error:
        raise ValueError(f"budget={config.budget!r}: {error}") from None


def goals_for(spec: Spec, configs: Sequence[FitConfig], table: DeviceTable | None = None) -> list[Goal]:
    """:func:`goal_for` each of ``configs``, which differ in their budgets alone, the smallest first.

    Raises:
        ValueError: if one cannot be met, or if two come to the same network.
    """
    goals = [goal_for(spec, config, table) for config in configs]
    pairs = zip(configs, goals, strict=True)
    found = [(config.budget, begun_with(spec, config, goal)) for config, goal in pairs if config.narrower]
    for (budget, begun), (other, same) in pairwise(found):
        if begun == same:
            cost = goals[0].cost
            told = cost.in_words(subnets(begun[0]).cost(begun[1], cost))
            raise ValueError(
                f"budgets {budget} and {other} come to the same network, which costs {told}: a grid gets narrower by "
                "eighths, and shallower by layers; leave one of them out, or give a budget_by that removes units"
            )
    return goals
