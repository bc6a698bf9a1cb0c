"""Run a study by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from wholenet.data.cityscapes import CITYSCAPES
from wholenet.data.detect import open_data
from wholenet.data.sets import place_of
from wholenet.data.task import how_read, may_be_labelled, own_task_of
from wholenet.files import check_output
from wholenet.report.data_check import printable
from wholenet.report.progress import plain
from wholenet.studies.budget import budget
from wholenet.studies.catalog import CATALOG
from wholenet.studies.control import control, length
from wholenet.studies.figure_2 import figure_2
from wholenet.studies.figure_3 import figure_3
from wholenet.studies.figure_4 import figure_4
from wholenet.studies.pays import pays
from wholenet.studies.pays_further import pays_further
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, result_files, write_result
from wholenet.studies.robust_darts import robust_darts
from wholenet.studies.robust_task import robust_task
from wholenet.studies.setting import CellSetting, Setting
from wholenet.studies.spaces import spaces
from wholenet.studies.table_1 import table_1
from wholenet.studies.table_2 import table_2
from wholenet.studies.table_3 import table_3
from wholenet.studies.table_4 import table_4
from wholenet.studies.table_6 import table_6
from wholenet.studies.table_7 import table_7
from wholenet.studies.task_setting import TaskSetting

STUDIES: Mapping[str, Callable[[Setting, Pool], Result]] = {
    "table-1": table_1,
    "table-2": table_2,
    "table-3": table_3,
    "table-4": table_4,
    "table-6": table_6,
    "table-7": table_7,
    "figure-2": figure_2,
    "figure-3": figure_3,
    "control": control,
    "length": length,
    "budget": budget,
    "pays": pays,
    "pays-further": pays_further,
}


CELL_STUDIES: Mapping[str, Callable[[CellSetting, Pool], Result]] = {
    "figure-4": figure_4,
    "robust-darts": robust_darts,
    "spaces": spaces,
}
"""Those on labelled images."""
TASK_STUDIES: Mapping[str, Callable[[TaskSetting, Pool], Result]] = {"robust-darts": robust_task}
"""Those that are also on tasks with a table of their own."""


def study(
    name: str, setting: Setting | CellSetting | TaskSetting, console: Console | None = None
) -> tuple[Result, Path]:
    """Run the study ``name``; returns what it found and the page that was written.

    Raises:
        ValueError: for an unknown study (the known ones are listed), data that the paper's protocol is not about, a
            folder that cannot be written to, or where a run of it fails.
        DataError: for data that cannot be trained on.
    """
    if name not in CATALOG:
        raise ValueError(f"unknown study {name!r}; known: {', '.join(CATALOG)}")
    kinds = {"CellSetting": CELL_STUDIES, "Setting": STUDIES, "TaskSetting": TASK_STUDIES}
    if name not in kinds[type(setting).__name__]:
        expected = [kind for kind, studies in kinds.items() if name in studies]
        raise ValueError(f"study {name} takes a {' or a '.join(expected)}")
    for path in result_files(name, setting):
        check_output(path)
    console = console or Console()
    setting = replace(setting, data=place_of(setting.data))  # a run is known by it: from wherever the study is called
    if setting.labelled is not None:
        if not may_be_labelled(setting.labelled):
            raise ValueError(f"--labelled {setting.labelled}: no labelled images there; give CIFAR10, or leave it out")
        setting = replace(setting, labelled=place_of(setting.labelled))
    _ = setting.example  # a bad --set is refused here
    pool = Pool(setting.out / "runs", setting.parallel, console)
    if isinstance(setting, TaskSetting):
        result = TASK_STUDIES[name](setting, pool)
    else:
        _check_images(name, setting)
        task = "classification" if isinstance(setting, CellSetting) else "segmentation"
        plain(console)(printable(how_read(setting.data, task)))
        result = CELL_STUDIES[name](setting, pool) if isinstance(setting, CellSetting) else STUDIES[name](setting, pool)
    page, _ = write_result(result, name, setting)
    return result, page


def _check_images(name: str, setting: Setting | CellSetting) -> None:
    """Make sure that the study ``name`` can be about the data.

    Raises:
        ValueError: if it cannot.
        DataError: if it cannot be opened.
    """
    task = "classification" if isinstance(setting, CellSetting) else "segmentation"
    if (own := own_task_of(setting.data)) is not None:
        of = "labelled images" if task == "classification" else "images with masks"
        raise ValueError(f"study {name} is about {of}, and {how_read(setting.data, own)}; give other --data")
    if task == "classification" and not may_be_labelled(setting.data):
        raise ValueError(f"study {name} searches on labelled images; {setting.data} has none: give --data CIFAR10")
    if task == "segmentation" and name != "table-3":  # which counts and trains nothing
        names = open_data(setting.data).classes.names
        if setting.scale == "paper" and names != CITYSCAPES.names:
            raise ValueError(
                f"--scale paper is the paper's protocol on Cityscapes, but {setting.data} has the classes "
                f"{', '.join(names)}; give --data CITYSCAPES, or use --scale gpu or cpu"
            )
