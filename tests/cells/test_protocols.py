"""Two stages and the frozen-uniform control, on the cell spaces as on the grid."""

import json
import shutil

import pytest
from rich.console import Console

from wholenet.cells.best_of import fit_cells, resume_cells
from wholenet.cli import main
from wholenet.deploy.model_folder import load_model
from wholenet.search.cell_config import cell_config
from wholenet.search.cell_folder import CellFolder
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


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("darts", {"control": True}, "leaves a genotype"),
        ("single-stage", {"control": True, "warmup_share": 0.0, "search_share": 1.0}, "measure their time by"),
        ("single-stage", {"control": True, "architecture": "uniform"}, "needs a run that searches"),
        ("r-darts-l2", {"protocol": "two-stage"}, "wholenet retrain"),
        ("r-darts-l2", {"protocol": "single-stage"}, "several searches"),
    ],
)
def test_what_has_no_meaning_is_refused(method, options, said):
    with pytest.raises(ValueError, match=said):
        cell_config(method, data="x", out="y", **options)
