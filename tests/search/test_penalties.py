"""Beta-decay and the zero-one loss: the checks that their papers' formulas allow."""

import pytest
import torch

from wholenet.architecture import RELAXATIONS, Architecture, masked_sigmoid
from wholenet.search.cell_config import cell_config
from wholenet.search.config import fit_config
from wholenet.search.methods import METHODS
from wholenet.search.penalties import BetaDecay, EffectiveLinks, ZeroOne

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


def test_effective_links_count_what_weighs():
    """After DCNAS: n where n links are equal, 1 where one has all; of (.5, .3, .2) 1 / .38."""
    mask = torch.tensor(
        [[[True] * 5, [True, True, False, False, False]], [[True, True, True, False, False], [False] * 5]]
    )
    arch = Architecture({"alpha": torch.ones(2, 2, 2, dtype=torch.bool), "beta": mask}, empty=True).double()
    arch.set_uniform()
    assert EffectiveLinks.numbers(arch).tolist() == pytest.approx([5, 2, 3])  # a cell without links has no number
    arch.logits["beta"].data[1, 0, :3] = torch.tensor([0.5, 0.3, 0.2]).log()
    assert EffectiveLinks.numbers(arch).tolist() == pytest.approx([5, 2, 1 / 0.38])
    arch.logits["beta"].data[..., 0] += 100
    assert EffectiveLinks.numbers(arch).tolist() == pytest.approx([1, 1, 1])


def test_the_term_on_links_is_its_closed_form_and_starts_at_nothing():
    arch = Architecture({"beta": torch.ones(1, 2, 5, dtype=torch.bool)}).double()
    arch.set_uniform()
    term = EffectiveLinks(magnitude=0.5, most=3)
    assert term(arch, 0.0) == 0
    arch.progress = 0.5
    assert term(arch, 0.0).item() == pytest.approx(0.5 * 0.5 * 2 * (5 - 3) ** 2)
    arch.logits["beta"].data[0, 1] = torch.tensor([0.5, 0.3, 0.2, 1e-9, 1e-9]).log()
    assert term(arch, 0.0).item() == pytest.approx(0.5 * 0.5 * (5 - 3) ** 2)  # N = 2.63: below 3 it is free
    arch.logits["beta"].data[0, 0, 0] += 0.1
    (gradient,) = torch.autograd.grad(term(arch, 0.0), [arch.logits["beta"]])
    assert gradient[0, 0, 0] < 0 < gradient[0, 0, 1]  # it draws together
    assert (gradient[0, 1] == 0).all()
    gates = Architecture({"beta": torch.ones(1, 1, 3, dtype=torch.bool)}, RELAXATIONS["sigmoid"]).double()
    gates.set_uniform()
    gates.progress = 1.0
    gates.logits["beta"].data += 5  # three open gates: N = 1 / 3
    assert EffectiveLinks(1.0).numbers(gates).item() == pytest.approx(1 / 3, abs=0.01)
    assert EffectiveLinks(1.0)(gates, 0.0).item() == pytest.approx((1 - 1 / 3) ** 2, abs=0.01)


def test_no_run_has_the_term_on_links_that_did_not_ask_and_only_the_dense_grid_takes_it():
    assert "effective-links" not in {str(method.parts.get("regularizer")) for method in METHODS.values()}
    assert fit_config(data="d", out="o", space="dense-grid", regularizer="effective-links").regularizer
    for space in ("grid", "autodeeplab"):
        with pytest.raises(
            ValueError, match="effective-links' counts the links of each cell of the space 'dense-grid'"
        ):
            fit_config(data="d", out="o", space=space, regularizer="effective-links")
    with pytest.raises(ValueError, match="space 'darts' has none"):
        cell_config("darts", data="", out="", regularizer="effective-links")
