"""Why search, then? Ours: one run that ends with a network of a budget, against what else a budget buys.

At each budget, at equal time: units removed by what the search saw, by chance, and a grid that is narrower or
shallower from the start; above them the whole network. Same seeds, same batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from wholenet.search.config import FitConfig
from wholenet.search.goals import begun_with, goal_for
from wholenet.search.run_folder import RunFolder, recorded_facts, spec_of
from wholenet.spaces.catalog import subnets
from wholenet.spaces.space import Facts, Spec
from wholenet.studies.drawing import draw_curves
from wholenet.studies.outcomes import final_miou
from wholenet.studies.paired import paired
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting
from wholenet.studies.step_times import relative_times

BUDGETS = ("50%", "30%", "15%")
"""Of the whole network's multiply-adds."""
BASE = {"arch_update": "simultaneous", "size": "tiny", "epochs": 60, "steps_per_epoch": 20, "search_share": 0.3}
"""On top of the scale's own run: epochs that are short enough for units to go early, and many of them after."""
OF_DATA: Mapping[str, Mapping[str, Any]] = {"scenes": {"scale_min": 0.6, "scale_max": 1.2, "zoom": 0.85}}
"""Of the built-in scenes, whose images are about half as large as CamVid's: zooms at which a crop shows as much of
one."""
SCORING = "saliency-by-kind"
REMOVING = {"budget_units": "width,channels,operation", "budget_over": 0.0, "budget_floor": 0.25}
"""What goes, when, and what stays: what did best of what was tried first (docs/smaller.md)."""
SEARCHED, CHANCE, WHOLE = "searched", "at random", "the whole network"
SMALLER = ("narrower", "shallower")
"""Arms whose network is that small from the start, by what ``budget_by`` calls them."""
ARMS = (SEARCHED, CHANCE, *SMALLER, WHOLE)
FIGURE = "pays.png"
TIMES = "pays-times.json"


@dataclass(frozen=True)
class Trained:
    """What was trained, by budget and arm, and what each training took."""

    base: FitConfig
    """What all runs have in common."""
    budgets: tuple[str, ...]
    whole: Spec
    """The network that the budgets are shares of."""
    runs: dict[tuple[str, str], list[RunFolder]]
    macs: dict[tuple[str, str], int]
    """Multiply-adds of the final network, of the first seed."""
    times: dict[str, float]
    """Of a step of each final network over one of the whole; by budget and arm, as words."""
    costs: dict[tuple[str, str], float]
    """Of each run, in epochs of the whole network."""


def pays(setting: Setting, pool: Pool) -> Result:
    """Train the searches, then what they are compared with, for as long as the searches took."""
    return _result(setting, trained(setting, pool))


def base_of(setting: Setting) -> FitConfig:
    """What all runs of the study have in common."""
    return setting.config(**BASE, **OF_DATA.get(setting.data, {}))


def trained(setting: Setting, pool: Pool) -> Trained:
    """All runs of the study; those that are there already are used as they are."""
    base = base_of(setting)
    budgets = {budget: setting.varied(base, budget=budget, budget_by=SCORING, **REMOVING) for budget in BUDGETS}
    arms = {(budget, SEARCHED): setting.over_seeds(config) for budget, config in budgets.items()}
    arms |= {
        (budget, CHANCE): setting.over_seeds(setting.varied(config, budget_by="random"))
        for budget, config in budgets.items()
    }
    runs = pool.trained_arms(arms)
    facts = facts_of(next(iter(runs.values()))[0])
    whole = spec_of(base, facts)
    still = setting.varied(base, architecture="uniform")
    small = {(budget, by): setting.varied(still, budget=budget, budget_by=by) for budget in BUDGETS for by in SMALLER}
    times = relative_times(
        {f"{budget} {SEARCHED}": last_of(runs[budget, SEARCHED][0]) for budget in BUDGETS}
        | {f"{budget} {CHANCE}": last_of(runs[budget, CHANCE][0]) for budget in BUDGETS}
        | {" ".join(key): _smaller(whole, config) for key, config in small.items()},
        whole,
        base,
        setting.out / TIMES,
    )
    costs = {
        (budget, arm): mean(cost_of(run, times[f"{budget} {arm}"]) for run in runs[budget, arm])
        for budget in BUDGETS
        for arm in (SEARCHED, CHANCE)
    }
    lengths = {key: round(costs[key[0], SEARCHED] / times[" ".join(key)]) for key in small}
    lengths |= {(budget, WHOLE): round(costs[budget, SEARCHED]) for budget in BUDGETS}
    controls = {
        key: setting.over_seeds(replace(small.get(key, still), epochs=max(3, epochs)))
        for key, epochs in lengths.items()
    }
    runs |= pool.trained_arms(controls)
    macs = {key: macs_of(found[0], base.crop_size) for key, found in runs.items()}
    costs |= {key: runs[key][0].config.epochs * times.get(" ".join(key), 1.0) for key in controls}
    return Trained(base, BUDGETS, whole, runs, macs, times, costs)


def _options() -> str:
    given = {"budget_by": SCORING, **REMOVING}
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in given.items())


def _smaller(whole: Spec, config: FitConfig) -> Spec:
    spec, left = begun_with(whole, config, goal_for(whole, config))
    return replace(spec, subnet=left.to_dict())


def facts_of(run: RunFolder) -> Facts:
    """What the data of a run says of its network.

    Raises:
        ValueError: if it has not begun.
    """
    found = run.environment()
    if found is None:
        raise ValueError(f"{run.path} has not begun")
    return recorded_facts(found)


def last_of(run: RunFolder) -> Spec:
    """What a run with a budget ended with."""
    return replace(run.spec(facts_of(run)), subnet=run.records()[-1]["subnet"])


def macs_of(run: RunFolder, size: tuple[int, int]) -> int:
    """Multiply-adds of what a run ended with, on an image of ``size``."""
    record = run.records()[-1]
    known = subnets(run.spec(facts_of(run)))
    return record.get("macs") or known.macs(known.whole(), *size)


def cost_of(run: RunFolder, last: float) -> float:
    """Of a run with a budget, in epochs of the whole network: between the whole and what is left in the end (``last``:
    its share of the time), an epoch's time goes by its multiply-adds."""
    macs = [record["macs"] for record in run.records()]
    return sum(last + (1 - last) * (n - macs[-1]) / (macs[0] - macs[-1]) for n in macs)


def _result(setting: Setting, found: Trained) -> Result:
    base, runs, macs, costs = found.base, found.runs, found.macs, found.costs
    rows: list[list[str | Spread]] = []
    values: dict[str, dict[str, Any]] = {}
    full = max(macs.values())
    for budget in BUDGETS:
        mious = {arm: [final_miou(run) for run in runs[budget, arm]] for arm in ARMS}
        for arm, ours in mious.items():
            key, gain = (budget, arm), paired(mious[SEARCHED], ours)
            share = f"{macs[key] / full:.0%}"
            epochs, cost = runs[key][0].config.epochs, costs[key]
            told = "" if arm == SEARCHED else gain.shown()
            rows.append([budget, arm, share, f"{epochs}", f"{cost:.0f}", spread(ours), told])
            values[f"{budget}, {arm}"] = {
                "macs": macs[key],
                "epochs": epochs,
                "cost": cost,
                "miou": ours,
                "searched_minus_this": gain.bounds(),
            }
    points = {arm: [values[f"{budget}, {arm}"] for budget in BUDGETS] for arm in ARMS}
    draw_curves(
        setting.out / FIGURE,
        {arm: [(one["macs"] / 1e6, spread(one["miou"])) for one in some] for arm, some in points.items()},
        x="multiply-adds of the final network, millions",
        y="mIoU, %",
        control=WHOLE,
        legend="lower center",
    )
    columns = ["budget", "network", "multiply-adds", "epochs", "cost", "mIoU, %", "searched minus this, points"]
    return Result(
        title="Why search, then? What a budget buys",
        source="Ours; the paper keeps the whole network",
        table=Table(columns, rows),
        values=values,
        notes=[
            f"Searched: `{_options()}`, one run that ends with that network. At random: the same schedule by "
            "chance (`random`). Narrower: frozen-uniform, fewer channels everywhere from the start (`narrower`). "
            "Shallower: frozen-uniform, as many whole layers as fit, or one that is narrower, too (`shallower`). The "
            "whole network: frozen-uniform, the ceiling.",
            f"Cost: epochs of {base.steps_per_epoch} steps of the whole network that take as long, by steps timed "
            "interleaved in one process. Narrower, shallower and whole networks got as many epochs as the search's "
            "cost pays for; chance got the search's epochs.",
            "Last column: mean difference paired by seed, with its 95 % interval (Student's t).",
            setting.how_shown_by(base),
        ],
        figure=FIGURE,
    )
