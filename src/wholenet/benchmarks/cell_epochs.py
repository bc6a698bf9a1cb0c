"""An epoch of a search on each cell space, in seconds, as papers write the supernet and as it is run here.

The papers' protocol on noise in the shape of CIFAR-10: 25,000 images for the weights, as many for the architecture, 8
cells of 16 channels; give --batch 64. Both forms go through the same loop and their own batches, augmented on the way,
a few steps of one, then of the other. Where the time is up before the epoch is, it is extrapolated from the steps that
were taken: all steps of an epoch are alike.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice

import numpy as np
import torch

from wholenet.benchmarks.cell_steps import float64_error
from wholenet.benchmarks.measure import written_plainly
from wholenet.benchmarks.row import Row, Setting
from wholenet.cells.prepare import PreparedLabels, drawn, labelled_stream
from wholenet.cells.start import initial_search
from wholenet.data.labelled import Labelled
from wholenet.data.labelled_stream import statistics as channel_statistics
from wholenet.ops.execution import seconds
from wholenet.search.cell_config import CellConfig, cell_config
from wholenet.search.cell_parts import parts_of, schedule_of
from wholenet.search.loop import train_epoch
from wholenet.search.phases import phase_at
from wholenet.search.state import Step
from wholenet.spaces.cell_tables import TABLES
from wholenet.tasks.classification import ClassificationLoss

NEEDS_GPU = True
"""Seconds on a shared CPU tell of the neighbours."""
IMAGES, SIDE, CLASSES = 25_000, 32, 10
"""Of the weights, and again of the architecture."""
SHAPE = {"channels": 16, "cells": 8}
RUNS = [*((space, "first-order") for space in TABLES), ("darts", "second-order")]
LIMIT_S = 40.0
"""For the steps of a space in both forms together."""
WARM_UP = 3
"""Steps of each form that are not counted."""
WORKERS = {"cpu": 0, "cuda": 3}
"""Processes that augment, for each of the four streams."""


def noise() -> PreparedLabels:
    """Two parts of as many images as the protocol has."""
    rng = np.random.default_rng(0)
    weights, architecture = (
        Labelled(rng.integers(0, 256, (IMAGES, SIDE, SIDE, 3), np.uint8), rng.integers(0, CLASSES, IMAGES))
        for _ in range(2)
    )
    mean, std = channel_statistics(weights)
    classes = tuple(map(str, range(CLASSES)))
    return PreparedLabels("noise", classes, weights, architecture, None, "", None, mean, std)


def epoch(config: CellConfig, data: PreparedLabels, device: torch.device, steps: int, *, plain: bool) -> Iterator[Step]:
    """The steps of the first epoch of a search, taken one by one."""
    torch.manual_seed(config.seed)
    state = initial_search(config, CLASSES, device)
    if plain:
        written_plainly(state.model)
    schedule = schedule_of(config, steps)
    weight_batches, arch_batches = (
        drawn(labelled_stream(images, name, steps, config, data, 0.0), 0, config.workers, device)
        for name, images in (("weights", data.weights), ("architecture", data.architecture))
    )
    parts, loss = parts_of(config, state.model), ClassificationLoss()
    moves = phase_at(config.phases, 0)
    return train_epoch(state, moves, schedule, parts, loss, weight_batches, arch_batches, device)


def run(setting: Setting) -> Iterator[Row]:
    device, data = setting.device, noise()
    total = IMAGES // setting.batch
    for space, gradient in RUNS:
        options = {
            "space": space,
            "gradient": gradient,
            "batch": setting.batch,
            "workers": WORKERS[device.type],
            **SHAPE,
        }
        config = cell_config("darts", data="", out="", **options)
        epochs = {form: epoch(config, data, device, total, plain=form == "plain") for form in ("plain", "fast")}
        taken, steps = per_step(epochs, total, math.ceil(total / setting.rounds), device)
        ratios = [plain / fast for plain, fast in zip(taken["plain"], taken["fast"], strict=True)]
        epoch_ms = {form: round(1e3 * total * statistics.mean(times), 1) for form, times in taken.items()}
        yield Row(
            f"epoch of {space}, {gradient}, by {steps} of {total} steps",
            "plain",
            statistics.median(ratios),
            min(ratios),
            max(ratios),
            len(ratios),
            float64_error(space, device),
            epoch_ms["fast"],
            epoch_ms["plain"],
        )
        print(
            f"  an epoch of {space}, {gradient}: {epoch_ms['fast'] / 1e3:.1f} s, plain {epoch_ms['plain'] / 1e3:.1f} s"
        )


def per_step(
    epochs: Mapping[str, Iterator[Step]], total: int, some: int, device: torch.device
) -> tuple[dict[str, list[float]], int]:
    """Seconds a step, round by round: ``some`` steps of each epoch in turn, until all ``total`` are taken or the time
    is up. And how many steps of each were counted."""
    left = total
    if total > WARM_UP:
        left -= WARM_UP
        for steps in epochs.values():
            take(steps, WARM_UP)
    counted, began = 0, time.perf_counter()
    taken: dict[str, list[float]] = {form: [] for form in epochs}
    while counted < left and (not counted or time.perf_counter() - began < LIMIT_S):
        now = min(some, left - counted)
        for form, steps in epochs.items():
            taken[form].append(seconds(partial(take, steps, now), device) / now)
        counted += now
    return taken, counted


def take(steps: Iterator[Step], number: int) -> None:
    for _ in islice(steps, number):
        pass
