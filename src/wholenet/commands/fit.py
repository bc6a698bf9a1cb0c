"""``wholenet fit`` on images with masks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from wholenet.checked import PlannedMinutes
from wholenet.commands.frontier import fit_frontier, holds_frontier, resume_frontier
from wholenet.commands.runs import Files, Moved, Printed, Resumed, free_folder, given, print_as_file, trained
from wholenet.data.sets import Task
from wholenet.files import shown
from wholenet.option_files import NONE
from wholenet.search.budgets import parse_budgets, several
from wholenet.search.config import FitConfig, fit_config, grid_methods
from wholenet.search.presets import PRESETS
from wholenet.search.protocols import plan_phases
from wholenet.signatures import Fields, Shown
from wholenet.spaces.cell_tables import is_cell_space

if TYPE_CHECKING:
    from wholenet.control import Compared

OPTIONS = Fields(
    FitConfig,
    but=("data", "out", "settings"),
    told={"method": lambda: f"One of {', '.join(grid_methods())}; what is given by hand comes on top."},
)


def fit(
    data: str | None = None,
    *,
    out: str | None = None,
    resume: Resumed = None,
    moved: Moved = None,
    config: Files = NONE,
    print_config: Printed = False,
    minutes: PlannedMinutes | None = None,
    preset: Annotated[str | None, Shown(choices=PRESETS)] = None,
    plan_only: bool = False,
    task: Task = "segmentation",  # noqa: ARG001  # what reads it chooses this command
    **options: Annotated[Any, OPTIONS],
) -> None:
    """Train a network on a folder of images and masks, or on the built-in scenes; with several budgets, joined by
    commas, a network for each. What is not given is chosen for the data and the time, and told; the defaults below
    are those of runs with --epochs, --genotype or --preset. For the options of the other task:
    wholenet fit --task classification --help

    Args:
        data: Folder with images and masks, or a data set by name: "scenes".
        out: Run folder to create; default: runs/DATA-1, and so on.
        resume: Continue the run in this folder, or all runs of several budgets.
        moved: With --resume: where its data is now, if it was moved.
        config: YAML file with any of these options; repeatable, the last wins. What is typed wins over all.
        print_config: Only print what all options come to, as a file for --config.
        minutes: Time for the whole run, its control too, of several budgets for all of them; what is not given is
            chosen for it. Default: what the data needs, at most an hour. With --epochs nothing is chosen.
        preset: Settings that go together, below all that is given; nothing is chosen then.
        plan_only: Only print what would be chosen, as a file for --config.
        task: Default: as the data looks. There are also language and stereo, and those that were registered; each has
            options of its own, which `wholenet fit --task NAME --help` shows.
    """
    found = given(
        FitConfig,
        {"data": data, "out": out, **options},
        config,
        resume=resume,
        moved=moved,
        print_config=print_config,
        beside=["task"],
    )
    if is_cell_space(found.get("space", "grid")):
        raise ValueError(f"space {shown(found['space'])} is for labelled images: give --task classification with it")
    if not isinstance(found.get("method", ""), str):
        raise ValueError(f"method={shown(found['method'])}: expected one of {', '.join(grid_methods())}")
    plans = _plans(found, preset, resume, minutes=minutes, plan_only=plan_only)
    found = {**PRESETS.get(preset or "", {}), **found}
    if print_config:
        _print_config(found)
        return
    if resume is not None:
        if holds_frontier(resume):
            resume_frontier(resume, found, moved)
        else:
            _tell_all(trained(resume, found, moved))
        return
    if "data" not in found:
        raise ValueError("give the data: `wholenet fit DATA`")
    found.setdefault("out", free_folder(str(found["data"])))
    text = None
    if plans:
        found, text = _planned(found, minutes, plan_only)
        if plan_only:
            print(text, end="")
            return
    if several(found.get("budget")):
        fit_frontier(found, text)
    else:
        _tell_all(trained(fit_config(**found), found, moved, text))


def _print_config(found: dict[str, Any]) -> None:
    budgets = found.get("budget")
    one = {"budget": parse_budgets(str(budgets))[-1]} if several(budgets) else {}
    print_as_file(fit_config(**{"data": "", "out": "", **found, **one}), **({"budget": budgets} if one else {}))


def _plans(found: dict[str, Any], preset: str | None, resume: str | None, **asked: Any) -> bool:
    """Whether what is not given is chosen: where nothing says how long the run is.

    Raises:
        ValueError: if something does, and a plan is ``asked`` for.
    """
    if resume is not None and (extra := _named(preset=preset, **asked)):
        raise ValueError(f"--resume goes on as the run was begun; leave --{extra} out")
    plans = resume is None and preset is None and not {"epochs", "genotype"} & set(found)
    if not plans and (extra := _named(**asked)):
        said = "--preset" if preset is not None else "--epochs or --genotype"
        raise ValueError(f"--{extra} lets the length of the run be chosen, and {said} says it: leave one of them out")
    return plans


def _named(**options: Any) -> str | None:
    """The first of ``options`` that was given, as it is typed."""
    return next((name.replace("_", "-") for name, value in options.items() if value not in (None, False)), None)


def _planned(found: dict[str, Any], minutes: float | None, quiet: bool) -> tuple[dict[str, Any], str]:
    """The options of a run, or of one for each budget, with those that are chosen for its data and time, and how they
    were; people are told."""
    from rich.console import Console

    from wholenet.planning.plan import announced

    if "RANK" in os.environ:
        raise ValueError(
            "a plan is made by one process: let `wholenet fit DATA --plan-only > plan.yaml` make it, and give it "
            "to all with --config plan.yaml"
        )
    plan = announced(found, minutes, Console(stderr=quiet), begins=not quiet)
    return plan.options, plan.text()


def _tell_all(compared: Compared | None) -> None:
    if compared is not None:
        tell(compared)


def tell(compared: Compared) -> None:
    """Print what a run came to, and what to open."""
    learned = compared.learned
    print(f"\nvalidation mIoU      {100 * learned.scores.miou:5.1f} %   {learned.run}")
    for line in _shrunk(learned.run) or _left(learned.run):
        print(line)
    if compared.uniform is not None:
        uniform = compared.uniform
        print(f"frozen-uniform       {100 * uniform.scores.miou:5.1f} %   {uniform.run}")
    if learned.constant is not None:
        print(f"best constant class  {100 * learned.constant:5.1f} %")
    for picture in ("predictions", "architecture", "curves", "entropy"):
        if (path := learned.run / f"{picture}.png").exists():
            print(f"open {path}")


def left_in_words(own: Mapping[str, Any]) -> str:
    """What a budget left, of what; ``own``: the numbers of a run that had one."""
    from wholenet.spaces.grid_costs import macs_in_words

    whole = own["whole_macs"]
    return f"{own['macs'] / whole:5.0%}     {macs_in_words(own['macs'])} of the whole network's {macs_in_words(whole)}"


def _left(path: Path) -> list[str]:
    """What a budget left of the network, and what says whether it was well spent."""
    from wholenet.search.read_run import read_run  # imports torch
    from wholenet.search.run_folder import RunFolder

    own = read_run(path).results[0]
    if "whole_macs" not in own:
        return []
    config = RunFolder(path).fit_config
    lines = [f"multiply-adds        {left_in_words(own)}"]
    if not config.control:
        chosen = config.removes and config.budget_by != "random"
        others = f"without --budget{' and with --budget-by random' * chosen}"
        lines.append(f"What that cost, the same run {others} says: `wholenet compare` puts them beside each other")
    return lines


def _shrunk(path: Path) -> list[str]:
    """How a run went that made a trained network smaller."""
    from wholenet.search.run_folder import RunFolder  # imports torch
    from wholenet.search.shrunk import shrunk_lines
    from wholenet.tasks.score import MIOU

    run = RunFolder(path)
    return shrunk_lines(run.records(), plan_phases(run.config), MIOU, run.config.keep)
