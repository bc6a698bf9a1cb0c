"""What each option costs, against what the formulas of its convolutions say; and the term on the architecture."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from wholenet.architecture import RELAXATIONS, Architecture
from wholenet.ops.forms import plain_form
from wholenet.ops.operations import operations_called
from wholenet.search.penalties import ExpectedCost
from wholenet.search.random_search import random_genotype, weights_of
from wholenet.spaces import option_costs as option_costs_module
from wholenet.spaces.autodeeplab.genotype import edges
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.cell_family import NB201_CELLS
from wholenet.spaces.grid import Grid
from wholenet.spaces.links import Reach
from wholenet.spaces.nb201.genotype import TABLE
from wholenet.spaces.option_costs import check_costs, option_costs
from wholenet.spaces.sizes import GridSize
from wholenet.spaces.space import Spec
from wholenet.spaces.supernet import Supernet


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


def macs(model, size):
    """Multiply-adds of a pass in the plain form, as torch counts them."""
    weights = {name: torch.zeros(mask.shape) for name, mask in model.net.masks.items()}
    with plain_form(model), FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval().net(torch.zeros(1, 3, *size), weights)
    return counter.get_total_flops() // 2


def dense(kept=None, **settings):
    """A dense grid of two layers, or what is ``kept`` of it."""
    shape = GridSize(layers=2, filters=4, expansion=2, sampling=1, head=8)
    operations = operations_called(("conv_3x3", "conv_5x5"))
    net = Grid(shape, 2, operations=operations, kept=kept, reach=Reach(2, 3), **settings)
    return Supernet(net, Architecture(net.masks, empty=True), Spec(space="dense-grid", settings={}, outputs=2))


def costs_of(monkeypatch, size, **settings):
    """Those of :func:`dense`, which no settings name, since it is smaller than any."""
    monkeypatch.setattr(option_costs_module, "create_from", lambda _spec: dense(**settings))
    return option_costs(Spec(space="dense-grid", settings={}, outputs=2), size)


def test_a_link_or_an_operation_of_the_dense_grid_costs_what_the_network_without_it_saves(monkeypatch):
    size = (64, 32)
    whole = dense()
    masks, all_of_it = whole.net.masks, macs(whole, size)
    costs = costs_of(monkeypatch, size)
    assert set(costs) == {"alpha", "beta"}
    for name, mask in masks.items():
        assert (costs[name][mask] > 0).all()
        assert (costs[name][~mask] == 0).all()
        for index in mask.nonzero().tolist()[::8]:
            kept = {other: m.clone() for other, m in masks.items()}
            kept[name][tuple(index)] = False
            assert all_of_it - macs(dense(kept), size) == costs[name][tuple(index)]


def test_the_options_of_a_discrete_dense_grid_cost_what_it_has_beside_what_all_have(monkeypatch):
    size, generator = (64, 32), torch.Generator().manual_seed(0)
    whole = dense()
    costs = costs_of(monkeypatch, size)
    common = macs(whole, size) - sum(cost.sum().item() for cost in costs.values())
    for _ in range(3):  # one operation in each cell, some links into each, one of them from the layer before
        links = whole.net.masks["beta"] & (torch.rand(whole.net.masks["beta"].shape, generator=generator) < 0.4)
        links[:, range(4), 3] = True
        one = torch.randint(2, (2, 4), generator=generator)
        kept = {"alpha": torch.nn.functional.one_hot(one, 2).bool(), "beta": links}
        chosen = sum(costs[name][kept[name]].sum().item() for name in kept)
        assert macs(dense(kept), size) == common + chosen


def test_links_that_share_a_transition_have_none_of_their_own(monkeypatch):
    own = costs_of(monkeypatch, (64, 32))["beta"]
    shared = costs_of(monkeypatch, (64, 32), tied=True)["beta"]
    offsets = 7
    assert (shared[0] == 0).all()  # the stems are read by both layers
    assert torch.equal(shared[1, :, :offsets], own[1, :, :offsets])  # the first layer by the second alone
    assert (shared[1, :, offsets:] == 0).all()


def test_the_cells_of_nas_bench_201_cost_what_its_networks_have_beside_what_all_have():
    size, shape = (16, 8), {"num_classes": 3, "channels": 4, "cells": 3}
    whole = create_model("nb201", **shape)
    costs = option_costs(whole.spec, size)["cell"]
    pixels = 16 * 8
    of_1x1 = sum(pixels // 4**stage * (4 * 2**stage) ** 2 for stage in range(3))
    assert costs.tolist() == [[0, 0, of_1x1, 9 * of_1x1, 0]] * 6
    common = macs(whole, size) - costs.sum().item()
    for seed in range(4):
        genotype = random_genotype(TABLE, torch.Generator().manual_seed(seed), NB201_CELLS)
        one_hot = weights_of(genotype, TABLE, torch.zeros((), dtype=torch.float64))["cell"]
        found = create_model("nb201", genotype=genotype, **shape)
        assert macs(found, size) == common + (one_hot * costs).sum().item()


def test_the_operations_of_auto_deeplab_cost_all_their_runs_and_moves_what_brings_their_source():
    size, f, blocks = (32, 32), 2, 2
    model = create_model("autodeeplab-tiny", num_classes=2, layers=2, filters=f, blocks=blocks)
    costs = option_costs(model.spec, size)
    pixels = [64, 16, 4]  # of levels 0 to 2
    nodes = {0: [0, 1], 1: [0, 1, 2]}  # of layers 1 and 2
    runs = [
        (layer, level, [s for s in (0, 1) if (layer or not s) and abs(s - level) < 2])
        for layer in nodes
        for level in nodes[layer]
    ]

    def of_edges(width_squared, per_width, old):
        """Multiply-adds of an operation with so many weights; edges from H-2 are there at level 0 of layer 2 alone."""
        there = [(level, len(sources)) for layer, level, sources in runs if not old or (layer == 1 and level == 0)]
        return sum(
            n * pixels[level] * (width_squared * (f * 2**level) ** 2 + per_width * f * 2**level) for level, n in there
        )

    weights = [(0, 0)] * 4 + [(2, 18), (2, 50), (9, 0), (25, 0)]
    for row, (source, _block) in enumerate(edges(blocks)):
        assert costs["alpha"][row].tolist() == [of_edges(*each, old=source == 0) for each in weights]
    brought = sum(
        pixels[level] * blocks * f * 2**source * f * 2**level for _, level, sources in runs for source in sources
    )
    assert costs["beta"].sum() == brought
    assert (costs["beta"][model.net.masks["beta"]] > 0).all()


def test_a_space_that_does_not_say_what_its_options_run_is_refused():
    assert SPACES["recurrent"].costs is None
    with pytest.raises(ValueError, match=r"space 'recurrent' does not say .*give regularizer='none'"):
        check_costs(SPACES["recurrent"])
    with pytest.raises(ValueError, match=r"pruning='gates' needs what each option costs, and space 'recurrent'"):
        check_costs(SPACES["recurrent"], "pruning")


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
