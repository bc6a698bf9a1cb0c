"""A classifier that costs what it may: operations of a supernet that is kept go over its search."""

import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from run_files import PICTURES, assert_equal, checkpoint, stop_after_checkpoints
from wholenet.cells.best_of import fit_cells, resume_cells
from wholenet.deploy.model_folder import load_model
from wholenet.search.cell_config import cell_config
from wholenet.search.cell_folder import CellFolder
from wholenet.spaces.catalog import create_from, left_of, subnets

QUIET = Console(quiet=True)
OPTIONS = {"space": "darts", "epochs": 6, "warmup_share": 0.17, "search_share": 0.5, "checkpoint_minutes": 0.0}


@pytest.fixture(scope="module")
def whole(small_of, tmp_path_factory):
    with PICTURES:
        out = tmp_path_factory.mktemp("budget") / "whole"
        return fit_cells(small_of(str(out), "single-stage", budget="40%", **OPTIONS), QUIET)


def test_the_model_folder_holds_the_smaller_network_and_it_costs_what_it_may(whole):
    records = CellFolder(whole.run).records()
    costs = [record["macs"] for record in records]
    size = records[0]["whole_macs"]
    assert costs[0] == costs[1] == size  # warm-up, and the first epoch of the search, at whose end some go
    assert costs[1] > costs[2] > costs[3] > costs[4] == costs[5]
    assert 0.3 * size < costs[-1] <= 0.4 * size
    network = load_model(whole.run).network
    known = subnets(network.spec)
    assert known.macs(left_of(network.spec), 16, 16) == costs[-1]
    everything = create_from(replace(network.spec, subnet=None))
    assert sum(p.numel() for p in network.net.parameters()) < sum(p.numel() for p in everything.net.parameters())


@pytest.mark.parametrize("stop", [3, 5])
def test_a_stopped_run_goes_on_to_the_same_bits(whole, small_of, tmp_path, stop):
    config = small_of(str(tmp_path / "stopped"), "single-stage", budget="40%", **OPTIONS)
    stop_after_checkpoints(stop, lambda: fit_cells(config, QUIET))
    found = resume_cells(tmp_path / "stopped", QUIET)
    assert_equal(checkpoint(whole.run), checkpoint(found.run))


def test_chance_takes_other_operations(whole, small_of, tmp_path):
    with PICTURES:
        other = fit_cells(small_of(str(tmp_path / "o"), "single-stage", budget="40%", budget_by="random", **OPTIONS))
    ends = [json.dumps(CellFolder(run).records()[-1]["subnet"]) for run in (whole.run, other.run)]
    assert ends[0] != ends[1]
    assert torch.isfinite(torch.tensor(other.error))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "darts", "budget": "40%"}, "leaves a genotype: give method='single-stage'"),
        ({"budget": "30ms"}, "is a time, and operations of cells are not timed"),
        ({"budget": "140%"}, "expected a share of the whole network"),
        ({"budget": "20%,40%"}, "several budgets are for images with masks"),
        ({"budget": "40%", "control": True}, "its control is a run of its own, budget_by='random'"),
        ({"budget": "40%", "architecture": "uniform"}, "a search is what removes operations"),
        ({"budget": "40%", "stopping": "paper", "after_stopping": "regularize"}, "may go back to a larger network"),
        ({"budget": "40%", "search_share": 0.95}, "give more epochs, or other shares"),
        ({"budget_by": "random"}, "is about a budget, and there is none"),
        ({"budget_over": 0.0}, "is about a budget, and there is none"),
        ({"budget_seed": 1}, "is about a budget, and there is none"),
        ({"budget": "40%", "budget_by": "weights", "budget_seed": 1}, "is of budget_by='random', and this is"),
        ({"budget": "40%", "budget_by": "magnitude"}, "budget_by='magnitude'"),
    ],
)
def test_what_does_not_go_is_said_at_once(given, said):
    with pytest.raises(ValueError, match=said):
        cell_config(**{"method": "single-stage", "data": "x", "out": "y", "epochs": 20, **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget": "1%"}, "what cannot be removed costs"),
        ({"budget": "900GMACs"}, "is no less than"),
        ({"budget": "40%", "space": "s4"}, "nothing that can be removed from this network saves anything"),
    ],
)
def test_what_cannot_be_met_is_said_before_a_folder_is_made(small_of, tmp_path, given, said):
    with pytest.raises(ValueError, match=said):
        fit_cells(small_of(str(tmp_path / "run"), "single-stage", **{**OPTIONS, **given}), QUIET)
    assert not (tmp_path / "run").exists()
