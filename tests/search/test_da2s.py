"""Discretization-aware architecture search: values of its code at the uniform start, and what it is made for."""

import math

import pytest
import torch

from wholenet.architecture import one_hot
from wholenet.cells.start import initial_search
from wholenet.discretization_aware import capped, sharpened
from wholenet.search.capped_edges import waiting
from wholenet.search.cell_config import cell_config
from wholenet.search.penalties import ScheduledEntropy
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.cell_tables import TABLES
from wholenet.spaces.darts_genotype import discretize, discretize_edges
from wholenet.spaces.space import Facts

SEVEN = "max_pool_3x3,avg_pool_3x3,skip_connect,sep_conv_3x3,sep_conv_5x5,dil_conv_3x3,dil_conv_5x5"


def config_of(**given):
    return cell_config("da2s", data="", out="", **{"space": "darts", "channels": 2, "cells": 3, **given})


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return initial_search(config_of(operations=SEVEN), 10, torch.device("cpu"))


@pytest.fixture
def arch(state):
    """As the search begins, without its noise."""
    found = state.model.arch.double()
    with torch.no_grad():
        for name, logits in found.logits.items():
            logits.zero_()
            if name in found.others:
                logits.add_(torch.tensor([0.0, 0.666, 0.5, 0.4])[:, None])
    return found


def test_logits_begin_where_two_edges_of_each_node_would_add_up(state):
    torch.manual_seed(0)
    begun = initial_search(config_of(operations=SEVEN), 10, torch.device("cpu")).model.arch
    for kind in ("normal", "reduce"):
        assert begun.logits[kind].std().item() == pytest.approx(1e-4, rel=0.3)
        edges = begun.logits[f"{kind}_edges"].detach()
        for node, value in enumerate((0.666, 0.5, 0.4), 1):
            torch.testing.assert_close(edges[node, : node + 2], torch.full((node + 2,), value), atol=5e-4, rtol=0)
    assert sum(p.numel() for p in begun.parameters() if p.ndim) == 28 * 7 + 2 * 20


def test_the_supernet_has_the_weights_of_the_original():
    settings = SPACES["darts"].settings(edge_weights=True, capped_edges=True, operations=SEVEN)
    with torch.device("meta"):
        net = SPACES["darts"].build(settings, Facts(channels=3, outputs=10), None)
    assert sum(p.numel() for p in net.parameters()) == 1_930_618


def test_the_terms_at_the_start(arch):
    operations, edges = ScheduledEntropy().terms(arch)
    assert operations.item() == pytest.approx(28 * math.log(7))
    assert operations.item() == pytest.approx(54.485484)
    assert edges.item() == pytest.approx(8.188689, abs=4e-6)


@pytest.mark.parametrize(
    ("t", "operations", "edges"), [(1, 0, 0), (8, 0, 0.467925), (9, 0.164968, 0.534772), (50, 5.482850, 3.275476)]
)
def test_the_weighted_terms_over_the_epochs(arch, t, operations, edges):
    penalty = ScheduledEntropy()
    arch.progress = (t - 1) / 49
    of_operations, of_edges = penalty.terms(arch)
    factor = penalty.magnitude * penalty.linear(penalty.time(arch.progress))
    found = factor * penalty.logarithmic(t) * of_operations.item(), 4 * factor * of_edges.item()
    assert found == pytest.approx((operations, edges), abs=2e-6)
    assert penalty(arch, 0.0).item() == pytest.approx(operations + edges, abs=2e-6)


def test_the_rise_of_the_first_term_is_a_logarithm():
    log = ScheduledEntropy().logarithmic
    assert [log(t) for t in (1, 7, 7.9, 8)] == [0, 0, 0, 0]
    assert log(50) == pytest.approx(1.006295, abs=1e-6)
    assert log(49) == 1


def test_the_second_term_is_smallest_at_two_edges_that_share():
    """Against a plain count, of logits above the cap, below zero and between."""
    torch.manual_seed(0)
    arch = initial_search(config_of(space="s2"), 2, torch.device("cpu")).model.arch.double()
    with torch.no_grad():
        for logits in arch.logits.values():
            logits.copy_(3 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1)))
    expected = 0.0
    for kind in ("normal", "reduce"):
        for node in (1, 2, 3):
            low = [min(value, 1.0) for value in arch.logits[f"{kind}_edges"][node, : node + 2].tolist()]
            whole = sum(math.exp(value) for value in low)
            expected -= sum(math.exp(value) / whole * math.log(math.exp(value) / whole) for value in low)
            expected += 0.2 * (sum(value for value in low if value > 0) - 2) ** 2
    assert ScheduledEntropy().terms(arch)[1].item() == pytest.approx(expected)
    with torch.no_grad():
        for name in arch.others:
            arch.logits[name].copy_(torch.tensor([9.0, 9.0, -99.0, -99.0, -99.0]))
    assert ScheduledEntropy().terms(arch)[1].item() == pytest.approx(6 * math.log(2))


def test_edges_that_win_share_and_no_edge_gets_all():
    ones = torch.ones(5, dtype=torch.bool)
    logits = torch.tensor([1e3, 1e3, -1e3, -1e3, -1e3])
    assert [capped(logits[:n], ones[:n])[:2].tolist() for n in (3, 4, 5)] == [[1.5, 1.5], [2, 2], [2.5, 2.5]]
    assert capped(torch.tensor([1.0, 50.0, 1.0]), ones[:3]).tolist() == pytest.approx([1, 1, 1])
    assert capped(torch.tensor([3.0, -5.0, 8.0]), torch.tensor([True, True, False])).tolist() == [1, 1, 0]


def test_what_falls_behind_falls_as_its_cube():
    logits = torch.tensor([-1.0, -0.5, 0.5], dtype=torch.float64)
    expected = torch.tensor([-8.0, -1.0, 1.0], dtype=torch.float64).softmax(-1)
    torch.testing.assert_close(sharpened(logits, torch.ones(3, dtype=torch.bool)), expected)


def test_edges_are_kept_by_their_weights_alone():
    """Where an edge is strong and its operations are undecided, strength and edges keep different ones."""
    table, masks = TABLES["s2"], {}
    for kind in ("normal", "reduce"):
        masks[kind] = one_hot(torch.ones(14, dtype=torch.long), torch.ones(14, 2, dtype=torch.bool))
        masks[kind][9:11] = torch.tensor([0.51, 0.49])
        masks[f"{kind}_edges"] = torch.zeros(4, 5)
        masks[f"{kind}_edges"][3] = torch.tensor([1.2, 1.1, 1.0, 0.9, 0.8])
    by_edges, by_strength = discretize_edges(masks, table), discretize(masks, table)
    assert by_edges.normal[3] == (("skip_connect", 0), ("skip_connect", 1))
    assert by_strength.normal[3] == (("sep_conv_3x3", 2), ("sep_conv_3x3", 3))
    assert by_edges.reduce[0] == (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))


def test_none_is_never_kept():
    assert "none" in TABLES["darts"]["normal"][0].operations
    weights = {kind: torch.eye(14, 8)[[0] * 14] for kind in ("normal", "reduce")}
    weights |= {f"{kind}_edges": torch.ones(4, 5) for kind in ("normal", "reduce")}
    found = discretize_edges(weights, TABLES["darts"])
    assert not found.operations("normal")["none"]


def test_operations_wait_for_a_seventh_of_the_search(arch):
    found = []
    for epoch in range(50):
        arch.progress = epoch / 49
        found.append(waiting(arch))
    assert found[:7] == [{"normal", "reduce"}] * 7
    assert found[7:] == [frozenset()] * 43


def test_what_waits_stays_while_its_momenta_follow():
    torch.manual_seed(0)
    state = initial_search(config_of(space="s2"), 2, torch.device("cpu"))
    arch, optimizer = state.model.arch, state.arch_optimizer
    arch.waiting = waiting(arch)
    before = {name: logits.clone() for name, logits in arch.logits.items()}
    gradient = [torch.ones_like(logits) for logits in arch.parameters()]
    for logits, g in zip(arch.parameters(), gradient, strict=True):
        logits.grad = g
    arch.moving(optimizer.step, gradient)
    moved = {name for name, logits in arch.logits.items() if not torch.equal(logits, before[name])}
    assert moved == {"normal_edges", "reduce_edges"}
    assert all(optimizer.state[logits]["exp_avg"].any() for logits in arch.parameters())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"space": "nb201", "cells": 3}, "keeps all of them"),
        ({"space": "dots"}, "does not go with space 'dots'"),
        ({"edge_weights": False}, "edge_weights=False gives them none"),
        ({"edge_weights": False, "capped_edges": False}, "selection='edges' is about weights of edges"),
        ({"relaxation": "softmax", "perturbation": "random"}, "do not; leave one of them out"),
        ({"relaxation": "sigmoid"}, "regularizer='scheduled-entropy' is on choices that sum to 1"),
    ],
)
def test_what_cannot_carry_it_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        config_of(**given)
