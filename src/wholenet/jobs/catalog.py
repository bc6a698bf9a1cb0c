"""The tasks by name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from wholenet.checked import settings_from
from wholenet.jobs.language import LANGUAGE
from wholenet.jobs.segmentation import SEGMENTATION
from wholenet.jobs.stereo import STEREO
from wholenet.jobs.task import Counted, Task
from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.search.config import grid_parts
from wholenet.search.methods import method_called
from wholenet.search.search_config import with_interval
from wholenet.search.task_config import TaskConfig, check_apart
from wholenet.search.train_config import TrainConfig, check_given
from wholenet.spaces.catalog import SPACES, find

TASKS: Registry[Task] = Registry(
    "task", {"segmentation": SEGMENTATION, "language": LANGUAGE, "stereo": STEREO}, load_plugins
)
"""By name; :func:`wholenet.register` adds to them. Classification is the cells' own so far (``cells/``)."""


CLASSIFIED = Counted(outputs=10, size="32x32")
"""Of networks that classify, whose runs are no task's here: CIFAR-10."""


def counted_on(model: str) -> Counted:
    """On what the networks of :func:`wholenet.spaces.catalog.create_model`'s ``model`` are counted, as their task says;
    of a space for any task, as images with masks.

    Raises:
        ValueError: for an unknown name.
    """
    space, _ = find(model)
    if "classification" in space.tasks:
        return CLASSIFIED
    return task_called(next(iter(space.tasks), "segmentation")).counted


def task_called(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: if there is none; it says how one of somebody's own gets known.
    """
    return TASKS.called(name, also=["classification"])


def task_of_run(config: TrainConfig) -> Task:
    """What a run is of.

    Raises:
        ValueError: for a task that is not registered.
    """
    return task_called(config.task if isinstance(config, TaskConfig) else "segmentation")


def task_config(task: str, method: str | None = None, **given: Any) -> TaskConfig:
    """The config of ``method`` (None: single-stage, or the task's own) on a task from outside, with what is ``given``
    on top: fields of :class:`TaskConfig`, settings of the task, settings of the space.

    Raises:
        ValueError: for an unknown task, method or option, or parts that do not go together.
    """
    kind = task_called(task)
    if kind.settings is None:
        raise ValueError(f"task {task!r} has a config of its own")
    options = {field.name for field in fields(TaskConfig)}
    of_task = {field.name for field in fields(kind.settings)}
    if taken := sorted(of_task & options):
        raise ValueError(
            f"task {task!r} has a setting {taken[0]!r}, and so is called an option of every run: give the setting "
            "another name"
        )
    check_given(TaskConfig, {"method": method or "single-stage", **given})
    recipe = dict(kind.recipe(given if method is None else {"method": method, **given}))
    method = method or str(recipe.pop("method", "single-stage"))
    config: dict[str, Any] = {"task_settings": dict(given.pop("task_settings", {})), "settings": {}}
    config["settings"] |= given.pop("settings", {})
    for name, value in given.items():
        if name in options:
            config[name] = value
        else:
            config["task_settings" if name in of_task else "settings"][name] = value
    settings_from(kind.settings, config["task_settings"], f"task {task!r}")
    ours = {name: value for name, value in recipe.items() if name in options}
    settings = {name: value for name, value in recipe.items() if name not in options | of_task}
    config["settings"] = {**settings, **config["settings"]}
    config["task_settings"] = {n: v for n, v in recipe.items() if n in of_task} | config["task_settings"]
    # Of the method itself: a recipe stands below that.
    own = {} if method == "single-stage" else method_called(method).parts
    parts = {**grid_parts(method), **ours, **own}
    made = TaskConfig(**with_interval({**parts, **config, "task": task, "method": method}))
    made.check_asked()
    if made.space in SPACES:
        check_apart(task, kind.settings, made.space, SPACES[made.space].settings)
    return made
