"""Losses of images with masks: closed forms, gradients, what does not count, and their parts over processes."""

import math

import pytest
import torch

from wholenet import parallel
from wholenet.data.sample import IGNORE
from wholenet.search.config import FitConfig
from wholenet.tasks.losses import DiceLoss, DistilledLoss, FocalLoss, SumOfLosses, mask_loss
from wholenet.tasks.segmentation import SegmentationLoss

K = 4
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 0.0], dtype=torch.float64)


def distilled(logits, target, share=0.25):
    teacher = 2.0 * (target[:, None] == torch.arange(K)[:, None, None]) + torch.arange(K)[:, None, None]
    return DistilledLoss(DiceLoss(), teacher.to(logits.dtype), share)(logits, target)


LOSSES = {
    "dice": DiceLoss(),
    "focal": FocalLoss(2.0),
    "focal, weighed": FocalLoss(0.5, WEIGHTS),
    "sum": SumOfLosses(SegmentationLoss(WEIGHTS), DiceLoss()),
    "distilled": distilled,
}
every = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def drawn(images=2, seed=0):
    """Class 3 is never there."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, K, 3, 5, dtype=torch.float64, generator=generator)
    target = torch.randint(K - 1, (images, 3, 5), generator=generator)
    target[0, 0] = IGNORE
    return logits.requires_grad_(), target


def pixels(logits, target):
    """(class, probabilities) of the pixels that count, one by one."""
    where = [(b, y, x) for b, y, x in (target != IGNORE).nonzero().tolist()]
    return [(target[at].item(), logits[at[0], :, at[1], at[2]].softmax(0).tolist()) for at in where]


def test_dice_is_its_formula_counted_pixel_by_pixel():
    logits, target = drawn()
    found = pixels(logits.detach(), target)
    dice = []
    for k in range(K - 1):
        hits = sum(p[k] for t, p in found if t == k)
        dice.append(2 * hits / (sum(p[k] for _, p in found) + sum(t == k for t, _ in found)))
    assert DiceLoss()(logits, target).item() == pytest.approx(1 - sum(dice) / (K - 1), rel=1e-12)


def test_dice_of_the_truth_is_0_and_of_its_opposite_1():
    _, target = drawn()
    sure = 1e4 * (target[:, None] == torch.arange(K)[:, None, None]).double()
    assert DiceLoss()(sure, target).item() == pytest.approx(0, abs=1e-12)
    assert DiceLoss()(sure.roll(1, 1), target).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_is_its_formula_counted_pixel_by_pixel(gamma, weights):
    logits, target = drawn()
    found = pixels(logits.detach(), target)
    of = [1.0] * K if weights is None else weights.tolist()
    expected = sum(-of[t] * (1 - p[t]) ** gamma * math.log(p[t]) for t, p in found) / sum(of[t] for t, _ in found)
    assert FocalLoss(gamma, weights)(logits, target).item() == pytest.approx(expected, rel=1e-12)
    if gamma == 0:
        torch.testing.assert_close(FocalLoss(0.0, weights)(logits, target), SegmentationLoss(weights)(logits, target))


def test_distillation_is_the_mean_divergence_from_the_teacher_beside_the_loss():
    logits, target = drawn()
    teacher, _ = drawn(seed=1)
    found = [
        sum(q * math.log(q / p) for q, p in zip(qs, ps, strict=True))
        for (_, ps), (_, qs) in zip(pixels(logits, target), pixels(teacher, target), strict=True)
    ]
    expected = 0.75 * DiceLoss()(logits, target).item() + 0.25 * sum(found) / len(found)
    assert DistilledLoss(DiceLoss(), teacher, 0.25)(logits, target).item() == pytest.approx(expected, rel=1e-12)
    itself = DistilledLoss(DiceLoss(), logits.detach(), 1.0)(logits, target)
    assert itself.item() == pytest.approx(0, abs=1e-15)
    (gradient,) = torch.autograd.grad(itself, logits)
    assert gradient.abs().max() < 1e-15


@every
def test_the_gradient_is_that_of_differences_and_so_is_its_own(loss):
    logits, target = drawn()
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target), logits)


@every
def test_ignored_pixels_have_no_part_and_without_others_all_is_0(loss):
    logits, target = drawn()
    value = loss(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    out = (target == IGNORE)[:, None].expand_as(logits)
    assert (gradient[out] == 0).all()
    assert (gradient[~out] != 0).any()
    assert loss(logits.detach().masked_fill(out, 7.0), target) == value.detach()
    nothing = loss(logits, torch.full_like(target, IGNORE))
    (gradient,) = torch.autograd.grad(nothing, logits)
    assert nothing.item() == 0
    assert (gradient == 0).all()


@every
def test_it_is_finite_where_a_network_is_sure_of_the_right_or_the_wrong_class(loss):
    for sign in (-1, 1):
        _, target = drawn()
        sure = sign * 1e4 * (target[:, None] == torch.arange(K)[:, None, None]).double()
        value = loss(sure.requires_grad_(), target)
        value.backward()
        assert value.isfinite()
        assert sure.grad.isfinite().all()


@pytest.mark.parametrize("loss", [DiceLoss(), FocalLoss(2.0)])
def test_half_precision_is_computed_in_float32(loss):
    logits, target = drawn()
    half = logits.detach().bfloat16()
    assert loss(half, target).dtype == torch.float32
    assert loss(half, target) == loss(half.float(), target)


@every
def test_the_parts_of_two_processes_sum_to_the_whole_and_so_do_their_derivatives(loss, monkeypatch):
    logits, target = drawn(images=3)
    along = torch.randn_like(logits)

    def derivatives(value):
        (gradient,) = torch.autograd.grad(value, logits, create_graph=True)
        return gradient, *torch.autograd.grad((gradient * along).sum(), logits)

    whole = loss(logits, target)
    expected = derivatives(whole)
    shares = [slice(0, 1), slice(1, 3)]  # of different size, and only one of them has ignored pixels
    sums, number = [], 0

    def noted(x):
        sums.append(x)
        return x

    def of_both(x):
        nonlocal number
        number += 1
        return x + others[number - 1]

    def without_gradient(total):
        return lambda x: total(x.detach())

    each = []
    for share in shares:
        sums = []
        monkeypatch.setattr(parallel, "summed", without_gradient(noted))
        monkeypatch.setattr(parallel, "summed_in_graph", noted)
        loss(logits[share], target[share])
        each.append(sums)
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    monkeypatch.setattr(parallel, "summed", without_gradient(of_both))
    monkeypatch.setattr(parallel, "summed_in_graph", of_both)
    parts = []
    for share, others in zip(shares, reversed(each), strict=True):
        number = 0
        parts.append(loss(logits[share], target[share]))
        assert number == len(others)
    torch.testing.assert_close(sum(parts), whole)
    torch.testing.assert_close(derivatives(sum(parts)), expected)


def test_the_names_of_the_config_are_these_losses():
    logits, target = drawn()
    made = {
        name: mask_loss(name, (9, 5, 1, 0), 0.0, 1.5, torch.device("cpu"))(logits, target).item()
        for name in ("cross-entropy", "dice", "focal", "cross-entropy+dice")
    }
    assert made["cross-entropy"] == SegmentationLoss()(logits, target).item()
    assert made["dice"] == DiceLoss()(logits, target).item()
    assert made["focal"] == FocalLoss(1.5)(logits, target).item()
    assert made["cross-entropy+dice"] == pytest.approx(made["cross-entropy"] + made["dice"], rel=1e-12)
    alone = mask_loss("focal", (9, 5, 1, 0), 0.0, 2.0, torch.device("cpu"))
    weighed = mask_loss("focal", (9, 5, 1, 0), 1.0, 2.0, torch.device("cpu"))
    assert alone(logits, target) != weighed(logits, target)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "dice", "class_balance": 0.5}, "leave class_balance out"),
        ({"loss": "cross-entropy", "focal_gamma": 1.0}, "is of loss='focal'"),
        ({"loss": "focal", "focal_gamma": -1.0}, "focal_gamma=-1.0: expected 0 or more"),
        ({"loss": "hinge"}, "one of 'cross-entropy', 'dice'"),
    ],
)
def test_what_has_no_meaning_is_refused(given, message):
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        FitConfig(data="x", out="y", **given)
