"""Dropping edges below a weight."""

import pytest
import torch

from wholenet.diagnostics.drop import without_edges_below


@pytest.mark.parametrize("below", [0.01, 0.2, 0.4, 1.0])
def test_what_is_dropped_is_weak_and_no_cell_loses_its_strongest(model, below):
    cut, dropped = without_edges_below(model, below)
    before, after, mask = model.arch()["beta"], cut.arch()["beta"], model.net.masks["beta"]
    gone = mask & (after == 0)
    assert int(gone.sum()) == dropped
    assert (before[gone] < below).all()
    strongest = before == before.amax(-1, keepdim=True)
    assert not (gone & strongest).any()
    assert (before[mask & ~gone & ~strongest] >= below).all()
    assert torch.equal(after[~gone], before[~gone])


def test_at_one_each_cell_keeps_one(model):
    after = without_edges_below(model, 1.0)[0].arch()["beta"]
    assert ((after > 0).sum(-1) == 1).all()


@pytest.mark.parametrize("below", [0.0, -0.1, 1.1])
def test_a_threshold_that_means_nothing_is_refused(model, below):
    with pytest.raises(ValueError, match=r"expected a weight of edges in \(0, 1\]"):
        without_edges_below(model, below)
