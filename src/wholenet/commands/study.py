"""``wholenet study``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from wholenet.checked import Count, Jobs
from wholenet.commands.assignments import Assignments, assigned
from wholenet.files import read_text
from wholenet.search.cell_config import CellConfig
from wholenet.search.config import FitConfig
from wholenet.signatures import Shown
from wholenet.studies.catalog import CATALOG, CELL_STUDIES, TASKS_OF_STUDIES
from wholenet.studies.setting import CellSetting, Scale, Setting

if TYPE_CHECKING:
    from wholenet.studies.task_setting import TaskSetting

TASKS = sorted({task for tasks in TASKS_OF_STUDIES.values() for task in tasks})


def study(
    name: Annotated[str, Shown(choices=CATALOG)],
    *,
    task: Annotated[str | None, Shown(choices=TASKS)] = None,
    scale: Scale = "cpu",
    data: str | None = None,
    seeds: Count = 3,
    out: str,
    jobs: Jobs = 0,
    make_coarse: bool = False,
    labelled: str | None = None,
    overrides: Assignments = (),
) -> None:
    """Rerun a table or figure of the papers, their numbers beside ours.

    Args:
        name: Which one.
        task: Of robust-darts: what is searched for; default: classification.
        scale: Half an hour, hours, the paper's way.
        data: Folder with images and masks; default: "scenes". Or with labelled images.
        seeds: Runs of every arm.
        out: Folder for results and runs; finished runs there are used.
        jobs: Runs at the same time; 0: a CPU core each, or one on a GPU.
        make_coarse: Make coarse annotations out of the fine ones.
        labelled: Labelled images, for the ends of DARTS' rows in table-1.
        overrides: An option of fit for every run; repeatable.
    """
    if labelled is not None and name != "table-1":
        raise ValueError(f"--labelled is of table-1; study {name} has no rows for it: leave it out")
    setting = _setting(name, task, data, make_coarse, overrides)(
        scale=scale, out=Path(out), seeds=seeds, jobs=jobs, make_coarse=make_coarse, labelled=labelled
    )
    from wholenet import parallel
    from wholenet.studies.study import study  # imports torch

    parallel.refuse_several("studies")

    result, page = study(name, setting)
    print()
    print(read_text(page))
    print(f"open {page}")
    if result.figure:
        print(f"open {setting.out / result.figure}")


def _setting(
    name: str, task: str | None, data: str | None, make_coarse: bool, overrides: Sequence[str]
) -> Callable[..., Setting | CellSetting | TaskSetting]:
    """What makes the setting of a study, once all that is asked of every study is known.

    Raises:
        ValueError: for a task that the study is not on, or data that is missing.
    """
    tasks = TASKS_OF_STUDIES.get(name, ())
    if task is not None and task not in tasks:
        raise ValueError(
            f"study {name} is on {'labelled images' if name in CELL_STUDIES else 'images with masks'}; leave --task out"
        )
    if task is not None and task != tasks[0]:
        if data is None or make_coarse:
            raise ValueError(f"study {name} --task {task}: give its --data, without --make-coarse")
        from wholenet.studies.task_setting import TaskSetting  # imports torch

        given = tuple(assigned(text) for text in overrides)
        return partial(TaskSetting, task=task, data=data, overrides=given)
    cells = name in CELL_STUDIES
    if cells and (data is None or make_coarse):
        other = "".join(f", or --task {task} with data of its own" for task in tasks[1:])
        raise ValueError(f"study {name} searches on labelled images: give --data CIFAR10, without --make-coarse{other}")
    config = CellConfig if cells else FitConfig
    given = tuple(assigned(text, _changeable(config)) for text in overrides)
    return partial(CellSetting if cells else Setting, data=data or "scenes", overrides=given)


def _changeable(config: type[FitConfig] | type[CellConfig]) -> Sequence[str]:
    """Options that a study leaves to its user."""
    return [field.name for field in fields(config) if field.name not in ("data", "out", "seed")]
