"""What else was tried where a search does not pay (ours): distillation, a longer search, and other draws of chance.

Each attempt costs what the search of ``pays`` costs, and stands beside the best of the controls there: units that
chance takes, and a grid that is narrower or shallower from the start. Same seeds, same batches, and the same runs where
both studies have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any

from wholenet.search.budget_config import ROUNDS
from wholenet.search.config import FitConfig
from wholenet.search.run_folder import RunFolder
from wholenet.smaller import SHARE, shrink_config
from wholenet.studies.drawing import draw_curves
from wholenet.studies.outcomes import final_miou
from wholenet.studies.paired import paired
from wholenet.studies.pays import (
    CHANCE,
    REMOVING,
    SCORING,
    SEARCHED,
    SMALLER,
    TIMES,
    Trained,
    cost_of,
    last_of,
    macs_of,
    trained,
)
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting
from wholenet.studies.step_times import relative_times

CONTROLS = (CHANCE, *SMALLER)
WHOLE_FIRST = "the whole network, to be cut"
LONGER, SHRUNK, DISTILLED = "searched for longer", "shrunk", "shrunk and distilled"
ATTEMPTS = (LONGER, SHRUNK, DISTILLED)
DRAWS = "other draws"
LONGER_SHARE = 0.6
"""Of the run, over all of which units go gradually; of the other searches they go after its first epoch."""
DISTILL = {SHRUNK: 0.0, DISTILLED: 0.5}
ANSWERING = 1 / 3
"""What the whole network's answers take, in its steps: about one of three passes."""
OTHER_DRAWS = (1, 2, 3, 4)
"""Seeds of chance, beside that of the run of seed 0 itself."""
FIGURE = "pays-further.png"
Key = tuple[str, str]
"""Budget and arm."""


def pays_further(setting: Setting, pool: Pool) -> Result:
    """Train what ``pays`` trains, if that is not there, and the attempts, for as long as its searches took."""
    found = trained(setting, pool)
    last = {budget: found.times[f"{budget} {SEARCHED}"] for budget in found.budgets}
    asks = {arm: ANSWERING * (share > 0) for arm, share in DISTILL.items()}
    lengths = {
        (budget, arm): shrunk_epochs(found.costs[budget, SEARCHED], last[budget], asks[arm])
        for budget in found.budgets
        for arm in DISTILL
    }
    runs = pool.trained_arms(
        {(budget, LONGER): setting.over_seeds(_longer(setting, found, budget)) for budget in found.budgets}
        | {(budget, DRAWS): _draws(setting, found, budget) for budget in found.budgets}
        | {
            (budget, f"{WHOLE_FIRST}: {arm}"): setting.over_seeds(replace(found.base, epochs=first))
            for (budget, arm), (first, _) in lengths.items()
        }
    )
    wholes = {(budget, arm): runs.pop((budget, f"{WHOLE_FIRST}: {arm}")) for budget, arm in lengths}
    runs |= pool.trained_arms(
        {key: [_shrunk(run, *key, tuning) for run in wholes[key]] for key, (_, tuning) in lengths.items()}
    )
    times = relative_times(
        {" ".join(key): last_of(some[0]) for key, some in runs.items()}, found.whole, found.base, setting.out / TIMES
    )
    costs = {key: mean(cost_of(run, times[" ".join(key)]) for run in some) for key, some in runs.items()}
    for key in lengths:
        answers = asks[key[1]] * len(runs[key][0].records())
        costs[key] += wholes[key][0].config.epochs + answers
    return _result(setting, found, runs, costs)


def shrunk_epochs(cost: float, last: float, asks: float) -> tuple[int, int]:
    """How long the whole network is trained, and what is left of it fine-tuned, that both and the scoring between them
    cost as much: the second is the share of the first that `wholenet shrink` takes.

    Args:
        cost: in epochs of the whole network.
        last: of an epoch of what is left, likewise.
        asks: of the whole network's answers in an epoch of what it is shrunk in, likewise.

    >>> shrunk_epochs(45, 0.7, 0.0), shrunk_epochs(45, 0.7, 0.5)
    ((35, 9), (29, 7))
    """
    rounds = ROUNDS - (1 - last) * (ROUNDS - 1) / 2 + last + asks * (ROUNDS + 1)
    first = max(3, round((cost - rounds) / (1 + SHARE * (last + asks))))
    return first, max(1, round(SHARE * first))


def longer_epochs(cost: float, last: float, warmup: float, search: float) -> int:
    """Epochs of a search in which units go gradually, that cost as much.

    Args:
        cost: in epochs of the whole network.
        last: of an epoch of what is left, likewise.
        warmup: share of the run before the search.
        search: and of the search.

    >>> longer_epochs(45, 0.7, 0.05, 0.6)
    56
    """
    each = warmup + search * (1 + last) / 2 + (1 - warmup - search) * last
    return max(3, round(cost / each))


def _longer(setting: Setting, found: Trained, budget: str) -> FitConfig:
    gradual = {**REMOVING, "budget_over": 1.0, "search_share": LONGER_SHARE}
    config = setting.varied(found.base, budget=budget, budget_by=SCORING, **gradual)
    last = found.times[f"{budget} {SEARCHED}"]
    epochs = longer_epochs(found.costs[budget, SEARCHED], last, config.warmup_share, LONGER_SHARE)
    return replace(config, epochs=epochs)


def _draws(setting: Setting, found: Trained, budget: str) -> list[FitConfig]:
    config = setting.varied(found.base, budget=budget, budget_by="random", **REMOVING)
    return [replace(config, seed=0, budget_seed=seed) for seed in OTHER_DRAWS]


def _shrunk(run: RunFolder, budget: str, arm: str, epochs: int) -> FitConfig:
    options = {"budget_units": REMOVING["budget_units"], "budget_floor": REMOVING["budget_floor"]}
    return shrink_config(run.path, "", budget=budget, budget_by=SCORING, distill=DISTILL[arm], epochs=epochs, **options)


def _result(
    setting: Setting, found: Trained, runs: Mapping[Key, Sequence[RunFolder]], costs: Mapping[Key, float]
) -> Result:
    rows: list[list[str | Spread]] = []
    values: dict[str, dict[str, Any]] = {}
    full = max(found.macs.values())
    macs = {**found.macs, **{key: macs_of(some[0], found.base.crop_size) for key, some in runs.items()}}
    everything, all_costs = {**found.runs, **runs}, {**found.costs, **costs}
    for budget in found.budgets:
        mious = {arm: [final_miou(run) for run in everything[budget, arm]] for arm in (*CONTROLS, SEARCHED, *ATTEMPTS)}
        best = max(CONTROLS, key=lambda arm, mious=mious: mean(mious[arm]))
        draws = [mious[CHANCE][0], *(final_miou(run) for run in runs[budget, DRAWS])]
        for arm in (best, SEARCHED, *ATTEMPTS, DRAWS):
            key, ours = (budget, arm), draws if arm == DRAWS else mious[arm]
            gain = None if arm in (best, DRAWS) else paired(ours, mious[best])
            told = _among(mious[SEARCHED][0], draws) if arm == DRAWS else "" if gain is None else gain.shown()
            name = f"{arm} (the best control)" if arm == best else arm
            epochs, cost = everything[key][0].config.epochs, all_costs[key]
            rows.append([budget, name, f"{macs[key] / full:.0%}", f"{epochs}", f"{cost:.0f}", spread(ours), told])
            values[f"{budget}, {arm}"] = {"macs": macs[key], "epochs": epochs, "cost": cost, "miou": ours} | (
                {} if gain is None else {"minus_the_best_control": gain.bounds()}
            )
        values[f"{budget}, best control"] = {"network": best}
    arms = (SEARCHED, *ATTEMPTS)
    curves = {arm: [_point(values[f"{budget}, {arm}"]) for budget in found.budgets] for arm in arms}
    best_of_all = [
        _point(values[f"{budget}, {values[f'{budget}, best control']['network']}"]) for budget in found.budgets
    ]
    draw_curves(
        setting.out / FIGURE,
        {**curves, "the best control": best_of_all},
        x="multiply-adds of the final network, millions",
        y="mIoU, %",
        control="the best control",
        legend="lower right",
    )
    columns = ["budget", "network", "multiply-adds", "epochs", "cost", "mIoU, %", "this minus the best control, points"]
    return Result(
        title="What a budget buys: what else was tried",
        source="Ours; the paper keeps the whole network",
        table=Table(columns, rows),
        values=values,
        notes=_notes(setting, found),
        figure=FIGURE,
    )


def _point(value: Mapping[str, Any]) -> tuple[float, Spread]:
    return value["macs"] / 1e6, spread(value["miou"])


def _among(ours: float, draws: Sequence[float]) -> str:
    """Where a search of seed 0 stands among draws of chance of that seed."""
    return f"searched, of seed 0, is ahead of {sum(ours > one for one in draws)} of {len(draws)}"


def _notes(setting: Setting, found: Trained) -> list[str]:
    steps = found.base.steps_per_epoch
    return [
        "The best control: of units that go by chance, and grids that are narrower or shallower from the start, the "
        "one of the highest mean; chosen by the very scores that it is compared by, so it is a strict one. It and "
        "searched are the runs of `pays`.",
        f"Searched for longer: the search is {LONGER_SHARE:.0%} of the run, and units go gradually over all of it.",
        f"Shrunk: the whole network is trained, then made smaller as `wholenet shrink` does, in {ROUNDS} epochs of "
        f"scoring and one of statistics, and fine-tuned for {SHARE:.0%} of its epochs; epochs are those of the second "
        f"run alone. Shrunk and distilled: with `--distill {DISTILL[DISTILLED]:g}`, by the answers of the network "
        "before it was cut.",
        f"Other draws: {len(OTHER_DRAWS) + 1} runs of seed 0 whose units go by chance of other seeds (`--budget-seed`, "
        f"that of the run and {', '.join(map(str, OTHER_DRAWS))}); the spread is over them.",
        f"Cost: epochs of {steps} steps of the whole network that take as long, by steps timed interleaved in one "
        "process; answers of the whole network count as a third of its step.",
        "Last column: mean difference paired by seed, with its 95 % interval (Student's t).",
        setting.how_shown_by(found.base),
    ]
