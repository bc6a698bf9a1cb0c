"""What an option is of, that a command does not have as it was asked: another space, another task, another command.

Imports torch, and is imported where a command line is wrong.
"""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from wholenet.commands.catalog import COMMANDS, RETRAIN_MASKS, RETRAIN_TASK, commands_for
from wholenet.data.sets import Task
from wholenet.data.task import READ_AS
from wholenet.search.config import GRID_ALONE
from wholenet.signatures import config_of, setting_names
from wholenet.spaces.catalog import SPACES

PLANS = ("minutes", "plan_only")
"""Options of `fit` that let a run be planned."""


def of_something_else(option: str, command: str, task: str, space: str) -> str | None:
    """A sentence that says what has the option, and what was asked for; None where nothing has it.

    Args:
        option: as it is typed, ``--sampled-links``.
        command: the command that does not have it.
        task: what it was asked for, as ``commands_for`` takes it.
        space: likewise.
    """
    name = option.lstrip("-").replace("-", "_")
    if command == "retrain" and name in ("space", "task"):
        return f"What is trained is of the space that its genotype says: leave {option} out"
    if command == "fit" and (spaces := _spaces_with(name, task) - {space}):
        return f"{option} is of the space{'s' * (len(spaces) > 1)} {', '.join(sorted(spaces))}, not of {space}"
    others = (other for other in get_args(Task) if other != task)
    if command == "fit" and (other := next((o for o in others if name in _options("fit", o)), None)) is not None:
        plans = "; give --epochs: such runs are not planned" if name in PLANS else ""
        return f"{option} is for {READ_AS[other]}, not for {READ_AS.get(task, task)}{plans}"
    if command == "retrain":
        of = task.removeprefix(RETRAIN_TASK) if task.startswith(RETRAIN_TASK) else "classification"
        searched = "segmentation" if task == RETRAIN_MASKS else of
        if name in _options("fit", searched):
            return f"{option} is about a search, of `wholenet fit`; the network of a genotype has nothing to search"
    return None


def _spaces_with(name: str, task: str) -> set[str]:
    """Spaces of a task that have a setting of this name, or options of their own called so."""
    found = {one.name for one in SPACES.values() if task in one.tasks and name in _names(one.settings)}
    return found | ({"grid"} if task == "segmentation" and name in GRID_ALONE else set())


def _names(settings: type) -> set[str]:
    return {field.name for field in fields(settings)}


def _options(command: str, task: str) -> set[str]:
    """Options of a command, where it is asked for a task."""
    found = commands_for(task)[command] if task in READ_AS else COMMANDS[command]
    config = config_of(found)
    return setting_names(found) - (set() if config is None else set(config.but))
