"""``wholenet sweep``."""

from __future__ import annotations

import sys

from wholenet.checked import Jobs
from wholenet.commands.assignments import Assignments, assigned
from wholenet.data.task import how_read
from wholenet.files import read_text


def sweep(
    file: str, *, jobs: Jobs = 0, slurm: bool = False, dry_run: bool = False, overrides: Assignments = ()
) -> None:
    """Train all runs of a file, over seeds and configurations (docs/clusters.md).

    Args:
        file: YAML: data, out, options, grid, runs, jobs, slurm.
        jobs: Runs at the same time; 0: as the file says.
        slurm: Submit the runs as jobs of a Slurm cluster.
        dry_run: Check everything and list the runs; start none.
        overrides: An option of fit for every run; repeatable.
    """
    from wholenet import parallel
    from wholenet.sweeps.plan import read_sweep  # imports torch

    parallel.refuse_several("sweeps")
    if jobs and slurm:
        raise ValueError("--jobs is for runs on this machine; with --slurm the cluster decides how many run at once")
    plan = read_sweep(file, dict(assigned(text) for text in overrides))
    from wholenet.report.data_check import printable
    from wholenet.sweeps.sweep import describe, submit, sweep

    for line in dict.fromkeys(how_read(run.config.data, run.task) for run in plan.runs):
        print(printable(line), file=sys.stderr)  # what a dry run prints can be pasted
    if dry_run:
        print("\n".join(describe(plan)))
        return
    if slurm:
        submit(plan)
        print(f"open {plan.out / 'sweep.md'} for what is done so far; the same command again submits what has failed")
        return
    failed = sweep(plan, jobs)
    print(f"\n{read_text(plan.out / 'sweep.md')}\nopen {plan.out / 'sweep.md'}")
    if failed:
        raise SystemExit(1)
