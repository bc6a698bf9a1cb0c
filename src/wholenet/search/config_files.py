"""The files that hold the config of a run, whatever it is of. Imports no torch: the command line reads it.

A config says by `kind` that it is of a run on a cell space, by `task` that it is of a task from outside; otherwise it
is of a run on images with masks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import yaml

from wholenet.checked import built
from wholenet.files import read_text, read_yaml, shown, write_whole
from wholenet.search.cell_config import ADDED as ADDED_TO_CELLS
from wholenet.search.cell_config import CellConfig
from wholenet.search.classifier_config import ClassifierConfig, RetrainConfig
from wholenet.search.config import ADDED, GRID_ALONE, FitConfig
from wholenet.search.methods import METHODS
from wholenet.search.search_config import RunConfig
from wholenet.search.task_config import TaskConfig

Config = TypeVar("Config")
END = "# all of it: without this line, the file was cut short"
"""Last line of a run's config."""
KINDS: dict[str, type[ClassifierConfig]] = {"search": CellConfig, "retrain": RetrainConfig}
"""Of runs on a cell space."""


def write_config(config: RunConfig, path: Path) -> None:
    """Write every field as YAML; :func:`read_config` gives the same config back."""
    kind = next((name for name, cls in KINDS.items() if isinstance(config, cls)), None)
    write_values(({} if kind is None else {"kind": kind}) | dataclasses.asdict(config), path)


def write_values(values: dict[str, Any], path: Path) -> None:
    """Write the values of a config, and a last line by which the file is known to be whole."""
    write_whole(path, f"{yaml.safe_dump(values, sort_keys=False)}{END}\n")


def options_of(config: RunConfig) -> dict[str, Any]:
    """What a file for ``--config`` holds of a run like this: every field that is an option of it, and the settings of
    its space and its task. Data and folder are typed."""
    typed = {"data", "out"}
    if isinstance(config, RetrainConfig):
        typed.add("genotype")
    if isinstance(config, CellConfig):  # which gives its searches several values of these
        typed |= {name for special in METHODS[config.method].searches for name in special}
    if isinstance(config, FitConfig) and config.space != "grid":
        typed |= set(GRID_ALONE)
    values = dataclasses.asdict(config)
    settings = {**values.pop("settings", {}), **values.pop("task_settings", {})}
    return {name: value for name, value in values.items() if name not in typed} | settings


def write_options(config: RunConfig, path: Path) -> None:
    """Write a file for ``--config``."""
    write_whole(path, yaml.safe_dump(options_of(config), sort_keys=False))


def read_config(path: Path) -> Any:
    """Read a config that :func:`write_config` wrote: of images with masks a :class:`FitConfig`, of a task from outside
    a :class:`TaskConfig`, of a cell space a :class:`CellConfig` or a :class:`RetrainConfig`.

    Raises:
        ValueError: for a field that does not exist, or a file that holds something else (with the file).
    """
    values = read_yaml(path)
    told = values if isinstance(values, dict) else {}
    if "kind" not in told:
        if "task" in told:
            return build_config(TaskConfig, values, path, ADDED)
        return build_config(FitConfig, values, path, ADDED).begun()
    kind = told.pop("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{path} has kind: {shown(kind)}; expected {' or '.join(KINDS)}")
    return build_config(KINDS[kind], told, path, ADDED_TO_CELLS)


def is_cell_run(path: Path) -> bool:
    """Whether there is a run on a cell space in the folder ``path``.

    Raises:
        ValueError: if its config cannot be read.
    """
    return kind_of_run(path) is not None


def kind_of_run(path: Path) -> Any:
    """What the config of the run in ``path`` says of its kind, a name in ``KINDS``; None if it is on no cell space.

    Raises:
        ValueError: if its config cannot be read.
    """
    config = path / "config.yaml"
    values = read_yaml(config) if config.is_file() else None
    return values.get("kind") if isinstance(values, dict) else None


def build_config(kind: type[Config], values: Any, path: Path, added: Collection[str] = ()) -> Config:
    """The config whose fields are the ``values`` in a file. A file from before there was a last line to know it by may
    do without the fields that were ``added`` since.

    Raises:
        ValueError: if they are no fields of its, one that has no default is missing, a value does not do, or the file
            was cut short; with the file.
    """
    try:
        config = built(kind, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    # A file that was cut short is good YAML too, and what it lost must not become the default.
    text = read_text(path)
    fields = [f.name for f in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    missing = [name for name in fields if name not in values and name not in added]
    if not text.rstrip().endswith(END) and (missing or not text.endswith("\n")):
        lost = f"has no {', '.join(missing[:9])}" if missing else "its last value may not be all there"
        raise ValueError(
            f"{path} ends without its last line and {lost}: it was cut short. Put it back, or write what is missing as "
            "the run had it, each as `name: value` in a line"
        )
    return config
