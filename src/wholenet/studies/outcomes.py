"""What the runs of a study came to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wholenet.jobs.catalog import task_of_run
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.cost import run_macs
from wholenet.search.folder import Folder
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.run_folder import RunFolder
from wholenet.studies.processes import why_diverged
from wholenet.tasks.score import ERROR


def outcome(run: Folder) -> str:
    """What to say of a finished run: its error, or the score of its task."""
    if isinstance(run, CellFolder):
        return ERROR.say(error(run))
    assert isinstance(run, RunFolder)
    score = task_of_run(run.config).score
    return score.say(run.records()[-1][score.name])


def final_miou(run: RunFolder) -> float:
    """Validation mIoU at the end of a finished run, in [0, 1]."""
    return run.records()[-1]["miou"]


def seconds(run: RunFolder) -> float:
    """Time that training took, first stage included if there are two; validation is not counted."""
    first_stage = RunFolder(run.search).training_seconds() if PROTOCOLS[run.config.protocol].retrains else 0
    return run.training_seconds() + first_stage


def training_tmacs(run: RunFolder) -> float:
    """Multiply-adds of its training, in millions of millions, first stage included if there are two."""
    return run_macs(run) / 1e12


def result(run: CellFolder) -> dict[str, Any]:
    """What a finished run found.

    Raises:
        ValueError: if it is not finished, or its result is damaged.
    """
    found = run.result()
    if found is None:
        raise ValueError(f"{run.path} is not finished; continue it with `{run.resume_command}`")
    return found


def error(run: CellFolder) -> float:
    """The error of a run, in [0, 1]: of a search the supernet's, of several that of the genotype that was kept, after
    its short training; of a training on the test split; all of it, if it
    diverged."""
    if diverged(run):
        return 1.0
    found = result(run)
    return found["error"] if isinstance(run.config, CellConfig) else found["test_error"]


def diverged(run: Folder) -> bool:
    """Whether a run is over without a result, because its numbers stopped being finite."""
    return why_diverged(run.path) is not None


def notes_on_diverged(runs: Iterable[Folder]) -> list[str]:
    """The sentence that names those of ``runs`` that diverged; none if none did."""
    lost = {run.path.name: why for run in runs if (why := why_diverged(run.path)) is not None}
    told = "; ".join(f"{name} ({why})" for name, why in lost.items())
    return [f"Diverged, and left out of all means: {told}."] if lost else []
