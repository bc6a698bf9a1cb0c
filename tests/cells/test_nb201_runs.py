"""Searches on NAS-Bench-201 and the training of what they found."""

import pytest
import torch
from rich.console import Console

import wholenet
from run_files import PICTURES, assert_equal, checkpoint, stop_after_checkpoints
from wholenet.cells.best_of import fit_cells, resume_cells
from wholenet.cells.diagnose import diagnose_search
from wholenet.cells.retrain import retrain, retrain_config
from wholenet.cli import main
from wholenet.deploy.model_folder import load_model
from wholenet.search.cell_config import cell_config
from wholenet.search.cell_folder import CellFolder
from wholenet.spaces.nb201.decoding import discretize
from wholenet.spaces.nb201.genotype import EXAMPLE, TABLE, genotype_from_string, read_genotype

QUIET = Console(quiet=True)
SMALL = {"space": "nb201", "batch": 6, "checkpoint_minutes": 0.0, "drop_path": 0.2}


def test_a_search_stopped_on_its_way_goes_on_to_the_same_bits_and_trains_what_it_found(small, tmp_path):
    special = {**SMALL, "protocol": "two-stage", "retrain_epochs": 1, "eigenvalue_every": 2}
    with PICTURES:
        whole = fit_cells(small(out=str(tmp_path / "whole"), **special), QUIET)
    assert {path.name for path in whole.run.iterdir()} >= {"cells.png", "search.png", "genotype.yaml", "report.html"}
    stop_after_checkpoints(2, lambda: fit_cells(small(out=str(tmp_path / "stopped"), **special), QUIET))
    found = resume_cells(tmp_path / "stopped", QUIET)
    for part in (".", "retrained"):
        assert_equal(checkpoint(whole.run / part), checkpoint(found.run / part))
    assert found.genotype == whole.genotype == read_genotype(found.run / "genotype.yaml")
    assert discretize(load_model(found.run).network.arch(), TABLE) == found.genotype
    assert found.genotype is not None
    assert CellFolder(found.run).records()[-1]["skips"] == {"cell": found.genotype.operations("cell")["skip_connect"]}
    assert diagnose_search(found.run, torch.device("cpu"), tolerance=0.5).highest is not None
    trained = load_model(found.run / "retrained")
    assert (trained.network.spec.space, trained.network.spec.genotype) == ("nb201", {"arch": str(found.genotype)})


def test_a_cell_is_trained_by_its_string_as_the_benchmark_trained_it(patches, tmp_path, capsys):
    main(["retrain", EXAMPLE, str(patches), "--out", str(tmp_path / "none"), "--print-config"])
    printed = capsys.readouterr().out
    for line in ("cells: 15", "epochs: 200", "batch: 256", "lr: 0.1", "auxiliary: 0.0", "cutout: 0"):
        assert line in printed
    given = {"channels": 4, "cells": 3, "epochs": 1, "batch": 12, "device": "cpu"}
    found = wholenet.retrain(EXAMPLE, patches, tmp_path / "net", **given)
    assert found.parameters == sum(p.numel() for p in load_model(found.run).network.net.parameters())
    assert read_genotype(found.run / "genotype.yaml") == genotype_from_string(EXAMPLE)
    assert wholenet.evaluate(found.run, patches).error == found.test_error


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"auxiliary": 0.4}, r"auxiliary=0.4: a network of nb201 has no auxiliary head; give 0"),
        ({"cells": 8}, "cells=8: expected a multiple of 3"),
        (
            {"genotype": EXAMPLE.replace("skip_connect", "skip_conect")},
            "'skip_conect' of nb201; did you mean",
        ),
    ],
)
def test_what_cannot_be_trained_is_said_before_a_folder_is_made(patches, tmp_path, given, said):
    config = retrain_config(**{"genotype": EXAMPLE, "data": str(patches), "out": str(tmp_path / "net"), **given})
    with pytest.raises(ValueError, match=said):
        retrain(config, QUIET)
    assert not (tmp_path / "net").exists()


def test_a_search_has_the_benchmark_s_size_unless_another_is_given(tmp_path):
    place = {"data": "", "out": str(tmp_path), "space": "nb201"}
    config = cell_config("darts", **place)
    assert (config.cells, config.channels, config.epochs, config.weight_decay) == (15, 16, 50, 5e-4)
    assert cell_config("darts", **place, cells=6).cells == 6
    with pytest.raises(ValueError, match="cells=8: space 'nb201' has three equal stages"):
        cell_config("darts", **place, cells=8)
