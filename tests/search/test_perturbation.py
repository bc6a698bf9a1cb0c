"""Disturbed architecture weights: how far they go, what they stay, and that nothing of the model moves."""

import copy

import pytest
import torch

from wholenet.architecture import Architecture
from wholenet.search import perturbation
from wholenet.search.parts import PERTURBATIONS
from wholenet.search.perturbation import disturbed, reach
from wholenet.search.steps import Batch
from wholenet.spaces.catalog import create_model
from wholenet.tasks.classification import ClassificationLoss

LOSS = ClassificationLoss()
KINDS = ("random", "adversarial")
MASK = torch.tensor([[True, True, True], [True, True, False]])


def perturbed(kind, model, batch, loss, progress, end=0.3):
    return PERTURBATIONS[kind].weights(model, batch, loss, reach(end, progress))


def decided_model(space="s2", scale=1000.0, **options):
    """A supernet whose choices are not even, float64."""
    torch.manual_seed(0)
    model = create_model(space, num_classes=3, channels=4, cells=3, **options).double().train()
    for logits in model.arch.parameters():
        logits.data.mul_(scale)
    return model


@pytest.fixture
def model():
    return decided_model(edge_weights=True)


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    return Batch(images, torch.randint(3, (4,), generator=generator))


def loss_at(model, batch, weights):
    training = model.training
    model.eval()
    with torch.no_grad():
        value = LOSS(model.net(batch.images, weights), batch.targets)
    model.train(training)
    return value


@pytest.mark.parametrize("end", [0.3, 1.0])
def test_the_reach_grows_linearly_from_a_tenth(end):
    assert [reach(end, p) for p in (0, 0.25, 0.5, 1)] == pytest.approx([0.1 * end, 0.325 * end, 0.55 * end, end])


def test_a_known_offset_is_added_cut_to_zero_and_one_and_scaled_to_a_sum_of_one():
    arch = Architecture({"a": MASK}).double()
    weights = torch.tensor([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]], dtype=torch.float64)
    offset = torch.tensor([[0.3, 0.2, -0.3], [0.3, 0.2, 0.3]], dtype=torch.float64)
    expected = torch.tensor([[0.8, 0.5, 0.0], [1.0, 0.3, 0.0]], dtype=torch.float64) / 1.3
    torch.testing.assert_close(disturbed(arch, {"a": weights}, {"a": offset})["a"], expected)


def test_a_group_that_would_lose_everything_stays_as_it_is():
    arch = Architecture({"a": MASK}).double()
    weights = torch.tensor([[0.4, 0.3, 0.3], [0.5, 0.5, 0.0]], dtype=torch.float64)
    offset = {"a": torch.full_like(weights, -0.45).requires_grad_()}
    found = disturbed(arch, {"a": weights}, offset)["a"]
    torch.testing.assert_close(found, torch.tensor([[0.4, 0.3, 0.3], [0.5, 0.5, 0.0]], dtype=torch.float64))
    assert torch.autograd.grad(found[:, 0].sum(), offset["a"])[0].isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_out_is_a_choice_and_the_logits_stay(kind, model, batch):
    before = copy.deepcopy(model.state_dict())
    weights = perturbed(kind, model, batch, LOSS, 1.0)
    assert weights.keys() == model.arch.logits.keys()
    for name, w in weights.items():
        assert not w.requires_grad
        assert (w >= 0).all()
        assert not w[~model.arch.mask(name)].any()
        torch.testing.assert_close(w.sum(-1), torch.ones_like(w[..., 0]))
        assert not torch.allclose(w, model.arch()[name], atol=0.01)
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_nearly_even_choices_among_many_stay_choices(batch):
    """With eight options, each of an eighth, all can fall below zero at once: here about eight times."""
    model = decided_model("darts", scale=1.0)
    for _ in range(200):
        for w in perturbed("random", model, batch, LOSS, 1.0, end=1.0).values():
            torch.testing.assert_close(w.sum(-1), torch.ones_like(w[..., 0]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_no_offset_is_larger_than_the_reach(kind, progress, model, batch, monkeypatch):
    seen = []

    def recording(arch, weights, offset):
        seen.extend(o.detach().abs().max().item() for o in offset.values())
        return disturbed(arch, weights, offset)

    monkeypatch.setattr(perturbation, "disturbed", recording)
    perturbed(kind, model, batch, LOSS, progress)
    assert 0.8 * reach(0.3, progress) < max(seen) <= reach(0.3, progress)


@pytest.mark.parametrize("kind", KINDS)
def test_an_end_of_zero_leaves_the_weights_of_the_model(kind, model, batch):
    weights = perturbed(kind, model, batch, LOSS, 1.0, end=0.0)
    for name, w in model.arch().items():
        torch.testing.assert_close(weights[name], w.detach(), rtol=1e-14, atol=0)


def test_every_pass_of_an_attack_draws_the_same_noise(batch):
    """At a reach of zero all of them look at the same weights, so they see the same loss."""
    model = decided_model("s4")
    seen = []

    def recording(output, target):
        seen.append(LOSS(output, target))
        return seen[-1]

    perturbed("adversarial", model, batch, recording, 1.0, end=0.0)
    assert len(seen) == perturbation.ATTACK_STEPS + 2
    torch.testing.assert_close(torch.stack(seen).detach(), seen[0].detach().expand(len(seen)), rtol=1e-12, atol=0)
    seen.clear()
    for _ in range(2):
        perturbed("adversarial", model, batch, recording, 1.0, end=0.0)
    assert not torch.allclose(seen[0], seen[-1], rtol=1e-9)  # another attack draws anew


def test_the_adversary_makes_the_training_loss_worse_than_before_and_than_its_random_start():
    model = decided_model()
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
        batch = Batch(images, torch.randint(3, (4,), generator=generator))
        found = {}
        for kind in KINDS:
            torch.manual_seed(seed)
            found[kind] = loss_at(model, batch, perturbed(kind, model, batch, LOSS, 1.0))
        assert found["adversarial"] > loss_at(model, batch, model.arch())
        assert found["adversarial"] > found["random"]


def test_an_attack_that_fails_is_not_taken(model, batch):
    """A loss with its gradient turned round leads the ascent down."""

    class Turned(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value.clone()

        @staticmethod
        def backward(ctx, gradient):
            return -gradient

    weights = perturbed("adversarial", model, batch, lambda out, target: Turned.apply(LOSS(out, target)), 1.0)
    assert all(torch.equal(weights[name], w) for name, w in model.arch().items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_mode_and_what_asks_for_a_gradient_are_as_before(kind, training, model, batch):
    model.train(training)
    first = next(model.net.parameters()).requires_grad_(False)
    asked = {name: p.requires_grad for name, p in model.named_parameters()}
    for loss in (LOSS, lambda _out, _target: 1 / 0):
        try:
            perturbed(kind, model, batch, loss, 0.5)
        except ZeroDivisionError:
            assert kind == "adversarial"
        assert {name: p.requires_grad for name, p in model.named_parameters()} == asked
        assert all(module.training == training for module in model.modules())
        assert all(p.grad is None for p in model.parameters())
    assert not first.requires_grad
