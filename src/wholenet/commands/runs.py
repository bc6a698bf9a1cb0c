"""What the commands that train have in common: what was given for a run, and how it is shown or continued."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import yaml

from wholenet.jobs.own_settings import OF_SPACES, OF_TASKS
from wholenet.option_files import OptionFiles
from wholenet.search.config import MACHINE
from wholenet.search.config_files import options_of
from wholenet.search.search_config import RunConfig
from wholenet.search.train_config import TrainConfig
from wholenet.signatures import Shown
from wholenet.spaces.cell_tables import is_cell_space

if TYPE_CHECKING:
    from wholenet.control import Compared

Result = TypeVar("Result")
Resumed = Annotated[str | None, Shown(metavar="RUN")]
Moved = Annotated[str | None, Shown(option="data", metavar="NEW", rare=True)]
Printed = Annotated[bool, Shown(rare=True)]
Files = Annotated[OptionFiles, Shown(metavar="FILE")]


def given(
    config: type[Any],
    typed: Mapping[str, Any],
    files: OptionFiles,
    *,
    resume: str | None,
    moved: str | None,
    print_config: bool,
    beside: Sequence[str] = (),
    settings: type[Any] | None = None,
) -> dict[str, Any]:
    """What was given for a run: the options that were ``typed``, and those of ``files`` where they were not.

    Args:
        config: class of the run's config, whose fields may be given.
        typed: name -> value; None is not given.
        files: what stands in the files of options.
        resume: the run that is continued, if one is.
        moved: where its data is now.
        print_config: whether the options are only to be printed.
        beside: what else may stand in a file.
        settings: of a task from outside, the class of its settings.

    Raises:
        ValueError: for an option in a file that is unknown; for what does not go together.
    """
    if print_config and resume is not None:
        raise ValueError(f"--print-config is for a run to be; {resume}/config.yaml has what this one was told")
    if moved is not None and resume is None:
        raise ValueError(
            "--data says where the data of a moved run is, with --resume RUN; for a new run, give DATA alone"
        )
    space = typed.get("space") or files.values.get("space", "grid")
    known = [*(field.name for field in fields(config)), *beside, *settings_of(space, ours=settings is None)]
    known += [] if settings is None else [field.name for field in fields(settings)]
    found = {**files.checked(known), **{name: value for name, value in typed.items() if value is not None}}
    return {name: value for name, value in found.items() if name not in beside}


def free_folder(data: str) -> str:
    """Where a run on ``data`` goes that was not told: runs/DATA-1, or the next that is not there.

    >>> free_folder("no/such/my-data/")
    'runs/my-data-1'
    """
    name = Path(data).expanduser().resolve().name or "data"
    return next(path for n in count(1) if not Path(path := f"runs/{name}-{n}").exists())


def settings_of(space: str, *, ours: bool = True) -> list[str]:
    """Names of the settings of a space from outside; see :func:`settings_class`."""
    outside = settings_class(space, ours=ours)
    return [] if outside is None else [field.name for field in fields(outside)]


def settings_class(space: str, *, ours: bool = True) -> type[Any] | None:
    """Class of the settings of a space from outside; None of the grid, and of the cell spaces where these are options
    of ``ours``.

    Raises:
        ValueError: if there is no such space.
    """
    if space == "grid" or (ours and is_cell_space(space)):
        return None
    if space in OF_SPACES:
        return OF_SPACES[space]
    from wholenet.search.run_folder import outside_space  # imports torch

    return outside_space(space).settings


def task_settings_class(task: str) -> type[Any]:
    """Class of the settings of a task from outside.

    Raises:
        ValueError: if there is no such task.
    """
    if task in OF_TASKS:
        return OF_TASKS[task]
    from wholenet.jobs.catalog import task_called  # imports torch

    settings = task_called(task).settings
    assert settings is not None, "segmentation has a command of its own"
    return settings


def _options(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def of_machine(options: dict[str, Any], machine: Sequence[str]) -> dict[str, Any]:
    """The options of a run that is continued: those for the ``machine`` alone.

    Raises:
        ValueError: if there are others.
    """
    if changed := [name for name in options if name not in machine]:
        raise ValueError(
            f"--resume takes data and settings from the run, so {_options(changed)} cannot be given with it, only "
            f"{_options(machine)}; data that was moved is given as --data NEW"
        )
    return options


def trained(
    started: TrainConfig | str, options: dict[str, Any], moved: str | None, plan: str | None = None
) -> Compared | None:
    """Train as a config says, or go on with the run of a folder, each with its control; in all processes that torchrun
    started.

    Args:
        started: the config, or the folder.
        options: what was given; for a run that is continued those for the machine alone.
        moved: where its data is now.
        plan: how the config was chosen.

    Returns:
        What it came to, of the process that tells it; None of the others.
    """
    from wholenet.control import fit_with_control, resume_with_control  # imports torch

    if isinstance(started, TrainConfig):
        return in_all_processes(lambda: fit_with_control(started, plan=plan))
    return in_all_processes(lambda: resume_with_control(started, data=moved, **of_machine(options, MACHINE)))


def in_all_processes(work: Callable[[], Result]) -> Result | None:
    """What ``work`` comes to that all processes do that torchrun started, of the one that tells it; None of the
    others."""
    from wholenet import parallel  # imports torch

    parallel.start()
    ended = work()
    tells = parallel.is_first()
    parallel.stop()
    return ended if tells else None


def print_as_file(config: RunConfig, *but: str, **instead: Any) -> None:
    """Print a config as a file for ``--config``, without the options ``but``. ``instead``: values of some of them."""
    values = {name: value for name, value in {**options_of(config), **instead}.items() if name not in but}
    print(yaml.safe_dump(values, sort_keys=False), end="")
