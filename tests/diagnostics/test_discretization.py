"""The discretization curve: which edges go, what each variant does to the rest, and what it leaves alone."""

import copy

import pytest
import torch

from wholenet.architecture import drop_weakest
from wholenet.diagnostics.discretization import (
    CurvePoint,
    current_weights,
    discretization_curve,
    recalibrated_on,
    removable,
    renormalized,
    without_weakest_edges,
    zeroed,
)

X = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_nothing_dropped_is_the_network_itself(model):
    pruned, dropped = without_weakest_edges(model, 0.0)
    assert dropped == 0
    for variant in (zeroed, renormalized):
        torch.testing.assert_close(variant(pruned)(X), model(X))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_the_weakest_edges_of_the_whole_network_go_and_operations_stay(model, share):
    before = current_weights(model)
    pruned, dropped = without_weakest_edges(model, share)
    after = current_weights(pruned)
    assert torch.equal(after["alpha"], before["alpha"])
    gone = (after["beta"] == 0) & (before["beta"] > 0)
    assert int(gone.sum()) == dropped == round(30 * share)
    if share < 1:
        assert before["beta"][gone].max() <= after["beta"][after["beta"] > 0].min()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_renormalized_is_drop_weakest_with_renormalize(model, share):
    mask = model.net.masks["beta"]
    expected = drop_weakest(current_weights(model)["beta"], mask, share, renormalize=True)
    pruned, _ = without_weakest_edges(model, share)
    torch.testing.assert_close(current_weights(renormalized(pruned))["beta"], expected)


def test_uniform_weights_are_dropped_in_the_order_of_the_table(model):
    model.arch.set_uniform()
    weights = current_weights(without_weakest_edges(model, 0.1)[0])["beta"]
    # Among three an edge weighs 1/3, among two 1/2: the first cell of three, then the next.
    assert weights[0, 1].tolist() == [0, 0, 0]
    assert weights[0, 2].count_nonzero() == 3


def test_a_point_for_every_share_and_variant_in_order_with_progress(model):
    told = []
    variants = {"zeroed": zeroed, "renormalized": renormalized}

    def score(network):
        return current_weights(network)["beta"].sum().item() / 12

    points = discretization_curve(model, variants, score, (0.0, 0.5), lambda *done: told.append(done))
    assert [(p.share, p.dropped, p.variant) for p in points] == [
        (0.0, 0, "zeroed"),
        (0.0, 0, "renormalized"),
        (0.5, 15, "zeroed"),
        (0.5, 15, "renormalized"),
    ]
    assert points[0].miou == points[1].miou == pytest.approx(1)
    assert points[2].miou < points[3].miou <= 1 + 1e-6
    assert told == [(i, 4) for i in range(1, 5)]


def test_the_curve_leaves_the_model_as_it_was(model):
    before = copy.deepcopy(model.state_dict())
    variants = {
        "zeroed": zeroed,
        "renormalized": renormalized,
        "recalibrated": recalibrated_on(lambda: [X.repeat(2, 1, 1, 1)]),
    }
    modes = []
    discretization_curve(model, variants, lambda network: float(modes.append(network.training) or 0), (0.0, 0.5))
    assert modes == [False] * 6
    assert not model.training
    assert model.state_dict().keys() == before.keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_share_that_is_none_is_refused_before_anything_is_scored(model):
    def score(_):
        raise AssertionError("scored")

    with pytest.raises(ValueError, match=r"share=1\.5"):
        discretization_curve(model, {"zeroed": zeroed}, score, (0.0, 1.5))


def test_removable_stops_at_the_first_loss_and_looks_at_one_variant():
    def curve(*scores):
        return [CurvePoint(i / 10, i, "a", score) for i, score in enumerate(scores)] + [CurvePoint(0.9, 9, "b", 1.0)]

    assert removable(curve(0.5, 0.5, 0.5), "a", 0.5, 0.01) == 0.2
    assert removable(curve(0.5, 0.4, 0.5), "a", 0.5, 0.01) == 0.0
    assert removable(curve(0.4, 0.5, 0.5), "a", 0.5, 0.01) == 0.0
    assert removable(curve(0.5), "c", 0.5, 0.01) == 0.0
