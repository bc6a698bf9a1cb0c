"""Beta-decay and the zero-one loss: the checks that their papers' formulas allow."""

import pytest
import torch

from wholenet.architecture import Architecture, masked_sigmoid
from wholenet.search.penalties import BetaDecay, ZeroOne

MASKS = {
    "normal": torch.ones(3, 4, dtype=torch.bool),
    "beta": torch.tensor([[True, True, False], [True, True, True]]),
}


def architecture(**options):
    arch = Architecture(MASKS, generator=torch.Generator().manual_seed(0), **options).double()
    for logits in arch.parameters():
        logits.data.mul_(1000)
    return arch


def test_the_gradient_of_beta_decay_is_the_weights_themselves():
    arch = architecture()
    decay = BetaDecay(magnitude=50, end=100)
    gradients = torch.autograd.grad(decay(arch, 40.0), list(arch.parameters()))
    groups = 5
    for gradient, weights in zip(gradients, arch().values(), strict=True):
        torch.testing.assert_close(gradient, 20 * weights / groups)


def test_a_constant_on_a_group_moves_beta_decay_and_not_the_weights():
    arch = architecture()
    decay = BetaDecay(magnitude=1, end=1)
    before, weights = decay(arch, 1.0), {name: w.detach() for name, w in arch().items()}
    arch.logits["normal"].data[1] += 3
    torch.testing.assert_close(decay(arch, 1.0) - before, torch.tensor(3 / 5, dtype=torch.float64))
    for name, w in arch().items():
        torch.testing.assert_close(w.detach(), weights[name])


def test_beta_decay_rises_linearly_and_flattens():
    decay = BetaDecay(magnitude=50, end=100)
    assert [decay.factor(t) for t in (0, 10, 100, 130)] == [0, 5, 50, 50]
    arch = architecture()
    before = arch.normalized_entropies()
    optimizer = torch.optim.SGD(arch.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        decay(arch, 100.0).backward()
        optimizer.step()
    assert all(entropy > before[name] for name, entropy in arch.normalized_entropies().items())


def test_gates_do_not_compete():
    arch = architecture(relaxation=masked_sigmoid)
    before = arch()["normal"].detach()
    arch.logits["normal"].data[0, 0] += 5
    after = arch()["normal"].detach()
    assert after[0, 0] > before[0, 0]
    assert torch.equal(after.flatten()[1:], before.flatten()[1:])
    assert arch()["beta"][0, 2] == 0


def test_the_zero_one_loss_goes_from_nothing_at_one_half_to_a_quarter_at_the_ends():
    arch = architecture(relaxation=masked_sigmoid)
    for logits in arch.parameters():
        logits.data.zero_()
    value = ZeroOne()(arch, 0.0)
    assert value == 0
    assert all(not g.any() for g in torch.autograd.grad(value, list(arch.parameters())))
    for logits in arch.parameters():
        logits.data.normal_().sign_().mul_(50)
    assert ZeroOne(magnitude=10)(arch, 0.0).item() == pytest.approx(-2.5)


def test_the_zero_one_loss_makes_gates_decide():
    arch = architecture(relaxation=masked_sigmoid)
    for logits in arch.parameters():
        logits.data.div_(100)
    optimizer = torch.optim.Adam(arch.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        ZeroOne()(arch, 0.0).backward()
        optimizer.step()
    gates = torch.cat([w[arch.mask(name)] for name, w in arch().items()])
    assert ((gates < 0.05) | (gates > 0.95)).all()
