"""The benchmarks run, and say what they measured in the form that is promised. How fast anything is, no test asks."""

import itertools
import json
import math
import os
import subprocess
from pathlib import Path

import pytest
import torch

from wholenet.bench import ONE_BY_ONE, SHARED, WITHOUT_CROP, available, bench
from wholenet.benchmarks import (
    cell_epochs,
    cell_steps,
    correlation,
    eigenvalue,
    inference,
    measure,
    recurrent,
    shrunk,
    trellis,
)
from wholenet.benchmarks.row import Setting
from wholenet.cli import main
from wholenet.spaces.count import macs_as_run

pytestmark = pytest.mark.usefixtures("shallow")

ROOT = Path(__file__).parents[1]
SMALL = {"size": "nano", "batch": 2, "crop": "64x64", "rounds": 1, "device": "cpu"}
KEYS = {"name", "baseline", "ratio_median", "ratio_min", "ratio_max", "n", "max_abs_error"}


@pytest.fixture(autouse=True)
def threads_put_back():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_all_that_a_cpu_can_run_gives_rows_of_the_promised_form(monkeypatch, tmp_path, capsys):
    # Exporting takes half a minute, and has tests of its own.
    monkeypatch.setattr(inference, "onnxruntime", lambda *_: iter(()))
    monkeypatch.setattr(shrunk, "exported", folded_alone)
    small = {"CHANNELS": 4, "CELLS": {"cpu": 3}, "SIDE": 8, "ON_CPU": ("s2",)}
    for name, value in small.items():
        monkeypatch.setattr(cell_steps, name, value)
    monkeypatch.setattr(eigenvalue, "SPACE", "s2")
    monkeypatch.setattr(recurrent, "SIZES", (recurrent.Size(4, 9, 3),))
    monkeypatch.setattr(correlation, "SIZES", (correlation.Size(2, 3, 9, 4),))
    monkeypatch.setattr(trellis, "SHAPE", {"layers": 2, "filters": 2, "blocks": 1})
    monkeypatch.setattr(trellis, "SIDE", 33)
    out = tmp_path / "rows.json"
    main(["bench", *(f"--{name}={value}" for name, value in SMALL.items()), "--json", str(out)])
    rows = json.loads(out.read_text())
    assert all(row.keys() == KEYS for row in rows)
    assert all(0 < row["ratio_min"] <= row["ratio_median"] <= row["ratio_max"] < math.inf for row in rows)
    names = " ".join(row["name"] for row in rows)
    for what in ("weight step", "architecture step", "bilevel step", "folded", "peak", "layers doubled"):
        assert what in names
    assert "s2 search step, second order" in names
    assert "dominant eigenvalue" in names
    assert "Auto-DeepLab, search step" in names
    equal = [row["max_abs_error"] for row in rows if row["baseline"].startswith("plain") and row["max_abs_error"]]
    assert len(equal) > 6
    assert max(equal) < 1e-5  # of float32 inference; training steps are compared in float64
    steps = [row["max_abs_error"] for row in rows if row["name"] in ("weight step", "architecture step")]
    assert len(steps) == 4
    assert max(steps) < 1e-10
    steps = {row["baseline"]: row["max_abs_error"] for row in rows if row["name"].startswith("recurrent search step")}
    assert steps.keys() == {"plain", "DARTS' code"}
    assert 0 < max(steps.values()) < 1e-12
    (shifts,) = [row["max_abs_error"] for row in rows if row["name"].startswith("correlation")]
    assert 0 < shifts < 1e-12
    products = [row["max_abs_error"] for row in rows if "1x1" in row["name"]]
    assert len(products) == 9
    assert max(products) < 1e-9
    assert len(capsys.readouterr().out.splitlines()) == len(rows)


def folded_alone(model, _setting, _folder):
    folded = inference.fold(model)
    return {shrunk.ALL: lambda x: folded(torch.from_numpy(x)).detach().numpy()}


def test_what_is_smaller_is_as_small_as_it_says(monkeypatch):
    built = []

    def exported(model, *_):
        built.append(macs_as_run(model, 64, 64))
        return folded_alone(model, *_)

    monkeypatch.setattr(shrunk, "exported", exported)
    monkeypatch.setattr(shrunk, "SHARES", ("70%", "50%", "5%"))
    monkeypatch.setattr(shrunk, "CUT", ("50%",))
    rows = list(shrunk.run(Setting(torch.device("cpu"), "nano", 1, (64, 64), 1, 1)))
    shares = [int(row.name.split(": ")[1].split("%")[0]) / 100 for row in rows]
    assert shares == [0.7, 0.5, 0.5]  # nor does it get as narrow as 5 %
    for row, share, macs in zip(rows, shares, built[1:], strict=True):
        assert 0.4 * share < macs / built[0] <= share
        assert f", {built[0] / macs:.2f}x fewer MACs" in row.name
        assert row.max_abs_error < 1e-5
        assert row.baseline == "the whole network"


def test_keeping_all_operations_is_the_same_network_after_folding():
    model = measure.made("nano", torch.device("cpu")).eval()
    shapes = []
    setting = Setting(torch.device("cpu"), "nano", 1, (64, 64), 1, 1)
    real = inference.fold

    def fold(model):
        folded = real(model)
        shapes.append({name: p.shape for name, p in folded.named_parameters()})
        return folded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "fold", fold)
        list(inference.one_operation(setting, model, torch.zeros(1, 3, 64, 64)))
    assert shapes[0] == shapes[1]


def test_an_epoch_of_both_forms_is_timed_by_its_steps(monkeypatch):
    small = {"IMAGES": 24, "SIDE": 8, "CLASSES": 3, "SHAPE": {"channels": 4, "cells": 3}, "WARM_UP": 1}
    small["RUNS"] = [("s2", "first-order")]
    monkeypatch.setattr(cell_epochs, "float64_error", lambda *_: 1e-12)
    for name, value in small.items():
        monkeypatch.setattr(cell_epochs, name, value)
    (row,) = cell_epochs.run(Setting(torch.device("cpu"), "", 8, (0, 0), 3, 1))
    assert row.name == "epoch of s2, first-order, by 2 of 3 steps"
    assert row.n == 2
    assert 0.999 * row.ratio_min <= row.baseline_ms / row.ms <= 1.001 * row.ratio_max  # milliseconds are rounded
    assert row.to_dict().keys() == KEYS | {"ms", "baseline_ms"}


def test_an_epoch_that_takes_too_long_is_extrapolated(monkeypatch):
    monkeypatch.setattr(cell_epochs, "LIMIT_S", 0.0)
    taken, steps = cell_epochs.per_step(
        {"plain": iter(range(99)), "fast": iter(range(99))}, 99, 10, torch.device("cpu")
    )
    assert steps == 10
    assert {form: len(times) for form, times in taken.items()} == {"plain": 1, "fast": 1}


@pytest.mark.parametrize(("what", "benchmarks"), [("", 6), ("grid", 5), ("cells", 3)])
def test_a_call_of_the_gpu_script_fits_into_ten_minutes(what, benchmarks, tmp_path):
    """By its time limits, which a `timeout` that does nothing else writes down."""
    told = tmp_path / "told"
    for name, script in (("timeout", f'echo "$@" >> {told}'), ("cp", "true")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), *what.split(), str(tmp_path / "out")]
    subprocess.run(words, env=path, check=True, capture_output=True)
    calls = [line.split() for line in told.read_text().splitlines()]
    assert sum(int(limit) for limit, *_ in calls) < 560
    benched = [words[words.index("bench") + 1 :] for words in calls if "bench" in words]
    named = [word for words in benched for word in itertools.takewhile(lambda word: word[0] != "-", words)]
    assert set(named) <= set(available())
    assert len(benched) == benchmarks


@pytest.mark.parametrize("name", ["kernels", "device", "compiled", "cell_epochs"])
def test_what_needs_a_gpu_says_so(name):
    assert name in available()
    with pytest.raises(ValueError, match=f"benchmark {name} needs a GPU; this one runs on cpu"):
        bench([name], **SMALL)


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"no benchmark 'stesp'; there are .*steps"):
        bench(["stesp"], **SMALL)
    with pytest.raises(ValueError, match="rounds=0: expected at least 1"):
        bench(["steps"], **{**SMALL, "rounds": 0})


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("steps", {"batch": 1}, "a batch of 1 with a crop of 32x32 .* use a batch of 2 or more, or a crop larger than"),
        ("inference", {}, "a batch of 1 with a crop of 32x32 leaves one value per channel at stride 32.* use a crop"),
        ("growth", {"batch": 1, "crop": "8x16"}, "a batch of 1 with a crop of 8x16"),
        ("", {"batch": 1}, "one value per channel"),
    ],
)
def test_images_too_few_and_small_for_batchnorm_are_refused_before_anything_runs(name, options, found, monkeypatch):
    monkeypatch.setattr("wholenet.bench._rows", None)
    with pytest.raises(ValueError, match=found):
        bench([name] if name else [], **{**SMALL, "crop": "32x32", **options})


@pytest.mark.parametrize(
    ("name", "batch", "crop"), [("steps", 2, "32x32"), ("steps", 1, "32x33"), ("eigenvalue", 1, "8x8")]
)
def test_two_values_are_enough_and_benchmarks_on_images_of_their_own_need_none(name, batch, crop, monkeypatch):
    asked = []
    monkeypatch.setattr("wholenet.bench._rows", lambda name, *_, **__: asked.append(name) or ())
    bench([name], **{**SMALL, "batch": batch, "crop": crop})
    assert asked == [name]


def test_which_benchmarks_take_the_crop_is_what_they_do():
    folder = Path(measure.__file__).parent
    of_crop = {name for name in available() if "setting.crop" in (folder / f"{name}.py").read_text()}
    assert set(available()) - of_crop == set(WITHOUT_CROP)
    assert {name for name in of_crop if "setting.batch" not in (folder / f"{name}.py").read_text()} == set(ONE_BY_ONE)


def test_every_module_among_the_benchmarks_is_one_or_shared():
    folder = Path(measure.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} == {*available(), *SHARED, "__init__"}
    for name in available():
        assert "\ndef run(setting: Setting)" in (folder / f"{name}.py").read_text()
