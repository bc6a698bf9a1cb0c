"""What is given away: the wheel has all code, the source distribution all that the documents name."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "docs", "recipes", "benchmarks")
FILES = ("README.md", "CHANGELOG.md", "LICENSE", "Makefile", "MANIFEST.in", "constraints.txt", "pyproject.toml")
NEVER = ("__pycache__", ".pyc", ".egg-info")
BUILD = "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The project without what is not part of it, and its distributions in dist/."""
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("pyproject.toml asks for setuptools 77 or newer")
    root = tmp_path_factory.mktemp("project")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns(*(f"*{end}" for end in NEVER)))
    for name in FILES:
        shutil.copy(ROOT / name, root)
    subprocess.run([sys.executable, "-c", BUILD], cwd=root, check=True, capture_output=True)
    return root


def test_the_source_distribution_is_the_project(copy):
    (made,) = (copy / "dist").glob("*.tar.gz")
    with tarfile.open(made) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    below = [path for folder in FOLDERS for path in (copy / folder).rglob("*") if path.is_file()]
    expected = {path.relative_to(copy).as_posix() for path in below} | set(FILES)
    missing = {name for name in expected if not any(end in name for end in NEVER)} - inside
    assert not missing


def test_the_wheel_has_all_code_and_nothing_else(copy):
    (made,) = (copy / "dist").glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        (points,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        listed = archive.read(points).decode().split("[wholenet]\n")[1].splitlines()
        assert sorted(listed) == ["planes = wholenet.data.stereo.planes", "scenes = wholenet_scenes"]
    assert "wholenet_scenes/scene.py" in inside
    assert inside == {path.relative_to(copy / "src").as_posix() for path in (copy / "src").rglob("*.py")}
