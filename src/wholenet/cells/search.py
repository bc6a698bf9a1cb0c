"""A search on a cell space: a config in, a run folder out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wholenet import parallel
from wholenet.architecture import normalized_entropy, rescaled
from wholenet.cells.prepare import LabelStreams, PreparedLabels, prepare_labels
from wholenet.cells.scorer import Scorer
from wholenet.cells.selection import best_random, discretized, ended
from wholenet.cells.start import initial_search, spec_of
from wholenet.data.sets import place_of
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.model_folder import save_model
from wholenet.diagnostics.curvature import curvature
from wholenet.machine import choose_device, machine, use_threads
from wholenet.report.dots import draw_pairs
from wholenet.report.genotype import draw_genotype
from wholenet.report.operations_left import draw_left
from wholenet.report.progress import own_console, plain
from wholenet.report.search_curves import draw_search
from wholenet.run import Job, Scored, train
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.cell_parts import PRUNING, parts_of, schedule_of, set_strengths
from wholenet.search.draw import batch_of_all, steps_per_epoch
from wholenet.search.gate_pruning import GatePruning, GateShares
from wholenet.search.loggers import check_loggers
from wholenet.search.memory import batch_advice
from wholenet.search.option_removal import option_goal, option_removal
from wholenet.search.parts import SELECTIONS
from wholenet.search.penalties import check_registered
from wholenet.search.removal import Removal
from wholenet.search.same_data import check_same, data_of
from wholenet.search.schedule import Schedule
from wholenet.search.stages import kept_after
from wholenet.search.state import TrainState
from wholenet.search.stopping import Stopping
from wholenet.search.updates import Parts
from wholenet.search.watch import Watch
from wholenet.spaces.catalog import SPACES, subnets
from wholenet.spaces.cell_family import CellsFound, family_of
from wholenet.spaces.cell_space import CellSupernet
from wholenet.spaces.option_costs import check_costs, with_costs
from wholenet.tasks.classification import ClassificationLoss
from wholenet.tasks.score import ERROR


@dataclass(frozen=True)
class Searched:
    """What a search came to."""

    run: Path
    genotype: CellsFound | None
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
    survivors: str = ""
    """The operations that it leaves to the search that follows it, where one does."""
    following: Searched | None = None
    """And what that came to, whose genotype this one's is."""
    second_stage: Any = None
    """Of two stages, what the second came to: a :class:`wholenet.cells.retrain.Retrained`."""
    control: Searched | None = None
    """The frozen-uniform control of equal time, where it was asked for."""


def search(config: CellConfig, console: Console | None = None) -> Searched:
    """Search as ``config`` says, in the new folder ``config.out``. Methods that search several times are not for this
    function: see ``cells/best_of.py``.

    Everything is checked before the folder is made and before training starts.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a folder that is in use, or a device that is not there.
        FloatingPointError: if the loss stops being a finite number.
    """
    console = console or own_console()
    CellFolder.check_free(config.out)
    device = choose_device(config.device)
    check_registered(config)
    family_of(config.space).check(config.table)
    if counts_costs(config):
        check_costs(SPACES[config.space], _of_costs(config))
    if config.budget is not None:
        subnets(spec_of(config, 2))  # which says where nothing can be removed, before data is read
    data = prepare_labels(config, console)
    if config.budget is not None:
        option_goal(spec_of(config, len(data.classes)), config.budget, size_of(data))  # what cannot be met is said here
    config = replace(config, data=place_of(config.data))
    run = CellFolder.of_all(config)
    with run.locked(), run.given_back():
        return _search(run, config, data, device, console)


def resume_search(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine_fields: Any
) -> Searched:
    """Continue the search in ``path`` from its last checkpoint; of a finished one, only say again what it found.

    Raises:
        ValueError: if the folder holds no search, or its data has changed.
    """
    console = console or own_console()
    run = CellFolder(path)
    config = replace(run.search_config, **machine_fields, data=data_of(run, run.config.data, data))
    device = choose_device(config.device)
    check_registered(config)
    family_of(config.space).check(config.table)
    check_loggers(config.log)
    prepared = prepare_labels(config)
    check_unchanged(run, config.data, prepared, console)
    with run.locked():
        if parallel.is_first():
            run.rewrite_config(config)
        parallel.meet()
        return _search(run, config, prepared, device, console)


def check_unchanged(run: CellFolder, data: str, prepared: PreparedLabels, console: Console) -> None:
    """Make sure that what was ``prepared`` of ``data`` is what the run was started on; ``console`` is told where that
    is not known any more.

    Raises:
        ValueError: if it is not, or it was started with another number of processes.
    """
    if before := run.environment(plain(console)):
        parallel.refuse_other_number(before.get("processes", 1), run.path)
        check_same(run, data, *map(_by_split, (before["data"], prepared.facts())))


def _by_split(facts: dict[str, Any]) -> dict[str, Any]:
    images = facts.get("images")
    by_split = {name: {"images": count} for name, count in images.items()} if isinstance(images, dict) else {}
    return by_split | {**facts, "images": {}}


def _search(
    run: CellFolder, config: CellConfig, data: PreparedLabels, device: torch.device, console: Console
) -> Searched:
    done = _result(run, plain(console))
    parallel.meet()  # all have looked before the first one may write it
    if done is not None:
        return done
    return train(job_of(run, config, data, device, console), console)


def job_of(
    run: CellFolder, config: CellConfig, data: PreparedLabels, device: torch.device, console: Console
) -> Job[Searched]:
    """All that the training of ``run`` is told."""
    assert data.val is not None
    use_threads(config.threads)
    images = batch_of_all(config)
    schedule = schedule_of(config, steps_per_epoch(len(data.weights), images))
    loss = ClassificationLoss(smoothing=config.smoothing)
    torch.manual_seed(config.seed)
    state = initial_search(config, len(data.classes), device)
    if counts_costs(config):
        with_costs(state.model, size_of(data))
    parts, streams = parts_of(config, state.model), LabelStreams(data, config, schedule, device)
    between = _between(config, state, parts, data, plain(console))
    scorer = Scorer(state.model, data, device)
    with torch.no_grad():
        discretized(state.model.arch(), config)  # a selection that gives no genotype is refused here

    def conclude(scored: Scored | None, stop: int | None) -> Searched:
        return _conclude(run, config, scorer, state, parts, schedule, scored, stop, console)

    return Job(
        run=run,
        state=state,
        streams=streams,
        loss=loss,
        phases=config.phases,
        schedule=schedule,
        parts=parts,
        stopping=Stopping(
            run,
            state,
            config.stopping,
            epochs=config.epochs,
            go_back=config.after_stopping == "regularize",
            factor=config.regularize_by,
            limit=config.weight_decay_limit,
            device=device,
            say=plain(console),
        ),
        device=device,
        images=images,
        checkpoint_minutes=config.checkpoint_minutes,
        log=config.log,
        environment=lambda: machine(device) | streams.facts(),
        describe=partial(_describe, config, between),
        measured=ERROR,
        score=scorer.val,
        score_every=config.val_every,
        unscored={"error": None, "eigenvalue": None, "lowest_eigenvalue": None},
        save=partial(_save, run, config, scorer),
        draw=partial(_draw, run, state),
        conclude=conclude,
        watch=Watch(data.classes, scorer.counts(data.val), config.epochs, penalised=bool(parts.penalties)),
        curvature=partial(_ends_of_spectrum, streams, config, loss),
        curvature_every=config.eigenvalue_every,
        curvature_epochs=range(config.epochs),
        after_epoch=None if between is None else between.after_epoch,
        begin=between.begin if isinstance(between, GatePruning) else None,
        too_large=partial(batch_advice, config.batch, device),
    )


def _of_costs(config: CellConfig) -> str:
    return "regularizer" if config.regularizer == "cost" else "pruning"


def counts_costs(config: CellConfig) -> bool:
    """Whether a search has to know what its options cost."""
    return config.regularizer == "cost" or config.pruning != "none"


def _between(
    config: CellConfig, state: TrainState, parts: Parts, data: PreparedLabels, say: Callable[[str], None]
) -> GatePruning | Removal | None:
    """What changes the network between epochs; None where nothing does."""
    removal = option_removal(config, state, config.phases, size_of(data), say)
    return pruning_of(config, state, parts) if removal is None else removal


def size_of(data: PreparedLabels) -> tuple[int, int]:
    """(H, W) of the images."""
    height, width = data.weights.images.shape[1:3]
    return height, width


def pruning_of(config: CellConfig, state: TrainState, parts: Parts) -> GatePruning | None:
    """What removes options between epochs; None where none are."""
    penalty = parts.penalties.get(PRUNING)
    if not isinstance(penalty, GateShares):
        return None
    return GatePruning(state, config.phases, penalty, config.pruning_floor)


def _describe(config: CellConfig, between: GatePruning | Removal | None, state: TrainState) -> dict[str, Any]:
    """What a record says of the architecture, and of what moves with it."""
    pruned = {} if between is None else between.describe()
    with torch.no_grad():
        weights = state.model.arch()
        entropy = {
            name: normalized_entropy(rescaled(w), state.model.arch.mask(name)).item() for name, w in weights.items()
        }
    genotype = discretized(weights, config)
    return {
        "weight_decay": state.weight_optimizer.param_groups[0]["weight_decay"],
        "entropy": entropy,
        "genotype": genotype.to_dict(),
        "skips": {kind: genotype.operations(kind)["skip_connect"] for kind in config.table},
        **pruned,
    }


def _ends_of_spectrum(
    streams: LabelStreams, config: CellConfig, loss: ClassificationLoss, state: TrainState
) -> dict[str, float]:
    """Of the loss's Hessian in the logits, on the batch that the architecture saw last (RobustDARTS' code), or would
    have."""
    number = (state.arch_steps or state.weight_steps) - 1
    one_level = config.moves_architecture and not config.takes_validation_batches
    batch = streams.one("weights" if one_level else "architecture", number, state.epoch)
    tolerance = config.eigenvalue_tolerance
    found = curvature(state.model, batch, loss, weight_decay=config.arch_weight_decay, tolerance=tolerance)
    return {"eigenvalue": found.highest, "lowest_eigenvalue": found.lowest}


def _draw(run: CellFolder, state: TrainState, stop: int | None) -> None:
    draw_search(run.path / "search.png", state.records, stop)
    draw_left(run.path / "left.png", state.model.spec, state.records)


def _save(run: CellFolder, config: CellConfig, scorer: Scorer, scored: Scored, finished: int) -> None:
    data = scorer.data
    height, width = data.weights.images.shape[1:3]
    facts = {"data": data.name, "method": config.method, "epochs": finished, "error": round(scored.record["error"], 4)}
    answer = classification_answer(data.classes, data.mean, data.std, (height, width))
    save_model(run.model, "classification", scorer.model, answer, facts)


# ---- the end


def _conclude(
    run: CellFolder,
    config: CellConfig,
    scorer: Scorer,
    state: TrainState,
    parts: Parts,
    schedule: Schedule,
    scored: Scored | None,
    stop_epoch: int | None,
    console: Console,
) -> Searched:
    model: CellSupernet = state.model
    data = scorer.data
    set_strengths(model)  # as it is when it is loaded
    scored = scored or scorer.val()
    final = config.keeps_supernet
    test_error = scorer.error(data.test) if final and data.test is not None else None
    if parallel.is_first():
        _save(run, config, scorer, scored, len(state.records))
    genotype = sampled_error = None
    if not final:
        if stop_epoch is not None:
            genotype = family_of(config.space).from_dict(state.records[stop_epoch]["genotype"])
        elif config.sampling == "random":
            genotype, sampled_error = best_random(config, scorer, console)
        elif (look := SELECTIONS[config.selection].once_ended) is not None:
            genotype = look(ended(config, scorer, state, parts, schedule, console))
        else:
            with torch.no_grad():
                genotype = discretized(model.arch(), config)
    found = Searched(run.path, genotype, scored.record["error"], data.val_from, test_error, stop_epoch, sampled_error)
    family = family_of(config.space)
    if config.following is not None:
        found = replace(found, survivors=family.left(model.arch(), config.table, kept_after(config)))
    elif family.pairs is not None and parallel.is_first():
        draw_pairs(run.path / "pairs.png", family.pairs(model.net, model.arch()))
    if parallel.is_first():
        _write(run, config, found)
    parallel.meet()  # what the first one has written, the others read
    return found


LATER = ("following", "second_stage", "control")
"""What is in folders of its own."""


def _write(run: CellFolder, config: CellConfig, found: Searched) -> None:
    genotype = found.genotype
    if genotype is not None:
        family_of(config.space).write(genotype, run.genotype, config.space, config.operations)
        draw_genotype(run.path / "cells.png", genotype, f"{config.space}, {config.method}")
    content = {**dataclasses.asdict(found), "run": "", "genotype": genotype and genotype.to_dict()}
    run.write_result({name: value for name, value in content.items() if name not in LATER})


def _result(run: CellFolder, warn: Callable[[str], None]) -> Searched | None:
    """What a finished run found; None of others, and where that is damaged, of which ``warn`` is told."""
    try:
        content = run.result()
        if content is None:
            return None
        genotype = content["genotype"] and family_of(run.search_config.space).from_dict(content["genotype"])
        return Searched(**content | {"run": run.path, "genotype": genotype})
    except (ValueError, TypeError) as error:  # not as it was written, or other fields
        warn(f"warning: {error}")
        return None
