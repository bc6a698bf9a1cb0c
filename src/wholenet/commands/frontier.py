"""``wholenet fit`` with several budgets: a run for each, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wholenet.commands.runs import in_all_processes, of_machine
from wholenet.search.config import MACHINE

if TYPE_CHECKING:
    from wholenet.frontier import Frontier


def holds_frontier(path: str) -> bool:
    """Whether a folder is that of a frontier, not of a run."""
    return (Path(path) / "frontier.yaml").is_file()


def fit_frontier(options: dict[str, Any], plan: str | None = None) -> None:
    """Train the runs of ``options``, whose budget has several, and tell what they came to."""
    from wholenet.frontier import fit_frontier, frontier_configs  # imports torch

    configs = frontier_configs(options)
    _tell(in_all_processes(lambda: fit_frontier(configs, plan=plan)))


def resume_frontier(path: str, options: dict[str, Any], moved: str | None) -> None:
    """Go on with the runs in a folder, and tell what they came to."""
    from wholenet.frontier import resume_frontier  # imports torch

    _tell(in_all_processes(lambda: resume_frontier(path, data=moved, **of_machine(options, MACHINE))))


def _tell(found: Frontier | None) -> None:
    if found is None:
        return
    from wholenet.report.frontier import PAGE, PICTURE, frontier_lines

    print("\n" + "\n".join(frontier_lines(found.points, found.whole_macs)))
    for name in (PICTURE, PAGE):
        print(f"open {found.out / name}")
