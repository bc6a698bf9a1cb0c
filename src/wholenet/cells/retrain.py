"""The training of a discrete network from scratch, as RobustDARTS evaluates what a search has found."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wholenet.cells.prepare import PreparedLabels, drawn, labelled_stream, prepare_labels
from wholenet.cells.search import check_unchanged
from wholenet.data.labelled import Labelled
from wholenet.deploy.classifier import save_classifier
from wholenet.report.cells import draw_cells
from wholenet.report.progress import plain, training_progress
from wholenet.search.cell_config import RetrainConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.cell_parts import retraining_parts, schedule_of
from wholenet.search.draw import steps_per_epoch
from wholenet.search.keeper import Keeper
from wholenet.search.loop import train_epoch
from wholenet.search.phases import retraining
from wholenet.search.same_data import data_of
from wholenet.search.state import TrainState
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_space import CellSupernet
from wholenet.spaces.darts import TYPES
from wholenet.spaces.darts_genotype import CellGenotype, read_cell_genotype, write_cell_genotype
from wholenet.tasks.classification import ClassificationLoss, evaluate_labelled
from wholenet.training import choose_device, machine

SCORINGS = 20
"""Scorings during a run, at most, where something was set aside."""
ANY_SPACE = "darts"
"""Named in the model's specification: a discrete network is built from its genotype alone."""


@dataclass(frozen=True)
class Retrained:
    """What a training came to: errors in [0, 1] after the last epoch, which is what the papers report."""

    run: Path
    error: float | None
    """On what was set aside; None if nothing was."""
    test_error: float | None
    parameters: int
    """Without the auxiliary head."""


def retrain(config: RetrainConfig, console: Console | None = None) -> Retrained:
    """Train the discrete network of ``config.genotype`` in the new folder ``config.out``.

    Everything is checked before the folder is made and before training starts.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a folder that is in use, something that is no genotype, or a device that is not there.
        FloatingPointError: if the loss stops being a finite number.
    """
    console = console or Console()
    CellFolder.check_free(config.out)
    device = choose_device(config.device)
    genotype = read_cell_genotype(config.genotype)
    data = prepare_labels(config, console)
    config = replace(config, data=str(Path(config.data).expanduser().resolve()))
    run = CellFolder.create(config)
    with run.locked(), run.given_back():
        write_cell_genotype(genotype, run.genotype)
        return _retrain(run, config, genotype, data, device, console)


def resume_retrain(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine_fields: Any
) -> Retrained:
    """Continue the training in ``path`` from its last checkpoint; of a finished one, only score it again.

    Raises:
        ValueError: if the folder holds none, or its data has changed.
    """
    console = console or Console()
    run = CellFolder(path)
    config = replace(run.retrain_config, **machine_fields, data=data_of(run, run.config.data, data))
    device = choose_device(config.device)
    prepared = prepare_labels(config)
    check_unchanged(run, config.data, prepared, console)
    with run.locked():
        run.rewrite_config(config)
        if not run.genotype.exists():  # stopped before it was written
            write_cell_genotype(read_cell_genotype(config.genotype), run.genotype)
        return _retrain(run, config, read_cell_genotype(run.genotype), prepared, device, console)


def _retrain(
    run: CellFolder,
    config: RetrainConfig,
    genotype: CellGenotype,
    data: PreparedLabels,
    device: torch.device,
    console: Console,
) -> Retrained:
    if config.threads:
        torch.set_num_threads(config.threads)
    schedule = schedule_of(config, steps_per_epoch(len(data.weights), config.batch))
    (phase,) = retraining(config.epochs)
    loss = ClassificationLoss(config.auxiliary, config.smoothing)
    torch.manual_seed(config.seed)
    state = initial_training(config, genotype, len(data.classes), device)
    model: CellSupernet = state.model
    keeper = Keeper(run, state, config.checkpoint_minutes, schedule.steps_per_epoch)
    restored = keeper.restore(device, plain(console))
    run.ensure_environment(lambda: machine(device) | {"data": data.facts()})
    if not restored:
        draw_cells(run.path / "cells.png", {kind: getattr(genotype, kind) for kind in TYPES})
    parts, every = retraining_parts(config, model), math.ceil(config.epochs / SCORINGS)
    with (
        training_progress(
            total_epochs=config.epochs,
            steps_per_epoch=schedule.steps_per_epoch,
            first_epoch=state.epoch,
            phases=[(phase.name, phase.first, phase.end)],
            console=console,
        ) as progress,
        keeper.watching(),
    ):
        while state.epoch < config.epochs:
            epoch = state.epoch
            with keeper.steps():
                last = state.weight_steps + schedule.steps_per_epoch - state.tally.steps
                stream = labelled_stream(data.weights, "weights", last, config, data, 1.0)
                batches = drawn(stream, state.weight_steps, config.workers, device)
                for step in train_epoch(state, phase, schedule, parts, loss, batches, iter(()), device):
                    progress.step(
                        epoch=epoch, step=step.step, phase=phase.name, loss=step.loss, lr=step.lr, images=config.batch
                    )
                    keeper.step_done()
            record = {"epoch": epoch, "phase": phase.name, "error": None, **state.tally.record(config.batch)}
            if data.val is not None and (epoch + 1 == config.epochs or (epoch + 1) % every == 0):
                found = evaluate_labelled(model, data.val, len(data.classes), data.mean, data.std, device=device)
                record["error"] = found.error
            keeper.record(record)
            with keeper.steps():
                state.end_epoch()
                keeper.save()
            progress.epoch(record)
        return _scored(run, data, state, device)


def _scored(run: CellFolder, data: PreparedLabels, state: TrainState, device: torch.device) -> Retrained:
    model: CellSupernet = state.model

    def error(split: Labelled | None) -> float | None:
        if split is None:
            return None
        return evaluate_labelled(model, split, len(data.classes), data.mean, data.std, device=device).error

    parameters = sum(p.numel() for name, p in model.net.named_parameters() if not name.startswith("auxiliary."))
    found = Retrained(run.path, error(data.val), error(data.test), parameters)
    height, width = data.weights.images.shape[1:3]
    facts = {"data": data.name, "epochs": state.epoch, "error": found.error, "test_error": found.test_error}
    save_classifier(run.model, model, data.classes, data.mean, data.std, (height, width), facts)
    run.write_result({"error": found.error, "test_error": found.test_error, "parameters": parameters})
    return found


def initial_training(
    config: RetrainConfig, genotype: CellGenotype, num_classes: int, device: torch.device
) -> TrainState:
    """The network and its optimiser before the first step; weights come from torch's global random state."""
    model = create_model(
        ANY_SPACE,
        num_classes=num_classes,
        channels=config.channels,
        cells=config.cells,
        genotype=genotype,
        auxiliary=bool(config.auxiliary),
    ).placed(device)
    weights = torch.optim.SGD(
        model.net.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    return TrainState(model, weights, torch.optim.Adam([{"params": []}]))  # there is no architecture to move
