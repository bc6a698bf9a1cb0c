"""The folded network computes what the model does, in float64 to the last digits, and holds nothing that is dead."""

import copy
import itertools

import pytest
import torch
from torch import nn

from wholenet.deploy.fold import live_edges, without_norms
from wholenet.deploy.folds import fold
from wholenet.diagnostics.discretization import without_weakest_edges
from wholenet.spaces.catalog import create_model, discrete_from
from wholenet.spaces.darts_genotype import PUBLISHED
from wholenet.spaces.decoding import decode
from wholenet.spaces.links import LEVELS, incoming
from wholenet.spaces.nb201.genotype import genotype_from_string
from wholenet.spaces.sizes import GRID_SIZES, GridSize

pytestmark = pytest.mark.usefixtures("shallow")

SIZES = ((64, 96), (75, 101), (33, 32))


def trained(name="grid-nano", seed=0, **options):
    """A model whose every number differs from its start: statistics, affine maps, logits."""
    torch.manual_seed(seed)
    model = create_model(name, num_classes=3, **options).double().train()
    for logits in model.arch.logits.values():
        nn.init.normal_(logits)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    model(torch.randn(4, 3, 64, 64, dtype=torch.float64) * 2)
    return model.eval()


def difference(model, other, size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        return (model(x) - other(x)).abs().max().item()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("activation", ["relu", "hardswish"])
@pytest.mark.parametrize("cell", ["mixture", "separate"])
def test_it_equals_the_model(cell, activation, size):
    model = trained(cell=cell, activation=activation)
    assert difference(model, fold(model), size) < 1e-12


def test_it_equals_a_model_that_samples_channels(monkeypatch):
    monkeypatch.setitem(GRID_SIZES, "nano", GridSize(layers=2, filters=8, expansion=2, sampling=4, head=16))
    model = trained("grid-nano")
    assert difference(model, fold(model), (64, 96)) < 1e-12


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95, 1.0])
def test_it_equals_a_pruned_model_and_leaves_out_what_is_dead(share):
    model = trained()
    pruned, _ = without_weakest_edges(model, share)
    folded = fold(pruned)
    assert difference(pruned, folded, (75, 101)) < 1e-12
    beta = pruned.arch()["beta"]
    kept = {edge for row in folded.edges for edges in row.values() for edge in edges}
    assert all(beta[edge.layer, edge.target, edge.slot] > 0 for edge in kept)
    assert set(folded.transitions) == {edge.key for edge in kept}


def test_what_counts_is_what_a_change_of_weights_can_be_seen_of():
    """By brute force: an edge is live exactly if scaling its weight changes the output."""
    model = trained(seed=3)
    pruned, _ = without_weakest_edges(model, 0.6)
    arch = pruned.arch()
    live = {edge for row in live_edges(pruned.net, arch["beta"]) for edges in row.values() for edge in edges}
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        whole = pruned.net(x, arch)
        for layer in range(pruned.net.layers):
            for target in range(LEVELS):
                for edge in incoming(layer, target):
                    changed = {**arch, "beta": arch["beta"].clone()}
                    changed["beta"][layer, target, edge.slot] *= 2
                    assert (edge in live) == (not torch.equal(pruned.net(x, changed), whole)), edge


def test_it_equals_a_discrete_network():
    model = trained()
    discrete = discrete_from(model, decode(model.arch(), "best-path"))
    assert difference(discrete, fold(discrete), (64, 96)) < 1e-12


def test_it_holds_no_batchnorm_and_learns_nothing_and_leaves_the_model_alone():
    model = trained()
    before = copy.deepcopy(model.state_dict())
    folded = fold(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_it_has_the_type_of_the_model():
    assert {p.dtype for p in fold(trained().float()).parameters()} == {torch.float32}


def test_a_model_in_training_is_refused():
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        fold(trained().train())


PATH = {"path": "0 1", "cell": ["atrous_conv_5x5(H-2) + sep_conv_3x3(H-1)", "skip_connect(H-2) + max_pool_3x3(H-1)"]}
CHAIN = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("autodeeplab-tiny", {"filters": 2, "genotype": {**PATH, "decoding": "by hand"}}),
        ("autodeeplab-tiny", {"filters": 2, "head": "dpc", "genotype": {**PATH, "decoding": "by hand"}}),
        ("darts", {"channels": 4, "cells": 3, "genotype": PUBLISHED["darts-v2"]}),
        ("nb201", {"channels": 4, "cells": 3, "genotype": genotype_from_string(CHAIN)}),
    ],
)
def test_a_discrete_network_of_another_space_loses_its_batchnorms_and_is_the_same(name, options):
    model = trained(name, **options)
    before = copy.deepcopy(model.state_dict())
    flat = without_norms(model)
    assert difference(model, flat, (64, 96)) < 1e-12
    for module in flat.modules():
        if isinstance(module, nn.Sequential):
            pairs = itertools.pairwise(module)
            assert not [1 for conv, norm in pairs if type(conv) is nn.Conv2d and isinstance(norm, nn.BatchNorm2d)]
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in of.modules()) for of in (model, flat)]
    assert norms[1] < norms[0] / 4
