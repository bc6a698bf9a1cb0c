"""Dropping the weakest options, and architectures that are just given: what stays, and what must not change."""

import itertools

import pytest
import torch

from wholenet.architecture import Architecture, drop_weakest, masked_softmax, weakest_first
from wholenet.spaces.links import masks

MASK = masks(3)["beta"]
OPTIONS = int(MASK.sum())


def table(seed=0):
    """Weights of 12 cells with 2 or 3 edges each; no two alike."""
    logits = torch.randn(MASK.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return masked_softmax(logits, MASK)


def zeros(weights):
    return {i for i, w in enumerate(weights.flatten().tolist()) if w == 0 and MASK.flatten()[i]}


def test_the_ranking_sorts_the_options_that_exist_and_no_others():
    weights = table()
    there = MASK.flatten().nonzero().flatten().tolist()
    assert weakest_first(weights, MASK).tolist() == sorted(there, key=weights.flatten().tolist().__getitem__)


def test_equal_options_are_ranked_in_the_order_of_the_table():
    even = MASK / MASK.sum(-1, keepdim=True)
    there = MASK.flatten().nonzero().flatten().tolist()
    expected = sorted(there, key=lambda i: (even.flatten()[i].item(), i))
    assert weakest_first(even, MASK).tolist() == expected


@pytest.mark.parametrize("count", range(OPTIONS + 1))
def test_a_share_drops_that_many_options_and_they_are_the_smallest(count):
    weights = table()
    left = drop_weakest(weights, MASK, count / OPTIONS)
    dropped = zeros(left)
    assert len(dropped) == count
    flat = weights.flatten()
    kept = set(MASK.flatten().nonzero().flatten().tolist()) - dropped
    assert max((flat[i] for i in dropped), default=0) < min((flat[i] for i in kept), default=1)
    assert all(left.flatten()[i] == flat[i] for i in kept)


def test_a_share_between_two_counts_is_rounded_to_the_nearest():
    for share, count in ((0.4 / OPTIONS, 0), (0.6 / OPTIONS, 1), (7.4 / OPTIONS, 7), (1 - 0.4 / OPTIONS, OPTIONS)):
        assert len(zeros(drop_weakest(table(), MASK, share))) == count


def test_a_larger_share_drops_all_that_a_smaller_one_drops():
    dropped = [zeros(drop_weakest(table(1), MASK, share / 20)) for share in range(21)]
    assert all(less <= more for less, more in itertools.pairwise(dropped))


@pytest.mark.parametrize("renormalize", [False, True])
def test_dropping_nothing_changes_nothing_and_dropping_all_leaves_zeros(renormalize):
    weights = table()
    nothing = drop_weakest(weights, MASK, 0.0, renormalize=renormalize)
    torch.testing.assert_close(nothing, weights, atol=1e-15, rtol=0)
    assert (drop_weakest(weights, MASK, 1.0, renormalize=renormalize) == 0).all()


def test_the_weights_that_were_given_are_left_alone():
    weights = table()
    before = weights.clone()
    drop_weakest(weights, MASK, 0.5, renormalize=True)
    assert torch.equal(weights, before)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_option_that_does_not_exist_is_never_dropped_in_place_of_one_that_does(share):
    # The weakest of all by value, were they options.
    weights = table().masked_fill(~MASK, -1.0)
    left = drop_weakest(weights, MASK, share)
    assert (left[~MASK] == -1).all()
    assert len(zeros(left)) == round(share * OPTIONS)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_renormalised_groups_sum_to_one_or_nothing_and_keep_their_proportions(share):
    weights = table(2)
    plain, scaled = (drop_weakest(weights, MASK, share, renormalize=r) for r in (False, True))
    left = (plain > 0).any(-1)
    torch.testing.assert_close(scaled.sum(-1), left.double(), atol=1e-14, rtol=0)
    assert torch.equal(scaled > 0, plain > 0)
    torch.testing.assert_close(scaled[left] * plain[left].sum(-1, keepdim=True), plain[left], atol=1e-14, rtol=0)


def test_renormalising_keeps_the_sum_that_a_group_had():
    weights = 3 * table()
    left = drop_weakest(weights, MASK, 0.3, renormalize=True).sum(-1)
    torch.testing.assert_close(left, torch.where(left > 0, 3.0, 0.0).double(), atol=1e-14, rtol=0)


@pytest.mark.parametrize("renormalize", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_relabelling_layers_cells_or_options_relabels_what_is_left(axis, renormalize):
    order = torch.randperm(MASK.shape[axis], generator=torch.Generator().manual_seed(4))
    weights = table(3)
    first = drop_weakest(weights, MASK, 0.4, renormalize=renormalize).index_select(axis, order)
    relabelled = weights.index_select(axis, order), MASK.index_select(axis, order)
    then = drop_weakest(*relabelled, 0.4, renormalize=renormalize)
    torch.testing.assert_close(first, then, atol=1e-15, rtol=0)
    assert torch.equal(first == 0, then == 0)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=r"expected a share of the options in \[0, 1\]"):
        drop_weakest(table(), MASK, share)


def test_a_fixed_architecture_is_its_weights_and_cannot_learn():
    there = masks(3)
    given = {"alpha": torch.rand(there["alpha"].shape), "beta": drop_weakest(table(), MASK, 0.6)}
    arch = Architecture.fixed(given, there)
    assert not any(logits.requires_grad for logits in arch.parameters())
    assert set(arch.state_dict()) == {"logits.alpha", "logits.beta"}
    for name, weights in arch().items():
        assert torch.equal(weights, given[name])


def test_a_fixed_architecture_has_no_weight_where_there_is_no_option_and_may_have_empty_groups():
    there = {"beta": MASK & (table() > 0.5)}
    assert not there["beta"].any(-1).all()
    arch = Architecture.fixed({"beta": torch.ones(MASK.shape)}, there)
    assert torch.equal(arch()["beta"], there["beta"].float())
    assert arch.normalized_entropies() == {"beta": 0}


def test_a_fixed_architecture_does_not_change_with_the_tensor_it_was_made_of():
    given = {"beta": torch.rand(MASK.shape)}
    there = {"beta": MASK.clone()}
    arch = Architecture.fixed(given, there)
    before = arch()["beta"].clone()
    given["beta"].zero_()
    there["beta"].zero_()
    assert torch.equal(arch()["beta"], before)
