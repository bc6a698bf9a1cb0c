"""Imports point one way: each room may import only the rooms above it in this list (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

import wholenet

PACKAGE = Path(wholenet.__file__).parent
ROOMS = [
    "version",
    "parallel",
    "files",
    "machine",
    "ranks",
    "registry",
    "plugins",
    "checked",
    "file_keys",
    "discretization_aware",
    "sampled_weights",
    "architecture",
    "ops",
    "spaces",
    "data",
    "tasks",
    "search",
    "deploy",
    "diagnostics",
    "report",
    "beginning",
    "run",
    "jobs",
    "planning",
    "training",
    "cells",
    "control",
    "frontier",
    "smaller",
    "studies",
    "sweeps",
    "old_names",
    "trained",
    "inspection",
    "api",
    "benchmarks",
    "bench",
    "arguments",
    "option_files",
    "signatures",
    "commands",
    "cli",
    "__main__",
]
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
SCENES = PACKAGE.parent / "wholenet_scenes"
OPEN_TO_SCENES = {"wholenet", "wholenet.data.sample", "wholenet.data.sets", "wholenet.data.stereo.sample"}
"""What the street scenes need, as anybody's data sets do."""


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            through_the_face = [f"wholenet.{alias.name}" for alias in node.names] if node.module == "wholenet" else []
            names.update(through_the_face or [node.module])
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def imported_rooms(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("wholenet.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_above_it(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = ROOMS[: ROOMS.index(room) + 1]
    assert imported_rooms(path) <= set(allowed)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_imports_inside_functions(path):
    if path.name == "cli.py" or path.parent.name == "commands":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert not any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)), node.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_inside_goes_through_the_packages_face(path):
    """It stands below everything, so that would be an arrow up."""
    face = {f"wholenet.{name}" for name in wholenet.__all__}
    assert not imported(path) & {"wholenet", *face}


def test_the_scenes_are_a_data_set_like_that_of_anybody_else():
    of_scenes = {name for path in SCENES.glob("*.py") for name in imported(path) if name.split(".")[0] == "wholenet"}
    assert "wholenet.data.sets" in of_scenes
    assert of_scenes <= OPEN_TO_SCENES
    naming = {path.relative_to(PACKAGE).as_posix() for path in FILES if "wholenet_scenes" in path.read_text()}
    assert naming == {"plugins.py"}
    assert not [path for path in FILES if any(name.startswith("wholenet_scenes") for name in imported(path))]
