"""Running statistics move as those of torch's own BatchNorm, in whatever form a layer runs, by whatever momentum."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from wholenet import parallel
from wholenet.ops.forms import plain_form
from wholenet.ops.norms import BatchNorm
from wholenet.ops.statistics import still_statistics
from wholenet.spaces.catalog import create_model

pytestmark = pytest.mark.usefixtures("shallow")

MODELS = {
    "grid": lambda: create_model("grid-nano", num_classes=2),
    "grid, separate": lambda: create_model("grid-nano", num_classes=2, cell="separate"),
    "darts": lambda: create_model("darts", num_classes=2, channels=4, cells=3),
    "trellis": lambda: create_model("autodeeplab-tiny", num_classes=2, layers=2, filters=2, blocks=2),
    "affine, auxiliary skip": lambda: create_model(
        "s1", num_classes=2, channels=4, cells=3, affine=True, auxiliary_skip=True
    ),
    "partial channels": lambda: create_model("s3", num_classes=2, channels=16, cells=3, groups=4, edge_weights=True),
}


class Plain(nn.BatchNorm2d):
    """torch's own; with an edge's weight behind it where the grid wants one."""

    def forward(self, input, scale=None):
        out = super().forward(input)
        return out if scale is None else out * scale


def reference(model):
    """The same network on torch's BatchNorm alone, every layer by itself."""
    own = copy.deepcopy(model)
    for module in list(own.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                plain = Plain(child.num_features, child.eps, child.momentum, child.affine).double()
                plain.load_state_dict(child.state_dict())
                module.add_module(name, plain)
    return own


def statistics(model):
    return {name: buffer for name, buffer in model.named_buffers() if "running" in name or "tracked" in name}


def made(name):
    torch.manual_seed(0)
    model = MODELS[name]().double().train()
    if name == "affine, auxiliary skip":
        model.net.state.auxiliary_skip = 0.5
    return model


@pytest.mark.parametrize(("name", "plain"), [*((name, False) for name in MODELS), ("grid", True)])
def test_the_averages_of_update_bn_are_those_of_torch_s_batchnorm(name, plain):
    model = made(name)
    expected = reference(model)
    batches = [torch.randn(3, 3, 40, 32, dtype=torch.float64) + shift for shift in (0, 1, 3)]
    with plain_form(model.net, plain=plain):
        update_bn(batches, model)
    with plain_form(expected.net):
        update_bn(batches, expected)
    found = statistics(model)
    torch.testing.assert_close(found, statistics(expected), atol=1e-10, rtol=1e-10)
    assert all(buffer.any() for buffer in found.values())  # a mean of exactly 0 is one that nothing moved
    assert {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}


@pytest.mark.parametrize("momentum", [None, 0.3, 0.0])
def test_every_momentum_moves_the_statistics_as_torch_s_does_and_never_where_they_are_to_be_still(momentum):
    for name in ("grid, separate", "affine, auxiliary skip"):
        model = made(name)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum
        expected = reference(model)
        for shift in (1, 0):
            x = torch.randn(2, 3, 16, 16, dtype=torch.float64) + shift
            with plain_form(model.net, plain=False), still_statistics(model):
                model(x)
            with plain_form(model.net, plain=False):
                model(x)
            with plain_form(expected.net):
                expected(x)
        torch.testing.assert_close(statistics(model), statistics(expected), atol=1e-10, rtol=1e-10)


def test_a_second_pass_moves_no_average():
    """What is computed again in the backward pass is one batch, not two."""
    kept, recomputed = made("grid"), made("grid")
    recomputed.net.recompute = True
    for model in (kept, recomputed):
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
        generator = torch.Generator().manual_seed(1)
        for shift in (0, 2):
            x = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=generator) + shift
            model(x).square().mean().backward()
    assert all(torch.equal(buffer, statistics(kept)[name]) for name, buffer in statistics(recomputed).items())
    assert kept.net.decoder.norm.num_batches_tracked == 2


def test_the_average_over_processes_is_that_of_the_batches(monkeypatch):
    norm, expected = BatchNorm(5, momentum=None).double(), nn.BatchNorm2d(5, momentum=None).double()
    monkeypatch.setattr(parallel, "processes", lambda: 2)  # the path of several; the other's share is nothing
    monkeypatch.setattr(parallel, "gathered", lambda x: x[None])
    for shift in (0, 1, 3):
        x = torch.randn(3, 5, 4, 6, dtype=torch.float64) + shift
        torch.testing.assert_close(norm(x), expected(x))
    torch.testing.assert_close(norm.state_dict(), expected.state_dict())
