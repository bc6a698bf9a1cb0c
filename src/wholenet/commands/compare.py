"""``wholenet compare``."""

from __future__ import annotations

from wholenet.commands.answers import write_json


def compare(runs: list[str], *, out: str | None = None, json: str | None = None) -> None:
    """Runs beside each other: scores, cost, and the settings that differ.

    Args:
        runs: Two or more run folders.
        out: HTML file to write the table to, with curves.
        json: Write the rows to this file.
    """
    from wholenet.inspection import compare
    from wholenet.report.compare import bought, comparison_lines
    from wholenet.search.read_run import read_run

    rows = compare(runs, out)
    print("\n".join(comparison_lines(rows)))
    for sentence in bought([read_run(run) for run in runs]):
        print(sentence)
    if out is not None:
        print(f"open {out}")
    write_json(json, {"runs": rows})
