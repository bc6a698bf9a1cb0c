"""Processes that need not import torch, which takes each two seconds and its first step as long again: Python's own
fork server imports it once for all of a session, and forks them. It has no threads, as the process of a test may have.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from wholenet.cli import main

CONTEXT = multiprocessing.get_context("forkserver")
# The command line imports its verbs when they are asked for, torch parts of itself in the first step.
CONTEXT.set_forkserver_preload(
    ["wholenet.cli", "wholenet.training", "wholenet.search.cost", "wholenet.cells.best_of", "torch._dynamo"]
)
COMMAND = [sys.executable, "-m", "wholenet"]


class Forked:
    """``work(*arguments)`` in a process of its own, with the part of the interface of ``Popen`` that is used here.

    Args:
        work: a function of a module, which the process imports.
        log: a file; what the process says is appended.
        env: all variables of its environment; None for those of this process.
    """

    def __init__(
        self, work: Callable[..., object], *arguments: object, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        environment = dict(os.environ if env is None else env)
        log.touch()  # it may be killed before it does so itself
        self._log = log
        self._start = log.stat().st_size
        self._process = CONTEXT.Process(target=begin, args=(str(log), environment, str(Path.cwd()), work, arguments))
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Unless it is over."""
        if self.poll() is None and self.pid is not None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.terminate()

    def kill(self) -> None:
        """End it."""
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int | None:
        """Until it is over: its exit status."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(COMMAND, timeout or 0.0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for the end, and read what it said."""
        self.wait(timeout)
        return self._log.read_bytes()[self._start :].decode(), None


def begin(
    log: str, environment: Mapping[str, str], folder: str, work: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    """What the process does."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    torch.set_num_threads(1)
    work(*arguments)


def forked_command(words: list[str], stdout: Any, env: Mapping[str, str], **_: object) -> Forked:
    """Instead of ``Popen`` for a command of this command line: the same words, log, environment and exit status."""
    assert words[:3] == COMMAND
    return Forked(main, words[3:], log=Path(stdout.name), env=env)


def fork_commands(patch: Any) -> None:
    """What studies and sweeps run in processes of its own is forked; it is looked after more often."""
    processes = SimpleNamespace(
        Popen=forked_command, STDOUT=subprocess.STDOUT, TimeoutExpired=subprocess.TimeoutExpired
    )
    patch.setattr("wholenet.studies.processes.subprocess", processes)
    patch.setattr("wholenet.studies.processes.POLL_S", 0.05)
