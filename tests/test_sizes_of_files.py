"""Files of less than 400 lines, functions of at most 80: what is larger holds two ideas."""

import ast
from pathlib import Path

import pytest

import wholenet

PACKAGE = Path(wholenet.__file__).parent
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 400, 80


def too_long(path: Path) -> list[str]:
    """What of a file is over the limits."""
    text = path.read_text()
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    found = [f"{name}: {count} lines" for name, count in lines.items() if count > LINES_OF_A_FUNCTION]
    return found + [f"{path.name}: not under 400 lines"] * (len(text.splitlines()) >= LINES_OF_A_FILE)


@pytest.mark.parametrize("room", sorted({path.parent for path in PACKAGE.rglob("*.py")}), ids=lambda path: path.name)
def test_files_and_functions_are_short(room):
    assert {path.name: found for path in room.glob("*.py") if (found := too_long(path))} == {}


def test_what_is_longer_is_found(tmp_path):
    at, over = (f"def {name}():\n" + "    x = 1\n" * count for name, count in (("at", 79), ("over", 80)))
    (tmp_path / "two.py").write_text(at + over)
    assert too_long(tmp_path / "two.py") == ["over: 81 lines"]
    (tmp_path / "long.py").write_text("x = 1\n" * 400)
    assert too_long(tmp_path / "long.py") == ["long.py: not under 400 lines"]
