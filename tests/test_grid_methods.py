"""Published methods of search on images with masks: each trains the grid, and its model loads and predicts; each goes
on to the bit."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch

import wholenet
import wholenet.jobs.job as job_module
import wholenet.run as run_module
from run_files import assert_equal, checkpoint, records, untimed
from toy import TOY
from wholenet.search.config import ADDED, FitConfig, fit_config, grid_methods
from wholenet.search.early_stopping import RULES, StoppingRule
from wholenet.search.methods import METHODS
from wholenet.search.protocols import plan_phases
from wholenet.search.run_folder import RunFolder
from wholenet.search.start import parts_of
from wholenet.spaces.decoding import decode
from wholenet.studies.pool import folder_name

pytestmark = pytest.mark.usefixtures("sliver", "toy")
GRID_METHODS = grid_methods()
SMALL = {
    "size": "nano",
    "epochs": 4,
    "batch": 4,
    "crop": "32x64",
    "lr": 0.01,
    "device": "cpu",
    "warmup_share": 0.25,
    "search_share": 0.5,
    "threads": 1,
}
ONCE = SMALL | {"epochs": 2, "warmup_share": 0.5}
"""A search of an epoch."""
SHORTEST = StoppingRule(window=1, lag=1, growth=9.0, centred=False, earliest=0)
WATCHED = SMALL | {"epochs": 15, "warmup_share": 0.07, "search_share": 0.8, "batch": 6, "val_every": 15}
"""Long enough for a stopping rule."""
ON_TOY = {name: value for name, value in WATCHED.items() if name != "size"} | TOY


@pytest.fixture
def trains(discs, monkeypatch):
    """``wholenet.fit`` by a method; curvature has tests of its own, and what a rule does too: here it is the shortest
    that there is."""
    monkeypatch.setitem(RULES, "paper", SHORTEST)
    monkeypatch.setattr(job_module, "_ends_of_spectrum", lambda *_: {"eigenvalue": 1.0, "lowest_eigenvalue": 0.0})

    def fits(method, out, **more):
        options = {"method": method} | (SMALL if "space" in more else ONCE)
        if "stopping" in METHODS[method].parts:
            options |= {**SMALL, "search_share": 0.75, "stopping": "paper", "gradient": "first-order"}
        if "space" in more:
            options.pop("size")
        wholenet.fit(discs, out, **options | more)

    return fits


@pytest.mark.parametrize("method", GRID_METHODS)
def test_a_method_trains_the_grid_loads_and_predicts(method, trains, tmp_path):
    trains(method, tmp_path)
    model = wholenet.load(tmp_path, device="cpu")
    assert model.network.spec.relaxation == METHODS[method].parts.get("relaxation", "softmax")
    assert model.predict(np.zeros((40, 50, 3), np.uint8)).shape == (40, 50)
    first, *others = [np.ravel(record["logits"]["beta"]) for record in records(tmp_path)]
    assert (others[-1] != first).any()


@pytest.mark.parametrize("method", GRID_METHODS)
def test_a_method_goes_on_to_the_bit(method, trains, tmp_path, monkeypatch):
    """On the toy space: what a method adds to a run is the same on every space."""
    trains(method, tmp_path / "whole", **TOY)
    real, steps = run_module.train_epoch, []

    def stopping(state, phase, *rest):
        for step in real(state, phase, *rest):
            yield step
            steps.append(phase.name)
            if steps.count("search") == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as inner:
        inner.setattr(run_module, "train_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            trains(method, tmp_path / "stopped", **TOY, checkpoint_minutes=0)
    wholenet.resume(tmp_path / "stopped")
    assert_equal(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "stopped"))
    assert untimed(records(tmp_path / "whole")) == untimed(records(tmp_path / "stopped"))


def test_methods_that_the_grid_cannot_carry_say_why_and_which_it_can():
    for method in set(METHODS) - set(GRID_METHODS):
        with pytest.raises(
            ValueError, match=rf"{method}.*(cell space|cell spaces alone).*elsewhere there are: darts, "
        ):
            fit_config(method, data="x", out="y")
    with pytest.raises(ValueError, match="unknown method 'sdarts-sr'; did you mean 'sdarts-rs'"):
        fit_config("sdarts-sr", data="x", out="y")
    assert fit_config("two-stage", data="x", out="y").protocol == "two-stage"
    with pytest.raises(ValueError, match="two names of one option"):
        fit_config("two-stage", data="x", out="y", protocol="single-stage")


@pytest.mark.parametrize("method", GRID_METHODS)
def test_a_method_is_on_the_grid_what_it_is_on_cells(method):
    config = fit_config(method, data="x", out="y", epochs=600)
    for name, value in METHODS[method].parts.items():
        assert getattr(config, name) == value
    if method == "single-stage":
        assert config == FitConfig(data="x", out="y")
    else:
        assert config.update == "architecture-first"
    parts = parts_of(config, plan_phases(config))
    assert parts.own_batches == (METHODS[method].parts.get("gradient") != "one-level")
    assert (parts.weights is not None) == method.startswith("sdarts")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gradient": "second-order", "arch_update": "alternating"}, "use arch_update='architecture-first'"),
        ({"gradient": "one-level", "arch_batchnorm": "updated"}, "goes with gradient='first-order'"),
        ({"perturbation": "random", "arch_update": "simultaneous"}, "disturbs weight steps"),
        ({"perturbation": "random", "relaxation": "sigmoid"}, "sum to 1"),
        ({"perturbation": "random", "gradient": "second-order"}, "looks through"),
        ({"regularizer": "zero-one"}, "give 'sigmoid'"),
        ({"regularizer": "anchor"}, "give 'dirichlet'"),
        (
            {"relaxation": "dirichlet", "gradient": "second-order-exact", "arch_update": "architecture-first"},
            "give 'second-order', or 'first-order'",
        ),
        ({"perturbation": "random", "relaxation": "gumbel"}, "are not drawn"),
        ({"relaxation": "sigmoid", "entropy_beta": 0.1}, "regularizer='zero-one'"),
        ({"stopping": "code", "eigenvalue_every": 1}, "counts a look every 2"),
        ({"stopping": "code", "epochs": 20}, "cannot fire in fewer than 24"),
        ({"stopping": "code", "architecture": "uniform"}, "never moves"),
        ({"after_stopping": "regularize"}, "needs a rule"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        fit_config(data="x", out="y", **options)


def growing(monkeypatch, start=None):
    """Let the eigenvalue grow by itself from an epoch on."""

    def told(*arguments):
        epoch = arguments[-1].epoch
        return {"eigenvalue": 2.0 ** max(0, epoch - (start or 0)), "lowest_eigenvalue": 0.0}

    monkeypatch.setattr(job_module, "_ends_of_spectrum", told)


def test_a_search_that_is_stopped_goes_on_with_the_weights_alone_at_the_architecture_of_before(
    discs, tmp_path, monkeypatch, capsys
):
    growing(monkeypatch)
    options = ON_TOY | {"method": "darts-es", "stopping": "paper", "gradient": "first-order", "arch_lr": 0.1}
    wholenet.fit(discs, tmp_path / "run", **options)
    found = records(tmp_path / "run")
    fired = next(record["epoch"] for record in found if record["phase"] == "fine-tune") - 1
    assert fired == 10  # ten looks, from the first epoch of the search
    assert "weights go on, at the architecture of epoch 6" in " ".join(capsys.readouterr().out.split())
    kept = found[5]["logits"]
    assert found[fired]["logits"] != kept
    assert all(record["logits"] == kept for record in found[fired + 1 :])
    assert all(record["arch_loss"] is None and record["eigenvalue"] is None for record in found[fired + 1 :])
    assert checkpoint(tmp_path / "run")["frozen_at"] == 5

    real = run_module.train_epoch

    def stopping(state, *rest):
        if state.epoch == fired + 2:
            raise KeyboardInterrupt
        yield from real(state, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "train_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            wholenet.fit(discs, tmp_path / "stopped", **options)
    wholenet.resume(tmp_path / "stopped")
    assert_equal(checkpoint(tmp_path / "run"), checkpoint(tmp_path / "stopped"))


def test_the_first_of_two_stages_ends_when_its_rule_fires_with_the_genotype_of_before(discs, tmp_path, monkeypatch):
    growing(monkeypatch)
    options = WATCHED | {"method": "darts-es", "stopping": "paper", "gradient": "first-order", "arch_lr": 0.1}
    wholenet.fit(discs, tmp_path / "run", **options, protocol="two-stage", retrain_epochs=1)
    first = RunFolder(tmp_path / "run" / "search")
    assert len(first.records()) == 11
    model = wholenet.load(first.path, device="cpu").network
    assert {name: logits.tolist() for name, logits in model.arch.logits.items()} == first.records()[5]["logits"]
    genotype = wholenet.load(tmp_path / "run", device="cpu").network.spec.genotype
    assert genotype == decode(model.arch(), "best-path", 0.5).to_dict()


def test_a_search_goes_back_and_regularises_more(discs, tmp_path, monkeypatch):
    growing(monkeypatch)
    options = ON_TOY | {"method": "darts-ada", "stopping": "paper", "gradient": "first-order", "weight_decay": 3e-3}
    wholenet.fit(discs, tmp_path / "run", **options)
    gone = [json.loads(line) for line in (tmp_path / "run" / "discarded.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in gone] == list(range(6, 11))
    assert [record["epoch"] for record in records(tmp_path / "run")] == list(range(15))
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert saved["weight_optimizer"]["param_groups"][0]["weight_decay"] == pytest.approx(3e-2)
    assert (saved["weight_steps"], saved["epoch"]) == (15 * saved["weight_steps"] // 15, 15)


def test_curvature_is_recorded_in_the_search_alone(discs, tmp_path):
    wholenet.fit(
        discs, tmp_path / "run", **SMALL, eigenvalue_every=1, eigenvalue_tolerance=0.5, arch_update="alternating"
    )
    found = records(tmp_path / "run")
    assert [record["eigenvalue"] is not None for record in found] == [False, True, True, False]
    assert all(record["lowest_eigenvalue"] <= record["eigenvalue"] for record in found[1:3])


def test_weights_are_disturbed_in_the_search_alone(discs, tmp_path, monkeypatch):
    seen, real = [], run_module.train_epoch

    def watching(state, phase, schedule, parts, *rest):
        def told(turn, batch):
            weights = parts.weights(turn, batch)
            seen.append((phase.name, weights is not None))
            return weights

        yield from real(state, phase, schedule, dataclasses.replace(parts, weights=told), *rest)

    monkeypatch.setattr(run_module, "train_epoch", watching)
    wholenet.fit(discs, tmp_path / "run", **SMALL, method="sdarts-rs")
    assert set(seen) == {("warm-up", False), ("search", True), ("fine-tune", False)}


def test_the_control_of_a_method_has_nothing_of_its_search():
    for method in GRID_METHODS:
        config = fit_config(method, data="x", out="y", epochs=600, control=True)
        control = config.frozen_uniform(out="z", epochs=7)
        assert (control.architecture, control.stopping, control.perturbation, control.epochs) == (
            "uniform",
            "none",
            "none",
            7,
        )
        assert control.split == config.split
        assert control.relaxation == config.relaxation


def test_runs_of_studies_from_before_there_were_methods_keep_their_folders():
    config = FitConfig(data="x", out="y", lr=0.1)
    old = {name: value for name, value in dataclasses.asdict(config).items() if name not in ADDED} | {"out": ""}
    old = {name: old[name] for name in old if name not in ("checkpoint_minutes", "max_megapixels")}
    digest = hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()[:10]
    assert folder_name(config) == f"small-single-stage-seed0-{digest}"
    assert not folder_name(dataclasses.replace(config, regularizer="beta-decay")).endswith(digest)
