"""Write ``fixtures/`` anew: run the wholenet that is imported, and keep what its runs leave, as text (old_folders.py).

    PYTHONPATH=src python tests/make_old_folders.py

The fixtures in the repository are what this wrote when segmentation models had format 2 and classifiers format 1 (each
environment.json names the commit); a later wholenet writes other folders. It is kept to show how they came about.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import wholenet
from old_folders import DIGEST, FIXTURES, ROOT, build, make_discs, make_stripes
from run_files import PICTURES, checkpoint
from wholenet import api
from wholenet.search.loop import train_epoch

GRID = {"size": "nano", "epochs": 3, "batch": 2, "crop": "64x64", "lr": 0.002, "val_share": 0.25, "val_every": 1}
SHARES = {"warmup_share": 0.34, "search_share": 0.33}
"""One epoch of each phase."""
CELLS = {"channels": 4, "cells": 3, "batch": 4, "shift": 1}
SEARCH: dict[str, Any] = {**CELLS, "space": "s2", "gradient": "first-order", "eigenvalue_tolerance": 0.5}
CPU = {"device": "cpu"}
STOPPED: dict[str, Any] = {"checkpoint_minutes": 0.0}
"""Saved after every step, so that a run may stop in mid-epoch."""


def main() -> None:
    """Write all fixtures."""
    shutil.rmtree(FIXTURES, ignore_errors=True)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", f"{folder}/cache")
        PICTURES.patch(patch)
        root = Path(folder)
        _run_all(root)
        runs = [config.parent for config in sorted(root.rglob("config.yaml"))]
        for run in runs:
            keep(run, root)
        for name in {run.relative_to(root).parts[0] for run in runs}:
            build(name, root / "again")
        for run in runs:
            check_same(run, root / "again" / run.relative_to(root))


def _run_all(root: Path) -> None:
    discs, stripes = make_discs(root), make_stripes(root)
    wholenet.fit(discs, root / "single-stage", **GRID, **SHARES, **CPU, control=True)
    two_stage = {"protocol": "two-stage", "retrain_epochs": 3, "activation": "relu6"}
    with stopped("wholenet.training", "retrain"):
        wholenet.fit(discs, root / "two-stage", **GRID, **SHARES, **CPU, **STOPPED, **two_stage)
    api.fit_classifier(stripes, root / "search", **SEARCH, **CPU, epochs=2)
    with stopped("wholenet.cells.search", "search"):
        api.fit_classifier(stripes, root / "search-stopped", **SEARCH, **CPU, **STOPPED, epochs=3, eigenvalue_every=0)
    with stopped("wholenet.cells.retrain", "retrain"):
        several: dict[str, Any] = {"method": "r-darts-l2", "retrain_epochs": 2, "eigenvalue_every": 0}
        api.fit_classifier(stripes, root / "best-of", **SEARCH, **CPU, **STOPPED, epochs=2, **several)
    found = root / "search" / "genotype.yaml"
    api.retrain(found, stripes, root / "retrain", **CELLS, **CPU, epochs=2, auxiliary=0.0, cutout=4, val_share=0.25)


@contextmanager
def stopped(module: str, phase_name: str) -> Iterator[None]:
    """Within the block a run ends in the second step of the second epoch of the phase called so."""

    def stopping(state: Any, phase: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for step in train_epoch(state, phase, *args, **kwargs):
            if phase.name == phase_name and state.epoch == 1 and step.step == 1:
                raise KeyboardInterrupt
            yield step

    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(f"{module}.train_epoch", stopping)
        yield


def check_same(run: Path, built: Path) -> None:
    """Make sure that what is built from the text is as the run left it, but for the numbers."""
    if (run / "checkpoint.pt").exists():
        assert outline(checkpoint(run)) == outline(checkpoint(built))
    if (run / "model").exists():
        first, second = (load_file(path / "model" / "model.safetensors") for path in (run, built))
        assert outline(first) == outline(second)


def outline(value: Any) -> Any:
    """A state, with types and sides in the place of its tensors."""
    if isinstance(value, Tensor):
        return value.dtype, value.shape
    if isinstance(value, dict):
        return {key: outline(part) for key, part in value.items()}
    return [outline(part) for part in value] if isinstance(value, list) else value


# ---- from folders to text


def keep(run: Path, root: Path) -> None:
    """Write the run's own files, not those of the runs inside it, to its place in the fixtures."""
    place = FIXTURES / run.relative_to(root)
    place.mkdir(parents=True)
    for name in ("config.yaml", "environment.json", "metrics.jsonl", "genotype.yaml", "result.json"):
        if (run / name).exists():
            (place / name).write_text((run / name).read_text().replace(os.fspath(root), ROOT))
    if not (run / "checkpoint.pt").exists():  # a run of several searches, which have their own
        return
    label, state = place.relative_to(FIXTURES).as_posix().replace("/", "-"), checkpoint(run)
    moved = bool(state["arch_optimizer"]["state"])
    if (run / "model").exists():
        (place / "model").mkdir()
        text = (run / "model" / "config.json").read_text()
        digest = json.loads(text)["weights_sha256"]
        (place / "model" / "config.json").write_text(text.replace(digest, DIGEST))
        weights = _network(load_file(run / "model" / "model.safetensors"), label, moved)
        _write(place / "model" / "model.safetensors.json", weights)
    content = {key: _plain(value) for key, value in state.items() if key != "model"}
    optimizer = content["weight_optimizer"]
    optimizer["state"] = _part(_momentum(optimizer["state"]), f"{label}-momentum")
    _write(place / "checkpoint.pt.json", {"model": _network(state["model"], label, moved), **content})


def _momentum(state: dict[int, dict[str, str]]) -> dict[str, Any]:
    each = "momentum_buffer"
    assert list(state) == list(range(len(state)))
    assert all(one.keys() == {each} for one in state.values())
    return {"each": each, "of": [one[each] for one in state.values()]}


def _network(state: dict[str, Tensor], label: str, moved: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, tensor in state.items():
        *above, last = name.split(".")
        node = tree
        for key in above:
            node = node.setdefault(key, {})
        node[last] = _tensor(tensor, with_values=not moved and above[0] == "arch")
    return {**tree, "net": _part(tree["net"], f"{label}-net")}


def _plain(value: Any, name: object = "") -> Any:
    if isinstance(value, Tensor):
        return _tensor(value, with_values=name == "step")
    if isinstance(value, dict):
        return {key: _plain(part, key) for key, part in value.items()}
    if isinstance(value, tuple):
        return {"tuple": list(value)}
    if isinstance(value, list) and len(value) > 1 and value == list(range(len(value))):
        return {"range": len(value)}
    assert not isinstance(value, str), f"{value!r} would be read as a tensor"
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _tensor(tensor: Tensor, with_values: bool) -> str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if with_values:
        assert dtype == "float32"
        return f"= {json.dumps(tensor.tolist(), separators=(',', ':'))}"
    sides = "x".join(map(str, tensor.shape))
    return sides if dtype == "float32" else f"{dtype} {sides}"


def _part(content: Any, name: str) -> dict[str, str]:
    """A reference to what the file of an earlier part holds already, or else this one."""
    for file in (FIXTURES / "parts").glob("*.json"):
        if json.loads(file.read_text()) == json.loads(json.dumps(content)):
            return {"part": file.stem}
    (FIXTURES / "parts").mkdir(parents=True, exist_ok=True)
    _write(FIXTURES / "parts" / f"{name}.json", content)
    return {"part": name}


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
