"""A run for each of several budgets: the frontier of what a budget buys. Each is a run folder like any other.

OUT/frontier.yaml   the budgets, how each is met, and the settings that all runs share
OUT/plan.yaml       how these were chosen, where they were not all given
OUT/15-percent, ... the run folders
OUT/frontier.json, frontier.png, frontier.html  what the finished ones came to
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from wholenet import parallel
from wholenet.control import fit_with_control, resume_with_control
from wholenet.data.sets import place_of
from wholenet.file_keys import check_keys
from wholenet.files import read_text, read_yaml, shown, write_whole
from wholenet.jobs.catalog import task_of_run
from wholenet.jobs.segmentation import MaskData
from wholenet.jobs.times import predicted_size, table_of
from wholenet.plugins import import_options
from wholenet.report.frontier import Point, point_of, read_points, write_frontier
from wholenet.report.progress import own_console, plain
from wholenet.search.budget_config import REMOVING
from wholenet.search.budget_way import settled_budget, told
from wholenet.search.budgets import folder_of, parse_budgets
from wholenet.search.config import ADDED, MACHINE, FitConfig, fit_config
from wholenet.search.config_files import build_config, write_values
from wholenet.search.goals import check_before_data, goals_for
from wholenet.search.interruption import Interrupted, Interruption
from wholenet.search.phases import check_removing
from wholenet.search.protocols import plan_phases
from wholenet.search.run_folder import RunFolder, check_space, spec_of
from wholenet.spaces.catalog import subnets
from wholenet.spaces.device_table import DeviceTable, write_table

SETTINGS, PLAN, TABLE = "frontier.yaml", "plan.yaml", "device-table.json"
WAY = ("budget_by", *REMOVING)
"""Fields that say how each budget is met."""


@dataclass(frozen=True)
class Frontier:
    """Runs that differ in their budgets."""

    out: Path
    points: tuple[Point, ...]
    """What they came to, the smallest budget first."""
    whole_macs: int
    """Multiply-adds of the whole network."""


def frontier_configs(options: dict[str, Any]) -> list[FitConfig]:
    """The configs of the runs, the smallest budget first, each with its folder.

    Args:
        options: of :func:`wholenet.search.config.fit_config`; "budget" has several, and "out" is the folder of all.

    Raises:
        ValueError: for budgets that do not go together, or options that do not go with them.
    """
    budgets = parse_budgets(options["budget"])
    configs = [fit_config(**{**options, "budget": budget}) for budget in budgets]
    if configs[0].shrinks:
        raise ValueError(
            f"budget={options['budget']!r} with protocol='shrink': a trained network is made smaller for one budget at "
            "a time; give each to `wholenet shrink`"
        )
    return [replace(config, out=str(Path(config.out) / folder_of(config.budget or ""))) for config in configs]


def is_frontier(path: str | Path) -> bool:
    """Whether a folder is that of a frontier."""
    return (Path(path) / SETTINGS).is_file()


def fit_frontier(configs: Sequence[FitConfig], console: Console | None = None, plan: str | None = None) -> Frontier:
    """Train a run for each of ``configs``, one after the other, in the new folder that theirs are in.

    Whether each budget can be met is checked before the first is trained.

    Args:
        configs: see :func:`frontier_configs`.
        console: where to report.
        plan: how they were chosen; kept as plan.yaml.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a folder that is in use, a budget that cannot be met, or two that come to the same network.
        Interrupted: if it was asked to stop; the message says how to go on.
    """
    console = console or own_console()
    out = Path(configs[0].out).parent
    RunFolder.check_free(out)
    places = {name: getattr(configs[0], name) for name in ("init", "stem_weights", "device_table")}
    settled = {name: str(Path(path).resolve()) for name, path in places.items() if path is not None}
    settled["data"] = place_of(configs[0].data)
    configs = [replace(config, **settled) for config in configs]
    with _going_on(out):
        configs, whole, table = _checked(configs, console, quiet=plan is not None)
        if configs[0].timed and configs[0].device_table is None:
            configs = [replace(config, device_table=str((out / TABLE).resolve())) for config in configs]
        if parallel.is_first():
            shared = {**asdict(configs[-1]), "out": str(out)}
            ways = [{name: getattr(config, name) for name in WAY} for config in configs]
            out.mkdir(parents=True, exist_ok=True)
            if plan is not None:
                write_whole(out / PLAN, plan)
            if table is not None:
                write_table(table, out / TABLE)
            write_frontier(out, [], whole, len(configs))
            budgets = [config.budget for config in configs]
            write_values({"budgets": budgets, "ways": ways, "shared": shared}, out / SETTINGS)
        parallel.meet()
        return _all_trained(out, configs, whole, console, plan)


def resume_frontier(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine: Any
) -> Frontier:
    """Go on with the runs in the folder ``path``: those that are finished are left as they are.

    Args:
        path: of the frontier.
        console: where to report.
        data: where its data is now, if it was moved.
        machine: fields of the config that have to do with the machine, to be changed from here on.

    Raises:
        ValueError: if the folder holds no frontier, its data is gone or has changed, or something else is to be
            changed.
    """
    if others := sorted(set(machine) - set(MACHINE)):
        raise ValueError(
            f"runs are continued as they were begun, so {', '.join(others)} cannot be given with them; only "
            f"{', '.join(MACHINE)} can"
        )
    console, out = console or own_console(), Path(path)
    moved = {} if data is None else {"data": place_of(str(data))}
    configs = [replace(config, **machine, **moved) for config in _read(out)]
    plan = read_text(out / PLAN) if (out / PLAN).is_file() else None
    with _going_on(out):
        configs, whole, _ = _checked(configs, console, quiet=True)

        def go_on(run: Path) -> None:
            resume_with_control(run, console, data, **machine)

        return _all_trained(out, configs, whole, console, plan, go_on)


def _read(out: Path) -> list[FitConfig]:
    path = out / SETTINGS
    if not path.is_file():
        raise ValueError(f"{out} holds no frontier (no {SETTINGS} in it); give the folder that `--out` named")
    found = read_yaml(path)
    check_keys(found, {"budgets": list, "shared": dict}, str(path))
    shared = build_config(FitConfig, found["shared"], path, ADDED).begun()
    if (out / TABLE).is_file():  # wherever it has been moved
        shared = replace(shared, device_table=str((out / TABLE).resolve()))
    budgets = parse_budgets(",".join(map(str, found["budgets"])))
    ways = found.get("ways", [{} for _ in budgets])  # all alike until 2026-11-30
    if not isinstance(ways, list) or len(ways) != len(budgets):
        raise ValueError(f"{path} has ways: {shown(ways)}; expected one for each of {len(budgets)} budgets")
    for way in ways:
        check_keys(way, {} if way == {} else dict.fromkeys(WAY, Any), f"{path}, ways", only=True)
    runs = zip(budgets, ways, strict=True)
    return [replace(shared, budget=one, out=str(out / folder_of(one)), **way) for one, way in runs]


def _checked(
    configs: Sequence[FitConfig], console: Console, *, quiet: bool
) -> tuple[list[FitConfig], int, DeviceTable | None]:
    """Make sure that each budget can be met.

    Returns:
        The configs with what they share settled; multiply-adds of the whole network; of budgets that are times, in the
        first process, the times of its units.

    Raises:
        ValueError: if one cannot.
    """
    first, console = configs[0], Console(quiet=True) if quiet else console
    if first.removes:
        check_removing(plan_phases(first))
    check_before_data(first, *check_space(first))
    with parallel.first_alone():
        data = task_of_run(first).prepare(first, console)
    assert isinstance(data, MaskData), "a budget is of images with masks"
    settled: dict[str, Any] = {"crop": "{}x{}".format(*data.size())}
    if first.timed and first.budget_at is None:
        settled["budget_at"] = "x".join(map(str, predicted_size(data)))
    configs = [replace(config, **settled) for config in configs]
    spec, table = spec_of(first, data.network()), None
    if first.timed and parallel.is_first():
        table = table_of(configs[0], spec, plain(console))
    if not first.timed or table is not None:
        found = [settled_budget(config, spec, table) for config in configs]
        for config, why in found:
            if why is not None:
                plain(console)(told(config, why))
        configs = [config for config, _ in found]
        goals_for(spec, configs, table)
    known = subnets(spec)
    return configs, known.macs(known.whole(), *configs[0].budget_size), table


def _all_trained(
    out: Path,
    configs: Sequence[FitConfig],
    whole: int,
    console: Console,
    plan: str | None,
    go_on: Callable[[Path], None] | None = None,
) -> Frontier:
    points = {point.budget: point for point in read_points(out)}
    for number, config in enumerate(configs, 1):
        run, budget = Path(config.out), str(config.budget)
        told = f"budget {budget}, {number} of {len(configs)}: {run}"
        if budget in points:
            console.print(f"{told} is finished", highlight=False, soft_wrap=True)
            continue
        console.print(told, highlight=False, soft_wrap=True)
        if go_on is not None and RunFolder.at(run) is not None:
            go_on(run)
        else:
            fit_with_control(config, console, None if plan is None else _plan_of(plan, budget))
        points[budget] = point_of(out, run.name, budget)
        if parallel.is_first():
            done = [points[str(one.budget)] for one in configs if one.budget in points]
            write_frontier(out, done, whole, len(configs))
    return Frontier(out, tuple(points[str(config.budget)] for config in configs), whole)


def _plan_of(plan: str, budget: str) -> str:
    """The plan of all runs, as a file of options for one of them."""
    return re.sub(r"^budget: .*$", f"budget: {budget}", plan, flags=re.MULTILINE)


@contextmanager
def _going_on(out: Path) -> Iterator[None]:
    """Around all runs: asked to stop, it is said how all of them are continued."""
    words = "".join(f" {option}" for option in import_options())
    command = f"{parallel.launcher()}wholenet fit --resume {out}{words}"
    with Interruption():
        try:
            yield
        except Interrupted as stop:
            kept = stop.message.partition(". Continue with")[0] or "stopped"
            how = f"Continue with `{command}`, which leaves finished runs as they are"
            how = how if is_frontier(out) else "Nothing was begun; give the command again"
            raise Interrupted(stop.number, at_once=stop.at_once, message=f"{kept}. {how}") from None
