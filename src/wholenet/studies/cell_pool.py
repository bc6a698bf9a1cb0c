"""Runs on cell spaces for studies: searches, and trainings of genotypes, each once, in processes of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from wholenet.search.cell_config import CellConfig, ClassifierConfig, RetrainConfig, write_cell_config
from wholenet.search.cell_folder import CellFolder
from wholenet.studies.pool import folder_name
from wholenet.studies.processes import mark_diverged, run_each, why_diverged


class CellPool:
    """Like :class:`wholenet.studies.pool.Pool`, for runs on labelled images."""

    def __init__(self, folder: Path, jobs: int, console: Console) -> None:
        self.folder = folder
        self.jobs = jobs
        self.console = console

    def path(self, config: ClassifierConfig) -> Path:
        """The folder of the run that ``config`` describes, wherever its ``out`` points."""
        if isinstance(config, CellConfig):
            label = f"{config.space}-{config.method}-seed{config.seed}"
        else:
            label = f"retrain-seed{config.seed}"
        return self.folder / folder_name(label, config)

    def done(self, configs: Sequence[ClassifierConfig]) -> list[CellFolder]:
        """The runs of ``configs`` that are over, in their order; runs those that are not there.

        They are finished, or :func:`diverged`.

        Raises:
            ValueError: if a run fails in any other way; the message holds the end of its log.
        """
        by_path = {self.path(config): config for config in configs}
        work = {
            path: partial(self._words, path, config) for path, config in by_path.items() if why_diverged(path) is None
        }
        run_each(
            work,
            self.jobs,
            lambda path: f"{100 * error(CellFolder(path)):.1f} % error",
            self.say,
            diverged=mark_diverged,
        )
        return [CellFolder(self.path(config)) for config in configs]

    def say(self, text: str) -> None:
        """One plain line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _words(self, path: Path, config: ClassifierConfig) -> list[str]:
        words = [sys.executable, "-m", "wholenet", "retrain" if isinstance(config, RetrainConfig) else "fit"]
        if (path / "config.yaml").exists():
            return [*words, "--resume", str(path)]
        settings = self.folder / f"{path.name}.yaml"
        write_cell_config(replace(config, out=str(path)), settings, kind=False)
        if isinstance(config, RetrainConfig):
            return [*words, config.genotype, config.data, f"--out={path}", f"--config={settings}"]
        return [*words, config.data, f"--out={path}", f"--config={settings}", "--task=classification"]


def result(run: CellFolder) -> dict[str, float]:
    """What a finished run found."""
    return json.loads((run.path / "result.json").read_text())


def diverged(run: CellFolder) -> bool:
    """Whether a run is over without a result, because its numbers stopped being finite."""
    return why_diverged(run.path) is not None


def notes_on_diverged(runs: Iterable[CellFolder]) -> list[str]:
    """The sentence that names those of ``runs`` that diverged; none if none did."""
    lost = {run.path.name: why for run in runs if (why := why_diverged(run.path)) is not None}
    told = "; ".join(f"{name} ({why})" for name, why in lost.items())
    return [f"Diverged, and left out of all means: {told}."] if lost else []


def error(run: CellFolder) -> float:
    """The error of a run, in [0, 1]: of a search the supernet's; of a training on the test split; all of it, if it
    diverged."""
    if diverged(run):
        return 1.0
    found = result(run)
    return found["error"] if isinstance(run.config, CellConfig) else found["test_error"]
