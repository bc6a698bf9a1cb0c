"""``wholenet retrain`` of a genotype whose network is of another task than images with masks or labels."""

from __future__ import annotations

from typing import Annotated, Any

from wholenet.commands.own_task import tell
from wholenet.commands.retrain_masks import space_to_retrain
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
from wholenet.search.train_config import OF_SEARCH
from wholenet.signatures import Fields

NOT_ASKED = ("data", "out", "genotype", "space", "settings", "task", "task_settings", "control", "architecture")
NOT_ASKED += ("protocol", "decoding", "decoding_tau", "retrain_epochs", *sorted(OF_SEARCH))
OPTIONS = Fields(TaskConfig, but=NOT_ASKED)


def retrain_task(
    genotype: str | None = None,
    data: str | None = None,
    *,
    out: str | None = None,
    resume: Resumed = None,
    moved: Moved = None,
    config: Files = NONE,
    print_config: Printed = False,
    **options: Annotated[Any, OPTIONS],
) -> None:
    """Train the network of a genotype from scratch, on the data of its task: a recurrent cell on a text, a network for
    disparity on pairs.

    Args:
        genotype: Genotype file that `wholenet decode` wrote, or one by name. Of text: darts-rnn-v1, darts-rnn-v2,
            enas-rnn; as controls lstm, gru, random-rnn-0 to random-rnn-99. Of pairs: autodispnet, and as controls
            random-autodispnet-0 to random-autodispnet-99; give the --size that was searched.
        data: What `wholenet fit` takes for the task: of text a file, or a folder with train.txt, valid.txt and
            test.txt; of pairs a folder, or a data set by name.
        out: Run folder to create; default: runs/DATA-1, and so on.
        resume: Continue the run in this folder.
        moved: With --resume: where its data is now, if it was moved.
        config: YAML file with any of these options; repeatable, the last wins. What is typed wins over all.
        print_config: Only print what all options come to, as a file for --config.
    """
    looks = own_task_of(data) if isinstance(data, str) else None
    space = space_to_retrain(genotype, resume) or SPACES_OF_TASKS[looks or "language"]
    task = next(name for name, own in SPACES_OF_TASKS.items() if own == space)
    typed = {"data": data, "out": out, **options} | ({"space": space} if resume is None else {})
    settings = None if resume is not None else task_settings_class(task)
    found = given(TaskConfig, typed, config, resume=resume, moved=moved, print_config=print_config, settings=settings)
    from wholenet.jobs.catalog import task_called, task_config  # imports torch

    if resume is not None:
        ended = trained(resume, found, moved)
    else:
        if print_config:
            print_as_file(
                task_config(task, **{"data": "", "out": "", "genotype": genotype, **found}), "genotype", "task"
            )
            return
        if genotype is None or "data" not in found:
            raise ValueError("give a genotype and the data: `wholenet retrain GENOTYPE DATA`")
        found.setdefault("out", free_folder(str(found["data"])))
        ended = trained(task_config(task, genotype=genotype, **found), found, moved)
    if ended is not None:
        tell(ended, task_called(task).score)
