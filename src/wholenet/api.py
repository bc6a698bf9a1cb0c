"""The verbs for Python: those that train, and those of ``trained.py`` and ``inspection.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from wholenet.cells.best_of import fit_cells, resume_cells
from wholenet.cells.retrain import resume_retrain, retrain_config
from wholenet.cells.retrain import retrain as retrain_genotype
from wholenet.checked import PlannedMinutes, checked_numbers
from wholenet.control import fit_with_control, resume_with_control
from wholenet.data.sets import Task
from wholenet.data.stream import check_workers
from wholenet.data.task import own_task_of, task_of
from wholenet.frontier import Frontier, fit_frontier, frontier_configs, is_frontier, resume_frontier
from wholenet.inspection import compare as compare
from wholenet.inspection import diagnose as diagnose
from wholenet.inspection import write_report as write_report
from wholenet.jobs.catalog import task_config
from wholenet.old_names import classify as classify
from wholenet.old_names import diagnose_search as diagnose_search
from wholenet.old_names import evaluate_classifier as evaluate_classifier
from wholenet.old_names import fit_classifier as fit_classifier
from wholenet.old_names import load_classifier as load_classifier
from wholenet.planning.plan import Plan, announced, plan_run
from wholenet.search.budgets import several
from wholenet.search.cell_config import MACHINE as CELL_MACHINE
from wholenet.search.cell_config import cell_config
from wholenet.search.cell_folder import CellFolder
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.config import fit_config, genotype_config
from wholenet.search.config_files import is_cell_run
from wholenet.search.run_folder import RunFolder
from wholenet.search.task_config import task_of_space
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.cell_tables import is_cell_space
from wholenet.spaces.genotype_file import space_of_genotype
from wholenet.trained import decode as decode
from wholenet.trained import evaluate as evaluate
from wholenet.trained import export as export
from wholenet.trained import load as load
from wholenet.trained import predict as predict


@checked_numbers
def fit(
    data: str | Path,
    out: str | Path,
    *,
    task: str | None = None,
    minutes: PlannedMinutes | None = None,
    **options: Any,
) -> Any:
    """Train a network on ``data`` (a folder, or a data set by name: "scenes"), in the new folder ``out``.

    Args:
        data: see docs/data.md for what a folder may look like.
        out: the run folder; ``load`` takes it afterwards.
        task: "segmentation", "classification", "language" or one that was registered; None is as ``space`` says, or as
            the data looks.
        minutes: on images with masks: time for the whole run, for which what is not given is chosen (docs/plans.md).
            None chooses nothing: what is not given is the paper's.
        options: any other field of ``FitConfig``, or of labelled images of ``CellConfig``; ``method`` brings its own
            values for some.

    Returns:
        On images with masks a :class:`wholenet.control.Compared`, of several budgets ("15%,30%,50%") a
        :class:`wholenet.frontier.Frontier`; on labelled images what the search found,
        :class:`wholenet.cells.search.Searched`, or of a method that searches several times
        :class:`wholenet.cells.best_of.Best`.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for an unknown option or a bad value, a folder in use, or a device that is not there; for workers
            in a script that would train again when they import it.
    """
    if task is None:
        task = own_task_of(data) or task_of_space(options.get("space", "grid"))
    masks = task in (None, "segmentation")
    if minutes is not None and (not masks or is_cell_space(options.get("space", "grid"))):
        raise ValueError(f"minutes={minutes} plans runs on images with masks; give epochs")
    if task is not None and task not in get_args(Task):
        config = task_config(str(task), data=str(data), out=str(out), **options)
        check_workers(config.workers)
        return fit_with_control(config)
    if task is None and "space" in options:
        task = "classification" if is_cell_space(options["space"]) else "segmentation"
    if (task or task_of(data)) == "classification":
        searched = cell_config(data=str(data), out=str(out), **options)
        check_workers(searched.workers)
        return fit_cells(searched)
    given = {"data": str(data), "out": str(out), **options}
    if several(given.get("budget")):
        return _fit_frontier(given, minutes)
    if minutes is None:
        config = fit_config(**given)
        check_workers(config.workers)
        return fit_with_control(config)
    console = Console()
    planned = announced(given, minutes, console)
    check_workers(planned.config().workers)
    return fit_with_control(planned.config(), console, planned.text())


def _fit_frontier(given: dict[str, Any], minutes: float | None) -> Frontier:
    configs = frontier_configs(given)
    check_workers(configs[0].workers)
    if minutes is None:
        return fit_frontier(configs)
    console = Console()
    planned = announced(given, minutes, console)
    return fit_frontier(frontier_configs(planned.options), console, planned.text())


@checked_numbers
def plan(data: str | Path, minutes: PlannedMinutes | None = None, **options: Any) -> Plan:
    """What ``fit`` would choose for images with masks, in so many ``minutes`` (None: as long as the data needs, at most
    an hour); ``options`` are those that are given. Real steps are timed for it; nothing is written.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for an unknown option or a bad value, one that says how long the run is, or too short a time.
        MemoryError: if not even two images fit into memory.
    """
    return plan_run({"data": str(data), **options}, minutes, Console(quiet=True))


def resume(run: str | Path, data: str | Path | None = None, **machine: Any) -> Any:
    """Continue the run in the folder ``run``, from here on with other settings for the machine, if any are given:
    ``device``, ``workers``, ``threads``, ``execution``, ``recompute``. ``data`` is where its data is now, if
    it was moved.

    Returns:
        What :func:`fit`, or :func:`retrain`, would have.

    Raises:
        ValueError: if there is no run, its data is gone or has changed, or another setting is given.
    """
    if is_frontier(run):
        return resume_frontier(run, data=data, **machine)
    if is_cell_run(Path(run)):
        config = CellFolder(run).config
        check_workers(machine.get("workers", config.workers))
        if others := sorted(set(machine) - set(CELL_MACHINE)):
            raise ValueError(
                f"a run is continued as it was begun, so {', '.join(others)} cannot be given with it; only "
                f"{', '.join(CELL_MACHINE)} can"
            )
        go_on = resume_retrain if isinstance(config, RetrainConfig) else resume_cells
        return go_on(run, data=data, **machine)
    check_workers(machine.get("workers", RunFolder(run).config.workers))
    return resume_with_control(run, data=data, **machine)


def retrain(genotype: str | Path, data: str | Path, out: str | Path, **options: Any) -> Any:
    """Train the discrete network of a genotype from scratch: a file; on labelled images "darts-v2", "pc-darts"
    (spaces/published_cells.py), the text ``Genotype(normal=[...], ...)`` or a string of NAS-Bench-201, on images with
    masks "autodeeplab", on text "darts-rnn-v1", "darts-rnn-v2", "enas-rnn", "lstm", "gru" or "random-rnn-0" to
    "random-rnn-99", on pairs "autodispnet" or "random-autodispnet-0" to "random-autodispnet-99".

    Returns:
        Of labelled images a :class:`wholenet.cells.retrain.Retrained`; of masks, as :func:`fit`, a
        :class:`wholenet.control.Compared`.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for an unknown option or a bad value, something that is no genotype, a folder in use.
    """
    if (space := space_of_genotype(str(genotype))) is not None:
        given = {"data": str(data), "out": str(out), "space": space, **options}
        if (task := task_of_space(space)) is not None:
            own = task_config(task, genotype=str(genotype), **given)
            check_workers(own.workers)
            return fit_with_control(own)
        own = genotype_config(str(genotype), SPACES.called(space).recipe, **given)
        check_workers(own.workers)
        return fit_with_control(own)
    config = retrain_config(genotype=str(genotype), data=str(data), out=str(out), **options)
    check_workers(config.workers)
    return retrain_genotype(config)
