"""Runs as jobs of a cluster, through submitit: one job each, which goes on where it was stopped when it is requeued.

Imports no torch: every job imports this first.
"""

from __future__ import annotations

import difflib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from wholenet.files import read_json
from wholenet.studies.processes import PATIENCE_S
from wholenet.sweeps.run import PlannedRun

SHARED = ("mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node", "stderr_to_stdout")
"""Parameters that submitit has for every kind of cluster; the others are Slurm's own."""
TIMEOUTS = 50
"""How often a job may run out of its time and be requeued; submitit's own 3 would end a long run."""
SPARE_S = PATIENCE_S + 30
"""Seconds before its end at which a job is told: what a run gets to save itself, and some to be requeued."""


@dataclass
class Job:
    """One run, as submitit calls it on the cluster's machine, and calls it again after every requeue.

    Plain values alone, so that it can be sent.
    """

    folder: str
    """The run's folder."""
    start: list[str]
    """The command that starts it."""
    resume: list[str]
    """The one that continues it."""

    def __call__(self) -> None:
        """Start the run, or continue it where it is begun, and wait for it.

        Raises:
            RuntimeError: if it fails; its output is in the job's log.
        """
        folder = Path(self.folder)
        command = self.resume if (folder / "config.yaml").exists() else self.start
        # A session of its own: a signal for the job is for submitit, which calls checkpoint.
        child = subprocess.Popen(command, start_new_session=True)
        _RUNNING[self.folder] = child.pid
        if child.wait():
            raise RuntimeError(f"{folder.name} ended with status {child.returncode}; its output stands above")
        (folder / "done").touch()

    def checkpoint(self) -> Any:
        """What submitit asks for when the job's time is up or its machine is needed: the run is stopped, which saves
        it, and the job that continues it is returned."""
        if self.folder in _RUNNING:
            _end(_RUNNING[self.folder])
        return importlib.import_module("submitit.helpers").DelayedSubmission(self)


_RUNNING: dict[str, int] = {}
"""The process of the job that this process is; not in the job, which is pickled."""


def _end(child: int) -> None:
    """Ask the process to stop, and wait; what is left of its session after ``PATIENCE_S`` is killed."""
    # Without Popen: this is called by a signal's handler, in the middle of Popen.wait, which holds a lock.
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGTERM)
        until = time.monotonic() + PATIENCE_S
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                os.killpg(child, signal.SIGKILL)
            time.sleep(0.2)


def submitit() -> ModuleType:
    """The package.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        return importlib.import_module("submitit")  # not everyone needs it
    except ImportError as error:
        raise ValueError("jobs need submitit, not installed here: pip install 'wholenet[slurm]'") from error


def executor(folder: Path, slurm: Mapping[str, Any], cluster: str = "slurm") -> Any:
    """What submits jobs with these parameters; their logs go to ``folder``.

    Args:
        folder: a place that all machines of the cluster see.
        slurm: ``time`` in minutes, ``partition``, ``gpus_per_node``, ``cpus_per_task``, ``mem_gb`` and whatever else
            submitit takes; ``max_num_timeout``, how often a job may be requeued when its time is up.
        cluster: "slurm"; or "local", a process on this machine, for tests.

    Raises:
        ValueError: if submitit is not installed, there is no Slurm here, or a parameter is unknown or does not do.
    """
    package = submitit()
    given = dict(slurm)
    timeouts = given.pop("max_num_timeout", TIMEOUTS)
    if given.get("nodes", 1) != 1 or given.get("tasks_per_node", 1) != 1:
        raise ValueError(
            "slurm: a job of a sweep is one task on one node (gpus_per_node may be more than 1); for a run on several "
            "nodes see the batch script in docs/clusters.md"
        )
    if "time" not in given or isinstance(given["time"], bool) or not isinstance(given["time"], int | float):
        raise ValueError("slurm: give time, the minutes of a job; a run that takes longer is requeued and goes on")
    known = set(package.SlurmExecutor._valid_parameters())  # what `update_parameters` itself goes by
    names = {name: name if name in SHARED else f"slurm_{name}" for name in given}
    for name in given:
        if name not in SHARED and name not in known:
            near = difflib.get_close_matches(name, [*SHARED, *known], n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted({*SHARED, *known}))}"
            raise ValueError(f"slurm: unknown parameter {name}; {hint}")
    parameters = {names[name]: value for name, value in given.items()}
    if cluster == "local":
        parameters = {"timeout_min": given["time"]}
    try:
        found = package.AutoExecutor(folder=folder, cluster=cluster, slurm_max_num_timeout=timeouts)
        found.update_parameters(**{"slurm_signal_delay_s": SPARE_S, **parameters})
    except RuntimeError as error:
        raise ValueError(f"{error}; call it where `srun` is, or run the sweep here without --slurm") from error
    except (AssertionError, NameError, TypeError, ValueError) as error:
        raise ValueError(f"slurm: {error}") from error
    return found


def job(run: PlannedRun, gpus: int = 1) -> Job:
    """The job of a run; on several GPUs of one machine, a process for each."""
    python = [sys.executable, "-m"]
    if gpus > 1:
        python += ["torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}", "-m"]
    return Job(str(run.path), [*python, "wholenet", *run.start()], [*python, "wholenet", *run.resume()])


class Submitted:
    """The ids of the jobs of a sweep's runs, in a file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def ids(self) -> dict[str, str]:
        """Run name -> id of its last job."""
        return read_json(self.path) if self.path.exists() else {}

    def add(self, run: PlannedRun, number: str) -> None:
        """Record the job of a run."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({**self.ids(), run.name: number}, indent=1) + "\n")

    def unfinished(self, runs: Sequence[PlannedRun]) -> dict[str, str]:
        """Those of the ``runs`` that are not done and have a job."""
        return {run.name: number for run in runs if not run.done and (number := self.ids().get(run.name))}


def waiting_or_running(folder: Path, ids: Mapping[str, str]) -> dict[str, str]:
    """Run name -> state, of the jobs that Slurm has not ended; of one that it does not know either, it may still."""
    package = submitit()
    jobs = {name: package.SlurmJob(folder=folder, job_id=number) for name, number in ids.items()}
    for one in list(jobs.values())[:1]:
        one.watcher.update()  # one call for all of them
    states = {name: one.watcher.get_state(one.job_id, mode="cache") for name, one in jobs.items()}
    return {name: state for name, state in states.items() if not jobs[name].watcher.is_done(ids[name], mode="cache")}
