"""What a run records of its epochs: a line of JSON for each that is finished, in ``metrics.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholenet.files import parse_json, read_bytes, shown

Record = dict[str, Any]
"""One finished epoch: "epoch" (from 0), "phase", "lr", "loss", "arch_loss" or None, "entropy" of each architecture
parameter (normalised), "seconds", of which "data_seconds" waiting for batches, "steady_seconds" (what they were at the
median of its steps; records of before 2026-11-29 lack it), "images_per_second"; on images with
masks "entropy_paper", "miou" and "pixel_accuracy" (in [0, 1]) or None, "warnings"; on labelled images "error" (in
[0, 1]) or None, "weight_decay", "genotype", "skips", where options are pruned "options", "options_cost" and
"pruning_strength", the ends of the spectrum, "eigenvalue" and "lowest_eigenvalue", or
None."""
LIMIT = 256 << 20
"""Bytes of the largest file that is read. An epoch takes two kilobytes, with a genotype in it."""


@dataclass(frozen=True)
class Found:
    """What a file of records holds."""

    by_epoch: dict[int, Record]
    """In order. A crash between log and checkpoint makes a run repeat an epoch: its last record counts."""
    damaged: dict[int, str]
    """Lines that hold no record, from 1, and how they begin."""
    cut_short: bool
    """Whether a crash ended the last line before it was written; the run was to repeat that epoch."""

    @property
    def whole(self) -> bool:
        """Whether nothing can be missing."""
        return not (self.damaged or self.cut_short or self.missing)

    @property
    def missing(self) -> list[int]:
        """Epochs without a record, before the last that has one."""
        return [epoch for epoch in range(max(self.by_epoch, default=-1)) if epoch not in self.by_epoch]


def read_records(path: Path) -> Found:
    """What is in the file; nothing if there is none.

    Raises:
        ValueError: if it is no regular file, or larger than ``LIMIT``.
    """
    *lines, cut_short = read_bytes(path, LIMIT).split(b"\n") if path.exists() else [b""]
    records, damaged = dict[int, Record](), dict[int, str]()
    for number, line in enumerate(lines, 1):
        record = _record(line)
        if record is None:
            damaged[number] = shown(line)
        else:
            records[record["epoch"]] = record
    return Found(dict(sorted(records.items())), damaged, bool(cut_short))


def as_lines(records: Sequence[Record]) -> str:
    """The content of such a file."""
    return "".join(json.dumps(record) + "\n" for record in records)


def _record(line: bytes) -> Record | None:
    """The record in a line; None if it holds none."""
    try:
        record = parse_json(line.decode())
    except ValueError:
        return None
    whole = isinstance(record, dict) and type(record.get("epoch")) is int and record["epoch"] >= 0
    return record if whole else None
