"""One run of a sweep: its options, its folder, and whether what is in the folder is this run."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from wholenet.data.sets import Task
from wholenet.data.task import own_task_of, task_of
from wholenet.files import read_yaml, shown
from wholenet.jobs.catalog import task_called, task_config
from wholenet.search.cell_config import MACHINE as CELL_MACHINE
from wholenet.search.cell_config import CellConfig, cell_config
from wholenet.search.config import MACHINE, FitConfig, fit_config, grid_methods
from wholenet.search.methods import METHODS
from wholenet.search.run_folder import outside_space, space_of
from wholenet.search.task_config import SPACES_OF_TASKS, TaskConfig, task_of_space
from wholenet.spaces.cell_family import family_of
from wholenet.spaces.cell_tables import is_cell_space

TASKS = (*get_args(Task), *SPACES_OF_TASKS)
PLACES = ("data", "out")
"""Fields of a config that are not options."""
PARTS = ("settings", "task", "task_settings")
"""Fields of a task's config whose parts are."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep."""

    name: str
    """Of its folder: the name of its option set, and what the grid varies."""
    path: Path
    """Its folder."""
    group: str
    """Its name without the seed: runs of one group are one configuration."""
    task: str
    """Of ``TASKS``."""
    given: Mapping[str, Any]
    """The options that it is given."""
    config: FitConfig | CellConfig | TaskConfig
    """All of them, checked."""

    @property
    def settings(self) -> Path:
        """Where it is written what the run was started with, beside its folder."""
        return self.path.with_name(f"{self.name}.yaml")

    @property
    def done(self) -> bool:
        """Whether it was finished, in this call or before."""
        return (self.path / "done").exists()

    @property
    def begun(self) -> bool:
        """Whether there is something to continue."""
        return (self.path / "config.yaml").exists()

    def record(self) -> dict[str, Any]:
        """What is written there."""
        return {"data": self.config.data, "task": self.task, **self.given}

    def start(self) -> list[str]:
        """What comes behind ``wholenet`` to start this run."""
        places = [self.config.data, f"--out={self.path}", f"--task={self.task}"]
        return ["fit", *places, *_words(self.given)]

    def resume(self) -> list[str]:
        """What comes behind ``wholenet`` to continue it, with the machine's settings as they are now."""
        machine = {name: value for name, value in self.given.items() if name in self.machine}
        return ["fit", f"--resume={self.path}", *_words(machine)]

    def arguments(self) -> list[str]:
        """The one or the other."""
        return self.resume() if self.begun else self.start()

    @property
    def machine(self) -> Sequence[str]:
        """Options that may be others when it is continued."""
        return CELL_MACHINE if self.task == "classification" else MACHINE


def planned(path: Path, group: str, given: Mapping[str, Any], data: str) -> PlannedRun:
    """The run in the folder ``path`` with the options ``given``, checked.

    Raises:
        ValueError: for an unknown option (those near it are named), or a value that does not do.
    """
    try:
        task = _task(given, data)
        kind = {"segmentation": FitConfig, "classification": CellConfig}.get(task, TaskConfig)
        known = [f.name for f in fields(kind) if f.name not in (*PLACES, *PARTS)]
        space = given.get("space", SPACES_OF_TASKS.get(task, "grid"))
        if space != "grid" and not is_cell_space(space):
            known += [f.name for f in fields(outside_space(space).settings)]
        known += _settings_of(task)
        options = {name: value for name, value in given.items() if name != "task"}
        _refuse_unknown(options, [*known, *({"space", "method"} - set(known))])
        hints = get_type_hints(kind)
        options = {name: _number(value, hints.get(name, str)) for name, value in options.items()}
        if (
            isinstance(options.get("genotype"), str) and Path(options["genotype"]).suffix
        ):  # no name of one; as the data: from wherever the sweep is called
            options["genotype"] = str(Path(options["genotype"]).expanduser().resolve())
        config = _config(task, options, data, path)
        if not isinstance(config, CellConfig):
            space_of(config)
        else:
            family_of(config.space).check(config.table)
    except ValueError as error:
        raise ValueError(f"run {path.name}: {error}") from error
    return PlannedRun(path.name, path, group, task, options, config)


def check_folder(run: PlannedRun) -> None:
    """Make sure that the folder of a run is free, or holds this run.

    Raises:
        ValueError: if it holds something else; the options that differ are named.
    """
    if not run.begun:
        if run.path.is_symlink() or (run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir()))):
            raise ValueError(f"{run.path} is there, and no run of a sweep; remove it, or choose another out")
        return
    if not run.settings.is_file():
        raise ValueError(
            f"{run.path} holds a run that no sweep started ({run.settings.name} is not beside it); choose another out"
        )
    before = read_yaml(run.settings)
    if not isinstance(before, dict):
        raise ValueError(f"{run.settings} holds {shown(before)}; expected the options of {run.path}")
    data = before.pop("data", run.config.data)
    started = planned(run.path, run.group, before, data)
    then = {"data": data, "task": started.task, **asdict(started.config), "out": ""}
    now = {"data": run.config.data, "task": run.task, **asdict(run.config), "out": ""}
    different = [name for name in now if name not in run.machine and then.get(name) != now[name]]
    if different:
        listed = ", ".join(f"{n}={shown(then.get(n))} then, {shown(now[n])} now" for n in different)
        raise ValueError(
            f"{run.path} was started with other options: {listed}. Put them back, choose another out, or remove the run"
        )


def write_settings(run: PlannedRun) -> None:
    """Write what a run is about to be started with, for :func:`check_folder` of later calls."""
    run.settings.parent.mkdir(parents=True, exist_ok=True)
    run.settings.write_text(yaml.safe_dump(run.record(), sort_keys=False))


# ---- options


def _task(given: Mapping[str, Any], data: str) -> str:
    """As `wholenet fit` decides it."""
    if "task" in given:
        if given["task"] not in TASKS:
            raise ValueError(f"task is {shown(given['task'])}; expected {' or '.join(TASKS)}")
        return given["task"]
    if (own := own_task_of(data) or task_of_space(given.get("space", "grid"))) is not None:
        return own
    if "space" in given:
        return "classification" if is_cell_space(given["space"]) else "segmentation"
    return task_of(data)


def _settings_of(task: str) -> list[str]:
    """Names of the settings that a task has of its own."""
    if task not in SPACES_OF_TASKS:
        return []
    kind = task_called(task).settings
    return [] if kind is None else [f.name for f in fields(kind)]


def _config(task: str, given: Mapping[str, Any], data: str, out: Path) -> FitConfig | CellConfig | TaskConfig:
    if task in SPACES_OF_TASKS:
        return task_config(task, data=data, out=str(out), **given)
    return (_fit_config if task == "segmentation" else _cell_config)(given, data, out)


def _fit_config(given: Mapping[str, Any], data: str, out: Path) -> FitConfig:
    values = dict(given)
    if not isinstance(values.get("method", ""), str):
        raise ValueError(f"method is {shown(values['method'])}; expected one of {', '.join(grid_methods())}")
    return fit_config(data=data, out=str(out), **values)


def _cell_config(given: Mapping[str, Any], data: str, out: Path) -> CellConfig:
    values = dict(given)
    method = values.pop("method", "darts")
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method is {shown(method)}; expected one of {', '.join(METHODS)}")
    return cell_config(method, data=data, out=str(out), **values)


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
            raise ValueError(f"unknown option {shown(name)}; {hint}")


def _number(value: Any, kind: Any) -> Any:
    """A number that was written as text ("0.1"), where text is no value."""
    kinds = get_args(kind) or (kind,)
    if not isinstance(value, str) or float not in kinds or str in kinds:
        return value
    try:
        return float(value)
    except ValueError:
        return value  # the config says what is wrong with it


def as_text(value: Any) -> str:
    """An option's value as it is typed."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _words(options: Mapping[str, Any]) -> list[str]:
    """Options as they are typed; None is what all that allow it are by default."""
    return [f"--{name}={as_text(value)}" for name, value in options.items() if value is not None]
