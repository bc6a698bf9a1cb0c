"""Runs the benchmarks: ratios, each with its equality check."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from pkgutil import iter_modules

import torch

from wholenet import benchmarks
from wholenet.benchmarks.row import Row, Setting
from wholenet.checked import Batch, Count, Threads, checked_numbers
from wholenet.files import check_output
from wholenet.machine import choose_device
from wholenet.ops.execution import tuned
from wholenet.search.config import parse_size
from wholenet.spaces.count import COARSEST
from wholenet.spaces.sizes import grid_size

SHARED = ("measure", "row")
"""Modules among the benchmarks that are none."""
ONE_BY_ONE = ("inference", "shrunk")
"""Benchmarks that run images by themselves, whatever the batch is."""
WITHOUT_CROP = ("cell_epochs", "cell_steps", "correlation", "eigenvalue", "recurrent", "trellis")
"""Benchmarks on images or features of a size of their own, or on words."""


@checked_numbers
def bench(
    names: Sequence[str] = (),
    *,
    device: str = "auto",
    size: str = "tiny",
    batch: Batch = 4,
    crop: str = "176x240",
    rounds: Count = 9,
    threads: Threads = 1,
    json_file: str | None = None,
    show: Callable[[str], None] = print,
) -> list[Row]:
    """Run benchmarks, all that fit the device if none is named, and write their rows to ``json_file``.

    Raises:
        ValueError: for a path that cannot be written to, an unknown name, a name that needs a GPU where there is none,
            or images too few and small for BatchNorm.
    """
    if json_file is not None:
        check_output(json_file)
    setting = Setting(choose_device(device), size, batch, parse_size(crop), rounds, threads)
    grid_size(size)
    found = available()
    if unknown := [name for name in names if name not in found]:
        raise ValueError(f"no benchmark {unknown[0]!r}; there are {', '.join(found)}")
    for name in names or found:
        _check_values(name, setting)
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
    """Names of the benchmarks."""
    return sorted(module.name for module in iter_modules(benchmarks.__path__) if module.name not in SHARED)


def _check_values(name: str, setting: Setting) -> None:
    """Make sure that BatchNorm has two values per channel at the grid's last level, in training mode."""
    batch = 1 if name in ONE_BY_ONE else setting.batch
    height, width = setting.crop
    if name in WITHOUT_CROP or batch * -(-height // COARSEST) * -(-width // COARSEST) > 1:
        return
    instead = "" if name in ONE_BY_ONE else "a batch of 2 or more, or "
    raise ValueError(
        f"benchmark {name}: a batch of {batch} with a crop of {height}x{width} leaves one value per channel at stride "
        f"{COARSEST}, and BatchNorm needs two; use {instead}a crop larger than {COARSEST}x{COARSEST}"
    )


def _rows(name: str, setting: Setting, chosen: bool) -> Iterator[Row]:
    module = importlib.import_module(f"{benchmarks.__name__}.{name}")  # some import what others can do without
    if getattr(module, "NEEDS_GPU", False) and setting.device.type != "cuda":
        if chosen:
            raise ValueError(f"benchmark {name} needs a GPU; this one runs on {setting.device}")
        return
    yield from module.run(setting)
