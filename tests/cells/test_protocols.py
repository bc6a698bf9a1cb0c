"""Two stages and the frozen-uniform control, on the cell spaces as on the grid."""

import json
import shutil

import pytest
from rich.console import Console

from wholenet.cells.best_of import fit_cells, resume_cells
from wholenet.cli import main
from wholenet.deploy.model_folder import load_model
from wholenet.plugins import register
from wholenet.search.cell_config import cell_config
from wholenet.search.cell_folder import CellFolder
from wholenet.search.phases import Phase
from wholenet.search.protocols import PROTOCOLS, Protocol
from wholenet.spaces.darts_genotype import read_cell_genotype

QUIET = Console(quiet=True)


def test_a_second_stage_trains_what_was_found_from_scratch(small, patches, tmp_path):
    shutil.copytree(patches, tmp_path / "copy")
    config = small(protocol="two-stage", retrain_epochs=2, shift=1, data=str(tmp_path / "copy"))
    found = fit_cells(config, QUIET)
    second = CellFolder(found.run / "retrained")
    assert found.second_stage.run == second.path
    assert [record["phase"] for record in second.records()] == ["retrain"] * 2
    assert read_cell_genotype(second.genotype) == found.genotype
    assert load_model(second.path).network.discrete
    assert second.retrain_config.val_share == config.val_share
    assert second.resume_command == f"wholenet fit --resume {found.run}"
    assert json.loads((found.run / "result.json").read_text()).keys() & {"second_stage", "control"} == set()
    shutil.rmtree(second.path)  # as if it had been stopped before
    shutil.move(tmp_path / "copy", tmp_path / "new")
    again = resume_cells(found.run, QUIET, data=tmp_path / "new")
    assert again == found
    assert CellFolder(found.run / "retrained").config.data == str(tmp_path / "new")
    assert resume_cells(found.run, QUIET, data=tmp_path / "new") == found


def test_a_control_trains_for_the_time_of_the_search_and_never_moves(small, capsys, monkeypatch):
    asked = []  # what the time comes to: tests/search/test_equal_time.py
    monkeypatch.setattr("wholenet.cells.best_of.equal_time_epochs", lambda *of: asked.append(of) or 2)
    config = small("single-stage", epochs=3, warmup_share=0.34, search_share=0.33, control=True)
    found = fit_cells(config, QUIET)
    control = CellFolder(found.run / "control")
    assert found.control.run == control.path
    assert asked == [(CellFolder(found.run).records(),)]
    assert control.search_config.epochs == len(control.records()) == 2
    assert all(abs(entropy - 1) < 1e-6 for record in control.records() for entropy in record["entropy"].values())
    assert all(record["arch_loss"] is None for record in control.records())
    assert (control.search_config.affine, control.search_config.split) == (config.affine, config.split)
    assert resume_cells(found.run, QUIET) == found
    main(["fit", "--resume", str(found.run)])
    assert f"frozen-uniform     {100 * found.control.error:5.1f} %   error, {control.path}" in capsys.readouterr().out


@pytest.fixture
def mine():
    """Protocols from outside: one that searches twice and keeps the supernet, one that trains what was found longer."""
    twice = [Phase("look", 0, 1, True), Phase("rest", 1, 2), Phase("look", 2, 3, True), Phase("rest", 3, 4)]
    made = [
        Protocol("twice", lambda config: twice[: config.epochs]),
        Protocol("longer", lambda config: [Phase("train", 0, 2 * config.retrain_epochs)], retrains=True),
    ]
    for protocol in made:
        register(protocol)
    yield
    for protocol in made:
        PROTOCOLS.remove(protocol.name)


def test_a_protocol_from_outside_keeps_the_supernet_and_has_its_control(mine, small, monkeypatch):
    monkeypatch.setattr("wholenet.cells.best_of.equal_time_epochs", lambda _: 3)
    found = fit_cells(small(epochs=4, protocol="twice", control=True), QUIET)
    records = CellFolder(found.run).records()
    assert [record["phase"] for record in records] == ["look", "rest", "look", "rest"]
    assert [record["arch_loss"] is None for record in records] == [False, True, False, True]
    assert found.genotype is None
    assert found.test_error is not None
    assert not load_model(found.run).network.discrete
    control = CellFolder(found.control.run)
    assert [record["phase"] for record in control.records()] == ["look", "rest", "look"]
    assert all(record["arch_loss"] is None for record in control.records())
    assert resume_cells(found.run, QUIET) == found


def test_a_protocol_from_outside_that_retrains_says_for_how_long(mine, small):
    found = fit_cells(small(protocol="longer", retrain_epochs=1, shift=1), QUIET)
    assert found.genotype is not None
    assert len(CellFolder(found.second_stage.run).records()) == 2


def test_a_protocol_without_an_epoch_that_searches_is_refused(mine):
    register(still := Protocol("still", lambda config: [Phase("rest", 0, config.epochs)]))
    try:
        with pytest.raises(ValueError, match="leave no epoch to search in"):
            cell_config("darts", data="x", out="y", protocol="still")
    finally:
        PROTOCOLS.remove(still.name)


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("darts", {"control": True}, "leaves a genotype"),
        (
            "single-stage",
            {"control": True, "warmup_share": 0.0, "search_share": 1.0},
            "of the phases warm-up 0-0, search 0-",
        ),
        ("single-stage", {"control": True, "architecture": "uniform"}, "would train the control twice"),
        ("r-darts-l2", {"protocol": "two-stage"}, "wholenet retrain"),
        ("r-darts-l2", {"protocol": "single-stage"}, "several searches"),
        ("darts", {"protocol": "shrink"}, "trained on images with masks"),
        ("darts", {"protocol": "serch"}, "did you mean search\\?|did you mean 'search'"),
        ("single-stage", {"protocol": "two-stage"}, "keep one of them"),
    ],
)
def test_what_has_no_meaning_is_refused(method, options, said):
    with pytest.raises(ValueError, match=said):
        cell_config(method, data="x", out="y", **options)
