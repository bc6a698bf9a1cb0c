"""The two forms of a search cell: the same numbers in every way that a search uses them."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from wholenet.diagnostics.curvature import hessian_product
from wholenet.ops import candidates
from wholenet.ops.candidates import CANDIDATES, CellOperation
from wholenet.ops.cell_forms import joined, split
from wholenet.ops.depthwise import depthwise
from wholenet.ops.forms import plain_form
from wholenet.ops.statistics import still_statistics
from wholenet.spaces.cell_tables import TABLES, uniform
from wholenet.spaces.darts import CellState, DartsNet

DOUBLE = torch.float64


def made(space, seed=0, **options):
    """A small supernet whose statistics and affine maps are not those of a fresh one, and its architecture weights."""
    torch.manual_seed(seed)
    net = DartsNet(
        TABLES[space] if isinstance(space, str) else space, 3, **{"channels": 4, "cells": 3, **options}
    ).double()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                if module.affine:
                    module.weight.normal_(1, 0.3)
                    module.bias.normal_()
    weights = {
        name: torch.randn(mask.shape, dtype=DOUBLE).masked_fill(~mask, -torch.inf).softmax(-1).requires_grad_()
        for name, mask in net.masks.items()
    }
    return net, weights


def in_both_forms(net, run):
    """What ``run`` returns, and the buffers after it: of the fast and of the plain form."""
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    found = []
    for plain in (False, True):
        for name, buffer in net.named_buffers():
            buffer.copy_(before[name])
        with plain_form(net, plain=plain):
            result = run()
        found.append((result, {name: buffer.clone() for name, buffer in net.named_buffers()}))
    return found


def assert_forms_agree(net, weights, x):
    inputs = [*weights.values(), *net.parameters()]

    def run():
        out = net(x, weights)
        return out.detach(), torch.autograd.grad(out.square().mean(), inputs, materialize_grads=True)

    ((fast, fast_gradients), moved), ((plain, plain_gradients), plainly_moved) = in_both_forms(net, run)
    torch.testing.assert_close(fast, plain, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(fast_gradients, plain_gradients, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(moved, plainly_moved, atol=1e-12, rtol=1e-12)


@pytest.fixture
def silent(monkeypatch):
    """Noise that is the same whenever it is drawn."""
    monkeypatch.setattr(candidates, "drawn_for_all", lambda like, _fill: torch.ones_like(like))


def looks_separable(channels, stride, _search, affine):
    """Laid out like a separable convolution, with another activation in the middle; declares nothing."""
    layers = list(CANDIDATES["sep_conv_3x3"].make(channels, stride, True, affine))
    return torch.nn.Sequential(*layers[:4], torch.nn.Hardswish(), *layers[5:])


def looks_pooled(channels, stride, _search, affine):
    """Laid out like a pooling; declares nothing."""
    pool = torch.nn.MaxPool2d(3, stride, padding=1)
    return torch.nn.Sequential(pool, torch.nn.InstanceNorm2d(channels, affine=affine))


@pytest.fixture
def foreign():
    """Operations that a user registered."""
    made_here = {"looks-separable": looks_separable, "looks-pooled": looks_pooled}
    for name, make in made_here.items():
        CANDIDATES.add(name, CellOperation(name, make))
    yield list(made_here)
    for name in made_here:
        CANDIDATES.remove(name)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_forms_agree_for_every_registered_operation_declared_or_not(mode, silent, foreign):
    for name in CANDIDATES:
        table = uniform(*{name, "skip_connect", "sep_conv_3x3"})
        net, weights = made(table)
        net.train(mode == "train")
        assert_forms_agree(net, weights, torch.randn(2, 3, 16, 16, dtype=DOUBLE))


@pytest.mark.parametrize("mode", ["train", "still", "eval"])
@pytest.mark.parametrize("space", TABLES)
def test_forms_agree_in_outputs_every_gradient_and_running_statistics(space, mode, silent):
    net, weights = made(space)
    net.train(mode != "eval")
    x = torch.randn(2, 3, 16, 16, dtype=DOUBLE)
    if mode != "still":
        assert_forms_agree(net, weights, x)
        return
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with still_statistics(net):
        assert_forms_agree(net, weights, x)
    torch.testing.assert_close(dict(net.named_buffers()), before, atol=0, rtol=0)


@pytest.mark.parametrize("seed", range(12))
def test_forms_agree_over_random_options(seed, silent):
    generator = torch.Generator().manual_seed(seed)

    def pick(*options):
        return options[int(torch.randint(len(options), (), generator=generator))]

    net, weights = made(
        pick(*TABLES),
        seed,
        channels=pick(8, 16),
        affine=pick(True, False),
        groups=pick(1, 4),
        edge_weights=pick(True, False),
        auxiliary_skip=pick(True, False),
    )
    net.train(pick(True, True, False))
    net.state.auxiliary_skip = pick(0.0, 0.7)
    # Not every size halves into equal parts: 12 x 20 ends in 3 x 5.
    x = torch.randn(2, 3, *pick((8, 8), (12, 20), (16, 8)), dtype=DOUBLE, generator=generator)
    memory = pick(torch.contiguous_format, torch.channels_last)
    assert_forms_agree(net.to(memory_format=memory), weights, x.contiguous(memory_format=memory))


@pytest.mark.parametrize(("space", "affine"), [("darts", False), ("s1", True)])
def test_forms_agree_where_they_are_differentiated_twice(space, affine):
    net, weights = made(space, affine=affine)
    x = torch.randn(2, 3, 8, 8, dtype=DOUBLE)
    logits = list(weights.values())
    vector = torch.randn(sum(w.numel() for w in logits), dtype=DOUBLE)
    there = [torch.ones_like(w, dtype=torch.bool) for w in logits]

    def curved():
        product, _ = hessian_product(net(x, weights).square().mean(), logits, there)
        return product(vector)

    def mixed():
        """Through a gradient in the weights."""
        kernels = list(net.parameters())
        gradients = torch.autograd.grad(
            net(x, weights).square().mean(), kernels, create_graph=True, materialize_grads=True
        )
        return torch.autograd.grad(sum(g.sin().sum() for g in gradients), logits, materialize_grads=True)

    for run in (curved, mixed):
        (fast, _), (plain, _) = in_both_forms(net, run)
        torch.testing.assert_close(fast, plain, atol=1e-10, rtol=1e-8)


def test_forms_agree_with_other_parameters_put_in():
    net, weights = made("darts")
    other = {name: 2 * p.detach() for name, p in net.named_parameters()}
    x = torch.randn(2, 3, 8, 8, dtype=DOUBLE)
    (fast, _), (plain, _) = in_both_forms(net, lambda: torch.func.functional_call(net, other, (x, weights)))
    torch.testing.assert_close(fast, plain, atol=1e-12, rtol=1e-12)
    assert not torch.allclose(fast, net(x, weights))


def test_the_fast_form_runs_unless_paths_drop():
    net, weights = made("s2")
    x = torch.randn(4, 3, 8, 8, dtype=DOUBLE)
    plainly = []
    for cell in net.cells:
        own = cell._plainly
        cell._plainly = lambda *args, own=own: (plainly.append(args), own(*args))
    net(x, weights)
    assert not plainly
    net.state.drop_path = 0.5
    net(x, weights)
    assert len(plainly) == 3
    net.eval()(x, weights)
    assert len(plainly) == 3


def test_an_edge_that_offers_nothing_brings_zeros():
    net, _ = made("s3")
    cell = net.cells[0].eval()
    for mixture in cell.mixtures.values():
        for name in ("skip_connect", "sep_conv_3x3"):
            del mixture.operations[name]
    x = torch.randn(2, 12, 6, 6, dtype=DOUBLE)
    (fast, _), (plain, _) = in_both_forms(cell, lambda: cell(x, x, torch.ones(14, 1, dtype=DOUBLE), CellState()))
    assert torch.equal(fast, plain)
    assert fast.shape == (2, 16, 6, 6)
    assert not fast.any()


def test_parts_are_put_together_again():
    x = torch.randn(2, 3, 8, 6)
    assert torch.equal(joined(split(x)), x)


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), list(itertools.product((3, 5), (1, 2), ((2, 2), (4, 6), (7, 5), (9, 8))))
)
def test_depthwise_convolution_and_its_two_derivatives(kernel, stride, size):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=DOUBLE, requires_grad=True)
    weight = torch.randn(3, 1, kernel, kernel, dtype=DOUBLE, requires_grad=True)
    found = []
    for convolve in (depthwise, lambda x, w, s: F.conv2d(x, w, None, s, kernel // 2, 1, 3)):
        out = convolve(x, weight, stride)
        first = torch.autograd.grad(out.pow(3).sum(), [x, weight], create_graph=True)
        found.append((out, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), [x, weight])))
    torch.testing.assert_close(*found, atol=1e-9, rtol=1e-10)
