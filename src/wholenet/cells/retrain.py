"""The training of a discrete network from scratch, as RobustDARTS evaluates what a search has found."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wholenet import parallel
from wholenet.cells.prepare import LabelStreams, PreparedLabels, prepare_labels
from wholenet.cells.scorer import Scorer
from wholenet.cells.search import check_unchanged
from wholenet.data.sets import place_of
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.model_folder import save_model
from wholenet.machine import choose_device, machine, use_threads
from wholenet.report.genotype import draw_genotype
from wholenet.report.progress import own_console
from wholenet.run import Job, Scored, score_every, train
from wholenet.search.cell_folder import CellFolder
from wholenet.search.cell_parts import retraining_parts, schedule_of
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.draw import batch_of_all, steps_per_epoch
from wholenet.search.loggers import check_loggers
from wholenet.search.memory import batch_advice
from wholenet.search.phases import retraining
from wholenet.search.same_data import data_of
from wholenet.search.state import TrainState
from wholenet.search.watch import Watch
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.cell_family import CellsFound, family_of_genotype, read_any_genotype
from wholenet.tasks.classification import ClassificationLoss
from wholenet.tasks.score import ERROR


@dataclass(frozen=True)
class Retrained:
    """What a training came to: errors in [0, 1] after the last epoch, which is what the papers report."""

    run: Path
    error: float | None
    """On what was set aside; None if nothing was."""
    test_error: float | None
    parameters: int
    """Without the auxiliary head."""


def retrain_config(genotype: str, **given: Any) -> RetrainConfig:
    """The config of the training of ``genotype``: what its space's networks are trained with, and what is ``given`` on
    top. Of something that is no genotype, with the defaults of DARTS'; :func:`retrain` says what is wrong.

    Raises:
        ValueError: for an unknown option, or a value that does not do.
    """
    try:
        space = family_of_genotype(read_any_genotype(genotype)).retrained_as
    except (OSError, ValueError):
        return RetrainConfig(genotype=genotype, **given)
    return RetrainConfig(**{**SPACES[space].recipe, **given, "genotype": genotype})


def retrain(config: RetrainConfig, console: Console | None = None) -> Retrained:
    """Train the discrete network of ``config.genotype`` in the new folder ``config.out``.

    Everything is checked before the folder is made and before training starts.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a folder that is in use, something that is no genotype, or a device that is not there.
        FloatingPointError: if the loss stops being a finite number.
    """
    console = console or own_console()
    CellFolder.check_free(config.out)
    device = choose_device(config.device)
    check_loggers(config.log)
    genotype = read_any_genotype(config.genotype)
    _check_network(config, genotype)
    data = prepare_labels(config, console)
    config = replace(config, data=place_of(config.data))
    run = CellFolder.of_all(config)
    with run.locked(), run.given_back():
        if parallel.is_first():
            family_of_genotype(genotype).write(genotype, run.genotype, None, None)
        return _retrain(run, config, genotype, data, device, console)


def resume_retrain(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine_fields: Any
) -> Retrained:
    """Continue the training in ``path`` from its last checkpoint; of a finished one, only score it again.

    Raises:
        ValueError: if the folder holds none, or its data has changed.
    """
    console = console or own_console()
    run = CellFolder(path)
    config = replace(run.retrain_config, **machine_fields, data=data_of(run, run.config.data, data))
    device = choose_device(config.device)
    check_loggers(config.log)
    prepared = prepare_labels(config)
    check_unchanged(run, config.data, prepared, console)
    with run.locked():
        if parallel.is_first():
            run.rewrite_config(config)
            if not run.genotype.exists():  # stopped before it was written
                genotype = read_any_genotype(config.genotype)
                family_of_genotype(genotype).write(genotype, run.genotype, None, None)
        parallel.meet()
        return _retrain(run, config, read_any_genotype(run.genotype), prepared, device, console)


def _retrain(
    run: CellFolder,
    config: RetrainConfig,
    genotype: CellsFound,
    data: PreparedLabels,
    device: torch.device,
    console: Console,
) -> Retrained:
    return train(job_of(run, config, genotype, data, device), console)


def job_of(
    run: CellFolder, config: RetrainConfig, genotype: CellsFound, data: PreparedLabels, device: torch.device
) -> Job[Retrained]:
    """All that the training of ``run`` is told."""
    use_threads(config.threads)
    images = batch_of_all(config)
    schedule = schedule_of(config, steps_per_epoch(len(data.weights), images))
    torch.manual_seed(config.seed)
    state = initial_training(config, genotype, len(data.classes), device)
    streams, scorer = LabelStreams(data, config, schedule, device), Scorer(state.model, data, device)
    held_out = data.weights if data.val is None else data.val

    def draw(_stop: int | None) -> None:
        draw_genotype(run.path / "cells.png", genotype)

    def conclude(scored: Scored | None, _stop: int | None) -> Retrained:
        return _scored(run, scorer, scored, state.epoch)

    return Job(
        run=run,
        state=state,
        streams=streams,
        loss=ClassificationLoss(config.auxiliary, config.smoothing),
        phases=retraining(config.epochs),
        schedule=schedule,
        parts=retraining_parts(config, state.model),
        device=device,
        images=images,
        checkpoint_minutes=config.checkpoint_minutes,
        log=config.log,
        environment=lambda: machine(device) | streams.facts(),
        describe=lambda _state: {},
        measured=ERROR,
        score=None if data.val is None else scorer.val,
        score_every=score_every(0, config.epochs),
        unscored={"error": None},
        save=lambda scored, finished: _save(run, scorer, scored.record["error"], None, finished),
        draw=draw,
        conclude=conclude,
        watch=Watch(data.classes, scorer.counts(held_out), config.epochs, penalised=False),
        too_large=partial(batch_advice, config.batch, device),
    )


def _scored(run: CellFolder, scorer: Scorer, scored: Scored | None, epochs: int) -> Retrained:
    model, data = scorer.model, scorer.data
    if scored is None and data.val is not None:
        scored = scorer.val()
    parameters = sum(p.numel() for name, p in model.net.named_parameters() if not name.startswith("auxiliary."))
    found = Retrained(
        run.path,
        None if scored is None else scored.record["error"],
        None if data.test is None else scorer.error(data.test),
        parameters,
    )
    if parallel.is_first():
        _save(run, scorer, found.error, found.test_error, epochs)
        run.write_result({"error": found.error, "test_error": found.test_error, "parameters": parameters})
    parallel.meet()  # what the first one has written, the others read
    return found


def _save(run: CellFolder, scorer: Scorer, error: float | None, test_error: float | None, epochs: int) -> None:
    data = scorer.data
    height, width = data.weights.images.shape[1:3]
    facts = {"data": data.name, "epochs": epochs, "error": error, "test_error": test_error}
    answer = classification_answer(data.classes, data.mean, data.std, (height, width))
    save_model(run.model, "classification", scorer.model, answer, facts)


def initial_training(config: RetrainConfig, genotype: CellsFound, num_classes: int, device: torch.device) -> TrainState:
    """The network and its optimiser before the first step; weights come from torch's global random state."""
    name = family_of_genotype(genotype).retrained_as
    model = create_model(name, num_classes=num_classes, genotype=genotype, **_shape(config, name)).placed(device)
    weights = torch.optim.SGD(
        model.net.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    return TrainState(model, weights, torch.optim.Adam([{"params": []}]))  # there is no architecture to move


def _shape(config: RetrainConfig, space: str) -> dict[str, Any]:
    """The settings of the network, of those that its space has."""
    asked = {"channels": config.channels, "cells": config.cells, "auxiliary": bool(config.auxiliary)}
    known = {field.name for field in fields(SPACES[space].settings)}
    return {name: value for name, value in asked.items() if name in known}


def _check_network(config: RetrainConfig, genotype: CellsFound) -> None:
    """Make sure that there is such a network, before anything is read or written.

    Raises:
        ValueError: if its space has no auxiliary head, or not so many cells.
    """
    space = family_of_genotype(genotype).retrained_as
    shape = _shape(config, space)
    if config.auxiliary and "auxiliary" not in shape:
        raise ValueError(f"auxiliary={config.auxiliary}: a network of {space} has no auxiliary head; give 0")
    SPACES[space].settings_of(shape)
