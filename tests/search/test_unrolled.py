"""The second-order gradient: a closed form, the derivative of the whole procedure, and what must not move."""

import copy

import pytest
import torch
from torch import nn

from wholenet.architecture import Architecture
from wholenet.search.steps import Batch, make_optimizers, weight_step
from wholenet.search.unrolled import VirtualStep, unrolled_gradient
from wholenet.spaces.catalog import create_model
from wholenet.tasks.classification import ClassificationLoss
from wholenet.tasks.segmentation import SegmentationLoss


class Scalar(nn.Module):
    """Weight w; called with a batch of numbers x and weights alpha [1, 2] -> w * alpha_0 * x."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
        self.masks = {"alpha": torch.ones(1, 2, dtype=torch.bool)}

    def forward(self, x, weights):
        return self.w * weights["alpha"][0, 0] * x


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Scalar()
        self.arch = Architecture(self.net.masks, lambda logits, _mask: logits).double()
        self.arch.logits["alpha"].data = torch.tensor([[0.7, 0.2]], dtype=torch.float64)


def squares(output, target):
    return (output - target).square().mean() / 2


def numbers(x, y):
    return Batch(torch.tensor([x], dtype=torch.float64), torch.tensor([y], dtype=torch.float64))


@pytest.mark.parametrize("implicit", ["exact", "difference"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_closed_form(implicit, momentum):
    """L_train = (w a x - y)^2 / 2, so dL/dw = a x (w a x - y), d2L/(da dw) = x (2 w a x - y). After the step w' = w -
    lr (dL/dw + wd w + m b), L_val = (w' a u - v)^2 / 2, and dL_val/da = (w' a u - v) u (w' + a dw'/da)."""
    model = Toy()
    x, y, u, v, lr, decay, buffer = 1.3, 0.4, 0.8, -0.6, 0.1, 0.05, 0.3
    buffers = [torch.tensor(buffer, dtype=torch.float64)] if momentum else []
    step = VirtualStep(lr, momentum, decay, buffers)
    value, (gradient,) = unrolled_gradient(model, numbers(x, y), numbers(u, v), squares, step, implicit)
    w, a = 1.5, 0.7
    moved = w - lr * (a * x * (w * a * x - y) + decay * w + momentum * buffer)
    error = moved * a * u - v
    expected = error * u * (moved - a * lr * x * (2 * w * a * x - y))
    assert value.item() == pytest.approx(error**2 / 2)
    assert gradient[0].tolist() == pytest.approx([expected, 0.0], rel=1e-9)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3, activation="relu6").double().train()
    model.arch.unfreeze()
    return model


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(2, 3, 64, 64, generator=generator, dtype=torch.float64)
    return Batch(images, torch.randint(3, (2, 64, 64), generator=generator))


def sgd(model):
    rates = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "arch_lr": 0.01, "arch_weight_decay": 0.0}
    return make_optimizers(model, **rates)[0]


def loss_after_a_step(model, optimizer, direction, length):
    """Of the validation batch, with the logits moved along ``direction``, after a real step of the real optimiser."""
    own = copy.deepcopy(model)
    for logits, d in zip(own.arch.parameters(), direction, strict=True):
        logits.data += length * d
    mine = sgd(own)
    mine.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    weight_step(own, batch(1), SegmentationLoss(), mine)
    with torch.no_grad():
        return SegmentationLoss()(own.net(batch(2).images, own.arch()), batch(2).targets)


def test_it_is_the_derivative_of_a_real_step_of_the_optimiser(model):
    optimizer = sgd(model)
    weight_step(model, batch(0), SegmentationLoss(), optimizer)  # so that there is momentum
    model.arch.unfreeze()
    value, exact = unrolled_gradient(
        model, batch(1), batch(2), SegmentationLoss(), VirtualStep.of(optimizer), implicit="exact"
    )
    direction = [torch.randn(g.shape, generator=torch.Generator().manual_seed(3), dtype=g.dtype) for g in exact]
    length = 1e-7  # so short that hardly a kink of an activation lies on it
    up, down = (loss_after_a_step(model, optimizer, direction, sign * length) for sign in (1, -1))
    expected = sum((g * d).sum() for g, d in zip(exact, direction, strict=True))
    torch.testing.assert_close((up - down) / (2 * length), expected, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(value, loss_after_a_step(model, optimizer, direction, 0.0))


def test_the_difference_comes_to_the_exact_product_as_its_radius_shrinks(model, monkeypatch):
    """At the original's radius it does not, on a small batch: too many activations change their piece on the way."""

    def found(how, lr=0.05):
        step = VirtualStep(lr)
        gradients = unrolled_gradient(model, batch(1), batch(2), SegmentationLoss(), step, how)[1]
        return torch.cat([g.flatten() for g in gradients])

    exact, first_order = found("exact"), found("exact", lr=0.0)
    monkeypatch.setattr("wholenet.search.unrolled.RADIUS", 1e-6)
    assert (found("difference") - exact).norm() < 1e-3 * (exact - first_order).norm()
    assert (exact - first_order).norm() > 0.1 * first_order.norm()


def labelled(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(6, 3, 8, 8, generator=generator, dtype=torch.float64)
    return Batch(images, torch.randint(3, (6,), generator=generator))


@pytest.mark.parametrize(("space", "drop_path"), [("s2", 0.4), ("s4", 0.0), ("s4", 0.3)])
def test_both_sides_of_the_difference_drop_the_same_paths_and_draw_the_same_noise(space, drop_path, monkeypatch):
    """Otherwise it is their masks that differ, divided by the radius."""
    torch.manual_seed(0)
    model = create_model(space, num_classes=3, channels=4, cells=3).double().train()
    model.net.state.drop_path = drop_path
    monkeypatch.setattr("wholenet.search.unrolled.RADIUS", 1e-8)  # at which no activation changes its piece
    step = VirtualStep(lr=0.05)

    def found(how):
        torch.manual_seed(1)
        value, gradients = unrolled_gradient(model, labelled(1), labelled(2), ClassificationLoss(), step, how)
        return value, torch.cat([g.flatten() for g in gradients]), torch.get_rng_state()

    value, exact, after = found("exact")
    value_too, difference, after_too = found("difference")
    assert torch.equal(value_too, value)
    torch.testing.assert_close(difference, exact, rtol=0, atol=1e-6 * exact.abs().max().item())
    # Where one pass over each batch leaves the generator, so that what comes next is the same too.
    torch.manual_seed(1)
    before = torch.get_rng_state()
    for each in (labelled(1), labelled(2)):
        model.net(each.images, model.arch())
    assert torch.equal(after, after_too)
    assert torch.equal(after, torch.get_rng_state())
    assert not torch.equal(after, before)


def test_nothing_moves(model):
    before = copy.deepcopy(model.state_dict())
    for how in ("exact", "difference"):
        unrolled_gradient(model, batch(1), batch(2), SegmentationLoss(), VirtualStep(lr=0.05), how)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    with pytest.raises(ValueError, match="difference or exact"):
        unrolled_gradient(model, batch(1), batch(2), SegmentationLoss(), VirtualStep(lr=0.05), "adjoint")
