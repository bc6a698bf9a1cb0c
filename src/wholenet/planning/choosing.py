"""What a plan chooses, one setting after the other, each with its reason; what was given stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from wholenet.beginning import Beginning, check_frozen, part_of
from wholenet.deploy.init_weights import what_fits
from wholenet.jobs.segmentation import MaskData
from wholenet.planning import rules
from wholenet.planning.length import Cost, Length, count
from wholenet.planning.timing import MORE_TIME, Measured, StepTooLong, measure, measure_step
from wholenet.search.budget_way import settled_budget, with_its_layers
from wholenet.search.config import GRID_SETTINGS, FitConfig
from wholenet.search.goals import Goal, goals_for
from wholenet.search.memory import TooLarge, ran_out_of_memory, reason_of
from wholenet.search.phases import single_stage
from wholenet.search.run_folder import spec_of
from wholenet.spaces.sizes import GRID_SIZES

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """One setting, and why it is so."""

    name: str
    value: Any
    reason: str


class Chosen:
    """The config as it is chosen, step by step; what was given stays."""

    def __init__(self, given: dict[str, Any], config: FitConfig, budgets: Sequence[str] = ()) -> None:
        self.given = given
        self.config = config
        """Of several runs, that with the largest budget."""
        self.budgets = tuple(budgets)
        """Of several runs, which share all else, the smallest first."""
        self.made: list[Choice] = []
        self.subnet: Mapping[str, Any] | None = None
        """What is left of the grid from the start; see :func:`wholenet.beginning.part_of`."""

    @property
    def runs(self) -> list[FitConfig]:
        """The configs of all runs that are planned: one, or one for each budget."""
        return [replace(self.config, budget=budget) for budget in self.budgets] or [self.config]

    def begun(self, data: MaskData, **instead: Any) -> list[FitConfig]:
        """The configs of :attr:`runs` as they begin on the ``data``, with how each meets its budget. ``instead``:
        fields with other values."""
        found = list[FitConfig]()
        for config in (replace(config, **instead) for config in self.runs):
            spec = spec_of(config, data.network())
            found.append(with_its_layers(settled_budget(config, spec)[0], spec))
        return found

    def choose(self, name: str, value: Any, reason: str) -> None:
        """Choose ``value`` unless the option was given."""
        if name not in self.given:
            self.config = replace(self.config, **{name: value})
            self.made = [*(choice for choice in self.made if choice.name != name), Choice(name, value, reason)]

    def leaves(self, name: str) -> bool:
        """Whether an option is neither given nor chosen."""
        return name not in self.given and name not in {choice.name for choice in self.made}


def choose_shapes(chosen: Chosen, data: MaskData, pixels: int, what: str) -> None:
    """Crop, zoom, batch and the balance of classes, for crops of about so many ``pixels`` as ``what`` allows."""
    stats = data.prepared.train_stats
    smallest, images = (stats.min_height, stats.min_width), len(data.prepared.weights)
    crop = rules.crop_for(smallest, pixels, rules.STEP if chosen.config.stem is None else rules.STEP_WITH_STEM)
    chosen.choose("crop", "{}x{}".format(*crop), f"of the images' shape, about as large as {what} allows")
    least, most = rules.scales_for(chosen.config.crop_size, smallest)
    chosen.choose("scale_min", least, "a crop shows up to all of an image, at most at half its size")
    chosen.choose("scale_max", most, "objects somewhat larger than they are")
    zoom = rules.zoom_for(chosen.config.scale_min, chosen.config.scale_max)
    chosen.choose("zoom", zoom, "whole images are seen as large as most crops are")
    if zoom < 1 and "zoom" not in chosen.given:
        chosen.choose("try_zoom", 1.0, "as they are, tried half-way; the better of the two in validation is kept")
    largest = 16 if pixels > rules.CPU_PIXELS else 8
    chosen.choose("batch", rules.batch_for(images, largest), f"{images} images to train on")
    balance = rules.balance_for(stats.class_pixels)
    reason = f"a class has less than {rules.RARE:.0%} of the pixels" if balance else "no class is rare"
    if chosen.config.loss == "dice":
        balance, reason = 0.0, "Dice counts every class alike"
    chosen.choose("class_balance", balance, reason)


def choose_network(chosen: Chosen, beginning: Beginning) -> None:
    """What shapes the grid, as the model has it that the run starts from: of another grid little would fit."""
    if beginning.given is None or beginning.given.model.spec.space != "grid" or chosen.config.space != "grid":
        return
    settings = beginning.given.model.spec.settings
    for name in GRID_SETTINGS:
        value = settings.get(name, getattr(FitConfig, name))
        if name == "size" or value != getattr(chosen.config, name):
            chosen.choose(name, value, "that of the model that the run starts from")


def check_start(chosen: Chosen, data: MaskData, beginning: Beginning) -> str | None:
    """Make sure that the network can be what is asked: that it can meet a budget, and start from a model.

    Returns:
        How much of the model it starts from fits, in a few words; None without one.

    Raises:
        ValueError: if it cannot.
    """
    config, spec = chosen.config, spec_of(chosen.config, data.network())
    if config.budget is not None:
        goals_for(spec, chosen.begun(data))
    if beginning.given is None:
        return None
    chosen.subnet, why = part_of(config, beginning.given, spec)
    found = what_fits(beginning.given, replace(spec, subnet=chosen.subnet), data.classes().names)
    check_frozen(config, beginning, found, spec)
    return "; ".join([found.lines(beginning.given.path)[0], *([why] if why else [])])


def choose_way(chosen: Chosen, data: MaskData) -> None:
    """How the run meets its budget; of several runs each has its own way, as it begins."""
    config = chosen.config
    if config.budget is None or chosen.budgets:
        return
    found, why = settled_budget(config, spec_of(config, data.network()))
    if why is not None:
        chosen.choose("budget_by", found.budget_by, why)
    if found.removes:
        chosen.choose("budget_units", found.budget_units, "what may go")
        when = "at once, after the first epoch of the search" if not found.budget_over else "gradually"
        chosen.choose("budget_over", found.budget_over, when)
        chosen.choose("budget_floor", found.budget_floor, "of each part's channels stays, if the budget can be met so")


def choose_size(chosen: Chosen, data: MaskData, device: torch.device, seconds: float, *, needed: bool) -> int:
    """By the time of a step of each size, from the smallest up to the first that does not fit. Multiply-adds would not
    do: small networks take longer than theirs say.

    Args:
        chosen: is told the size.
        data: to train on.
        device: to time on.
        seconds: that there are for the run.
        needed: whether the run takes no more steps than the data needs, however many there is time for.

    Returns:
        How many steps of the chosen size there is time for.

    Raises:
        ValueError: for a budget that no size can meet, or if so many seconds are too short for the smallest.
        TooLarge: if not even two images fit into memory with the smallest, or the batch was given.
    """

    def time_step() -> float:
        return measure_step(chosen.begun(data)[-1], data, device, seconds, chosen.subnet)

    images, behind_stem = len(data.prepared.weights), chosen.config.stem is not None

    def steps_for(size: str) -> int:
        return rules.steps_enough(images, chosen.config.batch, size=size, stem=behind_stem)

    size, fitting, beyond = "", 0, ""
    for name, runs in _runs(chosen, data).items():
        if size and needed and steps_for(name) > rules.steps_needed(images, chosen.config.batch):
            beyond = f"; {name} needs {steps_for(name):,}"
            break
        chosen.choose("size", name, "")
        try:
            each = time_step() if size else _with_a_batch_that_fits(chosen, device, time_step)
        except (StepTooLong, RuntimeError, MemoryError) as error:
            if not size or not (isinstance(error, StepTooLong) or ran_out_of_memory(error)):
                raise
            why = "takes too long" if isinstance(error, StepTooLong) else "does not fit into memory"
            beyond = f"; a step of {name} {why}"
            break
        # What is timed is a step of the largest run's first network: a narrower one is that from the start.
        largest, goal = runs[-1]
        timed_share = _of_run(largest, goal) if largest.narrower else 1.0
        each *= sum(_of_run(config, goal) for config, goal in runs) / timed_share
        fits = int((seconds / 2 if chosen.config.control else seconds) / each)
        if size and fits < steps_for(name):
            beyond = f"; {name} needs {steps_for(name):,} and has time for about {fits:,}"
            break
        size, fitting = name, fits
        if fits < steps_for(name):
            break
    enough = steps_for(size)
    reason = f"the largest that takes the {enough:,} steps that it needs{beyond}"
    if fitting < enough:
        reason = f"the smallest, with time for about {fitting:,} of the {enough:,} steps that it needs"
    chosen.choose("size", size, reason)
    return fitting


def _runs(chosen: Chosen, data: MaskData) -> dict[str, Sequence[tuple[FitConfig, Goal | None]]]:
    """The sizes that can be taken, the smallest first, with each run as it would begin and what its budget means; None
    without one."""
    config = chosen.config
    if config.budget is None:
        return {name: [(config, None)] for name in GRID_SIZES}
    found, refused = dict[str, Sequence[tuple[FitConfig, Goal | None]]](), list[ValueError]()
    for name in GRID_SIZES:
        try:
            runs = chosen.begun(data, size=name)
            goals = goals_for(spec_of(replace(config, size=name), data.network()), runs)
        except ValueError as error:
            refused.append(error)
        else:
            found[name] = list(zip(runs, goals, strict=True))
    if not found:
        raise refused[0]
    return found


def _of_run(config: FitConfig, goal: Goal | None) -> float:
    """The multiply-adds of a run's mean step over those of its first: what a budget saves."""
    if goal is None:
        return 1.0
    left = 0.0 if config.narrower else config.warmup_share + (config.budget_over or 0.0) * config.search_share / 2
    return left + (1 - left) * goal.most / goal.whole


def _with_a_batch_that_fits(chosen: Chosen, device: torch.device, timing: Callable[[], T]) -> T:
    """What ``timing`` says, with half the batch, and half of that, where it does not fit into memory.

    Raises:
        ValueError: that of ``timing``.
        TooLarge: if not even two images do, or the batch was given.
    """
    while True:
        try:
            return timing()
        except (RuntimeError, MemoryError) as error:
            smaller = chosen.config.batch // 2
            if not ran_out_of_memory(error):
                raise
            if "batch" in chosen.given or smaller < 2:  # BatchNorm
                raise TooLarge(
                    f"a batch of {chosen.config.batch} crops of {chosen.config.crop} of the size "
                    f"{chosen.config.size} does not fit into the memory of {device} "
                    f"({reason_of(error)}); give a smaller --batch, --crop or --size, or --recompute"
                ) from error
        chosen.choose("batch", smaller, f"a batch of {2 * smaller} does not fit into memory")


def measured_all(chosen: Chosen, data: MaskData, device: torch.device, seconds: float) -> list[Measured]:
    """What each run takes, the largest last: where its batch is too large, it is made smaller for all.

    Raises:
        ValueError: if a step of each phase takes longer than ``seconds``.
        TooLarge: if not even two images fit into memory, or the batch was given.
    """

    def time_largest() -> Measured:
        return measure(chosen.begun(data)[-1], data, device, seconds, chosen.subnet)

    last = _with_a_batch_that_fits(chosen, device, time_largest)
    return [measure(config, data, device, seconds) for config in chosen.begun(data)[:-1]] + [last]


def cost_of(chosen: Chosen, data: MaskData, found: Sequence[Measured]) -> Cost:
    """What all runs cost."""
    images = len(data.prepared.val)
    *others, last = zip(chosen.begun(data), found, strict=True)
    return Cost(*last, images, others=tuple(Cost(config, measured, images) for config, measured in others))


def choose_length(chosen: Chosen, data: MaskData, found: Sequence[Measured], seconds: float, *, needed: bool) -> Length:
    """Steps, validations and rates of each run, if all take so many ``seconds``; no more steps than the data needs, if
    that is asked."""
    wanted = rules.steps_needed(len(data.prepared.weights), chosen.config.batch)
    fitting = cost_of(chosen, data, found).fitting(seconds)
    _choose_recalibration(chosen, min(fitting, wanted) if needed else fitting)
    cost = cost_of(chosen, data, found)  # which may have statistics to estimate now
    fitting = cost.fitting(seconds)
    reason = "as many as fit into the time"
    if needed and wanted <= fitting:
        fitting, reason = wanted, f"{rules.PASSES} passes over the data, at least {rules.LEAST_STEPS:,}"
    try:
        length = cost.length(fitting, seconds)
    except ValueError as error:
        raise ValueError(
            f"{error} (a step takes {found[-1].weight_step:.2f} s here, and planning left {max(0.0, seconds):.0f} s): "
            f"{MORE_TIME}"
        ) from None
    epochs, each, steps = length.epochs, length.steps, length.in_all
    chosen.choose("epochs", epochs, f"of {count(each, 'step')}: {steps:,}, {reason}")
    chosen.choose("steps_per_epoch", each, "an epoch is what is recorded and scored, however many images there are")
    if cost.retrains:
        step = found[-1].later_step or found[-1].weight_step
        why = f"of the second stage, steps of {step:.3g} s: as long as fine-tuning"
        chosen.choose("retrain_epochs", length.retrain_epochs, why)
    _choose_rates(chosen, length)
    if chosen.config.stopping == "none":
        chosen.choose("keep", "best", "the network of the best validation is the model; the last one is kept beside it")
    scorings = math.ceil(epochs / length.every)
    chosen.choose("val_every", length.every, f"{count(scorings, 'validation')} of {cost.scoring:.1f} s")
    return length


def _choose_rates(chosen: Chosen, length: Length) -> None:
    config, steps = chosen.config, length.in_all
    if config.optimizer == "sgd":
        rate, why = rules.rate_for(steps), f"for {count(steps, 'step')}; the paper's 0.003 is for 111,000"
        if config.init is not None:
            rate, why = rules.TRAINED_SHARE * rate, f"for {count(steps, 'step')} of what is trained already"
        chosen.choose("lr", round(rate, 4), why)
    else:
        chosen.choose("lr", rules.ADAMW_RATE, "AdamW's own, whatever the length")
    if config.stem is not None:
        rise = config.warmup_steps(steps)
        chosen.choose("lr_warmup", rise, "steps in which the rate rises: the grid behind the trained stem is untrained")
        if not config.freeze_stem:
            chosen.choose("stem_lr", config.stem_rate, "of the rate, for the stem, which is trained already")
    search = single_stage(length.epochs, config.warmup_share, config.search_share)[1]
    moved = (search.end - search.first) * length.steps
    if config.moves_architecture and moved:
        rate = math.ceil(1e4 * rules.arch_rate_for(moved)) / 1e4
        why = f"lets a logit go as far as {rate * moved:.1f} in {count(moved, 'step')} of the search"
        if moved < rules.LEAST_ARCH_STEPS:
            why += ", too few to decide much: at a higher rate single batches would"
        chosen.choose("arch_lr", rate, why)


def _choose_recalibration(chosen: Chosen, steps: int) -> None:
    batches = rules.recalibration_for(steps)
    reason = f"for more than {rules.STALE_STEPS} steps it depends on the data"
    if batches:
        reason = f"batches; in a run of at most {rules.STALE_STEPS} steps the running statistics lag behind the weights"
    chosen.choose("recalibrate", batches, reason)
