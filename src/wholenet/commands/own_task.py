"""``wholenet fit`` of a task that was registered from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from wholenet.commands.fit import left_in_words
from wholenet.commands.runs import (
    Files,
    Moved,
    Printed,
    Resumed,
    free_folder,
    given,
    print_as_file,
    task_settings_class,
    trained,
)
from wholenet.data.task import own_task_of
from wholenet.option_files import NONE
from wholenet.search.task_config import SPACES_OF_TASKS, TaskConfig
from wholenet.signatures import Fields

if TYPE_CHECKING:
    from wholenet.control import Compared
    from wholenet.tasks.score import Score

OPTIONS = Fields(TaskConfig, but=("data", "out", "settings", "task", "task_settings"))


def fit_own_task(
    data: str | None = None,
    *,
    out: str | None = None,
    resume: Resumed = None,
    moved: Moved = None,
    config: Files = NONE,
    print_config: Printed = False,
    task: str | None = None,
    **options: Annotated[Any, OPTIONS],
) -> None:
    """Train a network of another task: language, stereo, or one that was registered from outside.

    Args:
        data: What the task opens: a file or a folder.
        out: Run folder to create; default: runs/DATA-1, and so on.
        resume: Continue the run in this folder.
        moved: With --resume: where its data is now, if it was moved.
        config: YAML file with any of these options; repeatable, the last wins. What is typed wins over all.
        print_config: Only print what all options come to, as a file for --config.
        task: The task, by its name.
    """
    where = data or config.values.get("data")
    looks = own_task_of(where) if isinstance(where, str) else None
    name = str(task or config.values.get("task") or looks or "language")
    if name in SPACES_OF_TASKS and resume is None and not (options.get("space") or config.values.get("space")):
        options["space"] = SPACES_OF_TASKS[name]
    settings = None if resume is not None else task_settings_class(name)
    found = given(
        TaskConfig,
        {"data": data, "out": out, **options},
        config,
        resume=resume,
        moved=moved,
        print_config=print_config,
        beside=["task"],
        settings=settings,
    )
    from wholenet.jobs.catalog import task_config, task_of_run  # imports torch
    from wholenet.search.run_folder import RunFolder

    if print_config:
        print_as_file(task_config(name, **{"data": "", "out": "", **found}))
        return
    if resume is None and "data" not in found:
        raise ValueError(f"give the data: `wholenet fit DATA --task {name}`")
    if resume is None:
        found.setdefault("out", free_folder(str(found["data"])))
    started = task_config(name, **found) if resume is None else resume
    if (compared := trained(started, found, moved)) is not None:
        tell(compared, task_of_run(RunFolder(compared.learned.run).config).score)


def tell(compared: Compared, score: Score) -> None:
    """Print what a run came to, and what to open."""
    from wholenet.search.read_run import read_run  # imports torch

    learned = compared.learned
    found = {"validation": f"{score.say(learned.scores)}   {learned.run}"}
    if compared.uniform is not None:
        found["frozen-uniform"] = f"{score.say(compared.uniform.scores)}   {compared.uniform.run}"
    if learned.floors:
        found |= {name: score.say(value) for name, value in learned.floors.items()}
    elif learned.constant is not None:
        found["best constant"] = score.say(learned.constant)
    own = read_run(learned.run).results[0]
    if "whole_macs" in own:
        found["multiply-adds"] = left_in_words(own).lstrip()
    width = max(15, *map(len, found))
    print()
    for name, value in found.items():
        print(f"{name:{width}}  {value}")
    for picture in ("architecture", "left", "curves", "entropy", "surprise", "disparity"):
        if (path := learned.run / f"{picture}.png").exists():
            print(f"open {path}")
