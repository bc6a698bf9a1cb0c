"""DOTS from the config to what it comes to: two searches, each continued to the same bits."""

import pytest
import torch
from rich.console import Console

from run_files import PICTURES, assert_equal, checkpoint, stop_after_checkpoints
from wholenet.cells.best_of import fit_cells, resume_cells
from wholenet.cells.search import Searched
from wholenet.deploy.model_folder import load_model
from wholenet.search.cell_folder import CellFolder
from wholenet.spaces.darts_genotype import read_cell_genotype
from wholenet.spaces.dots.decoding import discretize_stage
from wholenet.spaces.dots.survivors import survivors_of, table_of_stage

QUIET = Console(quiet=True)
SPECIAL = {"space": "dots", "topology_epochs": 2, "checkpoint_minutes": 0.0, "side": 8, "images": 12, "batch": 6}


@pytest.fixture(scope="module")
def whole(small_of, tmp_path_factory):
    """What a run that was never stopped came to."""
    with PICTURES:
        return fit_cells(small_of(tmp_path_factory.mktemp("dots") / "whole", **SPECIAL), QUIET)


@pytest.mark.parametrize("stop", [1, 6])
def test_a_run_stopped_in_either_search_goes_on_to_the_same_bits(whole, small, tmp_path, stop):
    stop_after_checkpoints(stop, lambda: fit_cells(small(out=str(tmp_path / "stopped"), **SPECIAL), QUIET))
    assert (tmp_path / "stopped/topology").exists() == (stop > 4)
    found = resume_cells(tmp_path / "stopped", QUIET)
    for part in (".", "topology"):
        assert_equal(checkpoint(whole.run / part), checkpoint(found.run / part))
    assert found.genotype == whole.genotype == read_cell_genotype(found.run / "genotype.yaml", "darts")


def test_the_second_search_is_of_what_the_first_left_and_begins_anew(whole):
    found = whole
    assert isinstance(found, Searched)
    assert found.following is not None
    first, second = (load_model(run).network for run in (found.run, found.run / "topology"))
    assert second.spec.settings["survivors"] == survivors_of(first.arch()) == found.survivors
    table = table_of_stage(found.survivors)
    assert discretize_stage(second.arch(), table) == found.genotype == found.following.genotype
    assert (found.run / "topology/pairs.png").is_file()
    assert not (found.run / "pairs.png").exists()
    config = CellFolder(found.run / "topology").search_config
    assert (config.epochs, config.epochs_before, config.split) == (2, 2, "same")
    assert CellFolder(found.run / "topology").resume_command.endswith(f"--resume {found.run}")
    records = CellFolder(found.run / "topology").records()
    assert [record["phase"] for record in records] == ["warm-up", "search"]
    assert records[0]["entropy"] == {name: pytest.approx(1) for name in second.net.masks}
    assert not torch.equal(second.arch.logits["normal_pairs"], torch.zeros(4, 10))
