"""What is saved of a run that is stopped after an epoch's last step: its scoring is repeated with the same numbers."""

import os
import signal

import pytest
import torch

from wholenet.search.config import fit_config
from wholenet.search.interruption import Interrupted
from wholenet.search.keeper import Keeper
from wholenet.search.run_folder import RunFolder
from wholenet.search.start import state_of
from wholenet.spaces.catalog import create_model

pytestmark = pytest.mark.usefixtures("shallow")


def test_stopped_while_it_scores_a_run_is_saved_as_it_was_before_that(tmp_path):
    config = fit_config(data="d", out=str(tmp_path / "run"), size="nano")
    state = state_of(config, create_model("grid-nano", num_classes=2).spec, torch.device("cpu"))
    keeper = Keeper(RunFolder.create(config), state, minutes=60, steps_per_epoch=1)
    with pytest.raises(Interrupted), keeper.watching():  # noqa: PT012
        with keeper.steps():
            torch.rand(3)
            before = torch.get_rng_state()
        scored = torch.rand(3)  # as scoring and curvature may
        os.kill(os.getpid(), signal.SIGTERM)
    assert not torch.equal(torch.get_rng_state(), before)
    assert keeper.restore(torch.device("cpu"), pytest.fail)
    assert torch.equal(torch.rand(3), scored)
