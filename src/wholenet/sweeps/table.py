"""What a sweep found: the scores of its finished runs, over the seeds of each configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wholenet.search.cell_folder import CellFolder
from wholenet.search.read_run import SCORES
from wholenet.search.run_folder import RunFolder
from wholenet.studies.processes import last_line, log_of
from wholenet.studies.result import Spread, Table, spread
from wholenet.sweeps.plan import Sweep
from wholenet.sweeps.run import PlannedRun
from wholenet.version import VERSION

COLUMNS = {
    "miou": "mIoU",
    "control_miou": "frozen-uniform mIoU",
    "error": "error",
    "test_error": "test error",
}
"""Scores by their names, and what tables call them."""
UNBOUNDED = [score for score in SCORES.values() if not score.percent]
"""Those that are no shares in [0, 1]."""
COLUMNS |= {
    name: label
    for score in UNBOUNDED
    for name, label in ((score.name, score.label), (f"control_{score.name}", f"frozen-uniform {score.label}"))
}


def scores(run: PlannedRun) -> dict[str, float]:
    """The scores of a finished run, by the names of ``COLUMNS``."""
    if run.task != "classification":
        name = SCORES[run.task].name
        found = {name: RunFolder(run.path).records()[-1][name]}
        control = RunFolder.at(RunFolder(run.path).control)
        return found if control is None else {**found, f"control_{name}": control.records()[-1][name]}
    result = CellFolder(run.path).result() or {}
    return {name: result[name] for name in ("error", "test_error") if result.get(name) is not None}


def shown_scores(run: PlannedRun) -> str:
    """The same in a line."""
    return ", ".join(
        f"{100 * value:.1f} % {COLUMNS[name]}" if _is_share(name) else f"{value:.4g} {COLUMNS[name]}"
        for name, value in scores(run).items()
    )


def _is_share(name: str) -> bool:
    return not any(name.endswith(score.name) for score in UNBOUNDED)


def table(sweep: Sweep) -> Table:
    """A row for each configuration, with what its finished runs scored."""
    found = {run.name: scores(run) for run in sweep.runs if run.done}
    names = [name for name in COLUMNS if any(name in one for one in found.values())]
    rows: list[list[str | Spread]] = []
    for runs in sweep.groups:
        done = [found[run.name] for run in runs if run.name in found]
        row: list[str | Spread] = [runs[0].group, f"{len(done)} of {len(runs)}"]
        for name in names:
            values = [one[name] for one in done if name in one]
            row += _cells(name, values) if values else ["", ""]
        rows.append(row)
    columns = ["configuration", "runs done"]
    units = {name: ", %" if _is_share(name) else "" for name in names}
    columns += [text for name in names for text in (f"{COLUMNS[name]} of each{units[name]}", _mean(name))]
    return Table(columns, rows)


def _mean(name: str) -> str:
    return f"{COLUMNS[name]}, mean ± sd"


def _cells(name: str, values: Sequence[float]) -> list[str | Spread]:
    """Those of each run, and their mean with its standard deviation."""
    if _is_share(name):
        return [", ".join(f"{100 * v:.1f}" for v in values), spread(values)]
    return [", ".join(f"{v:.1f}" for v in values), spread(values).shown()]


def write_table(sweep: Sweep, failed: Mapping[str, str]) -> Path:
    """Write ``out``/sweep.md and sweep.json, of what is done so far; returns the former's path.

    Args:
        sweep: all runs.
        failed: names of the runs that failed, and what they said.
    """
    now = table(sweep)
    page = ["# A sweep", "", now.markdown(), ""]
    if failed:
        page += ["Failed; the next `wholenet sweep` on the same file tries them again:", ""]
        page += [f"- `{name}`: {said}" for name, said in failed.items()] + [""]
    facts = {
        "wholenet": VERSION,
        "date": datetime.now(UTC).date().isoformat(),
        "columns": list(now.columns),
        "rows": [[asdict(cell) if isinstance(cell, Spread) else cell for cell in row] for row in now.rows],
        "runs": {run.name: _facts(run, failed) for run in sweep.runs},
    }
    sweep.out.mkdir(parents=True, exist_ok=True)
    written = sweep.out / "sweep.md"
    written.write_text("\n".join(page).rstrip() + "\n")
    (sweep.out / "sweep.json").write_text(json.dumps(facts, indent=1) + "\n")
    return written


def _facts(run: PlannedRun, failed: Mapping[str, str]) -> dict[str, Any]:
    state = "done" if run.done else "failed" if run.name in failed else "stopped" if run.begun else "not started"
    facts = {"configuration": run.group, "seed": run.config.seed, "options": dict(run.given), "state": state}
    return {**facts, "scores": scores(run) if run.done else None, "said": failed.get(run.name)}


def said(run: PlannedRun) -> str:
    """The last line of a run's log."""
    return f"{last_line(log_of(run.path))} ({log_of(run.path)})"
