"""Runs with the dense prediction cell as head, which draws in training: stopped and continued, and in two stages."""

import pytest

import wholenet
from run_files import assert_equal, checkpoint, records, stop_after, untimed
from wholenet.ops.dpc import DensePredictionCell
from wholenet.search.config import fit_config
from wholenet.training import fit

SHORT = {"size": "nano", "head": "dpc", "batch": 2, "crop": "32x32", "lr": 0.02, "device": "cpu", "threads": 1}
SHORT |= {"epochs": 3, "warmup_share": 0.34, "search_share": 0.33, "steps_per_epoch": 1}


def test_a_run_with_the_head_goes_on_to_the_bit(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "whole", **SHORT)
    stop_after(2, lambda: wholenet.fit(discs, tmp_path / "run", **SHORT, checkpoint_minutes=0))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "run"))
    assert untimed(records(tmp_path / "whole")) == untimed(records(tmp_path / "run"))


def test_both_stages_have_the_head(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "two", **SHORT, protocol="two-stage", retrain_epochs=1)
    for run, discrete in (("two", True), ("two/search", False)):
        network = wholenet.load(tmp_path / run, device="cpu").network
        assert network.discrete == discrete
        assert isinstance(network.net.decoder.cell, DensePredictionCell)


def test_a_budget_is_refused_before_data_is_looked_at(tmp_path):
    config = fit_config(
        data=str(tmp_path / "nowhere"), out=str(tmp_path / "run"), size="nano", head="dpc", budget="40%", epochs=5
    )
    with pytest.raises(ValueError, match="what it costs is not counted"):
        fit(config)
