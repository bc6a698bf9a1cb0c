"""Folders that earlier versions wrote are read, and runs in them go on: segmentation models of format 2, classifiers of
format 1, runs of both kinds. What the folders are, and how they were made: old_folders.py."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import wholenet
from old_folders import FIXTURES, build, formula, tensors
from run_files import checkpoint, records
from wholenet.cli import main
from wholenet.data.pixels import MEAN, STD
from wholenet.diagnostics.run import diagnose as diagnose_run
from wholenet.ops.layers import lay_out
from wholenet.search.methods import METHODS
from wholenet.spaces.catalog import create_model
from wholenet.spaces.darts_genotype import read_cell_genotype
from wholenet.spaces.genotype import read_genotype
from wholenet.tasks.segmentation import predict_mask

RUNS = ("single-stage", "two-stage", "search", "search-stopped", "retrain")
GRIDS = ("single-stage", "single-stage/control", "two-stage/search", "two-stage")
CELLS = ("search", "retrain")


@pytest.fixture
def run(request, tmp_path) -> Path:
    """The folder of the run called so, with its data beside it."""
    whole, _, inner = request.param.partition("/")
    return build(whole, tmp_path) / inner


def of(*names):
    return pytest.mark.parametrize("run", names, indirect=True)


def image(height, width):
    """RGB, a closed form without symmetry."""
    rows, columns, channels = np.mgrid[:height, :width, :3]
    return ((rows * (3 + channels) + columns * 7 + rows * columns // 9) % 256).astype(np.uint8)


def text_of(run):
    """The records and genotypes of the run and of those inside it; configs may be written in another form."""
    kept = [path for name in ("metrics.jsonl", "genotype.yaml") for path in run.rglob(name)]
    return {path.relative_to(run): path.read_text() for path in kept}


def directly(run, name, **spec):
    """The network, built as users build one, with the weights of the fixture."""
    network = create_model(name, **spec)
    network.load_state_dict(tensors(FIXTURES / run / "model" / "model.safetensors.json"))
    lay_out(network.net)
    return network.eval()


@pytest.mark.parametrize("name", GRIDS)
def test_a_segmentation_model_answers_as_the_network_with_its_weights(name, tmp_path):
    whole, _, inner = name.partition("/")
    run = build(whole, tmp_path) / inner
    spec: dict[str, Any] = {"activation": "relu6"} if whole == "two-stage" else {}
    if name == "two-stage":
        spec["genotype"] = read_genotype(run / "genotype.yaml", layers=3)
    network = directly(name, "grid-nano", num_classes=2, **spec)
    x = torch.from_numpy((image(40, 70) / 255 - MEAN) / STD).float().permute(2, 0, 1)[None]
    shutil.copytree(run / "model", tmp_path / "alone")
    for place in (run, run / "model", tmp_path / "alone") if name == GRIDS[0] else (run,):
        model = wholenet.load(place, device="cpu")
        assert model.classes.names == ("ground", "disc")
        assert model.held_out == {"val_share": 0.25, "seed": 0}
        with torch.no_grad():
            assert torch.equal(model.network(x), network(x))
        mask = model.predict(image(40, 70))
        assert np.array_equal(mask, predict_mask(wholenet.fold(network), image(40, 70), torch.device("cpu")))
        assert len(np.unique(mask)) == 2


@pytest.mark.parametrize("name", CELLS)
def test_a_classifier_answers_as_the_network_with_its_weights(name, tmp_path):
    run = build(name, tmp_path)
    genotype = read_cell_genotype(run / "genotype.yaml") if name == "retrain" else None
    space = "darts" if name == "retrain" else "s2"
    network = directly(name, space, num_classes=3, channels=4, cells=3, genotype=genotype)
    x = torch.from_numpy((image(16, 16) / 255 - 0.5) / 0.5).float().permute(2, 0, 1)[None]
    shutil.copytree(run / "model", tmp_path / "alone")
    for place in (run, run / "model", tmp_path / "alone"):
        model = wholenet.load(place, device="cpu")
        assert model.classes == ("middle", "narrow", "wide")
        assert (model.mean, model.std, model.size) == ((0.5,) * 3, (0.5,) * 3, (16, 16))
        with torch.no_grad():
            expected = network(x).softmax(1).numpy()
        np.testing.assert_allclose(model.predict([image(16, 16)]), expected, rtol=1e-5)
        assert expected.max() - expected.min() > 0.01


@of("single-stage", "search")
def test_altered_weights_are_known_by_their_checksum(run):
    file = run / "model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="SHA-256"):
        wholenet.load(run, device="cpu")


@of("single-stage")
def test_a_finished_run_and_its_control_are_scored_again(run):
    before, state = text_of(run), checkpoint(run)
    found = wholenet.resume(run)
    assert text_of(run) == before
    assert checkpoint(run).keys() == state.keys()
    assert found.uniform is not None
    for finished, place in ((found.learned, run), (found.uniform, run / "control")):
        assert finished.run == place
        assert finished.scores == wholenet.evaluate(wholenet.load(place, device="cpu"), run.parent / "discs").scores


@of("two-stage")
def test_a_run_that_was_stopped_in_its_second_stage_goes_on_to_its_end(run):
    (before,), first_stage = records(run), text_of(run / "search")
    found = wholenet.resume(run)
    assert records(run)[0] == before
    assert [record["epoch"] for record in records(run)] == [0, 1, 2]
    assert {record["phase"] for record in records(run)} == {"retrain"}
    assert checkpoint(run)["weight_steps"] == 9
    assert text_of(run / "search") == first_stage
    assert found.learned.scores == wholenet.evaluate(wholenet.load(run, device="cpu"), run.parent / "discs").scores
    assert wholenet.load(run).network.spec.genotype == read_genotype(run / "genotype.yaml").to_dict()


@of("single-stage", "two-stage")
def test_a_run_is_diagnosed(run, monkeypatch):
    monkeypatch.setattr("wholenet.inspection.diagnose_run", partial(diagnose_run, shares=(0.5,)))
    found = wholenet.diagnose(run, images=1, device="cpu")
    assert (found.control is not None) == (run.name == "single-stage")
    assert found.second_stage is None  # the one that there is was stopped
    stage = run / "search" if run.name == "two-stage" else run
    assert found.seconds == sum(record["seconds"] for record in records(stage))
    assert (run / "diagnosis" / "genotype.yaml").exists()


@of("search")
def test_a_finished_search_says_again_what_it_found_and_is_diagnosed(run, capsys):
    before, result = text_of(run), json.loads((run / "result.json").read_text())
    main(["fit", "--resume", str(run)])
    assert f"{100 * result['error']:.1f} %   on {result['scored_on']}" in capsys.readouterr().out
    assert text_of(run) == before
    scores = run.parent / "scores.json"
    main(["evaluate", str(run), str(run.parent / "stripes"), "--device", "cpu", "--json", str(scores)])
    found = wholenet.evaluate(wholenet.load(run, device="cpu"), run.parent / "stripes")
    assert json.loads(scores.read_text())["accuracy"] == found.top1
    main(["diagnose", str(run), "--device", "cpu", "--tolerance", "0.5"])
    assert np.isfinite(json.loads((run / "diagnosis.json").read_text())["curvature"]["highest"])


@of("search-stopped")
def test_a_search_that_was_stopped_goes_on_to_its_end(run):
    (before,) = records(run)
    main(["fit", "--resume", str(run)])
    assert records(run)[0] == before
    assert [record["epoch"] for record in records(run)] == [0, 1, 2]
    assert checkpoint(run)["weight_steps"] == 9
    result = json.loads((run / "result.json").read_text())
    assert read_cell_genotype(run / "genotype.yaml", "s2").to_dict() == result["genotype"]
    assert wholenet.load(run).network.spec.genotype is None


@of("best-of")
def test_a_run_of_several_searches_goes_on_in_the_training_in_which_it_was_stopped(run, monkeypatch):
    method = METHODS["r-darts-l2"]
    monkeypatch.setitem(
        METHODS._known, "r-darts-l2", replace(method, searches=method.searches[:2])
    )  # the others take seconds
    first, training = run / "searches" / "0", run / "searches" / "0" / "retrained"
    searched, (before,) = text_of(first)[Path("metrics.jsonl")], records(training)
    main(["fit", "--resume", str(run)])
    assert text_of(first)[Path("metrics.jsonl")] == searched
    assert records(training)[0] == before
    assert checkpoint(training)["weight_steps"] == 2 * 4
    result = json.loads((run / "result.json").read_text())
    assert result["errors"][0] == json.loads((training / "result.json").read_text())["error"]
    chosen = run / "searches" / str(result["chosen"]) / "genotype.yaml"
    assert read_cell_genotype(run / "genotype.yaml") == read_cell_genotype(chosen)


@of("retrain")
def test_a_finished_training_of_a_genotype_is_scored_again(run):
    before = text_of(run)
    weights = (run / "model" / "model.safetensors").read_bytes()
    main(["retrain", "--resume", str(run)])
    assert text_of(run) == before
    assert (run / "model" / "model.safetensors").read_bytes() == weights
    result = json.loads((run / "result.json").read_text())
    assert result["test_error"] == wholenet.evaluate(wholenet.load(run, device="cpu"), run.parent / "stripes").error
    assert result["parameters"] == json.loads((FIXTURES / "retrain" / "result.json").read_text())["parameters"]


@of(*RUNS)
def test_a_run_whose_data_has_changed_does_not_go_on(run, capsys):
    some = next((run.parent / "stripes" / "train" / "wide").iterdir())
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(some)
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(run.parent / "discs" / "masks" / "3.png")
    with pytest.raises(SystemExit):
        main(["retrain" if run.name == "retrain" else "fit", "--resume", str(run)])
    assert "have changed since" in capsys.readouterr().err


def test_the_fixtures_are_small_text():
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 100_000
    assert {path.suffix for path in FIXTURES.rglob("*") if path.is_file()} == {".json", ".jsonl", ".yaml"}


def test_the_formula_gives_numbers_that_a_network_can_have():
    for name, shape in (("a.weight", (8, 3, 3, 3)), ("a.weight", (8,)), ("a.running_mean", (8,)), ("a.bias", (8,))):
        values = formula(name, "float32", shape)
        assert values.shape == shape
        assert values.abs().max() < 2
        assert len(values.unique()) == values.numel()
    assert (formula("a.running_var", "float32", (100,)) > 0.1).all()
