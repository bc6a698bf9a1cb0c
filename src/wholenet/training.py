"""Train a network on images with masks: a config in, a run folder out; of a two-stage run both stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wholenet import parallel
from wholenet.beginning import Beginning, check_whole, find_beginning, starts_from_something, write_beginning
from wholenet.data.sets import place_of
from wholenet.deploy.model_folder import load_model
from wholenet.diagnostics.verdict import chance_in
from wholenet.files import write_whole
from wholenet.jobs.catalog import task_of_run
from wholenet.jobs.job import job_of
from wholenet.jobs.segmentation import MaskData
from wholenet.jobs.task import Data, Finished
from wholenet.jobs.times import predicted_size, table_of
from wholenet.machine import choose_device
from wholenet.ops.execution import precision_for
from wholenet.report.progress import own_console, plain
from wholenet.run import train
from wholenet.search.budget_way import settled_budget, told, with_its_layers
from wholenet.search.config import MACHINE, FitConfig
from wholenet.search.cost import step_cost
from wholenet.search.draw import augments_on_device, batch_of_all
from wholenet.search.goals import check_before_data, goal_for
from wholenet.search.loggers import check_loggers
from wholenet.search.option_removal import option_goal
from wholenet.search.phases import check_removing
from wholenet.search.protocols import PROTOCOLS, plan_phases, search_phases
from wholenet.search.run_folder import RunFolder, check_space, space_of, spec_of
from wholenet.search.same_data import check_same, data_of
from wholenet.search.task_config import TaskConfig
from wholenet.search.train_config import TrainConfig
from wholenet.spaces.device_table import DeviceTable, write_table
from wholenet.spaces.space import Spec


def fit(config: TrainConfig, console: Console | None = None, plan: str | None = None) -> Finished:
    """Train a network as ``config`` says, in the new folder ``config.out``.

    Everything is checked before the folder is made and before training starts.

    Args:
        config: all that the run is told.
        console: where to report.
        plan: how ``config`` was chosen, which is kept in the folder as plan.yaml.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a folder that is in use, or a device that is not there; under torchrun without
            ``parallel.start()``.
        FloatingPointError: if the loss stops being a finite number.
        Interrupted: if the run was asked to stop, and has been saved.
    """
    parallel.refuse_stragglers()
    console = console or own_console()
    RunFolder.check_free(config.out)
    device = choose_device(config.device)
    task = task_of_run(config)
    space, settings = check_space(config)
    genotype = None if config.genotype is None else space.read_genotype(config.genotype, settings)
    if config.genotype is not None:
        space.check_given(config.settings, config.genotype)
    check_before_data(config, space, settings)
    first = console if plan is None else Console(quiet=True)  # who planned was told
    with parallel.first_alone():  # what it downloaded, or found out about the files, the others read
        beginning = find_beginning(config, plain(first))
        data = task.prepare(config, first)
    size = data.size()
    if size is not None and any(side % space.multiple for side in size):
        raise ValueError(
            f"the crop is {size[0]}x{size[1]}; space {space.name!r} takes multiples of {space.multiple}: give another "
            "crop"
        )
    # What is computed stays what it is, wherever the run is continued.
    settled: dict[str, Any] = {"data": place_of(config.data)}
    settled["precision"] = "float32" if precision_for(config.precision, device) is None else "bfloat16"
    if isinstance(config, FitConfig) and size is not None:
        settled["crop"] = f"{size[0]}x{size[1]}"
        settled["augment_on"] = "device" if augments_on_device(config, device) else "host"
    if isinstance(config, FitConfig):
        places = {name: getattr(config, name) for name in ("init", "stem_weights", "device_table")}
        settled |= {name: str(Path(path).resolve()) for name, path in places.items() if path is not None}
        if config.timed and config.budget_at is None and isinstance(data, MaskData):
            settled["budget_at"] = "x".join(map(str, predicted_size(data)))
    config, table = _with_budget(replace(config, **settled), data, beginning, first)
    with parallel.first_alone():
        run = RunFolder.create(config) if parallel.is_first() else RunFolder(config.out)
        if genotype is not None and parallel.is_first():
            space.write_genotype(genotype, run.genotype)
        if table is not None:
            write_table(table, run.device_table)
    with run.locked(), run.given_back():
        if plan is not None and parallel.is_first():
            write_whole(run.plan, plan)
        _keep_beginning(run, beginning, data, console)
        return _train_all(run, data, device, console)


def _with_budget(
    config: TrainConfig, data: Data, beginning: Beginning, console: Console
) -> tuple[TrainConfig, DeviceTable | None]:
    """How a new run meets its budget, if it has one.

    Returns:
        The config that says so; of a budget in milliseconds the times that it is counted by. Of one of those, processes
        other than the first only know whether the run's phases can meet it.

    Raises:
        ValueError: if it cannot be met.
    """
    if isinstance(config, TaskConfig) and config.budget is not None:
        option_goal(spec_of(config, data.network()), config.budget, data.size())
    if not isinstance(config, FitConfig) or config.budget is None:
        return config, None
    if config.removes:
        check_removing(plan_phases(config))
    if config.timed and not parallel.is_first():
        return config, None
    spec = spec_of(config, data.network())
    table = table_of(config, spec, plain(console)) if config.timed else None
    config, why = settled_budget(config, spec, table)
    if why is not None:
        plain(console)(told(config, why))
    _check_goal(config, spec, data, beginning, table)
    return with_its_layers(config, spec), table


def _check_goal(config: FitConfig, spec: Spec, data: Data, beginning: Beginning, table: DeviceTable | None) -> None:
    """Make sure that a budget can be met from where the run begins.

    Raises:
        ValueError: if it cannot.
    """
    if config.shrinks and beginning.given is not None:
        spec = check_whole(beginning.given, spec, data.classes().names)
    goal_for(spec, config, table)


def resume(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine: Any
) -> Finished:
    """Continue the run in ``path`` from its last checkpoint; of a finished run, only score it again.

    Args:
        path: the run folder.
        console: where to report.
        data: where its data is now, if it was moved.
        machine: fields of the config that have to do with the machine (``MACHINE``), to be changed from here on.

    Raises:
        ValueError: if the folder holds no run, its data is gone or has changed, something else is to be changed, or the
            run was begun with another number of processes, or this one has not joined the others.
    """
    parallel.refuse_stragglers()
    console = console or own_console()
    if others := sorted(set(machine) - set(MACHINE)):
        raise ValueError(
            f"a run is continued as it was begun, so {', '.join(others)} cannot be given with it; only "
            f"{', '.join(MACHINE)} can"
        )
    run = RunFolder(path)
    first = RunFolder.at(run.search)
    parts = [part for part in (run, first, RunFolder.at(run.control)) if part is not None]
    moved = {} if data is None else {"data": data_of(run, run.config.data, data)}
    configs = [replace(part.config, **machine, **moved) for part in parts]
    data_of(run, configs[0].data, None)
    device = choose_device(configs[0].device)
    check_loggers(configs[0].log)
    for config in configs:
        space_of(config)  # which may be somebody's own, and not be there
    before = run.environment(plain(console))
    if before is None and first is not None:  # a two-stage run, still in its first stage
        before = first.environment(plain(console))
    begun_with = before.get("processes", 1) if before else parallel.processes()
    parallel.refuse_other_number(begun_with, path)
    with parallel.first_alone():
        prepared = task_of_run(configs[0]).prepare(configs[0], console)
    if before:
        now = prepared.unchanged()
        check_same(run, configs[0].data, {name: before.get(name, {}) for name in now}, now)
    with run.locked():
        given = run.config.genotype
        if given is not None and not run.genotype.exists() and parallel.is_first():  # stopped before it was written
            space, settings = space_of(run.config)
            space.write_genotype(space.read_genotype(given, settings), run.genotype)
        timed = isinstance(run.config, FitConfig) and run.config.timed and not run.device_table.exists()
        if timed and parallel.is_first():  # likewise
            spec = spec_of(run.config, prepared.network())
            write_table(table_of(run.fit_config, spec, plain(console)), run.device_table)
        lacking = starts_from_something(run.config) and not (run.outermost.start_facts.exists() or run.begun)
        parallel.meet()  # all have looked before the first one may write it
        if lacking:  # likewise
            _keep_beginning(run, find_beginning(run.config, plain(console)), prepared, console)
        if (machine or moved) and parallel.is_first():  # now that nothing speaks against it
            for part, config in zip(parts, configs, strict=True):
                part.rewrite_config(config)
        parallel.meet()
        return _train_all(run, prepared, device, console)


def _keep_beginning(run: RunFolder, beginning: Beginning, data: Data, console: Console) -> None:
    if parallel.is_first() and beginning != Beginning():
        write_beginning(run, beginning, run.supernet_spec(data.network()), data.classes().names, plain(console))
    parallel.meet()


def _train_all(run: RunFolder, data: Data, device: torch.device, console: Console) -> Finished:
    if PROTOCOLS[run.config.protocol].retrains:
        if not run.genotype.exists():
            _search_and_decode(run, data, device, console)
        data = data.undivided()
    return train(job_of(run, data, device, console), console)


def _search_and_decode(run: RunFolder, data: Data, device: torch.device, console: Console) -> None:
    """The first stage of a two-stage run: warm-up and search alone, for as long as single-stage would; then the cut."""
    config = run.config
    phases = search_phases(config)
    searched = phases[1].end
    search_config = config.single_stage(
        out=str(run.search),
        control=False,
        keep="last",  # the cut is of the architecture that the search ends with
        epochs=searched,
        warmup_share=phases[0].end / searched,
        search_share=1 - phases[0].end / searched,
    )
    if isinstance(search_config, FitConfig):
        later = min(1.0, search_config.entropy_start * config.epochs / searched)
        search_config = replace(search_config, entropy_start=later)
    plain(console)(f"first stage: {searched} epoch{'s' * (searched > 1)} of warm-up and search")
    with parallel.first_alone():
        search = RunFolder.at(run.search) or RunFolder.create(search_config)
    with search.locked():
        train(job_of(search, data, device, console), console)
    model = load_model(search.path).network
    space, settings = space_of(config)
    genotype = space.decode(model.arch(), config.decoding, config.decoding_tau, settings)

    epochs, size = config.retrain_epochs, data.size()
    if not epochs:
        assert size is not None, "which was asked before"
        supernet = step_cost(model.spec, config.batch, size)
        discrete = step_cost(replace(model.spec, genotype=genotype.to_dict()), config.batch, size)
        # Split data: an epoch of the second stage has more steps than one of the first.
        batch = batch_of_all(config)
        steps = 1.0 if config.steps_per_epoch else data.steps_per_epoch(batch) / data.undivided().steps_per_epoch(batch)
        epochs = max(1, round((config.epochs - searched) * steps * supernet.weight / discrete.weight))
    if (said := chance_in(model)) is not None:
        plain(console)(said)
    plain(console)(f"second stage: {epochs} epoch{'s' * (epochs > 1)} from scratch of {genotype}")
    if parallel.is_first():
        run.rewrite_config(replace(config, retrain_epochs=epochs))
        space.write_genotype(genotype, run.genotype)  # last: where it is, the first stage is done
    parallel.meet()
