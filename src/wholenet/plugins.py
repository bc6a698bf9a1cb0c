"""What other packages bring along, and :func:`register`, by which they and users do. Imports no torch.

An installed package names a module, or a function without arguments, in the entry-point group ``wholenet``; the module
registers when it is imported, the function when it is called. That is done once, when a name is looked up that is not
known yet, or the names are listed. The names of code come from the installed packages alone, never from a config, a
sweep or a folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

GROUP = "wholenet"
"""Of entry points."""
OWN = (
    EntryPoint(name="scenes", value="wholenet_scenes", group=GROUP),
    EntryPoint(name="planes", value="wholenet.data.stereo.planes", group=GROUP),
)
"""This distribution's own, as pyproject.toml has them."""
REGISTRIES = {
    "wholenet.data.sets.DataSet": ("wholenet.data.sets", "DATA_SETS"),
    "wholenet.data.transforms.Transform": ("wholenet.data.transforms", "TRANSFORMS"),
    "wholenet.spaces.cell_space.CellSpace": ("wholenet.spaces.catalog", "SPACES"),
    "wholenet.spaces.space.Space": ("wholenet.spaces.catalog", "SPACES"),
    "wholenet.ops.operations.Operation": ("wholenet.ops.operations", "OPERATIONS"),
    "wholenet.ops.candidates.CellOperation": ("wholenet.ops.candidates", "CANDIDATES"),
    "wholenet.search.methods.Method": ("wholenet.search.methods", "METHODS"),
    "wholenet.search.parts.Gradient": ("wholenet.search.parts", "GRADIENTS"),
    "wholenet.search.parts.Update": ("wholenet.search.parts", "UPDATES"),
    "wholenet.search.parts.Perturbation": ("wholenet.search.parts", "PERTURBATIONS"),
    "wholenet.search.parts.EarlyStopping": ("wholenet.search.parts", "EARLY_STOPPING"),
    "wholenet.search.parts.Selection": ("wholenet.search.parts", "SELECTIONS"),
    "wholenet.search.penalties.Regularizer": ("wholenet.search.penalties", "REGULARIZERS"),
    "wholenet.search.protocols.Protocol": ("wholenet.search.protocols", "PROTOCOLS"),
    "wholenet.jobs.task.Task": ("wholenet.jobs.catalog", "TASKS"),
    "wholenet.search.loggers.Logger": ("wholenet.search.loggers", "LOGGERS"),
    "wholenet.deploy.folds.Fold": ("wholenet.deploy.folds", "FOLDS"),
    "wholenet.report.pictures.Picture": ("wholenet.report.pictures", "PICTURES"),
    "wholenet.architecture.Relaxation": ("wholenet.architecture", "RELAXATIONS"),
}
"""Type of thing -> where its registry is: by name, as some import torch."""
PARTS = {
    "wholenet.jobs.task.Task": ("answer", "wholenet.deploy.model_folder", "ANSWERS"),
    "wholenet.spaces.cell_space.CellSpace": ("table", "wholenet.spaces.cell_tables", "TABLES"),
}
"""Of some of these, a part that is looked up on its own: which, and where."""

IMPORTED: list[str] = []
"""Modules that ``--import`` named: the processes that this one starts are told of them too."""

_failed: dict[str, str] | None = None


def load_plugins() -> Mapping[str, str]:
    """Let the installed packages register what they have; the first call does it.

    One that fails stops no other.

    Returns:
        Entry points that failed, by name: which package, and why.
    """
    global _failed
    if _failed is None:
        _failed = {}  # what is looked up while they are loaded must not load them again
        for point in _points():
            try:
                _load(point)
            except (Exception, SystemExit) as error:
                package = "wholenet" if point.dist is None else f"{point.dist.name} {point.dist.version}"
                _failed[point.name] = (
                    f"what the installed package {package} registers is not there, because loading {point.value} "
                    f"failed ({type(error).__name__}: {error}); repair the package, or uninstall it"
                )
    return MappingProxyType(_failed)


def import_modules(names: Sequence[str]) -> None:
    """Import what ``--import`` names, which is for registering. Modules are found in the current folder too.

    Raises:
        ValueError: for a module that is not there, or fails.
    """
    if names and "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` has it
    for name in names:
        try:
            import_module(name)
        except Exception as error:
            raise ValueError(
                f"--import {name} failed ({type(error).__name__}: {error}); expected the name of a module that Python "
                "finds, from here too, and that can be imported"
            ) from error
        if name not in IMPORTED:
            IMPORTED.append(name)


def import_options() -> list[str]:
    """The words that make another process import the same."""
    return [f"--import={name}" for name in IMPORTED]


def register(thing: Any) -> None:
    """Make a data set, a transform, a search space, an operation of the grid's cell or of the cell spaces, a task, a
    protocol, a method, one of its parts (a gradient, an update, a perturbation, a rule of early stopping, a selection,
    a regulariser, a relaxation), a logger, a picture or a fold known by its name: a thing of one of the types in
    ``REGISTRIES``.

    Registering the very same thing again does nothing.

    Raises:
        TypeError: for a thing of another type.
        ValueError: if the name is taken, or is no name: letters, digits, "-", "_" and ".".
    """
    kinds = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(thing).__mro__]
    found = next((kind for kind in kinds if kind in REGISTRIES), None)
    if found is None:
        raise TypeError(f"a {kinds[0]} cannot be registered; expected a {' or a '.join(REGISTRIES)}")
    load_plugins()  # their names are taken
    places = [(*REGISTRIES[found], thing)]
    if found in PARTS:
        part, module, name = PARTS[found]
        places.append((module, name, getattr(thing, part)))
    added = [(getattr(import_module(module), name), what) for module, name, what in places]
    for registry, what in added:  # first: if a name is taken, nothing is registered
        registry.check_free(thing.name, what)
    for registry, what in added:
        registry.add(thing.name, what)


def _points() -> list[EntryPoint]:
    """The own come first, so that nobody else takes their names."""
    own = {point.value for point in OWN}
    others = {point for point in entry_points(group=GROUP) if point.value not in own}
    # Named here, too: an editable install made before an entry point was there does not know of it.
    return [*OWN, *sorted(others, key=lambda point: (point.name, point.value))]


def _load(point: EntryPoint) -> None:
    found = point.load()
    if callable(found):
        found()
    elif not isinstance(found, ModuleType):
        raise TypeError(f"expected a module or a function, found a {type(found).__name__}")
