"""The frozen-uniform control: the same network, data, seed and *time*, but an architecture that never moves.

Architecture steps of their own cost time: a control that trained for as many epochs would get less computing. So it
gets as many epochs as fit into the time that the searched run took. Without this comparison no claim about the search
holds (docs/architecture.md). How many epochs that is depends on measured time, so it may differ by one or two between
machines; the control's config says what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from wholenet.search.config import FitConfig
from wholenet.search.run_folder import RunFolder
from wholenet.segmentation_job import Finished
from wholenet.training import fit, own_console, resume


@dataclass(frozen=True)
class Compared:
    """A run and its control."""

    learned: Finished
    uniform: Finished | None
    """None where no control was asked for."""


def fit_with_control(config: FitConfig, console: Console | None = None) -> Compared:
    """:func:`wholenet.training.fit`, and then the control if ``config.control`` asks for it."""
    console = console or own_console()
    learned = fit(config, console)
    return Compared(learned, _control(config, console) if config.control else None)


def resume_with_control(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine: Any
) -> Compared:
    """Continue a run, and its control if it has one coming; see :func:`wholenet.training.resume`."""
    console = console or own_console()
    learned = resume(path, console, data, **machine)
    # The folder may have been moved since: what its config calls `out` is not where it is.
    config = replace(RunFolder(path).config, out=str(path))
    return Compared(learned, _control(config, console) if config.control else None)


def equal_time_epochs(records: Sequence[dict[str, Any]], retraining: Sequence[dict[str, Any]] = ()) -> int:
    """:func:`equal_time` in whole epochs, at least one."""
    return max(1, round(equal_time(records, retraining)))


def equal_time(records: Sequence[dict[str, Any]], retraining: Sequence[dict[str, Any]] = ()) -> float:
    """Epochs that a run without architecture steps manages in the time of the run that wrote ``records``, and of the
    second stage that wrote ``retraining``.

    >>> epochs = [{"arch_loss": None, "seconds": 10.0}] * 6 + [{"arch_loss": 1.0, "seconds": 16.0}] * 4
    >>> equal_time(epochs)
    12.4
    """
    plain = [record["seconds"] for record in records if record["arch_loss"] is None]
    searched = [record["seconds"] for record in records if record["arch_loss"] is not None]
    if not plain:
        raise ValueError(
            "no epoch of the run left its architecture alone, so the time of such an epoch is not known; give the run "
            "a warm-up (warmup_share above 0) to compare it with a control of equal time"
        )
    # Medians: the first epoch starts workers and warms caches.
    seconds = sum(len(part) * median(part) for part in (searched, [r["seconds"] for r in retraining]) if part)
    return len(plain) + seconds / median(plain)


def _control(config: FitConfig, console: Console) -> Finished:
    run = RunFolder(config.out)
    out = run.control
    if RunFolder.at(out):
        return resume(out, console)
    if config.protocol == "two-stage":
        epochs = equal_time_epochs(RunFolder(run.search).records(), run.records())
    else:
        epochs = equal_time_epochs(run.records())
    console.print(f"frozen-uniform control: {epochs} epochs, as long as the run itself", highlight=False)
    return fit(config.frozen_uniform(out=str(out), epochs=epochs), console)
