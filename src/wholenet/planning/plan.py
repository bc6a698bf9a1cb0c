"""A plan: the settings of a run that were not given, each with its value and its reason."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml
from rich.console import Console

from wholenet.beginning import find_beginning
from wholenet.jobs.masks import prepare
from wholenet.jobs.segmentation import MaskData
from wholenet.machine import choose_device
from wholenet.planning import rules
from wholenet.planning.choosing import (
    Choice,
    Chosen,
    check_start,
    choose_length,
    choose_network,
    choose_shapes,
    choose_size,
    choose_way,
    cost_of,
    measured_all,
)
from wholenet.planning.facts import facts, load_now
from wholenet.report.progress import plain
from wholenet.search.budgets import parse_budgets, several
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.folder import Folder
from wholenet.search.goals import check_before_data
from wholenet.search.phases import check_removing
from wholenet.search.protocols import plan_phases
from wholenet.search.run_folder import check_space

LONGEST = 60.0
"""Minutes of a run for which none were given, at most."""
USUAL = 30.0
"""Minutes that its size is chosen for."""
SPARE = 0.05
"""Share of the time that is left for checkpoints, pictures on the way, and what a busy machine takes."""


@dataclass(frozen=True)
class Plan:
    """What a run will do, and how long it takes."""

    given: Mapping[str, Any]
    """The options that were not to be chosen."""
    chosen: tuple[Choice, ...]
    facts: tuple[tuple[str, str], ...]
    """What the choices rest on: the data, the machine, the time, the memory."""

    @property
    def options(self) -> dict[str, Any]:
        """Of :func:`wholenet.search.config.fit_config`."""
        return {**self.given, **{choice.name: choice.value for choice in self.chosen}}

    def config(self, **more: Any) -> FitConfig:
        """The config of the run, with ``more`` on top."""
        return fit_config(**{**self.options, **more})

    def lines(self) -> list[str]:
        """For people to read."""
        wide = max(len(name) for name in [*(choice.name for choice in self.chosen), *(name for name, _ in self.facts)])
        value = max([len(str(choice.value)) for choice in self.chosen], default=0)
        facts = [f"  {name:{wide}}  {text}" for name, text in self.facts]
        chosen = [f"  {c.name.replace('_', '-'):{wide}}  {c.value!s:{value}}  {c.reason}" for c in self.chosen]
        return ["plan", *facts, *chosen, "Each is an option: --NAME VALUE takes its place."]

    def text(self) -> str:
        """A file for ``--config``, the reasons as comments."""
        values = {name: value for name, value in self.given.items() if name not in ("data", "out")}
        lines = [f"# {name}: {text}" for name, text in self.facts]
        lines += yaml.safe_dump(values, sort_keys=False).splitlines() if values else []
        for choice in self.chosen:
            line = yaml.safe_dump({choice.name: choice.value}).strip()
            lines.append(f"{line}  # {choice.reason}")
        return "\n".join(lines) + "\n"


def plan_run(given: Mapping[str, Any], minutes: float | None, console: Console) -> Plan:
    """Choose what is not ``given`` for the data, this machine and the time.

    Real steps are taken for it, on the data; nothing is written.

    Args:
        given: options of :func:`wholenet.search.config.fit_config`; "data" must be there. Of several budgets, joined by
            commas, each has a run, and they differ in nothing else.
        minutes: for the whole run, its control included if one is asked for, this planning too, and for all runs
            together; None: what the data is taken to need, at most ``LONGEST``.
        console: told how the data is read.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: if the length of the run is given too, or the time is too short for a step of each phase.
        TooLarge: if not even two images fit into memory.
    """
    if lengths := [name for name in ("epochs", "steps_per_epoch") if name in given]:
        raise ValueError(f"a plan says how long the run is, and so does {lengths[0]}; leave one of them out")
    started, load = time.perf_counter(), load_now()
    budgets = parse_budgets(given["budget"]) if several(given.get("budget")) else ()
    largest = {"budget": budgets[-1]} if budgets else {}
    base = fit_config(**{"out": "", **given, **largest})
    device = choose_device(base.device)
    if base.timed:
        raise ValueError(
            f"budget={given['budget']!r} is a time, which is measured when the network is known, and a plan chooses "
            "it: say what a plan would choose, --epochs first (and --size, --batch), or give a budget in multiply-adds"
        )
    if base.removes:
        check_removing(plan_phases(base))
    check_before_data(base, *check_space(base))
    beginning = find_beginning(base, plain(console))
    data = MaskData(prepare(base if "batch" in given else replace(base, batch=2), console))
    checked = (1 + len(budgets)) * (time.perf_counter() - started)
    chosen = Chosen(dict(given), base, budgets)
    choose_network(chosen, beginning)
    pixels = rules.GPU_PIXELS if device.type == "cuda" else rules.CPU_PIXELS
    choose_shapes(chosen, data, pixels, "a GPU" if device.type == "cuda" else "a CPU")
    data = data.cropped(chosen.config.crop_size)
    # What is over before the first step: this planning, and the data once more (before each of several runs, too),
    # from what is known of it.
    deadline = 60 * (LONGEST if minutes is None else minutes)
    usual = deadline if minutes is not None else 60 * USUAL
    plain(console)("timing steps on this machine")
    if chosen.leaves("size") and base.space == "grid":
        fitting = choose_size(chosen, data, device, usual - 2 * checked, needed=minutes is None)
        if (fewer := rules.fewer_pixels(pixels, fitting)) < pixels:
            choose_shapes(chosen, data, fewer, "the time")
            data = data.cropped(chosen.config.crop_size)
    choose_way(chosen, data)
    start = check_start(chosen, data, beginning)
    found = measured_all(chosen, data, device, deadline - (time.perf_counter() - started) - checked)
    left = (1 - SPARE) * (deadline - (time.perf_counter() - started) - checked)
    length = choose_length(chosen, data, found, left, needed=minutes is None)
    about = facts(chosen.begun(data), data, cost_of(chosen, data, found), length, device, start=start, load=load)
    return Plan(given, tuple(chosen.made), about)


def announced(given: Mapping[str, Any], minutes: float | None, console: Console, *, begins: bool = True) -> Plan:
    """:func:`plan_run` for a run in the free folder that is ``given`` as "out"; ``console`` is told the plan, and how
    to stop and to change a run that ``begins`` then. Nothing is asked: scripts could not answer."""
    Folder.check_free(given["out"])
    plan = plan_run(given, minutes, console)
    last = [
        f"The run begins now, in {given['out']}. Ctrl-C stops it at any time: `wholenet fit --resume {given['out']}` "
        "goes on with this plan, a new run with other options makes another."
    ]
    plain(console)("\n".join([*plan.lines(), *(last if begins else [])]))
    return plan
