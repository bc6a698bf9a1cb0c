"""The benchmarks run, and say what they measured in the form that is promised. How fast anything is, no test asks."""

import importlib
import json
import math
import sys

import pytest
import torch

import wholenet.bench as module
from wholenet.bench import available, bench
from wholenet.cli import main

SMALL = {"size": "nano", "batch": 2, "crop": "64x64", "rounds": 1, "device": "cpu"}
KEYS = {"name", "baseline", "ratio_median", "ratio_min", "ratio_max", "n", "max_abs_error"}


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    """Their folder on the path; what they change, put back."""
    monkeypatch.syspath_prepend(str(module.FOLDER))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_all_that_a_cpu_can_run_gives_rows_of_the_promised_form(monkeypatch, tmp_path, capsys):
    # Exporting takes half a minute, and has tests of its own.
    monkeypatch.setattr(importlib.import_module("inference"), "onnxruntime", lambda *_: iter(()))
    small = {"CHANNELS": 4, "CELLS": {"cpu": 3}, "SIDE": 8}
    for name, value in small.items():
        monkeypatch.setattr(importlib.import_module("cell_steps"), name, value)
    monkeypatch.setattr(importlib.import_module("eigenvalue"), "SPACE", "s2")
    out = tmp_path / "rows.json"
    main(["bench", *(f"--{name}={value}" for name, value in SMALL.items()), "--json", str(out)])
    rows = json.loads(out.read_text())
    assert all(row.keys() == KEYS for row in rows)
    assert all(0 < row["ratio_min"] <= row["ratio_median"] <= row["ratio_max"] < math.inf for row in rows)
    names = " ".join(row["name"] for row in rows)
    for what in ("weight step", "architecture step", "bilevel step", "folded", "peak", "layers doubled"):
        assert what in names
    assert "darts search step" in names
    assert "dominant eigenvalue" in names
    equal = [row["max_abs_error"] for row in rows if row["baseline"].startswith("plain") and row["max_abs_error"]]
    assert len(equal) > 6
    assert max(equal) < 1e-5  # of float32 inference; training steps are compared in float64
    steps = [row["max_abs_error"] for row in rows if row["name"] in ("weight step", "architecture step")]
    assert len(steps) == 4
    assert max(steps) < 1e-10
    assert len(capsys.readouterr().out.splitlines()) == len(rows)


def test_keeping_all_operations_is_the_same_network_after_folding():
    inference = importlib.import_module("inference")
    measure = importlib.import_module("measure")
    model = measure.made("nano", torch.device("cpu")).eval()
    shapes = []
    setting = module.Setting(torch.device("cpu"), "nano", 1, (64, 64), 1, 1)
    real = inference.wholenet.fold

    def fold(model):
        folded = real(model)
        shapes.append({name: p.shape for name, p in folded.named_parameters()})
        return folded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference.wholenet, "fold", fold)
        list(inference.one_operation(setting, model, torch.zeros(1, 3, 64, 64)))
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["kernels", "device", "compiled"])
def test_what_needs_a_gpu_says_so(name):
    assert name in available()
    with pytest.raises(ValueError, match=f"benchmark {name} needs a GPU; this one runs on cpu"):
        bench([name], **SMALL)


def test_what_is_not_there_is_named(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"no benchmark 'stesp'; there are .*steps"):
        bench(["stesp"], **SMALL)
    with pytest.raises(ValueError, match="--rounds 0: expected at least 1"):
        bench(["steps"], **{**SMALL, "rounds": 0})
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="come with the source tree"):
        bench([], **SMALL)
    assert str(tmp_path) not in sys.path
