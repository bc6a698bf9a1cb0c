"""A search on a cell space: a config in, a run folder out. :func:`_search` is the whole of it, top to bottom."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from wholenet.architecture import Weights, normalized_entropy, rescaled
from wholenet.cells.prepare import PreparedLabels, drawn, labelled_stream, part, prepare_labels
from wholenet.data.labelled import Labelled
from wholenet.data.splits import seeded_indices
from wholenet.deploy.classifier import save_classifier
from wholenet.diagnostics.curvature import curvature
from wholenet.report.cells import draw_cells
from wholenet.report.progress import counted, plain, training_progress
from wholenet.report.search_curves import draw_search
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.cell_parts import parts_of, schedule_of, set_strengths
from wholenet.search.draw import steps_per_epoch
from wholenet.search.early_stopping import RULES, Evaluation, StoppingRule
from wholenet.search.keeper import Keeper
from wholenet.search.loop import train_epoch
from wholenet.search.perturbation_selection import Left, select
from wholenet.search.phases import Phase, phase_at, single_stage
from wholenet.search.random_search import best_of_random, weights_of
from wholenet.search.same_data import check_same, data_of
from wholenet.search.schedule import Schedule
from wholenet.search.state import Tally, TrainState
from wholenet.search.steps import Batch, make_optimizers
from wholenet.search.updates import Parts
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_space import CellSupernet
from wholenet.spaces.darts import TABLES, TYPES
from wholenet.spaces.darts_genotype import (
    CellGenotype,
    cell_genotype_from_dict,
    discretize,
    discretize_gates,
    write_cell_genotype,
)
from wholenet.tasks.classification import ClassificationLoss, evaluate_labelled
from wholenet.training import DRAW_EVERY_S, choose_device, machine

ARCH_BETAS = (0.5, 0.999)
"""Of the architecture's Adam (DARTS' code)."""


@dataclass(frozen=True)
class Searched:
    """What a search came to."""

    run: Path
    genotype: CellGenotype | None
    """None where the supernet is the final model."""
    error: float
    """Of the supernet, in [0, 1], on ``scored_on``."""
    scored_on: str
    test_error: float | None
    """Of the supernet where that is the final model, and there is a test split."""
    genotype_epoch: int | None = None
    """The epoch, from 0, whose architecture the genotype is of, where early stopping went back to one."""
    sampled_error: float | None = None
    """Random search: of the genotype, the best of those that were sampled, with the supernet's weights; on
    ``scored_on``."""


def search(config: CellConfig, console: Console | None = None) -> Searched:
    """Search as ``config`` says, in the new folder ``config.out``. Methods that search several times are not for this
    function: see ``cells/best_of.py``.

    Everything is checked before the folder is made and before training starts.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a folder that is in use, or a device that is not there.
        FloatingPointError: if the loss stops being a finite number.
    """
    console = console or Console()
    CellFolder.check_free(config.out)
    device = choose_device(config.device)
    data = prepare_labels(config, console)
    config = replace(config, data=str(Path(config.data).expanduser().resolve()))
    run = CellFolder.create(config)
    with run.locked(), run.given_back():
        return _search(run, config, data, device, console)


def resume_search(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine_fields: Any
) -> Searched:
    """Continue the search in ``path`` from its last checkpoint; of a finished one, only say again what it found.

    Raises:
        ValueError: if the folder holds no search, or its data has changed.
    """
    console = console or Console()
    run = CellFolder(path)
    config = replace(run.search_config, **machine_fields, data=data_of(run, run.config.data, data))
    device = choose_device(config.device)
    prepared = prepare_labels(config)
    check_unchanged(run, config.data, prepared, console)
    with run.locked():
        run.rewrite_config(config)
        return _search(run, config, prepared, device, console)


def check_unchanged(run: CellFolder, data: str, prepared: PreparedLabels, console: Console) -> None:
    """Make sure that what was ``prepared`` of ``data`` is what the run was started on; ``console`` is told where that
    is not known any more.

    Raises:
        ValueError: if it is not.
    """
    if before := run.environment(plain(console)):
        check_same(run, data, *map(_by_split, (before["data"], prepared.facts())))


def _by_split(facts: dict[str, Any]) -> dict[str, Any]:
    images = facts.get("images")
    by_split = {name: {"images": count} for name, count in images.items()} if isinstance(images, dict) else {}
    return by_split | {**facts, "images": {}}


def _search(
    run: CellFolder, config: CellConfig, data: PreparedLabels, device: torch.device, console: Console
) -> Searched:
    if (done := _result(run, plain(console))) is not None:
        return done
    if config.threads:
        torch.set_num_threads(config.threads)
    assert data.val is not None
    phases = plan_search(config)
    schedule = schedule_of(config, steps_per_epoch(len(data.weights), config.batch))
    loss = ClassificationLoss(smoothing=config.smoothing)
    torch.manual_seed(config.seed)
    state = initial_search(config, len(data.classes), device)
    model: CellSupernet = state.model
    parts = parts_of(config, model)
    rule = None if config.stopping == "none" else RULES[config.stopping]
    stop_epoch, last_drawn = None, time.monotonic()
    keeper = Keeper(run, state, config.checkpoint_minutes, schedule.steps_per_epoch)
    restored = keeper.restore(device, plain(console))
    run.ensure_environment(lambda: machine(device) | {"data": data.facts()})
    if restored and rule is not None and config.after_stopping == "stop" and state.epoch < config.epochs:
        stop_epoch = rule.goes_back_to(_evaluations(state))  # it may have fired just before the run was stopped
    with (
        training_progress(
            total_epochs=config.epochs,
            steps_per_epoch=schedule.steps_per_epoch,
            first_epoch=state.epoch,
            phases=[(p.name, p.first, p.end) for p in phases],
            console=console,
        ) as progress,
        keeper.watching(),
    ):
        while state.epoch < config.epochs and stop_epoch is None:
            epoch, phase = state.epoch, phase_at(phases, state.epoch)
            with keeper.steps():
                weight_batches, arch_batches = _epoch_batches(state, data, config, schedule, device)
                for step in train_epoch(state, phase, schedule, parts, loss, weight_batches, arch_batches, device):
                    progress.step(
                        epoch=epoch, step=step.step, phase=phase.name, loss=step.loss, lr=step.lr, images=config.batch
                    )
                    keeper.step_done()
            finished = epoch + 1
            last = finished == config.epochs
            record = _record(epoch, phase, config, state)
            if last or finished % config.val_every == 0:
                record["error"] = _error(model, data.val, data, device)
            if config.eigenvalue_every and (last or epoch % config.eigenvalue_every == 0):
                record |= _ends_of_spectrum(state, data, config, schedule.now(epoch).rise, device)
            keeper.record(record)
            progress.epoch(record)
            with keeper.steps():
                state.end_epoch()
                stop_epoch = _stopped_or_back(run, state, record, rule, config, device, console)
                keeper.save()
            if last or stop_epoch is not None or time.monotonic() - last_drawn > DRAW_EVERY_S:
                draw_search(run.path / "search.png", state.records, stop_epoch)
                last_drawn = time.monotonic()
    with keeper.watching(saves=False):
        return _conclude(run, config, data, state, parts, schedule, stop_epoch, device, console)


def plan_search(config: CellConfig) -> tuple[Phase, ...]:
    """The phases of a search: where nothing is learned about the architecture, it never moves."""
    search_share = min(config.search_share, 1 - config.warmup_share)
    phases = single_stage(config.epochs, config.warmup_share, search_share)
    if not config.moves_architecture:
        phases = tuple(replace(phase, moves_architecture=False) for phase in phases)
    return phases


def initial_search(config: CellConfig, num_classes: int, device: torch.device) -> TrainState:
    """The supernet and the optimisers before the first step; weights come from torch's global random state."""
    model = create_model(
        config.space,
        num_classes=num_classes,
        channels=config.channels,
        cells=config.cells,
        relaxation=config.relaxation,
        affine=config.affine,
        groups=config.groups,
        edge_weights=config.edge_weights,
        auxiliary_skip=config.auxiliary_skip,
    ).placed(device)
    if not config.moves_architecture or config.relaxation == "sigmoid":  # Fair DARTS begins with all gates at one half
        model.arch.set_uniform()
    optimizers = make_optimizers(
        model,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        arch_lr=config.arch_lr,
        arch_weight_decay=config.arch_weight_decay,
        arch_betas=ARCH_BETAS,
    )
    return TrainState(model, *optimizers)


def _epoch_batches(
    state: TrainState, data: PreparedLabels, config: CellConfig, schedule: Schedule, device: torch.device
) -> tuple[Any, Any]:
    """The batches of the epoch to come, for the weights and for the architecture."""
    steps, cutout = schedule.steps_per_epoch, schedule.now(state.epoch).rise
    streams = (("weights", data.weights, state.weight_steps), ("architecture", data.architecture, state.arch_steps))
    weights, architecture = (
        drawn(labelled_stream(images, name, first + steps, config, data, cutout), first, config.workers, device)
        for name, images, first in streams
    )
    return weights, architecture


def _record(epoch: int, phase: Phase, config: CellConfig, state: TrainState) -> dict[str, Any]:
    with torch.no_grad():
        weights = state.model.arch()
        entropy = {
            name: normalized_entropy(rescaled(w), state.model.arch.mask(name)).item() for name, w in weights.items()
        }
    genotype = _discretized(weights, config)
    return {
        "epoch": epoch,
        "phase": phase.name,
        "weight_decay": state.weight_optimizer.param_groups[0]["weight_decay"],
        "entropy": entropy,
        "genotype": genotype.to_dict(),
        "skips": {kind: genotype.operations(kind)["skip_connect"] for kind in TYPES},
        "error": None,
        "eigenvalue": None,
        "lowest_eigenvalue": None,
        **state.tally.record(config.batch),
    }


def _discretized(weights: Weights, config: CellConfig) -> CellGenotype:
    rule = discretize_gates if config.selection == "gates" else discretize
    return rule(weights, TABLES[config.space])


def _error(model: torch.nn.Module, images: Labelled, data: PreparedLabels, device: torch.device) -> float:
    return evaluate_labelled(model, images, len(data.classes), data.mean, data.std, device=device).error


def _ends_of_spectrum(
    state: TrainState, data: PreparedLabels, config: CellConfig, cutout: float, device: torch.device
) -> dict[str, float]:
    """Of the loss's Hessian in the logits, on the batch that the architecture saw last (RobustDARTS' code), or would
    have."""
    number = (state.arch_steps or state.weight_steps) - 1
    one_level = config.moves_architecture and not config.takes_validation_batches
    name, images = ("weights", data.weights) if one_level else ("architecture", data.architecture)
    stream = labelled_stream(images, name, number + 1, config, data, cutout)
    x, targets = stream[number]
    batch = Batch(x.to(device, memory_format=torch.channels_last), targets.to(device))
    loss = ClassificationLoss(smoothing=config.smoothing)
    tolerance = config.eigenvalue_tolerance
    found = curvature(state.model, batch, loss, weight_decay=config.arch_weight_decay, tolerance=tolerance)
    return {"eigenvalue": found.highest, "lowest_eigenvalue": found.lowest}


# ---- early stopping


def _stopped_or_back(
    run: CellFolder,
    state: TrainState,
    record: dict[str, Any],
    rule: StoppingRule | None,
    config: CellConfig,
    device: torch.device,
    console: Console,
) -> int | None:
    """After an epoch, do what the stopping rule says: the epoch whose architecture the search ends with, or None where
    it goes on, from an earlier epoch maybe."""
    if rule is None or record["eigenvalue"] is None:
        return None
    fires = None if state.epoch == config.epochs else rule.goes_back_to(_evaluations(state))
    if config.after_stopping == "regularize":
        if _stronger(state, config) is not None:
            run.save_checkpoint(state.state_dict(), _name(record["epoch"]))
        if fires is not None:
            _roll_back(run, state, fires, config, device, console)
        return None
    if fires is not None:
        plain(console)(f"the eigenvalue has grown: stopped, with the architecture of epoch {fires + 1}")
    return fires


def _evaluations(state: TrainState) -> list[Evaluation]:
    return [(r["epoch"], r["eigenvalue"]) for r in state.records if r["eigenvalue"] is not None]


def _name(epoch: int) -> str:
    return f"epoch-{epoch}.pt"


def _stronger(state: TrainState, config: CellConfig) -> float | None:
    """The weight decay after the next increase; None if that would be more than may be."""
    stronger = state.weight_optimizer.param_groups[0]["weight_decay"] * config.regularize_by
    return stronger if stronger <= config.weight_decay_limit * (1 + 1e-9) else None


def _roll_back(
    run: CellFolder, state: TrainState, epoch: int, config: CellConfig, device: torch.device, console: Console
) -> None:
    """Go back to the end of ``epoch`` and regularise more, unless that is as much as may be (RobustDARTS, adaptive).

    The history from there on is put aside, so that the rule judges anew; the original's keeps judging by it. If the
    process ends on the way, the run goes on from the epoch before, and the rule fires again.
    """
    stronger = _stronger(state, config)
    if stronger is None:
        return
    saved = run.read_checkpoint(device, _name(epoch))
    assert saved is not None  # kept for as long as there is an increase to come
    decay = state.weight_optimizer.param_groups[0]["weight_decay"]
    gone = [record for record in state.records if record["epoch"] > epoch]
    kept = [record for record in state.records if record["epoch"] <= epoch]
    state.load_state_dict(saved)
    state.records = kept  # a checkpoint of an epoch from before there were records in it has none
    for group in state.weight_optimizer.param_groups:
        group["weight_decay"] = stronger
    with (run.path / "discarded.jsonl").open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in gone)
    run.save_checkpoint(state.state_dict())
    run.rewrite_records(state.records)
    _forget(run, after=epoch if _stronger(state, config) else -1)
    text = f"the eigenvalue has grown: back to epoch {epoch + 1}, with weight decay {stronger:g} instead of {decay:g}"
    console.print(text, highlight=False)


def _forget(run: CellFolder, after: int) -> None:
    """Remove the checkpoints of epochs after ``after``."""
    for path in run.path.glob("epoch-*.pt"):
        if int(path.stem.removeprefix("epoch-")) > after:
            path.unlink()


# ---- the end


def _conclude(
    run: CellFolder,
    config: CellConfig,
    data: PreparedLabels,
    state: TrainState,
    parts: Parts,
    schedule: Schedule,
    stop_epoch: int | None,
    device: torch.device,
    console: Console,
) -> Searched:
    model: CellSupernet = state.model
    records = state.records
    assert data.val is not None
    _forget(run, after=-1)
    set_strengths(model)  # as it is when it is loaded
    error = records[-1]["error"] if records else None
    if error is None or stop_epoch is not None:
        error = _error(model, data.val, data, device)
    final = config.protocol == "single-stage"
    test_error = _error(model, data.test, data, device) if final and data.test is not None else None
    height, width = data.weights.images.shape[1:3]
    facts = {"data": data.name, "method": config.method, "epochs": len(records), "error": round(error, 4)}
    save_classifier(run.model, model, data.classes, data.mean, data.std, (height, width), facts)
    genotype = sampled_error = None
    if not final:
        if stop_epoch is not None:
            genotype = cell_genotype_from_dict(next(r for r in records if r["epoch"] == stop_epoch)["genotype"])
        elif config.sampling == "random":
            genotype, sampled_error = _best_random(config, data, model, device, console)
        elif config.selection == "perturbation":
            genotype = _by_perturbation(config, data, state, parts, schedule, device, console)
        else:
            with torch.no_grad():
                genotype = _discretized(model.arch(), config)
        write_cell_genotype(genotype, run.genotype, config.space)
        cells = {kind: getattr(genotype, kind) for kind in TYPES}
        draw_cells(run.path / "cells.png", cells, f"{config.space}, {config.method}")
    found = Searched(run.path, genotype, error, data.val_from, test_error, stop_epoch, sampled_error)
    run.write_result({**dataclasses.asdict(found), "run": "", "genotype": genotype and genotype.to_dict()})
    return found


def _result(run: CellFolder, warn: Callable[[str], None]) -> Searched | None:
    """What a finished run found; None of others, and where that is damaged, of which ``warn`` is told."""
    try:
        content = run.result()
        if content is None:
            return None
        genotype = content["genotype"] and cell_genotype_from_dict(content["genotype"])
        return Searched(**content | {"run": run.path, "genotype": genotype})
    except (ValueError, TypeError) as error:  # not as it was written, or other fields
        warn(f"warning: {error}")
        return None


def _best_random(
    config: CellConfig, data: PreparedLabels, model: CellSupernet, device: torch.device, console: Console
) -> tuple[CellGenotype, float]:
    """The best of the sampled genotypes, and its error."""
    table = TABLES[config.space]
    like = next(iter(model.arch.logits.values()))
    assert data.val is not None
    order = seeded_indices(len(data.val), config.seed)
    some = part(data.val, order[: config.sample_batches * config.batch])
    show = counted(console, "scoring random architectures")
    scored = 0

    def accuracy(genotype: CellGenotype, images: Labelled) -> float:
        weights = weights_of(genotype, table, like)
        return 1 - _error(_With(model, lambda _: weights), images, data, device)

    def quick(genotype: CellGenotype) -> float:
        nonlocal scored
        scored += 1
        show(scored, config.samples)
        return accuracy(genotype, some)

    def full(genotype: CellGenotype) -> float:
        assert data.val is not None
        return accuracy(genotype, data.val)

    genotype, score = best_of_random(table, config.samples, quick, full, config.seed)
    return genotype, 1 - score


class _With(torch.nn.Module):
    """A supernet at other architecture weights than its own; in eval mode or not as the supernet."""

    def __init__(self, model: CellSupernet, change: Callable[[Weights], Weights]) -> None:
        super().__init__()
        self.model = model
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.model.net(x, self.change(self.model.arch()))


def _by_perturbation(
    config: CellConfig,
    data: PreparedLabels,
    state: TrainState,
    parts: Parts,
    schedule: Schedule,
    device: torch.device,
    console: Console,
) -> CellGenotype:
    """DARTS-PT's selection, the weights tuned at a tenth of their learning rate. The logits stay as they are; in its
    code they go on learning."""
    model: CellSupernet = state.model
    tuning = replace(schedule, epochs=max(1, config.tune_epochs), lr=config.lr / 10, lr_end=0.0)
    loss = ClassificationLoss(smoothing=config.smoothing)
    tuned = 0
    frozen = Phase("tune", 0, tuning.epochs)

    def score(left: Left) -> float:
        assert data.val is not None
        return 1 - _error(_With(model, left.weights), data.val, data, device)

    def tune(left: Left) -> None:
        nonlocal tuned
        for epoch in range(config.tune_epochs):
            state.epoch, state.tally = epoch, Tally()
            stream = labelled_stream(data.weights, "tune", (tuned + 1) * tuning.steps_per_epoch, config, data, 1.0)
            batches = drawn(stream, tuned * tuning.steps_per_epoch, config.workers, device)
            with torch.no_grad():
                weights = left.weights(model.arch())
            at_left = Parts(parts.update, weights=lambda *_, weights=weights: weights, clip=parts.clip)
            for _ in train_epoch(state, frozen, tuning, at_left, loss, batches, iter(()), device):
                pass
            tuned += 1

    set_strengths(model)
    return select(TABLES[config.space], score, tune, config.seed, counted(console, "deciding edges"))
