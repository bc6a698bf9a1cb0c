"""Weights that are drawn: what a sample is, its expectation and that of its gradient, and when nothing is drawn."""

import math

import pytest
import torch

from wholenet.architecture import RELAXATIONS, Architecture
from wholenet.sampled_weights import dirichlet_mean
from wholenet.search.loop import train_epoch
from wholenet.search.penalties import Anchor
from wholenet.search.phases import single_stage
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import architecture_step, make_optimizers
from wholenet.search.updates import Parts, weights_first

DRAWN = [name for name, kind in RELAXATIONS.items() if kind.draw is not None]
ONE_OPTION = [name for name in DRAWN if name in ("gumbel", "path", "two-paths")]
"""Those whose samples are one option alone."""
LOGITS = torch.tensor([0.3, -0.5, 0.9, 7.0], dtype=torch.float64)
MASK = torch.tensor([True, True, True, False])
SAMPLES = 40_000
COSTS = torch.tensor([1.0, 2.0, 4.0, 0.0], dtype=torch.float64)


def samples(name, progress=0.5, logits=LOGITS, mask=MASK):
    """Many samples [SAMPLES, O] of one group, and the logits [SAMPLES, O] that each is of."""
    torch.manual_seed(0)
    each = logits.repeat(SAMPLES, 1).requires_grad_()
    return RELAXATIONS[name].draw(each, mask.expand(SAMPLES, -1), progress), each


def assert_mean(values, expected, sigmas=5):
    """The mean of values [SAMPLES, ...] is as expected, as far as chance lets one say."""
    off = (values.mean(0) - expected).abs()
    assert (off <= sigmas * values.std(0) / math.sqrt(len(values)) + 1e-12).all(), (values.mean(0), expected)


@pytest.mark.parametrize("progress", [0.0, 1.0])
@pytest.mark.parametrize("name", DRAWN)
def test_a_sample_is_a_choice_among_the_options_that_exist(name, progress):
    found, each = samples(name, progress)
    assert (found[:, ~MASK] == 0).all()
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum(-1), torch.ones(SAMPLES, dtype=torch.float64))
    (found @ COSTS).sum().backward()
    assert each.grad.isfinite().all()
    assert (each.grad[:, ~MASK] == 0).all()
    if name in ONE_OPTION:
        assert ((found == 0) | (found == 1)).all()
    alone = RELAXATIONS[name].draw(LOGITS[None], torch.tensor([[False, True, False, False]]), progress)
    assert alone.tolist() == [[0, 1, 0, 0]]


@pytest.mark.parametrize("name", DRAWN)
def test_an_option_is_the_largest_or_weighs_as_much_as_the_weights_say(name):
    """One option: it is drawn with p; by two paths, with p of all pairs. Concrete: it is the largest with p, at any
    temperature. Dirichlet: its mean."""
    expected = RELAXATIONS[name](LOGITS, MASK)
    if name == "two-paths":
        p = expected.tolist()
        pairs = {(i, j): p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j])) for i in range(3) for j in range(i)}
        assert sum(pairs.values()) == pytest.approx(1)
        one = [
            sum(share * p[i] / sum(p[j] for j in pair) for pair, share in pairs.items() if i in pair) for i in range(3)
        ]
        expected = torch.tensor([*one, 0.0], dtype=torch.float64)
    found = samples(name, 0.9)[0].detach()
    if name == "concrete":
        found = torch.nn.functional.one_hot(found.argmax(-1), 4).double()
    assert_mean(found, expected)


def quadrature(name, progress, value):
    """E of value(sample, soft sample) for two options, by the midpoint rule over the logistic noise between them."""
    temperature = RELAXATIONS[name].draw.temperature(progress)
    logits = LOGITS[:2].clone().requires_grad_()
    uniform = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    noisy = logits[0] - logits[1] + uniform.logit()
    first = (noisy / temperature).sigmoid()
    soft, hard = torch.stack([first, 1 - first], -1), torch.stack([noisy > 0, noisy <= 0], -1).double()
    return torch.autograd.grad(value(soft, hard).mean(), logits)[0]


@pytest.mark.parametrize("progress", [0.3, 0.8])
def test_the_gradient_of_a_concrete_sample_is_that_of_the_expectation(progress):
    found, each = samples("concrete", progress, LOGITS[:2], MASK[:2])
    gradient = torch.autograd.grad(((found @ COSTS[:2]).square() / 2).sum(), each)[0]
    expected = quadrature("concrete", progress, lambda soft, _hard: (soft @ COSTS[:2]).square() / 2)
    assert_mean(gradient, expected)


@pytest.mark.parametrize("progress", [0.3, 0.8])
def test_the_gradient_of_a_straight_through_sample_is_the_soft_ones_with_the_loss_at_the_hard_one(progress):
    found, each = samples("gumbel", progress, LOGITS[:2], MASK[:2])
    gradient = torch.autograd.grad(((found @ COSTS[:2]).square() / 2).sum(), each)[0]
    expected = quadrature("gumbel", progress, lambda soft, hard: (hard @ COSTS[:2]) * (soft @ COSTS[:2]))
    assert_mean(gradient, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("path", (-0.855, 0.057, 0.798)), ("two-paths", (-0.535270, -0.050263, 0.585534))],
)
def test_the_gradient_of_a_path_is_proxylessnas_estimator(name, expected):
    """p = (.5, .3, .2), outputs c = (1, 2, 4), L = (g c)^2 / 2. Its expectation over all paths is the gradient of the
    softmax's mixture, and not that of the expected loss, (-.975, -.135, 1.11)."""
    found, each = samples(name, 0.5, torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log(), MASK[:3])
    (gradient,) = torch.autograd.grad(((found @ COSTS[:3]).square() / 2).sum(), each)
    assert_mean(gradient, torch.tensor(expected, dtype=torch.float64))
    assert ((gradient != 0).sum(-1) == (3 if name == "path" else 2)).all()


def test_a_step_of_two_paths_leaves_the_probabilities_of_all_others_as_they_are():
    torch.manual_seed(0)
    arch = Architecture({"a": torch.ones(6, 5, dtype=torch.bool)}, RELAXATIONS["two-paths"]).double()
    optimizer = torch.optim.Adam(arch.parameters(), lr=0.3, weight_decay=0.1)
    for _ in range(3):  # there is momentum
        before = arch()["a"].detach()
        (gradient,) = torch.autograd.grad((arch.drawn()["a"] @ torch.arange(5.0).double()).sum(), [arch.logits["a"]])
        architecture_step(arch, [gradient], optimizer)
        moved, after = gradient != 0, arch()["a"].detach()
        assert (moved.sum(-1) == 2).all()
        torch.testing.assert_close(after[~moved], before[~moved], rtol=1e-12, atol=0)
        assert (after[moved] != before[moved]).all()


def test_the_gradient_of_a_dirichlet_sample_is_that_of_the_second_moments():
    found, each = samples("dirichlet")
    gradient = torch.autograd.grad((found @ COSTS).square().sum(), each)[0]
    logits = LOGITS.clone().requires_grad_()
    mean = dirichlet_mean(logits, MASK)
    total = (torch.nn.functional.elu(logits) + 1)[:3].sum()
    covariance = (torch.diag(mean) - torch.outer(mean, mean)) / (total + 1)
    moment = COSTS @ (covariance + torch.outer(mean, mean)) @ COSTS
    assert_mean((found @ COSTS).square().detach(), moment.detach())
    assert_mean(gradient, torch.autograd.grad(moment, logits)[0])


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_random_state_draws_the_same_and_each_call_anew(name):
    arch = Architecture({"a": MASK.expand(5, -1)}, RELAXATIONS[name])
    state = torch.get_rng_state()
    first, second = arch.drawn()["a"], arch.drawn()["a"]
    torch.set_rng_state(state)
    assert torch.equal(arch.drawn()["a"], first)
    assert not torch.equal(first, second)
    before = torch.get_rng_state()
    arch(), arch.scored(), arch.entropies()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", DRAWN)
def test_the_supernet_is_scored_at_the_most_likely_option_or_at_the_mean(name):
    kind = RELAXATIONS[name]
    arch = Architecture({"a": MASK[None]}, kind)
    arch.logits["a"].data.copy_(LOGITS)
    expected = kind(LOGITS, MASK).float()[None] if name == "dirichlet" else torch.tensor([[0.0, 0, 1, 0]])
    torch.testing.assert_close(arch.scored()["a"].detach(), expected)
    arch.set_uniform()
    for weights in (arch.scored(), arch.drawn()):  # the control: all are there, and nothing is drawn
        torch.testing.assert_close(weights["a"].detach(), torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0]]))


class Chosen(torch.nn.Module):
    """One weight per option; what it was called with is kept."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(3, 1).double()
        self.arch = Architecture({"a": torch.ones(1, 3, dtype=torch.bool)}, RELAXATIONS["concrete"]).double()
        self.seen = []

    def execution(self, images, weights):
        self.seen.append((weights["a"].detach().clone(), self.arch.progress, self.arch.logits["a"].requires_grad))
        return self.net(weights["a"]).expand(len(images), -1)


def test_weights_learn_at_samples_until_the_search_is_over_and_then_at_what_is_scored():
    torch.manual_seed(0)
    model = Chosen()
    rates = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "arch_lr": 0.1, "arch_weight_decay": 0.0}
    state = TrainState(model, *make_optimizers(model, **rates))
    schedule = Schedule(epochs=6, steps_per_epoch=1, lr=0.1)

    def batches():
        while True:
            yield torch.zeros(2, 1, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)

    for epoch in range(6):
        phase = next(p for p in single_stage(6, 1 / 6, 0.5) if p.first <= epoch < p.end)
        loss = torch.nn.functional.mse_loss
        list(train_epoch(state, phase, schedule, Parts(weights_first), loss, batches(), batches(), torch.device("cpu")))
        state.end_epoch()
    one_hot = [bool(((w == 0) | (w == 1)).all()) for w, _, _ in model.seen]
    assert [progress for _, progress, _ in model.seen] == [0, 0, 0, 0.5, 0.5, 1, 1, 0, 0]
    assert one_hot == [False] * 7 + [True] * 2
    assert torch.equal(model.seen[7][0], model.arch.scored()["a"].detach())


def test_the_anchor_is_weight_decay_where_logits_are_positive_and_lets_the_others_be():
    arch = Architecture({"a": torch.tensor([[True, True, True, False]])}, RELAXATIONS["dirichlet"]).double()
    arch.logits["a"].data.copy_(torch.tensor([[2.0, -1.0, 0.0, 5.0]]))
    (found,) = torch.autograd.grad(Anchor()(arch, 0.0), list(arch.parameters()))
    shrunk = 1e-3 * (math.exp(-1) - 1) * math.exp(-1)
    expected = torch.tensor([[2e-3, shrunk, 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    assert Anchor()(arch, 0.0).item() == pytest.approx(5e-4 * (4 + (math.exp(-1) - 1) ** 2))
