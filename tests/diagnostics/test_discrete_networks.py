"""The discrete networks inside a supernet."""

import math

import pytest
import torch

from wholenet.diagnostics.discrete import DiscreteNetwork, best_network, decoded, discrete_networks
from wholenet.diagnostics.discretization import current_weights
from wholenet.spaces.count import count
from wholenet.spaces.decoding import decode

pytestmark = pytest.mark.usefixtures("shallow")


def network(genotype, miou, recalibrated, macs=10):
    return DiscreteNetwork(genotype, miou, recalibrated, parameters=5, macs=macs)


def test_every_decoding_is_tried_and_equal_genotypes_once(model):
    weights = current_weights(model)
    found = decoded(weights, taus=(0.0, 0.5, 1.0))
    assert len({str(genotype.cells) for genotype in found}) == len(found)
    cells = [genotype.cells for genotype in found]
    assert decode(weights, "best-path").cells in cells
    assert decode(weights, "strongest").cells in cells
    assert all(decode(weights, "threshold", tau).cells in cells for tau in (0.0, 0.5, 1.0))
    model.arch.set_uniform()
    names = [genotype.decoding for genotype in decoded(current_weights(model))]
    assert names == ["best-path", "strongest", "threshold 0.25"]


def test_a_supernet_that_is_discrete_already_loses_nothing(model):
    """One-hot weights: cutting down is exact, so what is left answers as the supernet did."""
    x = torch.randn(1, 3, 32, 32)
    for name, logits in model.arch.logits.items():
        mask = model.net.masks[name]
        logits.data = torch.where(torch.arange(mask.shape[-1]) == mask.long().argmax(-1, keepdim=True), math.inf, 0.0)
        logits.data = logits.data.nan_to_num(posinf=200.0)
    expected = model(x)
    errors = []

    def score(candidate):
        errors.append((candidate(x) - expected).abs().max().item())
        return 0.0

    discrete_networks(model, [decode(model.arch(), "strongest")], lambda own: own, score, (32, 32))
    assert errors == pytest.approx([0, 0], abs=1e-5)


def test_each_is_scored_as_is_and_recalculated_and_counted_alone(model):
    genotypes = decoded(current_weights(model))
    marked = []

    def recalibrate(own):
        marked.append(own)
        return own

    found = discrete_networks(model, genotypes, recalibrate, lambda own: 0.7 if own in marked else 0.3, (64, 96))
    assert [n.genotype for n in found] == genotypes
    whole = count("grid-nano", num_classes=2, height=64, width=96)
    for own, built in zip(found, marked, strict=True):
        assert (own.miou, own.miou_recalibrated) == (0.3, 0.7)
        assert own.parameters == sum(p.numel() for p in built.net.parameters()) < whole.parameters
        assert own.macs < whole.macs_merged
        assert own.edges == int((current_weights(built)["beta"] > 0).sum())
    assert min(n.edges for n in found) == found[0].edges  # best-path: one edge per cell, and cells dropped


def test_the_best_is_the_best_either_way_and_the_cheaper_among_equals(model):
    genotype = decode(model.arch(), "strongest")
    worse, as_is = network(genotype, 0.2, 0.3), network(genotype, 0.5, 0.1)
    recalculated, cheaper = network(genotype, 0.1, 0.5), network(genotype, 0.5, 0.5, macs=4)
    assert best_network([worse, as_is]) is as_is
    assert best_network([recalculated, worse]) is recalculated
    assert best_network([as_is, cheaper, recalculated]) is cheaper
