"""Errors and loss of disparity: values worked out by hand, sums over pairs, and what is not known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wholenet.data.stereo.planes import draw_planes
from wholenet.spaces.autodispnet.pair import Disparities
from wholenet.tasks.disparity import EPE, DisparityErrors, DisparityLoss, enlarged, target_of

NAN = float("nan")


def errors(prediction, truth, visible=None):
    found = DisparityErrors()
    found.update(np.float32([prediction]), np.float32([truth]), None if visible is None else np.array([visible]))
    return found


def test_errors_by_hand():
    found = errors([10, 20, 30, 40, 50], [10.5, 23.5, 30, 36, NAN]).scores()
    assert (found.all.epe, found.all.over_1, found.all.over_3, found.all.d1) == (2, 0.5, 0.5, 0.5)
    assert (found.all.pixels, found.visible, found.pairs) == (4, None, 1)
    assert EPE.say(found.all.epe) == "2 EPE"
    assert not EPE.higher


def test_d1_needs_both_three_pixels_and_five_per_cent():
    found = errors([100, 104, 110], [100, 100, 100]).scores().all
    assert found.epe == pytest.approx(14 / 3)
    assert (found.over_3, found.d1) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    exactly = errors([3, 2, 1, 63], [0, 0, 0, 60]).scores().all  # neither is more than
    assert (exactly.over_1, exactly.over_2, exactly.over_3, exactly.d1) == (0.75, 0.5, 0, 0)
    assert errors([4], [0]).scores().all.d1 == 1


def test_every_pixel_counts_as_much_whatever_pair_it_is_of():
    random = np.random.default_rng(0)
    sizes = [(3, 4), (5, 7), (2, 2)]
    truths = [np.where(random.random(s) < 0.3, NAN, random.uniform(0, 60, s)).astype(np.float32) for s in sizes]
    answers = [random.uniform(0, 60, s).astype(np.float32) for s in sizes]
    seen = [random.random(s) < 0.6 for s in sizes]
    together, apart = DisparityErrors(), DisparityErrors()
    for prediction, truth, visible in zip(answers, truths, seen, strict=True):
        one = DisparityErrors()
        one.update(prediction, truth, visible)
        together.add(one)
        apart.update(prediction, truth, visible)
    truth, prediction, visible = (np.concatenate([a.ravel() for a in of]) for of in (truths, answers, seen))
    for found, counted in (
        (together.scores().all, ~np.isnan(truth)),
        (apart.scores().visible, ~np.isnan(truth) & visible),
    ):
        error, of = np.abs(prediction.astype(float) - truth)[counted], truth[counted]
        assert found.epe == pytest.approx(error.mean(), rel=1e-12)
        for limit, share in ((1, found.over_1), (2, found.over_2), (3, found.over_3)):
            assert share == (error > limit).mean()
        assert found.d1 == ((error > 3) & (error > 0.05 * of)).mean()
        assert found.pixels == counted.sum()
    assert together.scores() == apart.scores() == together.over_processes().scores()


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="no pixel of the 1 pairs has a known disparity"):
        errors([1, 2], [NAN, NAN]).scores()
    assert errors([1, 2], [1, NAN], [False, True]).scores().visible is None
    with pytest.raises(FloatingPointError, match="not finite"):
        errors([1, NAN], [1, NAN])
    with pytest.raises(ValueError, match=r"the prediction is \(1, 2\) but the truth is \(1, 3\)"):
        errors([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"but what is visible is \(1, 1\)"):
        errors([1, 2], [1, 2], [True])


def target(truth):
    return torch.stack([truth, torch.full_like(truth, NAN)], 1)


def outputs(*levels):
    return Disparities(levels[0], levels)


def test_constant_levels_cost_what_their_weights_say():
    truth = torch.full((2, 8, 16), 5.0, dtype=torch.float64)
    truth[0, :4] = NAN
    levels = [torch.full((2, 8 >> n, 16 >> n), 5.0 + 10**n, dtype=torch.float64) for n in range(3)]
    levels += [torch.full((2, 1, 1), 5.0, dtype=torch.float64)] * 2
    assert DisparityLoss()(outputs(*levels), target(truth)).item() == pytest.approx(0.32 + 0.16 * 10 + 0.08 * 100)
    last = [torch.full((2, 1, 1), 5.0 + value) for value in (0, 0, 0, 1, 10)]
    assert DisparityLoss()(outputs(*last), target(truth.float())).item() == pytest.approx(0.04 + 0.02 * 10)


def test_levels_are_enlarged_between_the_centres_of_pixels():
    ramp = torch.arange(6, dtype=torch.float64).expand(1, 4, 6)
    wide = enlarged(ramp, (8, 24))
    x = (torch.arange(24) + 0.5) / 4 - 0.5
    assert torch.allclose(wide[0, 3], x.clamp(0, 5).double())
    loss = DisparityLoss()(outputs(ramp), target(wide + 0.25))
    assert loss.item() == pytest.approx(0.32 * 0.25)


def test_the_mean_is_over_known_pixels_of_the_batch():
    torch.manual_seed(0)
    truth, estimate = torch.rand(3, 4, 6) * 20, (torch.rand(3, 4, 6) * 20).requires_grad_()
    truth[torch.rand(3, 4, 6) < 0.4] = NAN
    known = ~truth.isnan()
    loss = DisparityLoss()(outputs(estimate), target(truth))
    expected = 0.32 * (estimate - truth)[known].abs().mean()
    assert loss.item() == pytest.approx(expected.item())
    (gradient,) = torch.autograd.grad(loss, estimate)
    assert torch.equal(gradient[~known], torch.zeros(int((~known).sum())))
    assert torch.allclose(gradient[known], torch.autograd.grad(expected, estimate)[0][known])


@pytest.mark.parametrize("unknown", ["all", "half"])
def test_what_is_not_known_leaves_no_trace_in_derivatives_of_any_order(unknown):
    torch.manual_seed(0)
    weights = torch.rand(2, 4, 8, dtype=torch.float64).requires_grad_()
    truth = torch.rand(2, 8, 16, dtype=torch.float64)
    truth[:, : 8 if unknown == "all" else 4] = NAN
    levels = enlarged(weights**2, (8, 16)), weights**3
    loss = DisparityLoss()(outputs(*levels), target(truth))
    (gradient,) = torch.autograd.grad(loss, weights, create_graph=True)
    (curvature,) = torch.autograd.grad(gradient.square().sum(), weights)
    assert gradient.isfinite().all()
    assert curvature.isfinite().all()
    for of in (gradient, curvature):
        assert not of[:, : 4 if unknown == "all" else 1].any()
        assert bool(of.any()) == (unknown == "half")
    assert (loss == 0) == (unknown == "all")


def test_what_a_network_says_where_nothing_is_known_does_not_count():
    truth = torch.tensor([[[1.0, NAN]]])
    estimate = torch.tensor([[[3.0, NAN]]], requires_grad=True)
    loss = DisparityLoss()(outputs(estimate), target(truth))
    loss.backward()
    assert loss.item() == pytest.approx(0.64)
    assert estimate.grad is not None
    assert estimate.grad.flatten().tolist() == [pytest.approx(0.32), 0]


def test_half_precision_is_summed_in_single():
    truth = torch.full((1, 64, 64), 1.0)
    estimate = torch.full((1, 64, 64), 100.0, dtype=torch.bfloat16)
    loss = DisparityLoss()(outputs(estimate), target(truth))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.32 * 99)


def test_a_target_has_what_is_known_and_what_is_seen():
    pair = draw_planes(0, 0, 16, 24, 5)
    truth, visible = target_of(pair)
    assert np.array_equal(truth, pair.disparity)
    assert np.array_equal(visible == 1, pair.visible)
    assert set(np.unique(visible)) == {0, 1}
    assert np.isnan(target_of(replace(pair, visible=None))[1]).all()
    assert target_of(pair).dtype == np.float32
