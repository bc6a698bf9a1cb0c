"""Runs on cell spaces for studies: searches, and trainings of genotypes, each once, in processes of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from wholenet.search.cell_config import CellConfig, ClassifierConfig, RetrainConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.config_files import write_options
from wholenet.studies.pool import RunPool
from wholenet.studies.processes import why_diverged


class CellPool(RunPool[ClassifierConfig]):
    """Searches, and trains what they found, on labelled images."""

    def label(self, config: ClassifierConfig) -> str:
        """Space, method and seed of a search."""
        if isinstance(config, CellConfig):
            return f"{config.space}-{config.method}-seed{config.seed}"
        return f"retrain-seed{config.seed}"

    def verb(self, config: ClassifierConfig) -> str:
        """Fit for a search, retrain for a training."""
        return "retrain" if isinstance(config, RetrainConfig) else "fit"

    def start(self, config: ClassifierConfig, settings: Path) -> list[str]:
        """Genotype or task, data, folder and settings."""
        write_options(config, settings)
        shared = [config.data, f"--out={config.out}", f"--config={settings}"]
        if isinstance(config, RetrainConfig):
            return [config.genotype, *shared]
        return [*shared, "--task=classification"]

    def outcome(self, path: Path) -> str:
        """Its error."""
        return f"{100 * error(CellFolder(path)):.1f} % error"

    def done(self, configs: Sequence[ClassifierConfig]) -> list[CellFolder]:
        """The runs of ``configs`` that are over, in their order; runs those that are not there.

        They are finished, or :func:`diverged`.

        Raises:
            ValueError: if a run fails in any other way; the message holds the end of its log.
        """
        self.finish(configs)
        return [CellFolder(self.path(config)) for config in configs]


def result(run: CellFolder) -> dict[str, Any]:
    """What a finished run found.

    Raises:
        ValueError: if it is not finished, or its result is damaged.
    """
    found = run.result()
    if found is None:
        raise ValueError(f"{run.path} is not finished; continue it with `{run.resume_command}`")
    return found


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
