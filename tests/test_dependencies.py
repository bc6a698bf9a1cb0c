"""Every package that this project asks for has a version that it was tried with."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {
        re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0]
        for part in (project["dependencies"], *extras.values())
        for line in part
    }
    pins = [
        line.partition("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line[:1] not in ("", "#")
    ]
    assert all(equals and version for _, equals, version in pins)
    missing = {normal(name) for name in asked} - {normal(name) for name, _, _ in pins} - {"wholenet"}
    assert not missing, f"without a version in constraints.txt: {', '.join(sorted(missing))}"


NOT_IN_DEV = {"timm", "tensorboard", "wandb", "trackio", "hub"}
"""Beside the torch that is pinned timm cannot be imported (pyproject.toml), nor trackio be installed beside its pillow;
the others would be as large as all else. Their tests run on stand-ins (test_pretrained, test_logs, test_hub)."""


def test_every_extra_is_in_dev_so_that_its_code_is_tested():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (own,) = [line for line in extras["dev"] if line.startswith("wholenet[")]
    assert set(own.removeprefix("wholenet[").rstrip("]").split(",")) == set(extras) - {"dev"} - NOT_IN_DEV
