"""What a run of a task from outside is told. Imports no torch: the command line reads it."""

from __future__ import annotations

import dataclasses
from typing import Any

from wholenet.checked import checked
from wholenet.files import shown
from wholenet.search.train_config import TrainConfig

SPACES_OF_TASKS = {"language": "recurrent", "stereo": "autodispnet"}
"""The space of a task where none is named."""


def task_of_space(space: str) -> str | None:
    """The task whose space this is where none is named; None of spaces of other tasks."""
    return next((task for task, own in SPACES_OF_TASKS.items() if own == space), None)


@checked
class TaskConfig(TrainConfig):
    """A run of a task that was registered from outside (docs/extending.md), on any space that takes it."""

    task: str
    """The task, by its name."""
    task_settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of the task, its own settings."""

    def __post_init__(self) -> None:
        if self.space == "grid":
            own = SPACES_OF_TASKS.get(self.task)
            give = "give one" if own is None else f"leave it out, or give {own!r}"
            raise ValueError(
                f"space='grid' is for segmentation; task={shown(self.task)} needs a space that takes it: {give}"
            )
        super().__post_init__()
