"""A plan: the settings of a run that were not given, each with its value and its reason."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console

from wholenet.jobs.masks import prepare
from wholenet.jobs.segmentation import MaskData
from wholenet.machine import choose_device
from wholenet.planning import rules
from wholenet.planning.timing import Measured, free_bytes, measure
from wholenet.report.progress import duration, plain
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.folder import Folder
from wholenet.search.memory import ran_out_of_memory
from wholenet.search.phases import single_stage
from wholenet.search.run_folder import spec_of
from wholenet.spaces.catalog import create_from
from wholenet.spaces.count import COARSEST, macs_as_run
from wholenet.spaces.sizes import GRID_SIZES

LONGEST = 60.0
"""Minutes of a run for which none were given, at most."""
USUAL = 30.0
"""Minutes that its size is chosen for."""
END_SECONDS = 8.0
"""Of pictures and the page at the end."""
SPARE = 0.05
"""Share of the time that is left for checkpoints, pictures on the way, and what a busy machine takes."""
SCORING_SHARE = 0.1
"""Of the training's time that validations may take."""
SCORINGS = 10


@dataclass(frozen=True)
class Choice:
    """One setting, and why it is so."""

    name: str
    value: Any
    reason: str


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
        given: options of :func:`wholenet.search.config.fit_config`; "data" must be there.
        minutes: for the whole run, its control included if one is asked for, this planning too; None: what the data is
            taken to need, at most ``LONGEST``.
        console: told how the data is read.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: if the length of the run is given too, or the time is too short for a step of each phase.
        MemoryError: if not even two images fit into memory.
    """
    if lengths := [name for name in ("epochs", "steps_per_epoch") if name in given]:
        raise ValueError(f"a plan says how long the run is, and so does {lengths[0]}; leave one of them out")
    started = time.perf_counter()
    base = fit_config(**{"out": "", **given})
    device = choose_device(base.device)
    data = MaskData(prepare(base if "batch" in given else replace(base, batch=2), console))
    checked = time.perf_counter() - started
    chosen = _Chosen(dict(given), base)
    pixels = rules.GPU_PIXELS if device.type == "cuda" else rules.CPU_PIXELS
    _choose_shapes(chosen, data, pixels, "a GPU" if device.type == "cuda" else "a CPU")
    data = data.cropped(chosen.config.crop_size)
    # What is over before the first step: this planning, and the data once more, from what is known of it.
    deadline = 60 * (LONGEST if minutes is None else minutes)
    usual = deadline if minutes is not None else 60 * USUAL
    if "size" not in given and base.space == "grid":
        fitting = _choose_size(chosen, data, device, usual - 2 * checked, minutes is not None)
        if (fewer := rules.fewer_pixels(pixels, fitting)) < pixels:
            _choose_shapes(chosen, data, fewer, "the time")
            data = data.cropped(chosen.config.crop_size)
    found = _measured(chosen, data, device)
    scoring = found.scored_image * len(data.prepared.val)
    left = deadline - (time.perf_counter() - started) - checked
    left = (1 - SPARE) * (left / (2 if base.control else 1) - END_SECONDS)
    scoring = _choose_length(chosen, data, found, left, scoring, needed=minutes is None)
    return Plan(given, tuple(chosen.made), _facts(chosen, data, found, scoring, device))


def announced(given: Mapping[str, Any], minutes: float | None, console: Console) -> Plan:
    """:func:`plan_run` for a run that begins then, in the free folder that is ``given`` as "out"; ``console`` is told
    the plan."""
    Folder.check_free(given["out"])
    plan = plan_run(given, minutes, console)
    plain(console)("\n".join(plan.lines()))
    return plan


class _Chosen:
    """The config as it is chosen, step by step; what was given stays."""

    def __init__(self, given: dict[str, Any], config: FitConfig) -> None:
        self.given = given
        self.config = config
        self.made: list[Choice] = []

    def choose(self, name: str, value: Any, reason: str) -> None:
        """Choose ``value`` unless the option was given."""
        if name not in self.given:
            self.config = replace(self.config, **{name: value})
            self.made = [*(choice for choice in self.made if choice.name != name), Choice(name, value, reason)]


def _choose_shapes(chosen: _Chosen, data: MaskData, pixels: int, what: str) -> None:
    stats = data.prepared.train_stats
    smallest, images = (stats.min_height, stats.min_width), len(data.prepared.weights)
    crop = rules.crop_for(smallest, pixels)
    chosen.choose("crop", "{}x{}".format(*crop), f"of the images' shape, about as large as {what} allows")
    least, most = rules.scales_for(chosen.config.crop_size, smallest)
    chosen.choose("scale_min", least, "a crop shows up to all of an image, at most at half its size")
    chosen.choose("scale_max", most, "objects somewhat larger than they are")
    largest = 16 if pixels > rules.CPU_PIXELS else 8
    chosen.choose("batch", rules.batch_for(images, largest), f"{images} images to train on")
    balance = rules.balance_for(stats.class_pixels)
    reason = f"a class has less than {rules.RARE:.0%} of the pixels" if balance else "no class is rare"
    if chosen.config.loss == "dice":
        balance, reason = 0.0, "Dice counts every class alike"
    chosen.choose("class_balance", balance, reason)


def _choose_size(chosen: _Chosen, data: MaskData, device: torch.device, seconds: float, timed: bool) -> int:
    """By the time of a step of the smallest network, and the arithmetic of the others. Returns how many steps of the
    chosen one fit."""
    first = next(iter(GRID_SIZES))
    chosen.choose("size", first, "")
    one = _measured(chosen, data, device).weight_step
    height, width = (max(COARSEST, round(side / COARSEST) * COARSEST) for side in data.size())  # is counted faster
    costs = {}
    for name in GRID_SIZES:
        spec = spec_of(replace(chosen.config, size=name), data.network())
        costs[name] = macs_as_run(create_from(spec).eval(), height, width)
        if name != first and one * costs[name] / costs[first] * rules.ENOUGH_STEPS > seconds:
            break  # those after it are larger still
    steps = {name: one * cost / costs[first] for name, cost in costs.items()}
    needed = rules.steps_needed(len(data.prepared.weights), chosen.config.batch)
    wanted = rules.ENOUGH_STEPS if timed else needed
    shares = 2 if chosen.config.control else 1
    size = rules.size_for(steps, seconds / shares, wanted)
    larger = list(GRID_SIZES)[list(GRID_SIZES).index(size) + 1 :]
    fitting = int(seconds / shares / steps[size])
    reason = f"the largest that takes {wanted:,} steps in the time"
    if fitting < wanted:
        reason = f"the smallest; none takes {wanted:,} steps in the time"
    elif larger and larger[0] in steps:
        reason += f"; {larger[0]} would take about {int(seconds / shares / steps[larger[0]]):,}"
    chosen.choose("size", size, reason)
    return fitting


def _measured(chosen: _Chosen, data: MaskData, device: torch.device) -> Measured:
    """With half the batch, and half of that, where it does not fit into memory."""
    while True:
        try:
            return measure(chosen.config, data, device)
        except RuntimeError as error:
            smaller = chosen.config.batch // 2
            if not ran_out_of_memory(error):
                raise
            if "batch" in chosen.given or smaller < 2:  # BatchNorm
                raise MemoryError(
                    f"a batch of {chosen.config.batch} crops of {chosen.config.crop} of the size "
                    f"{chosen.config.size} does not fit into the memory of {device}; give a smaller --batch, --crop or "
                    "--size"
                ) from error
        chosen.choose("batch", smaller, f"a batch of {2 * smaller} does not fit into memory")


def _choose_length(
    chosen: _Chosen, data: MaskData, found: Measured, seconds: float, scoring: float, *, needed: bool
) -> float:
    """Steps and validations for so many ``seconds``; each validation takes ``scoring``, and the page one more. Returns
    what a validation takes in the end, with BatchNorm's statistics if they are estimated anew for it."""
    config = chosen.config
    wanted = rules.steps_needed(len(data.prepared.weights), config.batch)
    step = found.step(_search_share(config))
    _, fitting = _fitting(seconds, scoring, step)
    _choose_recalibration(chosen, min(fitting, wanted) if needed else fitting)
    scoring += chosen.config.statistics_batches * found.passed_batch
    scorings, fitting = _fitting(seconds, scoring, step)
    reason = "as many as fit into the time"
    if needed and wanted <= fitting:
        fitting, reason = wanted, f"{rules.PASSES} passes over the data, at least {rules.LEAST_STEPS:,}"
    try:
        epochs, each = rules.epochs_for(fitting)
    except ValueError as error:
        raise ValueError(
            f"{error} (a step takes {found.weight_step:.2f} s here): give more --minutes, or a smaller --size or --crop"
        ) from None
    steps = epochs * each
    chosen.choose("epochs", epochs, f"of {each} steps: {steps:,}, {reason}")
    chosen.choose("steps_per_epoch", each, "an epoch is what is recorded and scored, however many images there are")
    if config.optimizer == "sgd":
        chosen.choose("lr", round(rules.rate_for(steps), 4), f"for {steps:,} steps; the paper's 0.003 is for 111,000")
    else:
        chosen.choose("lr", rules.ADAMW_RATE, "AdamW's own, whatever the length")
    search = single_stage(epochs, config.warmup_share, config.search_share)[1]
    moved = (search.end - search.first) * each
    if config.moves_architecture and moved:
        rate = math.ceil(1e4 * rules.arch_rate_for(moved)) / 1e4
        chosen.choose("arch_lr", rate, f"lets a logit go as far as {rate * moved:.1f} in {moved:,} steps of the search")
    if config.stopping == "none":
        chosen.choose("keep", "best", "the network of the best validation is the model; the last one is kept beside it")
    every = math.ceil(epochs / min(scorings, epochs))
    chosen.choose("val_every", every, f"{math.ceil(epochs / every)} validations of {scoring:.1f} s")
    return scoring


def _fitting(seconds: float, scoring: float, step: float) -> tuple[int, int]:
    """(validations, steps) that so many ``seconds`` have room for, where a validation takes ``scoring``."""
    scorings = min(SCORINGS, max(1, int(SCORING_SHARE * seconds / max(scoring, 1e-9))))
    return scorings, int(max(0.0, seconds - (scorings + 1) * scoring) / step)


def _choose_recalibration(chosen: _Chosen, steps: int) -> None:
    batches = rules.recalibration_for(steps)
    reason = f"for more than {rules.STALE_STEPS} steps it depends on the data"
    if batches:
        reason = f"batches; in {steps:,} steps the running statistics lag behind the weights"
    chosen.choose("recalibrate", batches, reason)


def _search_share(config: FitConfig) -> float:
    return config.search_share if config.moves_architecture else 0.0


def _facts(
    chosen: _Chosen, data: MaskData, found: Measured, scoring: float, device: torch.device
) -> tuple[tuple[str, str], ...]:
    config, prepared = chosen.config, data.prepared
    stats = prepared.train_stats
    sizes = f"{stats.min_height}x{stats.min_width}"
    if (stats.max_height, stats.max_width) != (stats.min_height, stats.min_width):
        sizes += f" to {stats.max_height}x{stats.max_width}"
    steps = config.epochs * (config.steps_per_epoch or data.steps_per_epoch(config.batch))
    each = found.step(_search_share(config))
    scorings = math.ceil(config.epochs / config.val_every) if config.val_every else 1
    seconds = steps * each + (scorings + 1) * scoring + END_SECONDS
    control = " and as long for the control" if config.control else ""
    free = free_bytes(device)
    memory = f"{found.peak_bytes / 2**30:.1f} GiB at the peak of the steps that were timed"
    if free is not None:
        memory += f"; {free / 2**30:.1f} GiB are free"
    name = "a GPU" if device.type == "cuda" else f"{config.threads or torch.get_num_threads()} CPU threads"
    return (
        (
            "data",
            f"{len(prepared.weights)} images to train on, {len(prepared.val)} to score, {sizes}, "
            f"{len(prepared.source.classes)} classes; {Path(config.data).name}",
        ),
        ("machine", f"{name} of {os.cpu_count()} cores"),
        ("time", f"about {duration(seconds)}{control}: {steps:,} steps of {each:.3g} s"),
        ("memory", memory),
    )
