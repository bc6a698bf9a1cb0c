"""Run what a study needs, several runs at a time, each once: a finished run is used as it is, a stopped one continued.

A run's folder is named after what it is (a hash of its whole config), so studies that share a run share its folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

from rich.console import Console

from wholenet.plugins import import_options
from wholenet.search.cell_config import ADDED as ADDED_TO_CELLS
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.classifier_config import ClassifierConfig, RetrainConfig
from wholenet.search.config import ADDED, FitConfig
from wholenet.search.config_files import read_config, write_options
from wholenet.search.folder import Folder
from wholenet.search.run_folder import RunFolder
from wholenet.search.search_config import RunConfig
from wholenet.search.task_config import TaskConfig
from wholenet.search.train_config import TrainConfig
from wholenet.studies.outcomes import outcome
from wholenet.studies.processes import mark_diverged, run_each, why_diverged

Arm = TypeVar("Arm", bound=Hashable)
"""What a study calls one of the things that it compares."""
NOT_IN_NAMES = ("checkpoint_minutes", "max_megapixels")
"""Fields that do not change what a run finds; runs from before there were any keep their names."""


class Pool:
    """Runs of any kind below ``folder``, at most ``jobs`` at a time, each in a process of its own.

    Args:
        folder: where the run folders are.
        jobs: processes at the same time.
        console: where to say what is going on; one plain line per run.
    """

    def __init__(self, folder: Path, jobs: int, console: Console) -> None:
        self.folder = folder
        self.jobs = jobs
        self.console = console

    def path(self, config: RunConfig) -> Path:
        """The folder of the run that ``config`` describes, wherever its ``out`` points."""
        return self.folder / folder_name(config)

    @overload
    def done(self, configs: Sequence[TrainConfig]) -> list[RunFolder]: ...
    @overload
    def done(self, configs: Sequence[ClassifierConfig]) -> list[CellFolder]: ...

    def done(self, configs: Sequence[RunConfig]) -> Sequence[Folder]:
        """The runs of ``configs`` that are over, in their order; runs those that are not there.

        They are finished, or diverged (outcomes.py), and then not tried again.

        Raises:
            ValueError: if a run fails in any other way; the message holds the end of its log. The others are stopped
                and can be continued by the same call.
        """
        by_path = {self.path(config): config for config in configs}
        work = {p: partial(self._command, p, config) for p, config in by_path.items() if why_diverged(p) is None}
        run_each(work, self.jobs, lambda path: outcome(opened(path)), self._say, diverged=mark_diverged)
        return [opened(self.path(config)) for config in configs]

    def trained(self, configs: Sequence[TrainConfig]) -> list[RunFolder]:
        """:meth:`done`, where none may be missing.

        Raises:
            ValueError: also, once all are over, if one diverged.
        """
        runs = self.done(configs)
        if lost := {run.path: why for run in runs if (why := why_diverged(run.path)) is not None}:
            path, why = next(iter(lost.items()))
            raise ValueError(
                f"{len(lost)} of {len({run.path for run in runs})} runs of the study diverged: {path}: {why}. The "
                "others are trained and stay. Run the study with a lower rate (--set lr=...), or remove the folder to "
                "try again"
            )
        return runs

    def trained_arms(self, arms: Mapping[Arm, Sequence[TrainConfig]]) -> dict[Arm, list[RunFolder]]:
        """:meth:`trained`, all arms of a study at once, by name."""
        self.trained([config for configs in arms.values() for config in configs])
        return {name: self.trained(configs) for name, configs in arms.items()}

    def genotype_file(self, space: str, genotype: Any, write: Callable[[Any, Path], object]) -> str:
        """The file of a genotype of ``space``, which ``write`` writes where it is not there yet. It is named after what
        it holds, so that a training of the same genotype is the same run."""
        digest = hashlib.sha256(json.dumps(genotype.to_dict()).encode()).hexdigest()[:10]
        path = (self.folder / "genotypes" / f"{space}-{digest}.yaml").resolve()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write(genotype, path)
        return str(path)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _command(self, path: Path, config: RunConfig) -> list[str]:
        """What starts the run, with its options in a file beside its folder; or what continues it."""
        retrains = isinstance(config, RetrainConfig)
        words = [sys.executable, "-m", "wholenet", "retrain" if retrains else "fit", *import_options()]
        if (path / "config.yaml").exists():
            return [*words, f"--resume={path}"]
        settings = self.folder / f"{path.name}.yaml"
        write_options(config, settings)
        told = [config.genotype, config.data] if retrains else [config.data, f"--task={_task(config)}"]
        return [*words, *told, f"--out={path}", f"--config={settings}"]


def opened(path: Path) -> Folder:
    """The run in ``path``, as the folder of its kind."""
    return (CellFolder if isinstance(read_config(path / "config.yaml"), ClassifierConfig) else RunFolder)(path)


def folder_name(config: RunConfig) -> str:
    """What people know a run by, and a hash of all that its config says but where its folder is."""
    values = dataclasses.asdict(config) | {"out": ""}
    added: Mapping[str, Any] = ADDED_TO_CELLS if isinstance(config, ClassifierConfig) else ADDED
    as_before = {name for name, default in added.items() if name in values and values[name] == default}
    values = {name: value for name, value in values.items() if name not in {*NOT_IN_NAMES, *as_before}}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]
    return f"{_kind(config)}-seed{config.seed}-{digest}"


def _kind(config: RunConfig) -> str:
    if isinstance(config, CellConfig):
        return f"{config.space}-{config.method}"
    if not isinstance(config, TrainConfig):
        return "retrain"
    size = config.size if isinstance(config, FitConfig) and config.space == "grid" else config.space
    return f"{size}-{config.protocol if config.genotype is None else 'retrain'}"


def _task(config: RunConfig) -> str:
    if isinstance(config, TaskConfig):
        return config.task
    return "segmentation" if isinstance(config, TrainConfig) else "classification"
