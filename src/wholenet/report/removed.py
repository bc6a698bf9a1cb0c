"""What a budget took from a network, and when, for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from wholenet.deploy.model_folder import spec_of_model
from wholenet.report.html import table
from wholenet.search.cell_folder import CellFolder
from wholenet.search.config_files import is_cell_run
from wholenet.search.read_run import RunTables
from wholenet.search.records import Record
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import subnets
from wholenet.spaces.grid_costs import macs_in_words
from wholenet.spaces.space import Spec


def removed(spec: Spec, records: Sequence[Record]) -> list[tuple[int, str, str]]:
    """A row for each epoch at whose end something went, and has been trained without since.

    Args:
        spec: of the run's network.
        records: of its epochs, of a run with a budget, each of which says what it was trained with.

    Returns:
        The epoch, from 1; how many of what went; what the network costs then.
    """
    known, rows = subnets(spec), []
    for before, after in pairwise(records):
        if before["subnet"] == after["subnet"]:
            continue
        had, has = (known.count(known.from_dict(record["subnet"])) for record in (before, after))
        gone = ", ".join(_counted(n - has[kind], kind) for kind, n in had.items() if n > has[kind])
        left = f"{macs_in_words(after['macs'])} ({after['macs'] / records[0]['macs']:.0%} of the first epoch's)"
        rows.append((after["epoch"], gone, left))
    return rows


def _counted(number: int, kinds: str) -> str:
    """ "1 edge", "2 edges"."""
    return f"{number} {kinds.removesuffix('s') if number == 1 else kinds}"


def removed_table(run: RunTables) -> str:
    """The rows as a table of a page; nothing of a run whose network stayed as large as it was, or was not kept yet.

    Raises:
        ValueError: if the model folder, or a record, does not say what is left.
    """
    if len({record.get("macs") for record in run.records}) < 2 or not (run.path / "model").is_dir():
        return ""
    folder = CellFolder(run.path) if is_cell_run(run.path) else RunFolder(run.path)
    rows = removed(spec_of_model(run.path), folder.records())
    return table(("after epoch", "what went", "multiply-adds of what is left"), rows, "words")
