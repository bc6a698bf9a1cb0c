"""Runs the benchmarks, which lie beside the package in the source tree: ratios, each with its equality check."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import wholenet
from wholenet.files import check_output
from wholenet.ops.execution import tuned
from wholenet.search.config import parse_size
from wholenet.spaces.sizes import grid_size
from wholenet.training import choose_device

FOLDER = Path(wholenet.__file__).resolve().parents[2] / "benchmarks"


@dataclass(frozen=True)
class Row:
    """One comparison: a baseline's time, or memory, by that of what is measured. Above 1, ours is the smaller."""

    name: str
    baseline: str
    ratio_median: float
    ratio_min: float
    ratio_max: float
    n: int
    """Rounds, each of which gives one ratio."""
    max_abs_error: float | None
    """Largest difference between the outputs (of training steps, and the gradients) of the two; None where they are not
    meant to be equal."""
    ms: float | None = None
    """Median milliseconds of what is measured; on a GPU alone."""
    baseline_ms: float | None = None
    """The same of the baseline, where the time itself is asked for."""

    def to_dict(self) -> dict[str, object]:
        """The JSON form; absolute times only where there are any."""
        values = {name: value for name, value in asdict(self).items() if "ms" not in name or value is not None}
        return {name: round(value, 3) if name.startswith("ratio") else value for name, value in values.items()}

    def __str__(self) -> str:
        error = "" if self.max_abs_error is None else f"  differs by {self.max_abs_error:.1e}"
        ms = "" if self.ms is None else f"  {self.ms:.2f} ms"
        ms += "" if self.baseline_ms is None else f" (baseline {self.baseline_ms:.2f} ms)"
        return (
            f"{self.name:50} {self.baseline:22} {self.ratio_median:6.2f}x  "
            f"({self.ratio_min:.2f}-{self.ratio_max:.2f}, n={self.n}){error}{ms}"
        )


@dataclass(frozen=True)
class Setting:
    """What is measured, and where."""

    device: torch.device
    size: str
    batch: int
    crop: tuple[int, int]
    rounds: int
    threads: int


def bench(
    names: Sequence[str] = (),
    *,
    device: str = "auto",
    size: str = "tiny",
    batch: int = 4,
    crop: str = "176x240",
    rounds: int = 9,
    threads: int = 1,
    json_file: str | None = None,
    show: Callable[[str], None] = print,
) -> list[Row]:
    """Run benchmarks, all that fit the device if none is named, and write their rows to ``json_file``.

    Raises:
        ValueError: for a path that cannot be written to, an unknown name, a name that needs a GPU where there is none,
            or an installation without the source tree.
    """
    if json_file is not None:
        check_output(json_file)
    setting = Setting(choose_device(device), size, batch, parse_size(crop), rounds, threads)
    grid_size(size)
    for name, value in (("batch", batch), ("rounds", rounds), ("threads", threads)):
        if value < 1:
            raise ValueError(f"--{name} {value}: expected at least 1")
    found = available()
    if unknown := [name for name in names if name not in found]:
        raise ValueError(f"no benchmark {unknown[0]!r}; there are {', '.join(found)}")
    torch.set_num_threads(threads)
    rows: list[Row] = []
    with tuned(setting.device):  # as training runs
        for row in (row for name in names or found for row in _rows(name, setting, chosen=bool(names))):
            show(str(row))
            rows.append(row)
            _write(rows, json_file)
    return rows


def _write(rows: Sequence[Row], json_file: str | None) -> None:
    if json_file is not None:
        Path(json_file).parent.mkdir(parents=True, exist_ok=True)
        Path(json_file).write_text(json.dumps([row.to_dict() for row in rows], indent=2) + "\n")


def available() -> list[str]:
    """Names of the benchmarks.

    Raises:
        ValueError: if they are not there.
    """
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "measure")
    if not names:
        raise ValueError(
            f"the benchmarks come with the source tree, and there are none in {FOLDER}; clone wholenet's repository, "
            "and install it with `pip install -e .`"
        )
    return names


def _rows(name: str, setting: Setting, chosen: bool) -> Iterator[Row]:
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    module = importlib.import_module(name)
    if getattr(module, "NEEDS_GPU", False) and setting.device.type != "cuda":
        if chosen:
            raise ValueError(f"benchmark {name} needs a GPU; this one runs on {setting.device}")
        return
    yield from module.run(setting)
