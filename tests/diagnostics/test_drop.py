"""Dropping edges below a weight: cut out, what is left computes what the network does with them at zero."""

import copy

import pytest
import torch

from wholenet.diagnostics.discretization import current_weights
from wholenet.diagnostics.drop import without_edges_below
from wholenet.spaces.catalog import create_model, left_of, subnets
from wholenet.spaces.count import macs_as_run
from wholenet.spaces.supernet import with_weights

pytestmark = pytest.mark.usefixtures("shallow")


def at_zero(model, below):
    weights, mask = current_weights(model), model.net.masks["beta"]
    strongest = weights["beta"] == weights["beta"].amax(-1, keepdim=True)
    weak = mask & (weights["beta"] < below) & ~strongest
    weights["beta"] = weights["beta"] * ~weak
    return with_weights(model, weights), weak


@pytest.mark.parametrize("below", [0.01, 0.2, 0.4, 1.0])
def test_what_is_cut_out_computes_what_the_network_does_with_weak_edges_at_zero(model, below):
    model = copy.deepcopy(model).double()
    reference, weak = at_zero(model, below)
    cut, dropped = without_edges_below(model, below)
    assert dropped == int(weak.sum())
    x = torch.randn(2, 3, 33, 47, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(cut(x), reference(x), atol=1e-10, rtol=0)
    assert not (cut.net.masks["beta"] & weak).any()
    assert (cut.net.masks["beta"].any(-1) <= model.net.masks["beta"].any(-1)).all()
    assert set(cut.net.state_dict()) < set(model.net.state_dict()) if dropped else cut.net is model.net
    macs = subnets(model.spec).macs(left_of(cut.spec), 64, 64)
    assert macs == macs_as_run(cut.float().eval(), 64, 64)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("below", [0.15, 0.4])
def test_links_of_a_dense_grid_are_cut_out_unless_a_stronger_one_shares_their_transition(tied, below):
    torch.manual_seed(0)
    model = create_model("dense-grid-nano", num_classes=2, tied=tied).eval().double()
    model.arch.logits["beta"].data.normal_()
    reference, weak = at_zero(model, below)
    cut, dropped = without_edges_below(model, below)
    assert dropped == int(weak.sum())
    x = torch.randn(1, 3, 33, 47, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(cut(x), reference(x), atol=1e-10, rtol=0)
    assert set(cut.net.transitions) < set(model.net.transitions)
    assert tied or not (cut.net.masks["beta"] & weak).any()


def test_at_one_each_cell_that_is_left_keeps_one(model):
    after = without_edges_below(model, 1.0)[0].arch()["beta"]
    assert set((after > 0).sum(-1).flatten().tolist()) <= {0, 1}
    assert (after[-1] > 0).any(-1).all()


def test_where_units_cannot_be_removed_edges_are_at_zero():
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=2, cell="separate").eval()
    model.arch.logits["beta"].data.normal_()
    cut, dropped = without_edges_below(model, 0.4)
    reference, weak = at_zero(model, 0.4)
    assert dropped == int(weak.sum()) > 0
    assert torch.equal(cut.arch()["beta"], reference.arch()["beta"])


@pytest.mark.parametrize("below", [0.0, -0.1, 1.1])
def test_a_threshold_that_means_nothing_is_refused(model, below):
    with pytest.raises(ValueError, match=r"expected a weight of edges in \(0, 1\]"):
        without_edges_below(model, below)
