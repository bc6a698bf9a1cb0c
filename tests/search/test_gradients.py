"""Architecture gradients by name: what each looks at, and that looking moves nothing."""

import copy

import pytest
import torch

from wholenet.architecture import Architecture
from wholenet.search.gradients import Bilevel, first_order, mixed_level, moving_statistics, one_level
from wholenet.search.parts import GRADIENTS
from wholenet.search.penalties import BetaDecay
from wholenet.search.steps import Batch, make_optimizers, weight_step, with_penalties
from wholenet.spaces.catalog import create_model
from wholenet.tasks.classification import ClassificationLoss

LOSS = ClassificationLoss()
ALL = {**GRADIENTS, "first-order-moving-statistics": moving_statistics}


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    return Batch(images, torch.randint(3, (4,), generator=generator))


def optimizers(model):
    rates = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "arch_lr": 0.01, "arch_weight_decay": 1e-3}
    return make_optimizers(model, **rates)


@pytest.fixture(scope="module")
def at():
    """After one weight step, so that there is momentum; its logits include weights of edges, some of them masked."""
    torch.manual_seed(0)
    model = create_model("s2", num_classes=3, channels=4, cells=3, edge_weights=True).double().train()
    optimizer, _ = optimizers(model)
    weight_step(model, batch(0), LOSS, optimizer)
    return Bilevel(model, batch(1), batch(2), LOSS, optimizer)


def swapped(at):
    return Bilevel(at.model, at.validation, at.train, at.loss, at.optimizer)


def assert_same(found, expected):
    assert torch.equal(found[0], expected[0])
    assert all(torch.equal(f, e) for f, e in zip(found[1], expected[1], strict=True))


def test_mixed_level_has_its_factor_on_the_validation_loss(at):
    """MiLeNAS, Eqs. 5 and 6: without it nothing but the training loss counts."""
    (value, above), (_, below) = first_order(at), one_level(at)
    for weight in (0.0, 0.25, 1.0, 2.0):
        found_value, found = mixed_level(at, weight)
        assert torch.equal(found_value, value)
        for f, a, b in zip(found, above, below, strict=True):
            torch.testing.assert_close(f, b + weight * a, rtol=1e-12, atol=0)
    assert any(not torch.allclose(a, b) for a, b in zip(above, below, strict=True))
    assert_same(GRADIENTS["mixed-level"](at), mixed_level(at, 1.0))


class Product(torch.nn.Module):
    """Weight w = 1, architecture a = 0.5 -> w a; in the images there is nothing."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Module()
        self.net.w = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.arch = Architecture({"a": torch.ones(1, 1, dtype=torch.bool)}, lambda logits, _mask: logits).double()
        self.arch.logits["a"].data.fill_(0.5)
        self.execution = lambda _images, weights: self.net.w * weights["a"]


@pytest.mark.parametrize(("weight", "expected"), [(0.0, -0.5), (1.0, -2.0), (2.0, -3.5)])
def test_mixed_level_by_hand(weight, expected):
    """L_train = (w a - 1)^2 / 2 and L_val = (w a - 2)^2 / 2: derivatives w (w a - 1) = -0.5 and w (w a - 2) = -1.5."""
    train, validation = (Batch(torch.zeros(1), torch.tensor([[y]], dtype=torch.float64)) for y in (1.0, 2.0))
    model = Product()
    optimizer = torch.optim.SGD(model.net.parameters(), lr=0.1)
    squares = Bilevel(model, train, validation, lambda out, y: (out - y).square().sum() / 2, optimizer)
    value, (gradient,) = mixed_level(squares, weight)
    assert value.item() == (0.5 - 2) ** 2 / 2
    assert gradient.item() == pytest.approx(expected)


def test_one_level_is_first_order_on_the_training_batch(at):
    assert_same(one_level(at), first_order(swapped(at)))
    assert not torch.equal(one_level(at)[0], first_order(at)[0])


def test_second_order_comes_to_first_order_as_the_learning_rate_vanishes(at):
    """Of the two terms, the one through the step has the rate as a factor; the other is taken where the step ends."""
    optimizer, _ = optimizers(at.model)
    optimizer.param_groups[0]["lr"] = 0.0
    still = Bilevel(at.model, at.train, at.validation, at.loss, optimizer)
    value, expected = first_order(still)
    for name in ("second-order", "second-order-exact"):
        found_value, found = GRADIENTS[name](still)
        torch.testing.assert_close(found_value, value)
        for f, e in zip(found, expected, strict=True):
            torch.testing.assert_close(f, e, rtol=1e-9, atol=1e-12)
    moved = GRADIENTS["second-order-exact"](at)[1]
    assert not any(torch.allclose(m, e, rtol=1e-3, atol=0) for m, e in zip(moved, expected, strict=True))


@pytest.mark.parametrize("name", ALL)
def test_every_gradient_is_finite_for_every_logit_tensor_and_zero_where_there_is_no_option(name, at):
    value, gradient = ALL[name](at)
    assert value.isfinite()
    assert not value.requires_grad
    arch = at.model.arch
    assert len(gradient) == 4
    for (logits_name, logits), g in zip(arch.logits.items(), gradient, strict=True):
        assert g.shape == logits.shape
        assert g.isfinite().all()
        assert not g[~arch.mask(logits_name)].any()
        assert g.any()


@pytest.mark.parametrize("name", ALL)
def test_no_gradient_moves_anything_but_running_statistics_where_that_is_asked_for(name, at):
    model = at.model
    before = copy.deepcopy(model.state_dict())
    momentum = copy.deepcopy(at.optimizer.state_dict())
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    assert any("running_mean" in key for key in before)
    ALL[name](at)
    after = model.state_dict()
    assert before.keys() == after.keys()
    moved = {key.split(".")[-1] for key, value in before.items() if not torch.equal(value, after[key])}
    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    assert moved == (statistics if name == "first-order-moving-statistics" else set())
    now = at.optimizer.state_dict()
    assert now["param_groups"] == momentum["param_groups"]
    assert now["state"].keys() == momentum["state"].keys()
    for i, state in momentum["state"].items():
        assert torch.equal(now["state"][i]["momentum_buffer"], state["momentum_buffer"])
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        assert parameter.requires_grad
        assert (parameter.grad is None) if grad is None else torch.equal(parameter.grad, grad)
    assert all(module.training for module in model.modules())


def test_a_penalty_adds_its_gradient_which_is_zero_where_it_does_not_depend(at):
    arch = at.model.arch
    gradient = first_order(at)[1]
    decayed = with_penalties(arch, gradient, {"beta-decay": BetaDecay(magnitude=1, end=1)(arch, 1.0)})
    groups = sum(logits[..., 0].numel() for logits in arch.logits.values())
    for g, d, weights in zip(gradient, decayed, arch().values(), strict=True):
        torch.testing.assert_close(d, g + weights / groups)
    of_normal = with_penalties(arch, gradient, {"size": arch.logits["normal"].square().sum()})
    for name, g, found in zip(arch.logits, gradient, of_normal, strict=True):
        own = 2 * arch.logits[name].detach() if name == "normal" else torch.zeros_like(g)
        torch.testing.assert_close(found, g + own, rtol=0, atol=1e-15)
