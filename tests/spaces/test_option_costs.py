"""What each option costs, against what the formulas of its convolutions say; and the term on the architecture."""

import pytest
import torch

from wholenet.architecture import RELAXATIONS, Architecture
from wholenet.search.penalties import ExpectedCost
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.option_costs import check_costs, option_costs


def test_the_operations_of_a_cell_cost_their_convolutions():
    costs = option_costs(create_model("s3", num_classes=3, channels=4, cells=3).spec, (16, 8))
    # One normal cell, of 4 channels on all pixels: sep_conv_3x3 is depthwise and pointwise, twice; skip is nothing.
    pixels, c = 16 * 8, 4
    assert costs["normal"].tolist() == [[0, 0, 2 * pixels * (9 * c + c * c)]] * 14
    # Two reduction cells, of 8 and 16 channels. Where they halve, so does the first depthwise one; a skip is two
    # pointwise ones to half of the channels each.
    for row, halves in enumerate([1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]):
        skip = sum(halves * pixels // 4**n * c * c for n, c in ((1, 8), (2, 16)))
        separable = sum(2 * pixels // 4**n * (9 * c + c * c) for n, c in ((1, 8), (2, 16)))
        assert costs["reduce"][row].tolist() == [0, skip, separable]


@pytest.mark.parametrize("cell", ["mixture", "separate"])
def test_the_options_of_a_grid_cost_their_convolutions(cell):
    model = create_model("grid-nano", num_classes=3, cell=cell)
    costs = option_costs(model.spec, (96, 64))
    channels = [model.net.transitions[f"0_{level}_{level}"].conv.out_channels for level in range(4)]
    pixels = [96 * 64 // 16 // 4**level for level in range(4)]
    for target in range(4):
        for slot in range(3):
            source = target + slot - 1
            # Counted as papers do, after the resize.
            expected = channels[source] * channels[target] * pixels[target] if 0 <= source < 4 else 0
            assert (costs["beta"][:, target, slot] == expected).all()
    width = model.net.cells["0_0"].cell
    width = (width if cell == "mixture" else width.operations["k3"]).depthwise.convs["k3"].weight.shape[0]
    difference = costs["alpha"][0, 0, 1] - costs["alpha"][0, 0, 0]
    assert difference == (25 - 9) * width * pixels[0]
    assert (costs["alpha"][0, 0, 0] == 9 * width * pixels[0]) == (cell == "mixture")


def test_a_space_that_does_not_say_what_its_options_run_is_refused():
    assert SPACES["autodeeplab"].costs is None
    with pytest.raises(ValueError, match=r"space 'autodeeplab' does not say .*give regularizer='none'"):
        check_costs(SPACES["autodeeplab"])


@pytest.mark.parametrize("name", ["softmax", "path", "gumbel"])
def test_the_gradient_of_the_term_is_that_of_the_expected_cost(name):
    arch = Architecture({"a": torch.tensor([[True, True, True, False]] * 2)}, RELAXATIONS[name]).double()
    with pytest.raises(ValueError, match=r"needs Architecture\.costs"):
        ExpectedCost()(arch, 0.0)
    arch.logits["a"].data.copy_(torch.tensor([[0.3, -0.5, 0.9, 7.0], [0.0, 0.0, 0.0, 0.0]]))
    cost = torch.tensor([[0.0, 2.0, 4.0, 0.0], [3.0, 0.0, 3.0, 0.0]], dtype=torch.float64)
    arch.costs = {"a": cost}
    arch.progress = 1.0
    (expected,) = torch.autograd.grad(0.1 * (cost * arch()["a"]).sum() / 4, [arch.logits["a"]])
    if name == "gumbel":  # its gradient is that of its soft sample, which is no expectation
        assert round(ExpectedCost()(arch, 0.0).item(), 9) in {round(0.1 * n / 4 - 0.1, 9) for n in (0, 2, 3, 4, 5, 7)}
        return
    (found,) = torch.autograd.grad(ExpectedCost()(arch, 0.0), [arch.logits["a"]])
    torch.testing.assert_close(found, expected)
    if name == "softmax":
        arch.set_uniform()
        assert ExpectedCost()(arch, 0.0).item() == pytest.approx(0)


def test_the_term_makes_the_dear_option_unlikely():
    torch.manual_seed(0)
    arch = Architecture({"a": torch.ones(3, 4, dtype=torch.bool)}, RELAXATIONS["two-paths"]).double()
    arch.costs = {"a": torch.tensor([1.0, 1, 1, 9], dtype=torch.float64).expand(3, 4)}
    optimizer = torch.optim.SGD(arch.parameters(), lr=10.0)
    for _ in range(60):
        optimizer.zero_grad()
        ExpectedCost()(arch, 0.0).backward()
        optimizer.step()
    assert (arch()["a"][:, 3] < 0.05).all()
