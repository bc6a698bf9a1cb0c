"""What a run of a task from outside is told. Imports no torch: the command line reads it."""

from __future__ import annotations

import dataclasses
from typing import Any

from wholenet.checked import checked
from wholenet.files import shown
from wholenet.search.budget_config import WITH_ANY_BUDGET, WITH_REMOVAL
from wholenet.search.option_budget import OptionBudget
from wholenet.search.protocols import plan_phases, refuse_shrinking
from wholenet.search.train_config import TrainConfig

SPACES_OF_TASKS = {"language": "recurrent", "stereo": "autodispnet"}
"""The space of a task where none is named."""


def task_of_space(space: str) -> str | None:
    """The task whose space this is where none is named; None of spaces of other tasks."""
    return next((task for task, own in SPACES_OF_TASKS.items() if own == space), None)


WITH_BUDGET = {
    "protocol": ("single-stage", "another protocol leaves another network"),
    "ema": WITH_REMOVAL["ema"],
    **WITH_ANY_BUDGET,
}
"""Fields of these runs that have one value with a budget, and why no other."""


@checked
class TaskConfig(TrainConfig, OptionBudget):
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
        refuse_shrinking(self.protocol, ("single-stage (which takes a budget)", "two-stage"))
        super().__post_init__()
        self.check_option_budget(plan_phases(self), WITH_BUDGET)

    def check_asked(self) -> None:
        """Make sure that nothing is asked of a new run that would do nothing: of a search, or of a budget.

        Raises:
            ValueError: naming what is not.
        """
        super().check_asked()
        self.check_option_budget_asked()


def check_apart(task: str, of_task: type[Any], space: str, of_space: type[Any]) -> None:
    """Make sure that no setting of a task is called as one of a space: both are options of one run.

    Raises:
        ValueError: naming the first that is.
    """
    both = {field.name for field in dataclasses.fields(of_task)} & {f.name for f in dataclasses.fields(of_space)}
    if both:
        raise ValueError(
            f"task {task!r} and space {space!r} both have a setting {min(both)!r}, and a run of both has one option of "
            "that name: give one of them another name"
        )
