"""docs/extending.md: what it registers from outside is trained, continued, controlled, scored and exported."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import wholenet
import wholenet.run as run_module
from run_files import assert_equal, checkpoint, records, untimed
from wholenet.api import fit_classifier
from wholenet.architecture import RELAXATIONS
from wholenet.cli import main
from wholenet.ops.forms import plain_form
from wholenet.ops.operations import OPERATIONS
from wholenet.search.methods import METHODS
from wholenet.search.penalties import REGULARIZERS
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.space import Space

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
SPACE, OPERATIONS_OF_MINE, METHOD = (part.split("```")[0] for part in PAGE.read_text().split("```python\n")[1:])
MINE = ("cross_7x7", "dil_conv_5x5", "softened")
SMALL = {"epochs": 3, "batch": 2, "crop": "32x32", "lr": 0.02, "device": "cpu", "threads": 1}
PHASES = {"warmup_share": 0.34, "search_share": 0.33}
OWN = {"space": "kernels", "width": 4, "layers": 2, **SMALL, **PHASES}


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Run the page, and forget afterwards what it registered."""
    exec(compile(SPACE + OPERATIONS_OF_MINE + METHOD, str(PAGE), "exec"), {"__name__": "my_module"})
    yield
    SPACES.remove("kernels")
    for name in MINE:
        OPERATIONS.remove(name)
    METHODS.remove("firm")
    REGULARIZERS.remove("towards-the-first")
    RELAXATIONS.remove("squared-softmax")


@pytest.fixture(scope="module")
def run(discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("own") / "run"
    wholenet.fit(discs, out, **OWN, control=True)
    return out


def test_a_space_of_ones_own_is_trained_and_has_a_control_at_equal_time(run):
    assert [record["phase"] for record in records(run)] == ["warm-up", "search", "fine-tune"]
    moved = [
        np.ptp(np.array(record["logits"]["kernel"]) - records(run)[0]["logits"]["kernel"]) for record in records(run)
    ]
    assert moved[0] == 0 < moved[1] == moved[2]
    assert all(np.all(np.array(record["logits"]["kernel"]) == 0) for record in records(run / "control"))
    spec = wholenet.load(run, device="cpu").network.spec
    assert (spec.space, spec.settings) == ("kernels", {"width": 4, "layers": 2})
    assert {path.name for path in run.glob("*.png")} <= {"predictions.png", "curves.png", "entropy.png"}


def test_it_goes_on_to_the_bit(run, discs, tmp_path, monkeypatch):
    real, steps = run_module.train_epoch, []

    def stopping(*arguments):
        for step in real(*arguments):
            yield step
            steps.append(step)
            if len(steps) == 7:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "train_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            wholenet.fit(discs, tmp_path / "run", **OWN, checkpoint_minutes=0)
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(run), checkpoint(tmp_path / "run"))
    assert untimed(records(run)) == untimed(records(tmp_path / "run"))


def test_it_is_scored_predicts_is_diagnosed_and_exported(run, discs, tmp_path):
    assert wholenet.evaluate(run, discs).miou == pytest.approx(records(run)[-1]["miou"])
    assert wholenet.load(run, device="cpu").predict(np.zeros((41, 50, 3), np.uint8)).shape == (41, 50)
    found = wholenet.diagnose(run, out=tmp_path / "d", curvature=True)
    assert found.miou == pytest.approx(records(run)[-1]["miou"])
    assert found.curvature.highest > found.curvature.lowest
    assert json.loads((tmp_path / "d" / "diagnosis.json").read_text())["movement"]["kernel"]["mean"] >= 0
    check, _ = wholenet.export(run, tmp_path / "net.pt2", "torch")
    assert check.same_class > 0.999


def test_its_decoding_makes_a_second_stage(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", **OWN, protocol="two-stage", retrain_epochs=1)
    first = wholenet.load(tmp_path / "run" / "search", device="cpu").network
    second = wholenet.load(tmp_path / "run", device="cpu").network
    assert second.spec.genotype == {"chosen": first.arch()["kernel"].argmax(-1).tolist()}
    assert {len(layer) for layer in second.net.layers} == {2}  # a convolution and its norm
    wholenet.resume(tmp_path / "run")
    text = (tmp_path / "run" / "genotype.yaml").read_text()
    assert text.splitlines()[-1] == "space: kernels"
    shape = {"space": "kernels", "width": 4, "layers": 2}
    (tmp_path / "cut.yaml").write_text(text.rsplit("space", 1)[0])
    with pytest.raises(ValueError, match=r"cut.yaml has no 'space'"):
        wholenet.fit(discs, tmp_path / "other", **shape, **SMALL, genotype=str(tmp_path / "cut.yaml"))


def test_operations_of_ones_own_stand_in_the_grid_s_cell(discs, tmp_path):
    options = {**SMALL, **PHASES, "size": "nano", "operations": ",".join(("conv_3x3", *MINE))}
    wholenet.fit(discs, tmp_path / "run", **options)
    scores = wholenet.resume(tmp_path / "run").learned.scores
    assert wholenet.evaluate(tmp_path / "run", discs).miou == pytest.approx(scores.miou)
    network = wholenet.load(tmp_path / "run", device="cpu").network.double()
    assert network.net.operations == ("conv_3x3", *MINE)
    x = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with plain_form(network.net):
        plain = network(x)
    torch.testing.assert_close(network(x), plain, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(wholenet.fold(network)(x), plain, atol=1e-10, rtol=1e-10)
    check, _ = wholenet.export(tmp_path / "run", tmp_path / "net.pt2", "torch")
    assert check.same_class > 0.999


def test_a_method_of_ones_own_searches_the_grid_the_cells_and_ones_own_space(discs, patches, tmp_path):
    small = SMALL | PHASES | {"size": "nano"}
    wholenet.fit(discs, tmp_path / "grid", **small, method="firm")
    model = wholenet.load(tmp_path / "grid", device="cpu").network
    assert model.spec.relaxation == "squared-softmax"
    weights, logits = model.arch()["alpha"], model.arch.logits["alpha"]
    squares = logits.softmax(-1).square()
    torch.testing.assert_close(weights, squares / squares.sum(-1, keepdim=True))
    wholenet.fit(discs, tmp_path / "own", **OWN, method="firm")
    shape = {"space": "s2", "channels": 4, "cells": 3, "epochs": 1, "batch": 8, "eigenvalue_every": 0, "device": "cpu"}
    fit_classifier(patches, tmp_path / "cells", "firm", **shape, shift=1)
    assert wholenet.load(tmp_path / "cells", device="cpu").network.spec.relaxation == "squared-softmax"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"space": "kernel"}, "unknown space 'kernel'; did you mean 'kernels'.*--import MODULE"),
        ({"space": "s2", "task": "segmentation"}, "space 's2' is for classification; these are images with masks"),
        ({"space": "kernels", "wdth": 3}, "space 'kernels' has no setting 'wdth'; known: width, layers"),
        ({"space": "kernels", "width": "wide"}, "width='wide': expected int"),
        ({"space": "kernels", "size": "nano"}, "size is of the space 'grid'"),
        ({"space": "kernels", "entropy_beta": 0.1}, "of the grid's operations and edges"),
        ({"space": "kernels", "width": -1}, "negative dimension"),
        ({"regularizer": "towards-first"}, "unknown regularizer 'towards-first'; did you mean 'towards-the-first'"),
        ({"relaxation": "softmx"}, "unknown relaxation 'softmx'; did you mean 'softmax'"),
        ({"method": "frim"}, "unknown method 'frim'; did you mean 'firm'"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_made(options, said, discs, tmp_path):
    with pytest.raises((ValueError, RuntimeError), match=said):
        wholenet.fit(discs, tmp_path / "run", **SMALL, **options)
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


def test_a_name_that_is_taken_and_a_thing_of_no_kind_are_refused():
    with pytest.raises(ValueError, match="there is a space 'grid' already"):
        wholenet.register(type(SPACES["kernels"])(name="grid", settings=dict, build=dict))
    with pytest.raises(TypeError, match=r"a builtins.int cannot be registered"):
        wholenet.register(3)


@dataclass(frozen=True)
class Clashing:
    """A setting that is called as an option is."""

    epochs: int = 3


def test_a_setting_that_is_called_as_an_option_of_every_run_is_refused(discs, tmp_path, capsys):
    wholenet.register(Space(name="clashing", settings=Clashing, build=dict))
    said = "space 'clashing' has a setting 'epochs', and so is called an option of every run"
    try:
        with pytest.raises(ValueError, match=said):
            wholenet.fit(discs, tmp_path / "run", space="clashing", epochs=1)
        with pytest.raises(SystemExit):
            main(["fit", str(discs), "--space", "clashing", "--epochs", "1", "--out", str(tmp_path / "run")])
        assert said in capsys.readouterr().err
    finally:
        SPACES.remove("clashing")


def test_the_command_line_imports_what_it_is_told_and_its_sweeps_do_too(discs, tmp_path):
    (tmp_path / "my_space.py").write_text(SPACE)
    words = [
        "--space",
        "kernels",
        "--width",
        "4",
        "--epochs",
        "1",
        "--batch",
        "2",
        "--crop",
        "32x32",
        "--device",
        "cpu",
    ]
    (tmp_path / "sweep.yaml").write_text(
        f"data: {discs}\nout: {tmp_path}/sweep\ngrid: {{seed: [0]}}\n"
        "options: {space: kernels, width: 4, epochs: 1, batch: 2, crop: 32x32}\n"
    )

    def run(*given):
        command = [sys.executable, "-m", "wholenet", *map(str, given)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run("fit", discs, "--import", "my_space", *words, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert RunFolder(tmp_path / "run").config.settings == {"width": 4}
    refused = run("evaluate", "run", discs)
    assert refused.returncode == 2
    assert "unknown space 'kernels'" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = run("sweep", "sweep.yaml", "--import=my_space", "--jobs", "1")
    assert done.returncode == 0, done.stderr + done.stdout
    (run_folder,) = (tmp_path / "sweep" / "runs").glob("*/config.yaml")
    assert "kernels" in run_folder.read_text()


def test_a_module_that_cannot_be_imported_is_said(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "x", "--import", "no_such_module", "--out", "y"])
    assert "--import no_such_module failed (ModuleNotFoundError" in capsys.readouterr().err


def test_no_file_makes_anything_be_imported(discs, tmp_path, monkeypatch, capsys):
    (tmp_path / "evil.py").write_text("raise SystemError('it was imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "options.yaml").write_text("import: evil\nepochs: 1\n")
    (tmp_path / "sweep.yaml").write_text(f"data: {discs}\nout: s\noptions: {{import: evil}}\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(f"data: {discs}\nout: run\nimport: evil\nspace: evil\n")
    for words, said in (
        (["fit", discs, "--out", "r", "--config", "options.yaml"], "unknown option 'import'"),
        (["sweep", "sweep.yaml"], "'import'"),
        (["fit", "--resume", "run"], "unknown field 'import'"),
        (["fit", discs, "--out", "r", "--space", "evil"], "unknown space 'evil'"),
    ):
        with pytest.raises(SystemExit):
            main([str(word) for word in words])
        assert said in capsys.readouterr().err
