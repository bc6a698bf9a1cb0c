import itertools
import math

import pytest
import torch

from wholenet.architecture import (
    RELAXATIONS,
    Architecture,
    group_entropy,
    masked_softmax,
    mean_entry_entropy,
    normalized_entropy,
    one_hot,
)
from wholenet.spaces.grid import PAPER_EDGE_SLOTS
from wholenet.spaces.links import masks

MASK = torch.tensor([[True, True, False], [True, True, True], [False, True, False]])


def uniform(mask):
    return mask / mask.sum(-1, keepdim=True)


@pytest.mark.parametrize("name", RELAXATIONS)
def test_a_relaxation_weighs_the_options_that_exist_and_no_other(name):
    scale = 1 if name == "sharpened" else 10  # of cubes, ten is too far for a gradient to be seen
    logits = (scale * torch.randn(3, 3, generator=torch.Generator().manual_seed(0))).double().requires_grad_()
    weights = RELAXATIONS[name](logits, MASK)
    assert (weights[~MASK] == 0).all()
    assert ((weights >= 0) & (weights <= 1)).all()
    if name == "softmax":
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, dtype=torch.float64))
    (weights * torch.arange(1.0, 10.0).view(3, 3)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (logits.grad[~MASK] == 0).all()
    assert (logits.grad[:2][MASK[:2]] != 0).all()


# Average entropies of the seed paper's Table 1, as forensics on its numbers settle them: n uniform options of n entries
# give ln(n)/n; edges are 2, 3, 3 and 2 options in 7 entries a cell; Auto-DeepLab's are 85 of 120 entries at 1/3.
def test_mean_entry_entropy_of_uniform_operations():
    for options, value in ((8, 0.2599302), (2, 0.3465736), (4, 0.3465736)):
        mask = torch.ones(14, options, dtype=torch.bool)
        assert mean_entry_entropy(uniform(mask), mask).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("layers", [1, 3, 10])
def test_mean_entry_entropy_of_uniform_grid_edges(layers):
    mask = masks(layers)["beta"]
    value = (2 * math.log(2) + 2 * math.log(3)) / 28
    assert value == pytest.approx(0.1279828, abs=1e-6)
    assert mean_entry_entropy(uniform(mask), mask, PAPER_EDGE_SLOTS).item() == pytest.approx(value, abs=1e-6)


def test_mean_entry_entropy_of_auto_deeplab_edges():
    mask = torch.zeros(120, dtype=torch.bool)
    mask[:85] = True
    weights = (mask / 3).double().view(40, 3)
    assert mean_entry_entropy(weights, mask.view(40, 3)).item() == pytest.approx(0.2593946, abs=1e-6)


def test_mean_entry_entropy_of_dots_pairs_in_padded_rows():
    mask = torch.zeros(4, 10, dtype=torch.bool)
    for row, pairs in enumerate((1, 3, 6, 10)):
        mask[row, :pairs] = True
    assert mean_entry_entropy(uniform(mask), mask).item() == pytest.approx(0.1298239, abs=1e-6)


def test_normalized_entropy_is_one_when_uniform_and_zero_when_one_hot():
    mask = MASK[:2]
    assert normalized_entropy(uniform(mask), mask).item() == pytest.approx(1)
    assert normalized_entropy(one_hot(torch.tensor([1, 2]), mask), mask).item() == pytest.approx(0)


def test_groups_with_one_option_have_nothing_to_choose():
    mask = torch.tensor([[True, False], [True, True]])
    assert normalized_entropy(torch.tensor([[1.0, 0.0], [0.5, 0.5]]), mask).item() == pytest.approx(1)
    assert normalized_entropy(torch.tensor([[1.0, 0.0]]), mask[:1]).item() == 0


def test_entropy_gradient_is_the_closed_form():
    logits = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    p = masked_softmax(logits, MASK)
    h = group_entropy(p, MASK)
    (gradient,) = torch.autograd.grad(h.sum(), logits)
    expected = torch.where(MASK, -p * (p.clamp_min(1e-300).log() + h[:, None]), 0)
    torch.testing.assert_close(gradient, expected.detach())


def test_entropy_of_saturated_weights_has_no_nan():
    logits = torch.tensor([[1000.0, 0.0, -1000.0]], requires_grad=True)
    mask = torch.ones(1, 3, dtype=torch.bool)
    h = group_entropy(masked_softmax(logits, mask), mask)
    (gradient,) = torch.autograd.grad(h.sum(), logits)
    assert h.item() == 0
    assert (gradient == 0).all()


def test_initial_logits_are_small_and_drawn_from_the_generator():
    big = {"alpha": torch.ones(1000, 10, dtype=torch.bool)}
    first = Architecture(big, generator=torch.Generator().manual_seed(3))
    again = Architecture(big, generator=torch.Generator().manual_seed(3))
    assert torch.equal(first.logits["alpha"], again.logits["alpha"])
    assert first.logits["alpha"].std().item() == pytest.approx(1e-3, rel=0.05)


def test_the_logits_are_in_the_state_dict_and_travel():
    first, second = Architecture(masks(2)), Architecture(masks(2))
    assert set(first.state_dict()) == {"logits.alpha", "logits.beta"}
    second.load_state_dict(first.state_dict())
    for name, weights in first().items():
        assert torch.equal(weights, second()[name])


def test_freezing_cuts_the_gradient_and_unfreezing_restores_it():
    arch = Architecture(masks(2))
    arch.freeze()
    assert not any(weights.requires_grad for weights in arch().values())
    arch.unfreeze()
    assert all(weights.requires_grad for weights in arch().values())


def test_set_uniform_makes_every_option_equally_strong():
    arch = Architecture(masks(2))
    arch.set_uniform()
    for name, weights in arch().items():
        torch.testing.assert_close(weights, uniform(arch.mask(name)))


def test_a_group_without_options_is_refused():
    with pytest.raises(ValueError, match="beta: a group without any option"):
        Architecture({"beta": torch.zeros(1, 3, dtype=torch.bool)})


def test_one_hot_refuses_an_option_that_does_not_exist():
    with pytest.raises(ValueError, match="rules out"):
        one_hot(torch.tensor([2, 0, 1]), MASK)


def test_descending_the_entropy_alone_lowers_it_in_every_step_and_adding_its_negative_raises_it():
    # The sign of the paper's Eq. 4 as printed is the second one (docs/architecture.md).
    for sign in (1, -1):
        arch = Architecture(masks(3), generator=torch.Generator().manual_seed(0)).double()
        with torch.no_grad():
            for logits in arch.parameters():
                logits.mul_(1000)
        descent = torch.optim.SGD(arch.parameters(), lr=0.05)
        entropies = []
        for _ in range(100):
            total = torch.stack(list(arch.entropies().values())).sum()
            entropies.append(total.item())
            descent.zero_grad()
            (sign * total).backward()
            descent.step()
        assert all(sign * later < sign * earlier for earlier, later in itertools.pairwise(entropies))
