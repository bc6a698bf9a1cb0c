"""What decides how the rest of a command line is read: modules to import, files of options, the task and the space.

A parser of these alone takes them in a first pass; what is left is for the parser of the command.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args

from wholenet.commands.catalog import CLASSIFICATION, COMMANDS, RETRAIN_MASKS, RETRAIN_TASK, commands_for
from wholenet.commands.retrain_masks import space_to_retrain
from wholenet.data.sets import DATA_SETS, Task
from wholenet.data.task import own_task_of, task_of
from wholenet.files import read_yaml, shown
from wholenet.jobs.own_settings import OF_TASKS
from wholenet.option_files import NONE, OptionFiles, read_option_files
from wholenet.search.config_files import is_cell_run
from wholenet.search.task_config import SPACES_OF_TASKS, task_of_space
from wholenet.signatures import config_of, option_names
from wholenet.spaces.cell_tables import is_cell_space


@dataclass(frozen=True)
class Asked:
    """What was found in the first pass."""

    words: list[str]
    """What it left."""
    files: OptionFiles = NONE
    """Of ``--config``."""
    task: str = "segmentation"
    """Of ``wholenet fit``."""
    space: str = "grid"


class _FirstPass(argparse.ArgumentParser):
    """Takes the options that it has, and leaves the rest."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise it, for who calls knows the command."""
        raise ValueError(message)


def named_modules(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The modules of ``--import MODULE``, and the other words.

    Raises:
        ValueError: if no module follows.
    """
    first = _FirstPass()
    first.add_argument("--import", dest="modules", action="append", default=[])
    found, left = first.parse_known_args(words)
    return found.modules, left


def asked(words: Sequence[str]) -> Asked:
    """What ``words`` ask for that trains: the files of options, and of `wholenet fit` task and space: as `--task` or
    `--space` says, typed or in a file, as the run is that `--resume` names, or as the data looks.

    Raises:
        ValueError: for a file that cannot be read, or a task or a space that is none.
        DataError: if the data looks like both tasks.
    """
    if not words or words[0] not in COMMANDS or config_of(COMMANDS[words[0]]) is None:
        return Asked(list(words))
    first = _FirstPass()
    first.add_argument("--config", action="append", default=[])
    found, left = first.parse_known_args(words)
    files = read_option_files(found.config)
    if words[0] == "retrain":
        typed, bare = _typed("retrain", left)
        genotype = bare[0] if bare else None
        space = space_to_retrain(genotype, typed.get("resume"))
        if space is None and (of_data := next(filter(None, map(own_task_of, bare[1:])), None)) is not None:
            space = SPACES_OF_TASKS[of_data]  # which says what is wrong with the genotype
        if space is None:
            return Asked(left, files)
        own = task_of_space(space)
        return Asked(left, files, RETRAIN_MASKS if own is None else RETRAIN_TASK + own, space)
    if words[0] not in CLASSIFICATION:
        return Asked(left, files)
    return Asked(left, files, *_task_and_space(words[0], left, files))


def _task_and_space(command: str, words: Sequence[str], files: OptionFiles) -> tuple[str, str]:
    typed, bare = _typed(command, words)
    found = {**files.values, **typed}
    space = found.get("space") or SPACES_OF_TASKS.get(str(found.get("task")), "grid")
    if not isinstance(space, str):
        raise ValueError(f"space={shown(space)}: expected a name")
    if "task" in found:
        return _task_called(found["task"]), space
    if "resume" in typed and "space" not in found:
        task = task_of_folder(Path(typed["resume"]))
        return task, SPACES_OF_TASKS.get(task, "grid")
    in_file = files.values.get("data")
    candidates = [*bare, in_file] if isinstance(in_file, str) else bare
    own = next(filter(None, map(own_task_of, candidates)), None) or task_of_space(space)
    if own is not None:  # which refuses a space that is of another task
        return own, space if "space" in found else SPACES_OF_TASKS[own]
    if "space" in found:
        return "classification" if is_cell_space(space) else "segmentation", space
    data = next((word for word in candidates if word in DATA_SETS or Path(word).is_dir()), None)
    return "segmentation" if data is None else task_of(data), space


def _task_called(name: Any) -> str:
    """The name of a task, one of ours or one that was registered.

    Raises:
        ValueError: if there is none of that name.
    """
    if name in (*get_args(Task), *OF_TASKS):
        return name
    if not isinstance(name, str):
        raise ValueError(f"task={shown(name)}: expected {' or '.join(get_args(Task))}, or one that was registered")
    from wholenet.jobs.catalog import task_called  # imports torch

    return task_called(name).name


def task_of_folder(run: Path) -> str:
    """What the run in a folder is of; segmentation where there is none, which is said later."""
    if is_cell_run(run):
        return "classification"
    config = run / "config.yaml"
    values = read_yaml(config) if config.is_file() else None
    return str(values["task"]) if isinstance(values, dict) and "task" in values else "segmentation"


def _typed(command: str, words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The options that were typed of any task, with their values, and the words that are no value of an option.

    What is no good among them is left for the parser of the command to say.
    """
    first = _FirstPass()
    names = [
        name
        for task in (*get_args(Task), "", RETRAIN_MASKS, RETRAIN_TASK)
        for name in option_names(commands_for(task)[command])
    ]
    for name in dict.fromkeys(names):
        first.add_argument(f"--{name}", nargs="?", default=argparse.SUPPRESS)
    found, left = first.parse_known_args(words[1:])
    given = {name: value for name, value in vars(found).items() if value}
    return given, [word for word in left if not word.startswith("-")]
