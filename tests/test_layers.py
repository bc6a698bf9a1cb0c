"""Imports point one way: each room may import only the rooms above it in this list (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

import wholenet

PACKAGE = Path(wholenet.__file__).parent
ROOMS = [
    "version",
    "parallel",
    "machine",
    "files",
    "registry",
    "checked",
    "architecture",
    "ops",
    "spaces",
    "data",
    "tasks",
    "search",
    "deploy",
    "diagnostics",
    "report",
    "prepare",
    "run",
    "segmentation_job",
    "training",
    "cells",
    "control",
    "studies",
    "sweeps",
    "api",
    "benchmarks",
    "bench",
    "arguments",
    "cli",
    "__main__",
]
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported_rooms(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("wholenet.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_above_it(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = ROOMS[: ROOMS.index(room) + 1]
    assert imported_rooms(path) <= set(allowed)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_imports_inside_functions(path):
    if path.name == "cli.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert not any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)), node.name
