"""Where the records of a run go beside ``metrics.jsonl``: TensorBoard, wandb, trackio, or somebody's own.

Imports no torch and none of these packages before a run names one: the command line reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from wholenet.plugins import load_plugins
from wholenet.registry import Registry

NOBODY = "none"
PROJECT = "wholenet"
"""What wandb and trackio put runs under, unless their own WANDB_PROJECT or TRACKIO_PROJECT says otherwise."""


@dataclass(frozen=True)
class LoggedRun:
    """What a logger is told of a run before its first record."""

    folder: Path
    """The run's folder; files of the log go there."""
    name: str
    """For people: "first", or of a run inside another "first/control"."""
    id: str
    """Letters and digits, the same whenever the run is continued, and of no other run."""
    first_step: int
    """The first that will be sent: 1, or of a continued run one more than the last that was. Where the log has this
    one or later ones, they are of a process that ended before it could say so."""
    settings: Mapping[str, Any]
    """As config.yaml has them."""


class Log(Protocol):
    """An open log."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of an epoch; ``step`` counts epochs from 1."""
        ...

    def close(self) -> None:
        """Nothing more will come, for now."""
        ...


@dataclass(frozen=True)
class Logger:
    """A kind of log."""

    name: str
    open: Callable[[LoggedRun], Log]
    """Opens a new log, or that of a run that is continued. Whatever it raises costs the run its log alone."""
    module: str | None = None
    """What must be importable for it."""
    install: str = ""
    """What has to be typed where that is not."""
    check: Callable[[], None] | None = None
    """Called before a run begins; raises ValueError for what would make the log fail, or ask, later."""


class TensorBoard:
    """Event files in OUT/tensorboard; ``tensorboard --logdir OUT`` shows them."""

    def __init__(self, run: LoggedRun) -> None:
        made = import_module("torch.utils.tensorboard").SummaryWriter
        # What a killed process may have written of the steps to come is not shown.
        self.writer = made(log_dir=str(run.folder / "tensorboard"), purge_step=run.first_step)
        if run.first_step == 1:
            self.writer.add_text("settings", "\n".join(f"    {name}: {value}" for name, value in run.settings.items()))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """A scalar for each number."""
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.writer.close()


class WandB:
    """A run of Weights & Biases; its files are in OUT/wandb."""

    def __init__(self, run: LoggedRun) -> None:
        self.run = import_module("wandb").init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.id,
            name=run.name,
            dir=str(run.folder),
            config=dict(run.settings),
            allow_val_change=True,  # a continued run may be on another machine
            resume="allow",
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """A step with all numbers; wandb drops one that it has."""
        self.run.log(dict(numbers), step=step)

    def close(self) -> None:
        """Wait until everything is sent."""
        self.run.finish()


@cache  # a session is logged in once
def check_wandb() -> None:
    """Make sure that wandb will not ask who is there: it would ask after the first epoch, and the run would wait.

    Raises:
        ValueError: if nobody is logged in, and runs are to be sent.
    """
    wandb: Any = import_module("wandb")
    try:
        if wandb.setup().settings.mode not in (None, "online", "shared", "run"):
            return  # what stays on this machine, by WANDB_MODE or `wandb offline`, asks for nobody
        known = wandb.login(prompt=False, verify=False)
    except TypeError:  # of a version that cannot look without asking
        known = bool(wandb.api.api_key)
    except Exception as error:  # such as of a key that can be none
        raise ValueError(f"log='wandb': {error}. {_LOG_IN}") from error
    if not known:
        raise ValueError(f"log='wandb': nobody is logged in to Weights & Biases. {_LOG_IN}")


_LOG_IN = (
    "`wandb login` does it, or WANDB_API_KEY; `wandb offline`, or WANDB_MODE=offline, keeps runs on this machine until "
    f"`wandb sync` sends them. Or go on without it: --log {NOBODY}. Every record is in metrics.jsonl in any case"
)


class Trackio:
    """A run of trackio, in its data base."""

    def __init__(self, run: LoggedRun) -> None:
        self.run = import_module("trackio").init(
            project=os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=f"{run.name}-{run.id}",  # runs are told apart by their names
            config=dict(run.settings),
            resume="allow",
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """A step with all numbers."""
        self.run.log(dict(numbers), step=step)

    def close(self) -> None:
        """Wait until everything is written."""
        self.run.finish()


LOGGERS: Registry[Logger] = Registry(
    "logger",
    {
        "tensorboard": Logger("tensorboard", TensorBoard, "tensorboard", "pip install 'wholenet[tensorboard]'"),
        "wandb": Logger("wandb", WandB, "wandb", "pip install 'wholenet[wandb]'", check_wandb),
        "trackio": Logger("trackio", Trackio, "trackio", "pip install 'wholenet[trackio]'"),
    },
    load_plugins,
)


def loggers(names: str) -> list[Logger]:
    """The loggers of ``names``, which are joined by commas; none for "none". Each can be imported.

    Raises:
        ValueError: for a name that is not registered, one that stands beside "none", or a logger whose package is not
            installed; it says how to install it.
    """
    asked = list(dict.fromkeys(name.strip() for name in names.split(",")))
    if asked == [NOBODY]:
        return []
    if NOBODY in asked:
        raise ValueError(f"log={names!r} names loggers and {NOBODY!r}; keep one of them")
    found = [LOGGERS.called(name, also=[NOBODY]) for name in asked]
    for logger in found:
        _check_importable(logger)
    return found


def check_loggers(names: str) -> None:
    """Make sure that a run which begins, or goes on, can use the loggers of ``names``.

    Raises:
        ValueError: as :func:`loggers`; or for one that is not ready.
    """
    for logger in loggers(names):
        if logger.check is not None:
            logger.check()


def _check_importable(logger: Logger) -> None:
    if logger.module is None:
        return
    try:
        import_module(logger.module)
    except Exception as error:  # a broken package may raise anything
        how = f": `{logger.install}`" if logger.install else ""
        raise ValueError(
            f"log={logger.name!r} needs {logger.module}, which cannot be imported ({type(error).__name__}: {error}). "
            f"Install it{how}, or go on without it: --log {NOBODY}. Every record is in metrics.jsonl in any case"
        ) from error
