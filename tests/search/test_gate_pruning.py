"""GOLD-NAS: values of its code, by hand; what goes, what stays, and that a run which goes on goes the same way."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import wholenet
from run_files import records, stop_after
from wholenet.architecture import RELAXATIONS, Architecture
from wholenet.cells.selection import discretized
from wholenet.search.cell_config import cell_config
from wholenet.search.gate_pruning import GatePruning, GateShares, left_of, nodes_of, prune, strength
from wholenet.search.phases import Phase
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_tables import PAIRS
from wholenet.spaces.darts_genotype import discretize_gates
from wholenet.spaces.option_costs import option_costs

TARGETS = torch.tensor([target for _, target in PAIRS])


def gated(logits, nodes=None):
    """An architecture of gates with one parameter, and its penalty of strength 1."""
    arch = Architecture({"a": torch.ones(logits.shape, dtype=torch.bool)}, RELAXATIONS["sigmoid"]).double()
    arch.logits["a"].data.copy_(logits)
    return arch, GateShares(nodes_of(arch, {} if nodes is None else {"a": nodes}), strength=1.0)


def of_gates(*values):
    return torch.tensor([values], dtype=torch.float64).logit()


def test_the_strength_grows_while_few_go_and_shrinks_when_many_do():
    gone = [0, 0, 0, 4, 0, 0, 5, 5, 1]
    found = [1e5 * strength(gone[:epochs]) for epochs in range(1, 10)]
    assert found == pytest.approx([2, 6, 14, 7, 9, 13, 6.5, 3.25, 5.25])
    assert strength([]) == 0


def test_the_penalty_of_equal_gates_is_the_largest_and_pulls_nowhere():
    """14 cells with 14 edges of two options each, as in the original."""
    nodes = torch.cat([TARGETS + 4 * cell for cell in range(14)])
    arch, penalty = gated(torch.zeros(14, 14, 2), nodes)
    value = penalty(arch, 0.0)
    assert value.item() == pytest.approx(392 * math.log(2))
    assert value.item() == pytest.approx(271.7137, abs=1e-4)
    (gradient,) = torch.autograd.grad(value, list(arch.parameters()))
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)
    arch.logits["a"].data.normal_(generator=torch.Generator().manual_seed(0))
    assert penalty(arch, 0.0) < value


def test_the_penalty_of_a_node():
    arch, penalty = gated(of_gates(0.8, 0.1, 0.05, 0.05))
    assert penalty(arch, 0.0).item() == pytest.approx(2.136200, abs=1e-6)
    arch, penalty = gated(torch.tensor([[1.0, 0, 0, -1]]))
    value = penalty(arch, 0.0)
    assert value.item() == pytest.approx(2.717723, abs=1e-6)
    (gradient,) = torch.autograd.grad(value, list(arch.parameters()))
    assert gradient[0].tolist() == pytest.approx([-0.0314, 0.0070, 0.0070, 0.0646], abs=5e-5)


def test_a_node_counts_all_its_edges_and_what_is_gone_no_more():
    logits = torch.randn(14, 3, generator=torch.Generator().manual_seed(0)).double()
    logits[4, 1] -= 10_000
    arch, penalty = gated(logits, TARGETS)
    expected = 0.0
    for node in range(2, 6):
        gates = [
            g for row, target in zip(logits.sigmoid().tolist(), TARGETS, strict=True) if target == node for g in row
        ]
        there = [g for g in gates if g > 0]
        expected += sum(math.log(1 + len(there) * g / sum(there)) for g in there)
    assert penalty(arch, 0.0).item() == pytest.approx(expected)
    assert left_of(arch, "a").sum() == 41


def test_dear_options_weigh_more():
    arch, penalty = gated(torch.zeros(1, 2))
    arch.costs = {"a": torch.tensor([[3e6, 0.0]])}
    penalty.cost = 0.5
    assert penalty(arch, 0.0).item() == pytest.approx((1 + 0.5 * 3) * math.log(2) + math.log(2))


def test_small_shares_go_and_of_the_low_ones_four_at_once():
    arch, penalty = gated(of_gates(0.9, 0.9, 0.9, 0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.001))
    assert prune(arch, penalty) == 5
    left = left_of(arch, "a")[0]
    assert left[:3].all()
    assert not left[9]
    assert left[3:9].sum() == 2
    assert arch()["a"][0, ~left].eq(0).all()
    assert prune(arch, penalty) == 2
    assert prune(arch, penalty) == 0


def test_a_share_rises_when_another_goes_and_the_last_option_of_a_node_stays():
    arch, penalty = gated(of_gates(0.5, 0.0101 * 0.53, 0.5 * 0.009))
    shares = penalty.shares(arch)["a"][0]
    assert (shares < 0.0106).sum() == 2
    assert prune(arch, penalty) == 2
    arch, penalty = gated(torch.full((3, 1), -30.0), torch.tensor([0, 0, 1]))
    arch.logits["a"].data[1] -= 5
    assert prune(arch, penalty) == 1
    assert left_of(arch, "a")[:, 0].tolist() == [True, False, True]


def test_every_edge_of_a_node_can_lose_its_options():
    """In its code those of the first alone."""
    logits = torch.zeros(14, 2)
    logits[:, 0] = -9
    arch, penalty = gated(logits, TARGETS)
    prune(arch, penalty)
    assert left_of(arch, "a").tolist() == [[False, True]] * 14


def test_the_options_of_the_original_network_cost_what_its_code_says():
    """In millions: 36 channels, 14 cells, images of 32. Of its 5,693,952 weights 476,426 are an auxiliary head's."""
    with torch.device("meta"):
        net = create_model("s2", num_classes=10, channels=4, cells=3).net
    assert net.nodes["normal"].tolist() == TARGETS.tolist()
    whole = create_model("s2", num_classes=10, channels=36, cells=14)
    assert sum(p.numel() for p in whole.net.parameters()) == 5_693_952 - 476_426
    costs = option_costs(whole.spec, (32, 32))
    assert sum(cost.sum().item() for cost in costs.values()) == 613_453_824
    assert costs["reduce"][4].tolist() == [0, 2_985_984 + 2_820_096]
    assert costs["reduce"][0, 0] == 2 * 1_327_104


class Run:
    """Of two nodes with an option each that costs 9 and one that costs 1, in millions."""

    def __init__(self, floor):
        self.arch, self.penalty = gated(torch.zeros(2, 2))
        self.arch.costs = {"a": torch.tensor([[9e6, 1e6]] * 2)}
        self.state: Any = SimpleNamespace(model=SimpleNamespace(arch=self.arch), records=[], epoch=0)
        self.phases = [Phase("search", 0, 5, moves_architecture=True), Phase("fine-tune", 5, 9)]
        self.pruning = self.anew(floor)

    def anew(self, floor):
        return GatePruning(self.state, self.phases, self.penalty, floor)

    def epoch(self, phase="search"):
        arch_loss = 1.0 if phase == "search" else None
        self.state.records.append({"phase": phase, "arch_loss": arch_loss, **self.pruning.describe()})
        self.pruning.after_epoch()
        self.state.epoch += 1


def test_the_strength_is_found_again_from_records_and_logits():
    run = Run(floor=0.1)
    run.pruning.begin()
    assert run.penalty.strength == 0
    run.epoch()
    run.epoch()
    run.arch.logits["a"].data[0, 0] = -5
    run.epoch()
    assert [record["options"] for record in run.state.records] == [4, 4, 4]
    assert run.pruning.describe()["options"] == 3
    assert run.pruning.describe()["options_cost"] == 0.55
    found, run.penalty.strength = run.penalty.strength, -1.0
    assert found == pytest.approx(strength([0, 0, 1]))
    run.anew(0.1).begin()
    assert run.penalty.strength == found


def test_at_the_floor_nothing_goes_any_more_and_the_penalty_ends():
    run = Run(floor=0.6)
    run.arch.logits["a"].data[0, 0] = -5
    run.epoch()
    assert (run.pruning.finished, run.penalty.strength) == (True, 0)
    run.arch.logits["a"].data[1, 0] = -5
    run.epoch()
    assert run.pruning.describe()["options"] == 3


def test_outside_the_search_nothing_goes():
    run = Run(floor=0.1)
    run.state.epoch = 5
    run.arch.logits["a"].data[0, 0] = -5
    run.epoch("fine-tune")
    assert run.pruning.describe()["options"] == 4


def test_a_genotype_has_no_option_that_is_gone_but_where_a_node_has_no_other():
    model = create_model("s2", num_classes=2, channels=4, cells=3, relaxation="sigmoid")
    with torch.no_grad():
        model.arch.logits["normal"][TARGETS == 5] -= 10_000
        model.arch.logits["normal"][9, 1] += 10_000
        weights = model.arch()
    found = discretize_gates(weights, model_table(), above=0.0)
    assert found.normal[3] == (("sep_conv_3x3", 0),)
    assert [len(node) for node in found.normal] == [2, 2, 2, 1]


def model_table():
    return cell_config(data="", out="", space="s2").table


def test_a_search_that_prunes_goes_on_to_the_bit(patches, tmp_path):
    options = {"space": "s2", "method": "gold-nas", "channels": 4, "cells": 3, "side": 8, "shift": 1, "images": 12}
    options |= {"epochs": 3, "batch": 6, "arch_lr": 100.0, "eigenvalue_every": 0, "val_every": 9, "device": "cpu"}
    options |= {"threads": 1, "checkpoint_minutes": 0, "pruning_floor": 0.4}
    whole = wholenet.fit(patches, tmp_path / "whole", **options)
    stop_after(5, lambda: wholenet.fit(patches, tmp_path / "stopped", **options))
    resumed = wholenet.resume(tmp_path / "stopped")
    assert resumed.genotype == whole.genotype
    one, two = records(tmp_path / "whole"), records(tmp_path / "stopped")
    for name in ("options", "options_cost", "pruning_strength", "loss", "arch_loss"):
        assert [record[name] for record in one] == [record[name] for record in two]
    assert one[0]["options"] == 56
    assert one[-1]["options"] < 56
    saved = [torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("whole", "stopped")]
    assert all(torch.equal(value, saved[1]["model"][name]) for name, value in saved[0]["model"].items())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"relaxation": "softmax", "regularizer": "none"}, "goes with relaxation='sigmoid', not 'softmax'"),
        ({"edge_weights": True}, "goes with edge_weights=False"),
        ({"architecture": "uniform"}, "goes with architecture='learned'"),
        ({"selection": "perturbation"}, "give selection='survivors'"),
        ({"pruning": "none"}, "selection='survivors' keeps what pruning leaves"),
        ({"space": "dots"}, "does not go with space 'dots'"),
    ],
)
def test_what_cannot_carry_it_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        cell_config("gold-nas", data="", out="", **given)


def test_on_nas_bench_201_gates_into_a_node_share_and_an_edge_without_any_has_none():
    net = create_model("nb201", num_classes=2, channels=4, cells=3).net
    assert net.nodes["cell"].tolist() == [1, 2, 2, 3, 3, 3]
    weights = {"cell": torch.zeros(6, 5)}
    weights["cell"][0, 3], weights["cell"][2, 1], weights["cell"][4, 2] = 0.2, 0.1, 0.3
    found = discretized(weights, cell_config("gold-nas", data="", out="", space="nb201", cells=3))
    assert str(found) == "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|"


def test_the_floor_is_that_of_its_code_as_a_share_of_what_options_cost():
    """240 M of 779.472448, of which 166.018624 are of no option."""
    prunable, fixed = 613_453_824, 166_018_624
    assert prunable + fixed == 779_472_448
    exact = (240e6 - fixed) / prunable
    assert round(exact, 4) == 0.1206
    assert cell_config("gold-nas", data="", out="", space="s2").pruning_floor == round(exact, 2) == 0.12


@pytest.mark.parametrize(
    ("share", "gone"),
    [(0.01 * (1 - 1e-9), 6), (0.01 * (1 + 1e-9), 4), (0.05 * (1 - 1e-9), 4), (0.05 * (1 + 1e-9), 0)],
)
def test_all_shares_up_to_a_hundredth_go_and_four_up_to_a_twentieth(share, gone):
    arch, penalty = gated(torch.tensor([[1 - share, share]] * 6, dtype=torch.float64).logit())
    assert prune(arch, penalty) == gone
