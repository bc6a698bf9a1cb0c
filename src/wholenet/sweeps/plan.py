"""A sweep's file, and the runs that it describes: every one of them checked before any is started."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console

from wholenet.checked import Jobs, built, checked
from wholenet.data.sets import data_set, known_by_name, place_of
from wholenet.data.text.files import looks_like_text
from wholenet.files import check_output, read_yaml, shown
from wholenet.jobs.catalog import task_called
from wholenet.search.run_folder import space_of
from wholenet.search.task_config import TaskConfig
from wholenet.search.train_config import TrainConfig
from wholenet.sweeps.run import PLACES, PlannedRun, as_text, check_folder, planned

SAFE_NAME = r"[A-Za-z0-9][\w.+-]*"
"""What a name in the file has to be like, where it becomes that of a file or folder."""
MAX_RUNS = 10_000
"""More are a slip in the grid: a list too many multiplies them."""
PATH_LENGTH = 4096
"""Characters; no system takes longer ones."""
NAME_LENGTH = 100
"""Longest name of a run folder; of two that are cut to the same, the later gets a number."""


@checked
class SweepFile:
    """The fields of a sweep's file."""

    data: str
    """Folder, or the name of a data set: "scenes"."""
    out: str
    """Folder for the runs."""
    options: dict[str, Any] | None = None
    """Of every run."""
    grid: dict[str, list[Any]] | None = None
    """Values of options; every combination is a run."""
    runs: list[dict[str, Any]] | None = None
    """Sets of options, each with a name."""
    jobs: Jobs | None = None
    """See :class:`Sweep`."""
    slurm: dict[str, Any] | None = None
    """See :class:`Sweep`."""

    def __post_init__(self) -> None:
        for name in ("data", "out"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; expected a path{' or scenes' * (name == 'data')}")
            if len(found := getattr(self, name)) > PATH_LENGTH:
                raise ValueError(f"{name}={shown(found)}: expected a path of at most {PATH_LENGTH} characters")


@dataclass(frozen=True)
class Sweep:
    """What a sweep's file says."""

    out: Path
    runs: tuple[PlannedRun, ...]
    jobs: int = 0
    """Runs at the same time; 0 is one per CPU core, or one where a GPU may be used."""
    slurm: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the Slurm jobs."""

    @property
    def groups(self) -> list[list[PlannedRun]]:
        """The runs of each configuration, over its seeds."""
        found: dict[str, list[PlannedRun]] = {}
        for run in self.runs:
            found.setdefault(repr({**asdict(run.config), "out": "", "seed": 0}), []).append(run)
        return list(found.values())


def read_sweep(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Sweep:
    """Read the file of a sweep, and check every run that it describes.

    Args:
        path: YAML with ``data``, ``out`` and any of ``options``, ``grid``, ``runs``, ``jobs``, ``slurm``; see
            docs/clusters.md.
        overrides: options for all runs, on top of the file's.

    Raises:
        ValueError: for a file that is none; an unknown option (those near it are named), a value that does not do,
            options that are given twice, two runs that are the same, data that is not there, or a folder that holds
            something else than the run as it is described (the difference is named), or a genotype that cannot be read.
    """
    try:
        values = read_yaml(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    try:
        return _sweep(built(SweepFile, values), dict(overrides or {}))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _sweep(content: SweepFile, overrides: dict[str, Any]) -> Sweep:
    data, out = _data(content.data), Path(content.out).expanduser()
    check_output(out, folder=True)
    slurm = content.slurm or {}
    log = slurm.get("log", "slurm")
    if not isinstance(log, str) or not re.fullmatch(SAFE_NAME, log, re.ASCII):
        raise ValueError(f"slurm: log is {shown(log)}; expected the name of a folder, which will be in {content.out}")
    runs = _runs(content, overrides, data, out)
    _refuse_equal(runs)
    for run in runs:
        check_folder(run)
    _check_genotypes(runs)
    _check_texts(runs)
    return Sweep(out, tuple(runs), content.jobs or 0, slurm)


def _data(given: str) -> str:
    place = place_of(given)  # a run is known by its data, from wherever the sweep is called
    if data_set(given) is None and not (Path(place).is_dir() or looks_like_text(place)):
        raise ValueError(f"data is {given}, and there is no such folder; give a folder, or {known_by_name()}")
    return place


# ---- from the file's parts to runs


def _runs(content: SweepFile, overrides: dict[str, Any], data: str, out: Path) -> list[PlannedRun]:
    shared = _options(content.options or {}, "options")
    grid = _grid(content.grid or {})
    grid = {name: grid[name] for name in sorted(grid, key=lambda name: name == "seed")}  # seeds side by side
    sets = _sets(content.runs)
    varied = {*grid, *(name for options in sets.values() for name in options)}
    if clash := sorted(set(overrides) & varied):
        raise ValueError(f"--set {clash[0]}: the sweep varies {clash[0]} itself; change it in the file")
    if clash := sorted(set(shared) & set(grid)):
        raise ValueError(f"{clash[0]} is in options and in grid; keep one of them")
    count = len(sets)
    for values in grid.values():
        count *= len(values)
    if count > MAX_RUNS:
        raise ValueError(f"the grid makes {count:,} runs; expected at most {MAX_RUNS:,}")
    runs = []
    names = _Names()
    for set_name, options in sets.items():
        if clash := sorted(set(options) & set(grid)):
            raise ValueError(f"{clash[0]} is in the run {set_name!r} and in grid; keep one of them")
        for point in product(*grid.values()):
            chosen = dict(zip(grid, point, strict=True))
            path = out / "runs" / names.new(_name(set_name, chosen))
            group = _name(set_name, {name: value for name, value in chosen.items() if name != "seed"})
            runs.append(planned(path, group, {**shared, **overrides, **options, **chosen}, data))
    if len(tasks := {run.task for run in runs}) > 1:
        raise ValueError(f"its runs are of {' and '.join(sorted(tasks))}, whose scores do not compare; make two sweeps")
    return runs


def _refuse_equal(runs: Sequence[PlannedRun]) -> None:
    seen: dict[str, str] = {}
    for run in runs:
        key = repr({**asdict(run.config), "out": ""})
        if key in seen:
            raise ValueError(f"the runs {seen[key]} and {run.name} are the same; each needs something of its own")
        seen[key] = run.name


def _check_genotypes(runs: Sequence[PlannedRun]) -> None:
    """Read those that runs will start from, each once."""
    configs = [run.config for run in runs if isinstance(run.config, TrainConfig) and not run.begun]
    for config in {(config.genotype, repr(space_of(config))): config for config in configs}.values():
        if config.genotype is not None:
            space, settings = space_of(config)
            space.read_genotype(config.genotype, settings)


def _check_texts(runs: Sequence[PlannedRun]) -> None:
    """Read the text of runs that will start, once for all that ask the same of it."""
    configs = [run.config for run in runs if isinstance(run.config, TaskConfig) and not run.begun]
    asked = {
        repr((c.batch, c.split, c.weights_share, c.genotype is None, c.settings, c.task_settings)): c
        for c in configs
        if c.task == "language"
    }
    for config in asked.values():
        task_called(config.task).prepare(config, Console(quiet=True))


def _options(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Options by their names, in which dashes are as good as underscores."""
    found = {name.replace("-", "_"): value for name, value in given.items()}
    if len(found) < len(given):
        twice = next(name for name, n in Counter(name.replace("-", "_") for name in given).items() if n > 1)
        raise ValueError(f"{where} has {twice} with dashes and with underscores; keep one of them")
    if place := [name for name in found if name in PLACES]:
        raise ValueError(f"{where} has {place[0]}, which is one for the whole sweep: put it at the top of the file")
    return found


def _grid(values: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    grid = _options(values, "grid")
    for name, listed in grid.items():
        if not listed:
            raise ValueError(f"grid: {name} is []; expected a list of values, such as [0, 1, 2]")
        if twice := [v for i, v in enumerate(listed) if v in listed[:i] and type(v) in map(type, listed[:i])]:
            raise ValueError(f"grid: {name} has {shown(twice[0])} twice")
    return grid


def _sets(values: list[dict[str, Any]] | None) -> dict[str, dict[str, Any]]:
    """The option sets by name; one without a name or options where the file has none."""
    if values is None:
        return {"": {}}
    if not values:
        raise ValueError("runs is []; expected a list of option sets, each with a name")
    sets: dict[str, dict[str, Any]] = {}
    for entry in values:
        options = _options(entry, "runs")
        name = options.pop("name", None)
        if not isinstance(name, str) or not re.fullmatch(SAFE_NAME, name, re.ASCII):
            raise ValueError(f"runs: a set is called {shown(name)}; expected a name of letters, digits, and - _ . +")
        if name in sets:
            raise ValueError(f"runs: two sets are called {name}")
        sets[name] = options
    return sets


# ---- names


def _name(set_name: str, chosen: Mapping[str, Any]) -> str:
    """ "uniform-lr0.05-seed0": readable, and never a path."""
    parts = [set_name] * bool(set_name) + [f"{name}{as_text(value)}" for name, value in chosen.items()]
    return re.sub(r"[^\w.+-]+", "_", "-".join(parts), flags=re.ASCII) or "run"


class _Names:
    """Gives every run a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, wanted: str) -> str:
        name, number = wanted[:NAME_LENGTH], 2
        while self._taken.intersection(_files(name)):
            name, number = f"{wanted[:NAME_LENGTH]}-{number}", number + 1
        self._taken.update(_files(name))
        return name


def _files(name: str) -> list[str]:
    """What a run writes beside those of the others; in small letters, as some disks do not tell cases apart."""
    return [f"{name}{ending}".lower() for ending in ("", ".log", ".yaml")]
