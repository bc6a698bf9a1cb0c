"""What the choices of a plan rest on, in rows for people: data, machine, stem, augmentation, time, memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from wholenet.data.pixels import Pixels
from wholenet.jobs.segmentation import MaskData
from wholenet.planning.length import Cost, Length, count
from wholenet.planning.timing import Measured, free_bytes
from wholenet.report.progress import duration
from wholenet.search.config import FitConfig
from wholenet.search.goals import goal_for
from wholenet.search.run_folder import spec_of

Facts = tuple[tuple[str, str], ...]
"""(what it is about, a few words), in order."""


def facts(
    runs: Sequence[FitConfig],
    data: MaskData,
    cost: Cost,
    length: Length,
    device: torch.device,
    *,
    start: str | None,
    load: float | None,
) -> Facts:
    """The rows, of one run or of several that differ in their budgets. ``start``: how much fits of the model that the
    run starts from. ``load``: see :func:`load_now`."""
    config = runs[-1]
    rows = [("data", _data(config, data)), ("machine", _machine(config, device, load))]
    if start is not None:
        rows.append(("start", start))
    rows += [("stem", stem_in_words(config, data.prepared.pixels))]
    rows += [("augmentation", augmentation_in_words(config, data.prepared.pixels))]
    if config.budget is not None:
        rows += [("budget", _budget(run, data, one)) for run, one in zip(runs, cost.measured, strict=True)]
    rows += [("time", _time(cost, length)), ("memory", _memory(cost.found.peak_bytes, device))]
    return tuple(rows)


def _budget(config: FitConfig, data: MaskData, found: Measured) -> str:
    goal = goal_for(spec_of(config, data.network()), config)
    words, step = goal.cost.in_words, found.weight_step
    told = f"{words(goal.most)} of {words(goal.whole)}"
    if config.narrower:
        how = "fewer layers" if config.scoring == "shallower" else "a narrower network"
        return f"{told}, by {how} from the start; a step takes about {step:.3g} s"
    later = found.later_step or step
    return f"{told} after the search; a step takes about {later:.3g} s then, {step:.3g} s before"


def _data(config: FitConfig, data: MaskData) -> str:
    prepared, stats = data.prepared, data.prepared.train_stats
    sizes = f"{stats.min_height}x{stats.min_width}"
    if (stats.max_height, stats.max_width) != (stats.min_height, stats.min_width):
        sizes += f" to {stats.max_height}x{stats.max_width}"
    return (
        f"{len(prepared.weights)} images to train on, {len(prepared.val)} to score, {sizes}, {prepared.pixels}, "
        f"{len(prepared.source.classes)} classes; {Path(config.data).name}"
    )


def load_now() -> float | None:
    """Programs that wait for a core, over the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _machine(config: FitConfig, device: torch.device, load: float | None) -> str:
    name = "a GPU" if device.type == "cuda" else f"{count(config.threads or torch.get_num_threads(), 'CPU thread')}"
    cores = os.cpu_count() or 1
    told = f"{name} of {cores} cores"
    if load is None or load < cores:
        return told
    busy = f"{told}, busy with other programs (load {load:.1f})"
    return f"{busy}: alone it would take more steps in the time, perhaps of a larger size; plan anew when it is idle"


def stem_in_words(config: FitConfig, pixels: Pixels) -> str:
    """What makes the grid's four input maps, and what else could."""
    if config.stem is None:
        own = "the grid's own, no pretrained encoder"
        return f"{own}; --stem timm/NAME takes one" if pixels.photo else f"{own}, which take 8-bit RGB alone"
    if config.freeze_stem:
        return f"{config.stem}, pretrained; it never moves (--freeze-stem)"
    wait = f" after {config.stem_freeze_epochs} epochs" if config.stem_freeze_epochs else ""
    return f"{config.stem}, pretrained; it moves{wait} at {config.stem_rate:g} of the rate (--stem-lr, --freeze-stem)"


def augmentation_in_words(config: FitConfig, pixels: Pixels) -> str:
    """What is done to the images, and what is not that may suit them; its strength is the options' to say."""
    done = [f"zoom {config.scale_min:g} to {config.scale_max:g}"]
    done += ["left-right flips"] if config.flip else []
    done += ["up-down flips"] if config.flip_vertical else []
    done += ["quarter turns"] if config.quarter_turns else []
    done += [f"turns by up to {config.rotate:g} degrees"] if config.rotate else []
    done += ["elastic deformation"] if config.elastic else []
    done += [f"transform {config.transform}"] if config.transform else []
    if config.jitter:
        colours = "brightness, contrast, saturation" if pixels.photo else "brightness and contrast"
        done.append(f"{colours} by up to {config.jitter:g}")
    done += ["noise"] if config.noise else []
    said = ", ".join(done)
    if not (config.flip_vertical or config.quarter_turns):
        said += "; for images without an up: --flip-vertical 0.5 --quarter-turns"
    if config.jitter and not pixels.photo:
        said += "; where values have a unit: --jitter 0"
    return said


def _time(cost: Cost, length: Length) -> str:
    parts, steps = cost.parts(length), length.steps * cost.first_stage(length)
    told = [f"{name} {duration(seconds)}" for name, seconds in parts.items() if name != "training" and seconds >= 0.5]
    step, runs = parts["training"] / steps, len(cost.measured)
    training = f"{count(steps, 'step')} of {step:.3g} s"
    if runs > 1:
        training = f"{steps:,} steps of each of {runs} runs, one after the other, of {step / runs:.3g} s in the mean"
    whole = "about {}{}".format(duration(sum(parts.values())), " for all budgets" if runs > 1 else "")
    return f"{whole}: {', '.join([training, *told])}"


def _memory(peak: int, device: torch.device) -> str:
    free = free_bytes(device)
    said = f"{peak / 2**30:.1f} GiB at the peak of the steps that were timed"
    return said if free is None else f"{said}; {free / 2**30:.1f} GiB are free"
