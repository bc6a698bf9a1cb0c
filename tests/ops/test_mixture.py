import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from wholenet.ops.bottleneck import CELLS, MixtureCell, SeparateCell
from wholenet.ops.forms import plain_form
from wholenet.ops.layers import ACTIVATIONS, PartialChannels, ScaledNorm, make_activation, shuffle_channels
from wholenet.ops.mixture import OperationMixture
from wholenet.ops.operations import convolution

PAPER = (convolution(3), convolution(5))
ON_GPU: Any = SimpleNamespace(device=torch.device("cuda"))
"""Stands for a tensor there."""


@pytest.mark.parametrize("kernels", [(3, 5), (5, 3), (1, 3, 7), (5,)])
def test_mixing_kernels_equals_mixing_feature_maps(kernels):
    torch.manual_seed(0)
    mixture = OperationMixture(6, [convolution(k) for k in kernels]).double()
    x = torch.randn(2, 6, 9, 11, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(len(kernels), dtype=torch.float64).softmax(0).requires_grad_()
    inputs = [x, weights, *mixture.parameters()]
    merged = mixture(x, weights)
    merged_gradients = torch.autograd.grad(merged.square().sum(), inputs)
    with plain_form(mixture):
        plain = mixture(x, weights)
    plain_gradients = torch.autograd.grad(plain.square().sum(), inputs)
    torch.testing.assert_close(merged, plain, atol=1e-12, rtol=0)
    for m, p in zip(merged_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(m, p, atol=1e-10, rtol=1e-10)


def test_one_hot_weights_give_exactly_that_kernel():
    mixture = OperationMixture(4, PAPER).double()
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    for k, conv in enumerate(mixture.convs.values()):
        torch.testing.assert_close(mixture(x, torch.eye(2, dtype=torch.float64)[k]), conv(x))


def test_plain_form_is_restored_after_an_error():
    mixture = OperationMixture(2, PAPER)
    with pytest.raises(ValueError, match="one weight per operation"), plain_form(mixture):
        mixture(torch.zeros(1, 2, 8, 8), torch.ones(3))
    assert mixture.plain is None


def test_even_kernels_and_missing_weights_are_refused():
    with pytest.raises(ValueError, match=r"4x4: expected an odd size"):
        OperationMixture(4, (convolution(3), convolution(4)))
    with pytest.raises(ValueError, match=r"at least one operation"):
        OperationMixture(4, ())
    with pytest.raises(ValueError, match=r"2 operations \(conv_3x3, conv_5x5\)"):
        OperationMixture(4, PAPER)(torch.zeros(1, 4, 8, 8), torch.ones(3))
    with pytest.raises(ValueError, match="2 operations"):
        SeparateCell(4, 2, PAPER, "relu")(torch.zeros(1, 4, 8, 8), torch.ones(3))


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_keeps_shape_and_gives_alpha_a_gradient(cell):
    torch.manual_seed(0)
    alpha = torch.tensor([0.3, 0.7], requires_grad=True)
    out = CELLS[cell](4, 3, PAPER, "hardswish")(torch.randn(2, 4, 7, 9), alpha)
    assert out.shape == (2, 4, 7, 9)
    (gradient,) = torch.autograd.grad(out.square().sum(), alpha)
    assert (gradient != 0).all()


def test_the_separate_cell_is_the_weighted_sum_of_whole_bottlenecks():
    torch.manual_seed(0)
    cell = SeparateCell(4, 2, PAPER, "relu").double().eval()
    x = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    alone = [operation(x, torch.ones(1, dtype=torch.float64)) for operation in cell.operations.values()]
    mixed = cell(x, torch.tensor([0.25, 0.75], dtype=torch.float64))
    torch.testing.assert_close(mixed, 0.25 * alone[0] + 0.75 * alone[1])


def test_bottlenecks_run_as_one_move_the_statistics_of_each():
    torch.manual_seed(0)
    cell = SeparateCell(4, 2, (*PAPER, convolution(1)), "relu").double()
    x, alpha = torch.randn(2, 4, 6, 6, dtype=torch.float64), torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    found = []
    for plain in (True, False):
        own = copy.deepcopy(cell)
        with plain_form(own, plain=plain):
            own(x, alpha)
        found.append(own.state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], atol=1e-12, rtol=1e-12)
    moved = [name for name, value in cell.state_dict().items() if not torch.equal(value, found[1][name])]
    assert len(moved) == 3 * 3 * 3  # three numbers of three BatchNorms in each of three bottlenecks


def test_a_cpu_mixes_kernels_unless_the_architecture_alone_asks_for_a_gradient():
    mixture, x = OperationMixture(4, PAPER), torch.zeros(1, 4, 8, 8)
    weights = torch.ones(2, requires_grad=True)
    assert not mixture.runs_plain(x, weights)
    assert not mixture.runs_plain(x, weights.detach())
    mixture.requires_grad_(False)
    assert mixture.runs_plain(x, weights)
    assert not mixture.runs_plain(x, weights.detach())
    with plain_form(mixture, plain=False):
        assert not mixture.runs_plain(x, weights)
    assert not mixture.runs_plain(ON_GPU, weights)


def test_a_cpu_runs_whole_bottlenecks_one_by_one():
    cell, alpha = SeparateCell(4, 2, PAPER, "relu"), torch.ones(2)
    assert cell.runs_plain(torch.zeros(1, 4, 8, 8), alpha)
    assert not cell.runs_plain(ON_GPU, alpha)


def test_the_mixture_cell_shares_all_but_the_kernels():
    extra = sum(p.numel() for p in MixtureCell(8, 3, PAPER, "relu").parameters())
    extra -= sum(p.numel() for p in MixtureCell(8, 3, PAPER[:1], "relu").parameters())
    assert extra == 8 * 3 * 25


def test_partial_channels_leave_the_bypass_untouched():
    torch.manual_seed(0)
    block = PartialChannels(torch.nn.Conv2d(2, 2, 1), channels=8, groups=4)
    x = torch.randn(1, 8, 3, 3)
    out = block(x)
    unshuffled = shuffle_channels(out, 8 // 4)
    torch.testing.assert_close(unshuffled[:, :2], block.cell(x[:, :2]))
    assert torch.equal(unshuffled[:, 2:], x[:, 2:])


def test_partial_channels_without_sampling_are_the_cell():
    cell = torch.nn.Conv2d(4, 4, 1)
    x = torch.randn(1, 4, 3, 3)
    assert torch.equal(PartialChannels(cell, channels=4, groups=1)(x), cell(x))


def test_unknown_activation_lists_the_known_ones():
    with pytest.raises(ValueError, match=", ".join(ACTIVATIONS)):
        make_activation("gelu")


@pytest.mark.parametrize("training", [True, False])
def test_the_scale_in_the_affine_map_equals_the_scaled_output(training):
    torch.manual_seed(0)
    fast, plain = ScaledNorm(3).double(), ScaledNorm(3).double()
    plain.plain = True
    x, scale = torch.randn(4, 3, 5, 5, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    torch.nn.init.normal_(fast.weight)
    torch.nn.init.normal_(fast.bias)
    plain.load_state_dict(fast.state_dict())
    torch.testing.assert_close(fast.train(training)(x, scale), plain.train(training)(x, scale))
    assert fast.state_dict().keys() == plain.state_dict().keys()
    for name, value in fast.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name])
