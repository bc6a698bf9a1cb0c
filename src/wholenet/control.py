"""The frozen-uniform control of runs on images with masks: the same network, data, seed and *time*
(``search/equal_time.py``), but an architecture that never moves. Without it no claim about the search holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from wholenet.jobs.task import Finished
from wholenet.machine import choose_device
from wholenet.report.progress import own_console, plain
from wholenet.report.run_page import write_report_or_say
from wholenet.search.equal_time import equal_time_epochs
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.run_folder import RunFolder
from wholenet.search.train_config import TrainConfig
from wholenet.training import fit, resume


@dataclass(frozen=True)
class Compared:
    """A run and its control."""

    learned: Finished
    uniform: Finished | None
    """None where no control was asked for."""


def fit_with_control(config: TrainConfig, console: Console | None = None, plan: str | None = None) -> Compared:
    """:func:`wholenet.training.fit`, and then the control if ``config.control`` asks for it."""
    console = console or own_console()
    learned = fit(config, console, plan)
    return _with_page(Compared(learned, _control(config, console) if config.control else None), console)


def resume_with_control(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine: Any
) -> Compared:
    """Continue a run, and its control if it has one coming; see :func:`wholenet.training.resume`."""
    console = console or own_console()
    learned = resume(path, console, data, **machine)
    # The folder may have been moved since: what its config calls `out` is not where it is.
    config = replace(RunFolder(path).config, out=str(path))
    return _with_page(Compared(learned, _control(config, console) if config.control else None), console)


def _with_page(compared: Compared, console: Console) -> Compared:
    """The same, once the page of the run is written."""
    run = compared.learned.run
    write_report_or_say(run, choose_device(RunFolder(run).config.device), plain(console))
    return compared


def _control(config: TrainConfig, console: Console) -> Finished:
    run = RunFolder(config.out)
    out = run.control
    if RunFolder.at(out):
        return resume(out, console)
    if PROTOCOLS[config.protocol].retrains:
        epochs = equal_time_epochs(RunFolder(run.search).records(), run.records())
    else:
        epochs = equal_time_epochs(run.records())
    plain(console)(f"frozen-uniform control: {epochs} epoch{'s' * (epochs > 1)}, as long as the run itself")
    return fit(config.frozen_uniform(out=str(out), epochs=epochs), console)
