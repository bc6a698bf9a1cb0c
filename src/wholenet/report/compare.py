"""Runs beside each other: what each reached and cost, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wholenet.report.data_check import printable
from wholenet.report.html import paragraph, picture_file, section, table, write_page
from wholenet.report.in_words import in_words
from wholenet.report.progress import duration
from wholenet.report.run_page import percent
from wholenet.search.option_budget import OPTION_SCORING
from wholenet.search.read_run import SCORES, Row, RunTables, read_run
from wholenet.spaces.grid_costs import macs_in_words
from wholenet.tasks.score import Score

NEVER_COMPARED = ("out", "settings")
"""Where a run lies differs always; "settings" is told apart into the settings of its space."""
NO_SUCH = "-"


def compare_runs(runs: Sequence[str | Path]) -> tuple[list[Row], list[RunTables]]:
    """A row for each run, and the tables of each.

    A row has "run", the scores and "seconds" of :class:`wholenet.search.read_run.RunTables`, "control_miou" or
    "control_error" (the score of its frozen-uniform control), "done" (epochs finished) of "planned", "macs" where one
    of them has a budget, and the settings in which any two of them differ. None where there is no such number, "-"
    where a run has no such setting.

    Raises:
        ValueError: for fewer than two runs, a folder without one, or runs of two tasks.
    """
    if len(runs) < 2:
        raise ValueError(f"found {len(runs)} run to compare; give two or more run folders")
    found = [read_run(run) for run in runs]
    tasks = {run.task for run in found}
    if len(tasks) > 1:
        listed = ", ".join(f"{run.path}: {run.task}" for run in found)
        raise ValueError(f"runs of two tasks have no score in common ({listed}); compare runs of one")
    score = found[0].score
    if score is None:
        raise ValueError(
            f"of the task {found[0].task!r} it is not known what runs are compared by; read_run has its numbers"
        )
    key = score.name
    others = {"miou": ("pixel_accuracy", "constant_miou"), "error": ("test_error",)}.get(key, ())
    settings = [_settings(run) for run in found]
    names = [name for name in dict.fromkeys(n for own in settings for n in own) if _differs(name, settings)]
    rows = []
    for run, own in zip(found, settings, strict=True):
        result = run.results[0]
        control = next((row[key] for row in run.results if row["part"] == "control"), None)
        scores = {name: result[name] for name in (key, *others)}
        cost = {"done": result["epochs"], "planned": result["planned"], "seconds": result["seconds"]}
        if any("macs" in other.results[0] for other in found):
            cost["macs"] = result.get("macs")
        rows.append(
            {
                "run": str(run.path),
                **scores,
                f"control_{key}": control,
                **cost,
                **{n: own.get(n, NO_SUCH) for n in names},
            }
        )
    return rows, found


def _settings(run: RunTables) -> Row:
    inner = run.config.get("settings")
    own = {name: value for name, value in run.config.items() if name not in NEVER_COMPARED}
    return own | (inner if isinstance(inner, dict) else {})


def _differs(name: str, settings: Sequence[Row]) -> bool:
    return any(own.get(name, NO_SUCH) != settings[0].get(name, NO_SUCH) for own in settings)


HEADS = {
    "miou": "mIoU, %",
    "pixel_accuracy": "pixel accuracy, %",
    "constant_miou": "best constant, %",
    "error": "error, %",
    "test_error": "test error, %",
    "control_miou": "control's mIoU, %",
    "control_error": "control's error, %",
}
UNBOUNDED = {f"{of}{score.name}": score for score in SCORES.values() if not score.percent for of in ("", "control_")}
"""Scores that are no shares, and those of their controls."""
OTHER_HEADS = {"seconds": "training", "macs": "multiply-adds"}
OTHER_HEADS |= {
    name: f"control's {score.label}" if name != score.name else score.label for name, score in UNBOUNDED.items()
}


def as_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The rows of :func:`compare_runs` for people: head and cells."""
    names = [name for name in rows[0] if name != "planned"]
    head = [HEADS.get(name, OTHER_HEADS.get(name, name)) for name in names]
    return head, [[_cell(name, row) for name in names] for row in rows]


def _cell(name: str, row: Row) -> str:
    if name in HEADS:
        return percent(row[name])
    if name == "done":
        return f"{row['done']} of {row['planned']} epochs"
    if name == "macs":
        return "all" if row[name] is None else macs_in_words(row[name])
    if name in UNBOUNDED:
        return NO_SUCH if row[name] is None else f"{row[name]:.4g}"
    if row[name] is None:  # a setting that is left to what it depends on, or to nothing
        return NO_SUCH
    return duration(row[name]) if name == "seconds" else str(row[name])


def comparison_lines(rows: Sequence[Row]) -> list[str]:
    """The table for the terminal: a column for each run would be too wide for long names, so each has a line."""
    head, cells = as_table(rows)
    whole = [head, *([printable(cell) for cell in row] for row in cells)]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in whole]


def bought(runs: Sequence[RunTables]) -> list[str]:
    """What each budget among the runs, which are of one task, cost: its score beside that of the whole network, where
    one of the runs has that; and that a seed says little."""
    score = runs[0].score
    if score is None:
        return []
    scored = [run for run in runs if run.results[0].get(score.name) is not None]
    wholes = [run for run in scored if "macs" not in run.results[0]]
    smaller = [run for run in scored if "whole_macs" in run.results[0]]
    if len(wholes) != 1 or not smaller:
        return []
    whole = wholes[0].results[0][score.name]
    said = [f"{wholes[0].path}, the whole network: {score.say(whole)}."]
    for run in smaller:
        own = run.results[0]
        by = run.config["budget_by"] or OPTION_SCORING
        share = f"{own['macs'] / own['whole_macs']:.0%} of its multiply-adds (--budget-by {by})"
        said.append(f"{run.path}, {share}: {score.say(own[score.name])}, {_beside(own[score.name], whole, score)}.")
    apart = "a point or two" if score.percent else "a few per cent"
    return [*said, f"A run each: another seed may turn a difference of {apart} round."]


def _beside(own: float, whole: float, score: Score) -> str:
    """A score beside that of the whole network."""
    gain = 100 * (own - whole) if score.percent else own - whole
    told = f"{abs(gain):.1f}" if score.percent else f"{abs(gain):.2g}"
    if float(told) == 0:
        return "as much as it"
    return f"{told}{' points' * score.percent} {'more' if gain > 0 else 'less'}"


def write_comparison(rows: Sequence[Row], runs: Sequence[RunTables], out: Path) -> None:
    """Write the table as a page, with what is said of each run in words, and its curves."""
    head, cells = as_table(rows)
    parts = []
    for run in runs:
        curves = next((run.path / n for n in ("curves.png", "search.png") if (run.path / n).is_file()), None)
        words = [paragraph(sentence) for sentence in in_words(run)]
        parts.append(section(str(run.path), *words, picture_file(curves, "Over the epochs") if curves else ""))
    note = "Scores are those of the last validation; settings are those in which the runs differ."
    budgets = "".join(paragraph(sentence) for sentence in bought(runs))
    write_page(out, f"{len(rows)} runs", table(head, cells) + paragraph(note, "muted") + budgets + "".join(parts))
