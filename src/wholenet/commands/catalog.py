"""All commands by name, in the order in which ``wholenet --help`` lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from wholenet.commands.bench import bench
from wholenet.commands.check_data import check_data
from wholenet.commands.compare import compare
from wholenet.commands.decode import decode
from wholenet.commands.device_table import device_table
from wholenet.commands.diagnose import diagnose
from wholenet.commands.evaluate import evaluate
from wholenet.commands.export import export
from wholenet.commands.fit import fit
from wholenet.commands.info import info
from wholenet.commands.own_task import fit_own_task
from wholenet.commands.predict import predict
from wholenet.commands.push import push
from wholenet.commands.report import report
from wholenet.commands.retrain import retrain
from wholenet.commands.retrain_masks import retrain_masks
from wholenet.commands.retrain_task import retrain_task
from wholenet.commands.search import search
from wholenet.commands.shrink import shrink
from wholenet.commands.study import study
from wholenet.commands.sweep import sweep
from wholenet.data.sets import Task

COMMANDS: dict[str, Callable[..., None]] = {
    "check-data": check_data,
    "fit": fit,
    "retrain": retrain,
    "evaluate": evaluate,
    "predict": predict,
    "diagnose": diagnose,
    "report": report,
    "compare": compare,
    "decode": decode,
    "shrink": shrink,
    "study": study,
    "sweep": sweep,
    "export": export,
    "push": push,
    "bench": bench,
    "device-table": device_table,
    "info": info,
}
CLASSIFICATION: dict[str, Callable[..., None]] = {"fit": search}
"""What is another command where images are classified."""
MASKS: dict[str, Callable[..., None]] = {"retrain": retrain_masks}
"""What is another command where images are segmented, by a network that no search made."""
RETRAIN_MASKS = "retrain masks"
"""What is asked then, in the place of a task."""


OWN_TASK: dict[str, Callable[..., None]] = {"retrain": retrain_task}
"""What is another command where a task has a space of its own: language, for instance."""
RETRAIN_TASK = "retrain "
"""What is asked then, followed by the task."""


def commands_for(task: str) -> dict[str, Callable[..., None]]:
    """The commands, where ``fit`` is asked for this task; or ``retrain`` for masks, or such a task."""
    if task == RETRAIN_MASKS:
        return COMMANDS | MASKS
    if task.startswith(RETRAIN_TASK):
        return COMMANDS | OWN_TASK
    if task in get_args(Task):
        return COMMANDS | (CLASSIFICATION if task == "classification" else {})
    return COMMANDS | {"fit": fit_own_task}
