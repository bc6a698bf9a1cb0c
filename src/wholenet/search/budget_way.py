"""How a budget is met where nobody says it: as measured best, decided as a run begins, and written into its config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wholenet.search.budget_config import GRADUALLY, WITH_REMOVAL, Scoring, parse_budget
from wholenet.search.config import FitConfig
from wholenet.search.goals import Goal, begun_with, goal_for, goal_of, least_cost
from wholenet.search.phases import check_removing
from wholenet.search.protocols import plan_phases
from wholenet.search.shallower import layers_within
from wholenet.spaces.catalog import left_of, subnets
from wholenet.spaces.device_table import DeviceTable
from wholenet.spaces.sizes import GRIDS
from wholenet.spaces.space import Spec

LINE = 0.25
"""Share of the whole network from which on units are removed. Measured (docs/studies/pays.md: CamVid, `tiny`, three
seeds, equal time): removing them was ahead of fewer layers by 3.2 points of mIoU at 50 % and by 0.4 at 30 %, and behind
by 4.8 at 15 %. The line is between the last two; where between them was not measured."""
KINDS = ("width", "channels", "operation")
AT_ONCE = {"budget_over": 0.0, "budget_floor": 0.25}
"""What goes, when, and what stays: as those searches had it."""


def way_for(share: float, *, removes: bool = True, layers: bool = True) -> Scoring:
    """How a grid is best brought down to a ``share`` of its multiply-adds.

    Args:
        share: in (0, 1).
        removes: whether units can be removed over the run's search.
        layers: whether layers can be left out.

    >>> way_for(0.5), way_for(0.3), way_for(0.15), way_for(0.5, removes=False)
    ('saliency-by-kind', 'saliency-by-kind', 'shallower', 'shallower')
    """
    if removes and share >= LINE:
        return "saliency-by-kind"
    return "shallower" if layers else "narrower"


def settled_budget(config: FitConfig, spec: Spec, table: DeviceTable | None = None) -> tuple[FitConfig, str | None]:
    """How a run meets its budget.

    Args:
        config: of a new run, whose crop is settled.
        spec: of its supernet.
        table: of a budget in milliseconds.

    Returns:
        ``config`` with all that was not said; why, in a few words, where ``budget_by`` was not.

    Raises:
        ValueError: if the budget cannot be met so, by the run's phases or by the network.
    """
    if config.budget is None:
        return config, None
    by, why = (config.budget_by, None) if config.budget_by is not None else _way(config, spec)
    config = replace(config, budget_by=by)
    if config.narrower:
        return config, why
    check_removing(plan_phases(config))
    return replace(config, **_removal(config, spec, table)), why


def told(config: FitConfig, why: str) -> str:
    """A line on it."""
    how = "" if config.narrower else f", --budget-units {config.budget_units}"
    return f"budget {config.budget}: {why} (--budget-by {config.budget_by}{how})"


def with_its_layers(config: FitConfig, spec: Spec) -> FitConfig:
    """``config``, with the layers that its budget leaves of ``spec`` where it is met by fewer."""
    if config.budget is None or config.scoring != "shallower":
        return config
    goal = goal_for(spec, config)
    return config.shaped(layers=layers_within(spec, goal.cost, goal.most))


def _way(config: FitConfig, spec: Spec) -> tuple[Scoring, str]:
    """``budget_by``, and why."""
    assert config.budget is not None
    if config.scoring is not None:
        return config.scoring, "units are removed: of a trained network, in ms, or where something is said of them"
    bar = _bar(config)
    if bar is None and config.space not in GRIDS:
        return "saliency-by-kind", f"units are removed: nothing else was tried on the space {config.space!r}"
    layers = config.space_settings.get("layers") is None
    goal = goal_of(spec, config.budget, config.budget_size)
    share, reach = parse_budget(config.budget).share or goal.most / goal.whole, _reach(spec, goal, _kinds(spec))
    by = way_for(share, removes=bar is None and reach, layers=layers)
    fewer = "fewer layers" if by == "shallower" else "narrower levels"
    if bar is not None:
        return by, f"{fewer} from the start, since {bar} does not go with removing units"
    if by == "saliency-by-kind":
        return by, f"units are removed: best from {LINE:.0%} of the whole network on, where it was measured"
    try:
        begun_with(spec, replace(config, budget_by=by), goal)
    except ValueError:
        return "saliency-by-kind", f"units are removed: with {fewer} from the start the network costs more"
    if share >= LINE:
        return by, f"{fewer} from the start, since removing {', '.join(KINDS)} alone does not come to it"
    best = "best" if layers else "fewer layers are best"
    return by, f"{fewer} from the start: {best} below {LINE:.0%} of the whole network, where it was measured"


def _kinds(spec: Spec) -> tuple[str, ...]:
    """Of units of the network, in its order."""
    known = subnets(spec)
    return tuple(dict.fromkeys(unit.kind for unit in known.units(known.whole())))


def _reach(spec: Spec, goal: Goal, may: Sequence[str]) -> bool:
    """Whether those of the kinds that ``may`` go whose removal was measured meet the budget alone."""
    kinds = tuple(kind for kind in may if kind in KINDS)
    return bool(kinds) and least_cost(subnets(spec), left_of(spec), goal.cost, kinds) <= goal.most


def _bar(config: FitConfig) -> str | None:
    """What of a run does not go with removing units; None where all does."""
    for name, (value, _) in WITH_REMOVAL.items():
        if (found := getattr(config, name)) != value:
            return f"{name}={found!r}"
    try:
        check_removing(plan_phases(config))
    except ValueError:
        return "a run without a search, or with nothing after it,"
    return None


def _removal(config: FitConfig, spec: Spec, table: DeviceTable | None) -> dict[str, Any]:
    """What goes, when, and what stays: what is given, and the rest as measured, or gradually where nothing was."""
    given = config.budget_kinds if config.budget_units is not None or config.timed else None
    goal = goal_of(spec, config.budget or "", config.budget_size, given, table)
    may = tuple(kind for kind in _kinds(spec) if given is None or kind in given)
    measured = config.space in GRIDS and not config.shrinks
    if config.budget_units is not None:
        measured = measured and set(may) <= set(KINDS)
    elif measured := measured and _reach(spec, goal, may):
        may = tuple(kind for kind in may if kind in KINDS)
    usual = AT_ONCE if measured and config.budget_by != "pressed" else GRADUALLY
    values = {name: value if getattr(config, name) is None else getattr(config, name) for name, value in usual.items()}
    return {"budget_units": config.budget_units or ",".join(may), **values}
