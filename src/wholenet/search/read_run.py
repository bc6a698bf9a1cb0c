"""A run as plain tables: its settings, a row per epoch, and a row for each run in its folder with what it came to."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wholenet.data.check import SplitStats
from wholenet.search.cell_folder import CellFolder
from wholenet.search.config import FitConfig
from wholenet.search.config_files import is_cell_run
from wholenet.search.keep import best_record
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.records import Record
from wholenet.search.run_folder import RunFolder
from wholenet.tasks.disparity import EPE
from wholenet.tasks.perplexity import PERPLEXITY
from wholenet.tasks.score import ERROR, MIOU, Score

Row = dict[str, Any]
SCORES = {"segmentation": MIOU, "classification": ERROR, "language": PERPLEXITY, "stereo": EPE}
"""What runs of a task are compared by."""
OF_EVERY_RUN = ("epoch", "lr", "loss", "arch_loss", "seconds", "data_seconds", "images_per_second", "weight_decay")
OF_EVERY_RUN += ("steady_seconds", "eigenvalue", "lowest_eigenvalue")
"""Numbers of a record that are no score."""


@dataclass(frozen=True)
class RunTables:
    """What a run's folder holds, as plain values. Scores are shares in [0, 1]."""

    path: Path
    task: str
    """"segmentation", "classification", "language", "stereo", or one from outside."""
    config: Row
    """Every setting."""
    records: list[Row]
    """One per finished epoch, as ``metrics.jsonl`` has them, but flat: "entropy.alpha" is what "entropy" has under
    "alpha", and "logits.alpha" the logits of the architecture after that epoch, nested lists."""
    results: list[Row]
    """The run and those inside its folder: "part" ("run", "first stage", "second stage", "control", "search 1", ...),
    "folder", "epochs" finished and "planned", "seconds" of training; of segmentation "miou", "pixel_accuracy" and
    "constant_miou" (of always answering the best one class), with a budget "macs" (multiply-adds of an image, of the
    network as it is now) and "whole_macs" (of the whole one; not of runs from before 2026-11-30); of classification
    "error" and "test_error"; of a task from outside, whatever numbers its records have. None where there is no such
    number, or not yet."""

    @property
    def floors(self) -> dict[str, float]:
        """Scores of simple answers, by what they are: of a text, perplexities of models that count. None of a task that
        has no such answers, and of a run from before 2026-11-30."""
        own = self.task != "classification"
        found = (RunFolder(self.path).environment() or {}).get("floors") if own else None
        if not isinstance(found, dict):
            return {}
        return {name: value for name, value in found.items() if isinstance(value, int | float)}

    @property
    def score(self) -> Score | None:
        """What runs of the task are compared by; its name is that in ``results``. None of a task from outside, whose
        numbers may mean anything."""
        return SCORES.get(self.task)

    def frame(self, table: str = "records") -> Any:
        """One of the tables, "records" or "results", as a pandas DataFrame.

        Raises:
            ValueError: for another name, or if pandas is not installed.
        """
        if table not in ("records", "results"):
            raise ValueError(f"there is no table {table!r}; expected records or results")
        try:
            pandas = importlib.import_module("pandas")  # not everyone has it
        except ImportError as error:
            raise ValueError("a frame needs pandas, not installed here; the tables are lists of dicts too") from error
        return pandas.DataFrame(getattr(self, table))


def read_run(run: str | Path) -> RunTables:
    """The tables of the run in the folder ``run``, finished or not. Nothing is computed, and no model is read.

    Raises:
        ValueError: if there is no run in the folder, or its files are damaged.
    """
    path = Path(run)
    folder = CellFolder(path) if is_cell_run(path) else RunFolder(path)
    return RunTables(
        path=path,
        task="classification" if isinstance(folder, CellFolder) else getattr(folder.config, "task", "segmentation"),
        config=asdict(folder.config),
        records=[flat(record) for record in folder.records()],
        results=[_result(part, inner) for part, inner in parts_of(folder)],
    )


def parts_of(folder: RunFolder | CellFolder) -> Iterator[tuple[str, RunFolder | CellFolder]]:
    """The run, and those inside its folder, by what they are."""
    yield "run", folder
    for part, path in folder.parts.items():
        found = folder.at(path)
        if found is not None:
            yield part, found


def _result(part: str, folder: RunFolder | CellFolder) -> Row:
    records = folder.records()
    row: Row = {"part": part, "folder": str(folder.path), "epochs": len(records)}
    seconds = sum(record["seconds"] for record in records)
    row |= {name: records[-1][name] for name in ("macs", "whole_macs") if records and name in records[-1]}
    if isinstance(folder, CellFolder):
        found = folder.result() or {}
        errors = {"error": found.get("error"), "test_error": found.get("test_error")}
        if errors["error"] is None:
            errors["error"] = _last(records, "error")
        return row | {"planned": folder.config.epochs, "seconds": seconds, **errors}
    config = folder.config
    retrains = config.genotype is None and PROTOCOLS[config.protocol].retrains
    row |= {"planned": config.retrain_epochs if retrains else config.epochs, "seconds": seconds}
    score = MIOU if isinstance(config, FitConfig) else SCORES.get(getattr(config, "task", ""))
    best = best_record(records, score) if config.keep == "best" and score is not None else None
    kept = records if best is None else [best]  # what its model/ scores
    if not isinstance(config, FitConfig):
        return row | {name: _last(kept, name) for name in _own_numbers(records)}
    return row | {
        "miou": _last(kept, "miou"),
        "pixel_accuracy": _last(kept, "pixel_accuracy"),
        "constant_miou": _constant_miou(folder),
    }


def _last(records: list[Record], key: str) -> float | None:
    """The newest value; None where no record has one."""
    return next((record[key] for record in reversed(records) if record.get(key) is not None), None)


def _own_numbers(records: list[Record]) -> list[str]:
    """What the records of a task from outside have beside those of every run."""
    found = {name: value for record in records for name, value in record.items() if name not in OF_EVERY_RUN}
    return [name for name, value in found.items() if isinstance(value, int | float)]


def _constant_miou(folder: RunFolder) -> float | None:
    facts = folder.environment()
    if facts is None:
        return None
    try:
        stats = SplitStats(**{**facts["val"], "class_pixels": tuple(facts["val"]["class_pixels"])})
        return stats.best_constant_miou()
    except (KeyError, TypeError, ValueError, ZeroDivisionError):  # of another version: it is not said
        return None


def flat(values: Mapping[str, Any], before: str = "") -> Row:
    """Mappings within the mapping taken apart, their keys joined by dots.

    >>> flat({"loss": 0.5, "entropy": {"alpha": 1.0}})
    {'loss': 0.5, 'entropy.alpha': 1.0}
    """
    found: Row = {}
    for key, value in values.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found
