"""Whole two-stage runs and runs of a given genotype, small: the usual protocol next to the single-stage one."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import wholenet
from run_files import PICTURES, assert_equal, checkpoint, records
from wholenet.cli import main
from wholenet.deploy.model_folder import load_model
from wholenet.jobs.catalog import task_config
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.config_files import read_config, write_config
from wholenet.search.cost import run_macs, step_cost
from wholenet.search.equal_time import equal_time_epochs
from wholenet.search.loop import train_epoch
from wholenet.search.phases import single_stage
from wholenet.search.protocols import plan_phases
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import create_model
from wholenet.spaces.decoding import decode
from wholenet.spaces.genotype import DiscreteCell, Genotype, read_genotype, write_genotype
from wholenet.spaces.links import STRIDES
from wholenet.spaces.space import Facts

pytestmark = pytest.mark.usefixtures("shallow")
SMALL = {"size": "nano", "epochs": 4, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu"}
LAYERS = 2
"""Of the fixture ``shallow``."""
TWO_STAGE = {**SMALL, "protocol": "two-stage"}
FIXED = {**TWO_STAGE, "retrain_epochs": 2}
"""The number of epochs of the second stage given: counting costs takes seconds."""


@pytest.fixture(scope="module")
def folder(discs):
    return discs


@pytest.fixture(scope="module")
def run(folder, shallow, tmp_path_factory):
    """Both stages, of equal cost with the single-stage run."""
    out = tmp_path_factory.mktemp("runs") / "two"
    with PICTURES:
        wholenet.fit(folder, out, **TWO_STAGE)
    return out


@pytest.fixture(scope="module")
def fixed(folder, shallow, tmp_path_factory):
    """Both stages, the second two epochs."""
    out = tmp_path_factory.mktemp("runs") / "fixed"
    wholenet.fit(folder, out, **FIXED)
    return out


def assert_same_weights(first, second):
    assert_equal(checkpoint(first)["model"], checkpoint(second)["model"])


def assert_same_run(first, second):
    for stage in ("", "search"):
        assert_same_weights(first / stage, second / stage)
        assert [r["loss"] for r in records(first / stage)] == [r["loss"] for r in records(second / stage)]
    assert (first / "genotype.yaml").read_text() == (second / "genotype.yaml").read_text()
    assert read_config(first / "config.yaml").retrain_epochs == read_config(second / "config.yaml").retrain_epochs


def stop_in(monkeypatch, phase_name, epoch):
    """Interrupt training in the second step of an epoch of the phase called so."""

    def stopping(state, phase, *args, **kwargs):
        for step in train_epoch(state, phase, *args, **kwargs):
            if phase.name == phase_name and state.epoch == epoch and step.step == 1:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setattr("wholenet.run.train_epoch", stopping)


def test_both_stages_leave_everything_behind_that_they_promise(run):
    common = {
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "checkpoint.pt",
        "model",
        "curves.png",
        "entropy.png",
        "architecture.png",
        "predictions.png",
        "checkpoint.previous.pt",
        ".lock",
    }
    assert {path.name for path in run.iterdir()} == common | {"genotype.yaml", "search", "report.html"}
    assert {path.name for path in (run / "search").iterdir()} == common


def test_the_first_stage_is_warm_up_and_search_and_the_second_retrains_from_epoch_zero(run):
    planned = single_stage(4)
    first = [p.name for p in planned[:2] for _ in range(p.first, p.end)]
    assert [record["phase"] for record in records(run / "search")] == first == ["warm-up", "search"]
    second = read_config(run / "config.yaml").retrain_epochs
    assert [record["phase"] for record in records(run)] == ["retrain"] * second
    assert [record["epoch"] for record in records(run)] == list(range(second))
    assert all(record["arch_loss"] is None for record in records(run))


def test_the_rate_starts_anew_in_the_second_stage(run):
    assert records(run)[0]["lr"] == records(run / "search")[0]["lr"] == SMALL["lr"]


def test_the_genotype_is_decoded_from_the_end_of_the_search(run):
    found = load_model(run / "search").network
    assert read_genotype(run / "genotype.yaml", layers=LAYERS) == decode(found.arch(), "best-path")


def test_the_model_is_the_discrete_network_of_the_genotype(run):
    genotype = read_genotype(run / "genotype.yaml")
    model = wholenet.load(run).network
    assert model.spec.genotype == genotype.to_dict()
    assert len(model.net.cells) == len(genotype.cells) < 4 * LAYERS
    for name, weights in model.arch().items():
        assert torch.equal(weights, genotype.weights()[name])


def test_the_second_stage_starts_from_scratch(folder, run, tmp_path):
    # The same as training the genotype on its own, from the same seed: nothing of the search leaks but the genotype.
    epochs = read_config(run / "config.yaml").retrain_epochs
    options = {**SMALL, "epochs": epochs, "genotype": str(run / "genotype.yaml")}
    wholenet.fit(folder, tmp_path / "alone", **options)
    assert_same_weights(tmp_path / "alone", run)


def test_by_default_both_stages_cost_what_the_single_stage_run_would_within_an_epoch(run):
    facts = json.loads((run / "environment.json").read_text())
    steps = facts["images"]["weights"] // 2
    supernet = step_cost(create_model("grid-nano", num_classes=2).spec, 2, (32, 32))
    discrete = step_cost(RunFolder(run).spec(Facts(2)), 2, (32, 32))
    single = steps * 4 * supernet.weight  # simultaneous updates of the architecture cost nothing
    assert abs(run_macs(RunFolder(run)) - single) <= steps * discrete.weight
    assert len(records(run)) > 4 - len(records(run / "search"))


def test_evaluate_and_predict_take_the_run(run, folder, tmp_path):
    assert wholenet.evaluate(run, folder).miou == records(run)[-1]["miou"]
    assert wholenet.load(run).predict(np.zeros((33, 47, 3), np.uint8)).shape == (33, 47)


def test_resuming_a_finished_run_only_scores_it(run):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.suffix != ".png"}
    compared = wholenet.resume(run)
    assert {path: path.read_bytes() for path in before} == before
    assert compared.learned.scores.miou == records(run)[-1]["miou"]


@pytest.mark.parametrize(("phase", "epoch"), [("search", 1), ("retrain", 1)])
def test_a_stopped_run_continues_to_the_same_weights_from_either_stage(
    phase, epoch, fixed, folder, tmp_path, monkeypatch
):
    stop_in(monkeypatch, phase, epoch)
    with pytest.raises(KeyboardInterrupt):
        wholenet.fit(folder, tmp_path / "run", **FIXED)
    assert (tmp_path / "run" / "genotype.yaml").exists() == (phase == "retrain")
    monkeypatch.undo()
    # A run can be moved while it stands still.
    (tmp_path / "run").rename(tmp_path / "moved")
    wholenet.resume(tmp_path / "moved")
    assert_same_run(tmp_path / "moved", fixed)
    assert not (tmp_path / "run").exists()


def test_a_run_stopped_between_the_stages_decodes_the_same_again(fixed, folder, tmp_path, monkeypatch):
    shutil.copytree(fixed, tmp_path / "run")
    for path in (tmp_path / "run").iterdir():
        if path.name not in ("config.yaml", "search"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    wholenet.resume(tmp_path / "run")
    assert_same_run(tmp_path / "run", fixed)


def test_data_that_changed_in_the_first_stage_is_noticed_when_the_run_continues(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "copy")
    stop_in(monkeypatch, "search", 1)
    with pytest.raises(KeyboardInterrupt):
        wholenet.fit(tmp_path / "copy", tmp_path / "run", **FIXED)
    monkeypatch.undo()
    mask = next((tmp_path / "copy" / "masks").iterdir())
    Image.fromarray(1 - np.array(Image.open(mask))).save(mask)
    with pytest.raises(ValueError, match="have changed since"):
        wholenet.resume(tmp_path / "run")


def test_the_control_of_a_two_stage_run_is_the_whole_uniform_supernet_for_the_time_of_both_stages(
    folder, tmp_path, monkeypatch
):
    asked = []  # what their time comes to: the next test, and tests/search/test_equal_time.py
    monkeypatch.setattr("wholenet.control.equal_time_epochs", lambda *of: asked.append(of) or 1)
    compared = wholenet.fit(folder, tmp_path / "run", **FIXED, control=True)
    control = tmp_path / "run" / "control"
    config = read_config(control / "config.yaml")
    assert (config.protocol, config.architecture) == ("single-stage", "uniform")
    assert asked == [(records(tmp_path / "run" / "search"), records(tmp_path / "run"))]
    assert config.epochs == len(records(control)) == 1
    assert len(wholenet.load(control).network.net.cells) == 4 * LAYERS
    assert not (tmp_path / "run" / "search" / "control").exists()
    assert compared.uniform is not None
    assert compared.uniform.run == control
    assert wholenet.resume(tmp_path / "run") == compared


def test_equal_time_counts_the_second_stage_at_its_own_pace():
    # 2 x 10 s of warm-up, 4 x 15 s of search, 6 x 5 s of retraining: 110 s, or 11 epochs of 10 s.
    search = [{"arch_loss": None, "seconds": 10.0}] * 2 + [{"arch_loss": 1.0, "seconds": 15.0}] * 4
    assert equal_time_epochs(search, [{"arch_loss": None, "seconds": 5.0}] * 6) == 11


@pytest.mark.parametrize("decoding", ["strongest", "threshold"])
def test_the_decoding_that_was_asked_for_is_used(decoding, folder, tmp_path):
    options = {**FIXED, "epochs": 2, "retrain_epochs": 1, "warmup_share": 0.0}
    options |= {"decoding_tau": 0.0} if decoding == "threshold" else {}
    wholenet.fit(folder, tmp_path / "run", **options, decoding=decoding)
    found = load_model(tmp_path / "run" / "search").network
    genotype = read_genotype(tmp_path / "run" / "genotype.yaml")
    assert genotype == decode(found.arch(), decoding, 0.0)
    assert genotype.decoding == {"strongest": "strongest", "threshold": "threshold 0"}[decoding]


# ---- a genotype that is given


def straight(layers):
    """Every stride reads itself alone."""
    cells = (DiscreteCell(layer, s, "conv_3x3", {s: 1.0}) for layer in range(1, layers + 1) for s in STRIDES)
    return Genotype(layers, tuple(cells))


@pytest.fixture
def genotype_file(tmp_path):
    path = tmp_path / "by_hand.yaml"
    write_genotype(straight(LAYERS), path)
    return path


def test_a_given_genotype_is_trained_and_copied_into_the_run(genotype_file, folder, tmp_path):
    wholenet.fit(folder, tmp_path / "run", **{**SMALL, "epochs": 2}, genotype=str(genotype_file))
    genotype_file.unlink()
    assert read_genotype(tmp_path / "run" / "genotype.yaml") == straight(LAYERS)
    assert [record["phase"] for record in records(tmp_path / "run")] == ["retrain"] * 2
    assert wholenet.load(tmp_path / "run").network.spec.genotype == straight(LAYERS).to_dict()
    assert not (tmp_path / "run" / "search").exists()
    scores = wholenet.resume(tmp_path / "run").learned.scores
    assert scores.miou == records(tmp_path / "run")[-1]["miou"]


def test_retrain_trains_it_too_as_fit_does(genotype_file, capsys):
    asked = []
    for words in (["retrain", genotype_file, "scenes"], ["fit", "scenes", "--genotype", genotype_file]):
        main([*map(str, words), "--out", "r", "--size", "nano", "--epochs", "3", "--print-config"])
        asked.append([line for line in capsys.readouterr().out.splitlines() if not line.startswith("genotype:")])
    assert asked[0] == asked[1]


def test_nothing_of_a_search_is_taken_with_a_genotype():
    for options in ({"arch_lr": 0.1}, {"method": "darts"}, {"entropy_beta": 0.5}, {"search_share": 0.1}):
        name = next(iter(options))
        with pytest.raises(ValueError, match=f"genotype='g.yaml' is trained as it is, so {name}="):
            fit_config(data="x", out="y", genotype="g.yaml", **options)


def test_a_run_from_before_that_was_refused_is_read(tmp_path):
    config = FitConfig(data="x", out="y", genotype="g.yaml", arch_lr=0.1)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config


def test_a_genotype_of_another_size_is_refused_before_any_folder_is_made(folder, tmp_path):
    write_genotype(straight(4), tmp_path / "tiny.yaml")
    with pytest.raises(ValueError, match=r"tiny\.yaml: the genotype has 4 layers, grid-nano has 2"):
        wholenet.fit(folder, tmp_path / "run", **SMALL, genotype=str(tmp_path / "tiny.yaml"))
    with pytest.raises(ValueError, match=r"nothing\.yaml cannot be read"):
        wholenet.fit(folder, tmp_path / "run", **SMALL, genotype=str(tmp_path / "nothing.yaml"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"protocol": "two-stage", "genotype": "g.yaml"}, "searches for its own genotype"),
        ({"protocol": "two-stage", "architecture": "uniform"}, "goes neither with a given one nor with"),
        ({"genotype": "g.yaml", "architecture": "uniform"}, "no architecture to freeze"),
        ({"genotype": "g.yaml", "control": True}, "or to compare with"),
        ({"protocol": "three-stage"}, "unknown protocol 'three-stage'.*single-stage, two-stage"),
        ({"decoding": "viterbi"}, "'best-path', 'strongest', 'threshold'"),
        ({"decoding_tau": 1.5}, r"a share in \[0, 1\]"),
        ({"retrain_epochs": -1}, "0 or more"),
        ({"genotype": 3}, "expected str or None"),
        ({"arch_update": "both"}, "unknown update 'both'; known: auto, simultaneous, alternating"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(options, expected):
    with pytest.raises(ValueError, match=expected):
        FitConfig(data="x", out="y", **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "darts"}, "g.yaml' is trained as it is, so method='darts' would do nothing"),
        ({"optimizer": "adamw", "gradient": "second-order"}, "so gradient='second-order' would do nothing"),
        ({"method": "darts", "arch_lr": 0.1}, "so method='darts' would do nothing"),
        ({"stopping": "code"}, "so stopping='code' would do nothing"),
    ],
)
def test_what_is_asked_of_a_search_beside_a_genotype_is_named_as_it_was_given(options, expected):
    """And not a part of the method that was given, or what that does not go together with."""
    with pytest.raises(ValueError, match=expected):
        fit_config(data="x", out="y", genotype="g.yaml", **options)
    with pytest.raises(ValueError, match=expected):
        task_config("stereo", data="x", out="y", space="autodispnet", genotype="g.yaml", **options)


@pytest.mark.parametrize("options", [{"epochs": 1}, {"search_share": 0.0}, {"warmup_share": 0.0, "search_share": 0.0}])
def test_a_two_stage_run_without_an_epoch_of_search_is_refused(options):
    with pytest.raises(ValueError, match=r"two-stage.*no epoch of search"):
        FitConfig(data="x", out="y", protocol="two-stage", **options)


def test_the_second_stage_is_one_phase_that_never_moves_the_architecture():
    phases = plan_phases(FitConfig(data="x", out="y", protocol="two-stage", retrain_epochs=7))
    assert [(p.name, p.first, p.end, p.moves_architecture) for p in phases] == [("retrain", 0, 7, False)]
    phases = plan_phases(FitConfig(data="x", out="y", epochs=9, genotype="g.yaml"))
    assert [(p.name, p.first, p.end, p.moves_architecture) for p in phases] == [("retrain", 0, 9, False)]


def test_divided_data_is_whole_again_in_the_second_stage(folder, tmp_path):
    wholenet.fit(folder, tmp_path / "run", **FIXED, split="disjoint")
    seen = [json.loads((run / "environment.json").read_text())["images"]["weights"] for run in stages(tmp_path / "run")]
    assert seen[0] < seen[1] == len(list((folder / "images").iterdir())) - seen_in_val(tmp_path / "run")


def stages(run):
    return run / "search", run


def seen_in_val(run):
    return json.loads((run / "environment.json").read_text())["images"]["val"]


def test_equal_time_needs_an_epoch_that_left_the_architecture_alone():
    with pytest.raises(ValueError, match="give the run a warm-up"):
        equal_time_epochs([{"arch_loss": 1.0, "seconds": 15.0}] * 4, [{"arch_loss": None, "seconds": 5.0}] * 30)


@pytest.mark.parametrize("options", [{"decoding": "strongest"}, {"decoding_tau": 0.3}, {"retrain_epochs": 2}])
def test_options_of_two_stages_are_refused_with_one(options):
    with pytest.raises(ValueError, match="are of protocol='two-stage'"):
        FitConfig(data="d", out="o", **options)


def test_a_control_without_an_epoch_to_measure_is_refused_before_training():
    with pytest.raises(ValueError, match="search 0-600, fine-tune 600-600 none does; give a warmup_share above 0"):
        FitConfig(data="d", out="o", control=True, warmup_share=0.0, search_share=1.0)
    FitConfig(data="d", out="o", control=True, warmup_share=0.0, search_share=0.5)
