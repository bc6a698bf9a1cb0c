"""Train the runs of a study, several at a time, each once: a finished run is used as it is, a stopped one continued.

A run's folder is named after what it is (a hash of its whole config), so studies that share a run share its folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.console import Console

from wholenet.plugins import import_options
from wholenet.search.cell_config import ADDED as ADDED_TO_CELLS
from wholenet.search.cell_config import ClassifierConfig
from wholenet.search.config import ADDED as ADDED_TO_MASKS
from wholenet.search.config import FitConfig
from wholenet.search.config_files import write_config
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.run_folder import RunFolder
from wholenet.studies.processes import mark_diverged, run_each, why_diverged

Arm = TypeVar("Arm", bound=Hashable)
"""What a study calls one of the things that it compares."""
Config = TypeVar("Config", FitConfig, ClassifierConfig)


class RunPool(ABC, Generic[Config]):
    """Runs below ``folder``, at most ``jobs`` at a time, each in a process of its own.

    Args:
        folder: where the run folders are.
        jobs: processes at the same time.
        console: where to say what is going on; one plain line per run.
    """

    def __init__(self, folder: Path, jobs: int, console: Console) -> None:
        self.folder = folder
        self.jobs = jobs
        self.console = console

    @abstractmethod
    def label(self, config: Config) -> str:
        """What people know the run by."""

    @abstractmethod
    def verb(self, config: Config) -> str:
        """The command that starts the run, and continues it."""

    @abstractmethod
    def start(self, config: Config, settings: Path) -> list[str]:
        """What comes behind the verb to start it; its options are written into the file ``settings``."""

    @abstractmethod
    def outcome(self, path: Path) -> str:
        """What to say of the finished run in ``path``."""

    def path(self, config: Config) -> Path:
        """The folder of the run that ``config`` describes, wherever its ``out`` points."""
        return self.folder / folder_name(self.label(config), config)

    def finish(self, configs: Sequence[Config]) -> dict[Path, str]:
        """Run what is not there yet, and tell of those that diverged why they did.

        Raises:
            ValueError: if a run fails in any other way; the message holds the end of its log. The others are stopped
                and can be continued by the same call.
        """
        by_path = {self.path(config): config for config in configs}
        work = {p: partial(self._command, p, config) for p, config in by_path.items() if why_diverged(p) is None}
        run_each(work, self.jobs, self.outcome, self.say, diverged=mark_diverged)
        return {path: why for path in by_path if (why := why_diverged(path)) is not None}

    def say(self, text: str) -> None:
        """One plain line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _command(self, path: Path, config: Config) -> list[str]:
        words = [sys.executable, "-m", "wholenet", self.verb(config)]
        if (path / "config.yaml").exists():
            return [*words, f"--resume={path}", *import_options()]
        return [
            *words,
            *import_options(),
            *self.start(replace(config, out=str(path)), self.folder / f"{path.name}.yaml"),
        ]


class Pool(RunPool[FitConfig]):
    """Trains runs on images with masks."""

    def label(self, config: FitConfig) -> str:
        """Size, protocol and seed."""
        return f"{config.size}-{config.protocol}-seed{config.seed}"

    def verb(self, config: FitConfig) -> str:  # noqa: ARG002
        """Always fit."""
        return "fit"

    def start(self, config: FitConfig, settings: Path) -> list[str]:
        """Data, folder, settings and task."""
        write_config(config, settings)
        return [config.data, f"--out={config.out}", f"--config={settings}", "--task=segmentation"]

    def outcome(self, path: Path) -> str:
        """Its mIoU."""
        return f"{100 * final_miou(RunFolder(path)):.1f} % mIoU"

    def trained(self, configs: Sequence[FitConfig]) -> list[RunFolder]:
        """The finished runs of ``configs``, in their order; trains those that are not there.

        Raises:
            ValueError: if a run fails; or, once all are over, if one diverged.
        """
        if lost := self.finish(configs):
            path, why = next(iter(lost.items()))
            raise ValueError(
                f"{len(lost)} of {len({self.path(config) for config in configs})} runs of the study diverged: {path}: "
                f"{why}. The others are trained and stay. Run the study with a lower rate (--set lr=...), or remove "
                "the folder to try again"
            )
        return [RunFolder(self.path(config)) for config in configs]

    def trained_arms(self, arms: Mapping[Arm, Sequence[FitConfig]]) -> dict[Arm, list[RunFolder]]:
        """:meth:`trained`, all arms of a study at once, by name."""
        self.trained([config for configs in arms.values() for config in configs])
        return {name: self.trained(configs) for name, configs in arms.items()}


NOT_IN_NAMES = ("checkpoint_minutes", "max_megapixels")
"""Fields that do not change what a run finds; runs from before there were any keep their names."""


def folder_name(label: str, config: Any) -> str:
    """``label`` and a hash of all that the dataclass ``config`` says but where its folder is."""
    values = dataclasses.asdict(config) | {"out": ""}
    left_out = {name for name in NOT_IN_NAMES if name in values}
    added = ADDED_TO_MASKS if isinstance(config, FitConfig) else ADDED_TO_CELLS
    left_out |= {name for name, default in added.items() if name in values and values[name] == default}
    values = {name: value for name, value in values.items() if name not in left_out}
    return f"{label}-{hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]}"


def final_miou(run: RunFolder) -> float:
    """Validation mIoU at the end of a finished run, in [0, 1]."""
    return run.records()[-1]["miou"]


def seconds(run: RunFolder) -> float:
    """Time that training took, first stage included if there are two; validation is not counted."""
    first_stage = RunFolder(run.search).training_seconds() if PROTOCOLS[run.config.protocol].retrains else 0
    return run.training_seconds() + first_stage
