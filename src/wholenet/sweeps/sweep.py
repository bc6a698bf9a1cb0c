"""`wholenet sweep`: all runs of a file, each in a process or a job of its own, and the table of what they scored."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from wholenet.plugins import import_options
from wholenet.studies.processes import run_each
from wholenet.sweeps.plan import Sweep
from wholenet.sweeps.run import PlannedRun, check_folder, write_settings
from wholenet.sweeps.slurm import Submitted, executor, job, waiting_or_running
from wholenet.sweeps.table import said, shown_scores, write_table

Say = Callable[[str], None]


def sweep(plan: Sweep, jobs: int = 0, say: Say = print) -> dict[str, str]:
    """Train the runs of a sweep on this machine, each once: finished runs are left, stopped and failed ones continued.

    A run that fails does not end the others. Writes ``out``/sweep.md and sweep.json.

    Args:
        plan: see :func:`wholenet.sweeps.plan.read_sweep`.
        jobs: runs at the same time; 0 is as the file says.
        say: for one plain line per run.

    Returns:
        The runs that failed, by name, and the last line of their logs.

    Raises:
        ValueError: if runs of the sweep are jobs of a cluster, or a folder holds something else by now.
        KeyboardInterrupt: for Ctrl-C and SIGTERM, when all runs have been stopped; the next call continues them.
    """
    if submitted := _submitted(plan).unfinished(plan.runs):
        raise ValueError(
            f"{', '.join(submitted)}: submitted to Slurm (job {', '.join(submitted.values())}); go on with --slurm, or "
            f"remove {_submitted(plan).path} when these jobs have ended"
        )
    by_path = {run.path: run for run in plan.runs}
    parallel = min(jobs or plan.jobs or _jobs(plan), len(by_path))
    failed: dict[str, str] = {}

    def note(path: Path) -> None:
        failed[path.name] = said(by_path[path])

    run_each(
        {path: partial(_command, run) for path, run in by_path.items()},
        parallel,
        lambda path: shown_scores(by_path[path]),
        say,
        failed=note,
        environment=_threads(parallel),
    )
    write_table(plan, failed)
    return failed


def submit(plan: Sweep, cluster: str = "slurm", say: Say = print) -> list[object]:
    """Submit a job for every run of a sweep that is neither done nor a job already, and write the table of those done.

    Args:
        plan: see :func:`wholenet.sweeps.plan.read_sweep`; its ``slurm`` has the parameters.
        cluster: "slurm"; "local" for tests.
        say: for one plain line per run.

    Returns:
        submitit's jobs.

    Raises:
        ValueError: if submitit is not installed, there is no Slurm here, or a parameter of it does not do.
    """
    parameters = {name: value for name, value in plan.slurm.items() if name != "log"}
    gpus = parameters.get("gpus_per_node", 1)
    found = executor(_log(plan), parameters, cluster)
    submitted = _submitted(plan)
    before = submitted.unfinished(plan.runs)
    alive = waiting_or_running(_log(plan), before) if before and cluster == "slurm" else {}
    jobs = []
    for run in plan.runs:
        if run.done:
            continue
        if run.name in alive:
            lost = f"; remove its line from {submitted.path} if it has ended" if alive[run.name] == "UNKNOWN" else ""
            say(f"{run.name}: job {before[run.name]}, {alive[run.name].lower()}{lost}")
            continue
        check_folder(run)
        write_settings(run)
        found.update_parameters(name=run.name)
        jobs.append(found.submit(job(run, gpus)))
        submitted.add(run, jobs[-1].job_id)
        say(f"{run.name}: job {jobs[-1].job_id}, {'continued' if run.begun else 'submitted'}")
    write_table(plan, {})
    return jobs


def describe(plan: Sweep) -> list[str]:
    """A line for each run: what a sweep would do with it."""
    width = max(len(run.name) for run in plan.runs)
    states = {
        run.name: "done" if run.done else "to be continued" if run.begun else "to be started" for run in plan.runs
    }
    return [
        f"{run.name:{width}}  {states[run.name]:15}  {shlex.join(['wholenet', *run.arguments()])}" for run in plan.runs
    ]


def _command(run: PlannedRun) -> list[str]:
    check_folder(run)  # hours may have passed since the file was read
    if not run.begun:
        write_settings(run)
    return [sys.executable, "-m", "wholenet", *run.arguments(), *import_options()]


def _jobs(plan: Sweep) -> int:
    """As many as a study would run: a core each, or one where a GPU may be used."""
    return (os.cpu_count() or 1) if all(run.config.device == "cpu" for run in plan.runs) else 1


def _threads(parallel: int) -> Mapping[str, str]:
    """The cores, shared out: the thread pools of runs side by side would wait for each other."""
    return (
        {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // parallel))}
    )


def _log(plan: Sweep) -> Path:
    return plan.out / str(plan.slurm.get("log", "slurm"))


def _submitted(plan: Sweep) -> Submitted:
    return Submitted(plan.out / "jobs.json")
