"""DOTS: pairs of edges, temperatures, counts and decoding, against the release's numbers and brute force."""

import itertools
import math

import pytest
import torch

from wholenet.architecture import mean_entry_entropy
from wholenet.ops.forms import plain_form
from wholenet.search.cell_config import cell_config
from wholenet.search.cell_parts import schedule_of
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_tables import INPUTS, NODES, PAIRS, TABLES, TYPES
from wholenet.spaces.darts import DartsNet
from wholenet.spaces.dots.decoding import discretize_stage
from wholenet.spaces.dots.network import DotsNet
from wholenet.spaces.dots.pairs import edge_weights, incidence, pair_mask, pairs, temperature, tempered
from wholenet.spaces.dots.survivors import FREE, PARAMETRIC, survivors_of, survivors_table, table_of_stage

SURVIVORS = " ".join(f"{FREE[i % 4]}:{PARAMETRIC[i // 2 % 4]}" for i in range(28))


def of_node(node, logits, t):
    """[4, 10]: the softmax of ``logits`` at temperature ``t`` for a node, uniform ones elsewhere."""
    found = pair_mask().double() / pair_mask().sum(-1, keepdim=True)
    found[node, : len(logits)] = (torch.tensor(logits, dtype=torch.float64) / t).softmax(-1)
    return found


def into(weights, node):
    start = sum(INPUTS + n for n in range(node))
    return weights[start : start + INPUTS + node]


def test_pairs_come_by_their_first_and_then_by_their_second_edge():
    assert pairs(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert pair_mask().sum(-1).tolist() == [1, 3, 6, 10]


# Edge weights of a node with four edges whose pairs have the logits sin(0), ..., sin(5), from the release.
@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (1.0, (0.743283, 0.335716, 0.493781, 0.427220)),
        (10.0, (0.527607, 0.487550, 0.499027, 0.485816)),
        (0.02, (1.0, 0.0, 0.032568, 0.967432)),
    ],
)
def test_edges_count_what_their_pairs_do(t, expected):
    at_one = of_node(2, [math.sin(i) for i in range(6)], 1.0)
    found = edge_weights(tempered(at_one, t))
    assert into(found, 2).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("t", [0.02, 1.0, 10.0])
def test_the_edges_into_a_node_sum_to_two_and_are_the_product_with_the_incidence_matrix(t):
    logits = torch.randn(NODES, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = tempered(logits.masked_fill(~pair_mask(), -torch.inf).softmax(-1), t)
    found = edge_weights(weights)
    for node in range(NODES):
        n = INPUTS + node
        torch.testing.assert_close(into(found, node).sum().item(), 2.0)
        row = weights[node].tolist()
        by_hand = [sum(row[i] for i, pair in enumerate(pairs(n)) if edge in pair) for edge in range(n)]
        assert into(found, node).tolist() == pytest.approx(by_hand)
        assert incidence(n).sum(1).tolist() == [2] * len(pairs(n))
    uniform = edge_weights(pair_mask() / pair_mask().sum(-1, keepdim=True))
    assert [into(uniform, node)[0].item() for node in range(NODES)] == pytest.approx([2 / n for n in (2, 3, 4, 5)])


def test_a_sharpened_softmax_is_that_of_the_logits_and_so_is_its_gradient():
    logits = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    for t in (0.3, 10.0):
        results = []
        for made in (tempered(logits.softmax(-1), t), (logits / t).softmax(-1)):
            results.append((made, torch.autograd.grad((made * torch.arange(6)).sum(), logits)[0]))
        torch.testing.assert_close(*results)


def test_zeros_stay_zero_and_have_no_gradient():
    weights = torch.tensor([[0.25, 0.75, 0.0]], requires_grad=True)
    made = tempered(weights, 10.0)
    assert made[0, 2] == 0
    (gradient,) = torch.autograd.grad(made[0, 0], weights)
    assert gradient.isfinite().all()
    assert gradient[0, 2] == 0


def test_temperatures_fall_from_ten_to_a_fiftieth():
    expected = {0: 1.0, 49: 1.0, 50: 10.0, 51: 7.210227, 60: 0.379743, 69: 0.02}
    assert {epoch: temperature(epoch, 50, 70) for epoch in expected} == pytest.approx(expected, abs=1e-6)
    assert temperature(3, 3, 4) == 10


def test_entropy_at_the_start_is_that_of_groups_of_four():
    model = create_model("dots", num_classes=2, channels=4, cells=3)
    model.arch.set_uniform()
    assert model.arch.mask("normal").shape == (14, 2, 4)
    found = mean_entry_entropy(model.arch()["normal"], model.arch.mask("normal"))
    assert found.item() == pytest.approx(math.log(4) / 4, abs=1e-6)  # 0.346574, where one softmax has ln 8 / 8
    second = create_model("dots", num_classes=2, channels=4, cells=3, survivors=SURVIVORS)
    second.arch.set_uniform()
    found = mean_entry_entropy(second.arch()["normal_pairs"], second.arch.mask("normal_pairs"))
    assert found.item() == pytest.approx((math.log(3) + math.log(6) + math.log(10)) / 40, abs=1e-6)  # 0.129824


def test_the_first_supernet_has_the_parameters_of_the_release():
    with torch.device("meta"):
        net = DotsNet(10)
    assert sum(p.numel() for p in net.parameters()) == 1_931_130


def test_one_cosine_of_the_rate_spans_both_searches():
    first = cell_config("darts", data="", out="", space="dots")
    second = first.topology
    rates = [schedule_of(config, 5).rate(epoch) for config in (first, second) for epoch in range(config.epochs)]
    expected = [0.001 + 0.024 * (1 + math.cos(math.pi * epoch / 70)) / 2 for epoch in range(70)]
    assert rates == pytest.approx(expected)
    assert (rates[30], rates[69]) == pytest.approx((0.0156703, 0.0010121), abs=1e-7)


# ---- networks


def second_stage(**options):
    torch.manual_seed(0)
    return DotsNet(3, SURVIVORS, channels=4, cells=3, **options).double()


def random_weights(net, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(mask.shape, dtype=torch.float64, generator=generator)
        .masked_fill(~mask, -torch.inf)
        .softmax(-1)
        .requires_grad_()
        for name, mask in net.masks.items()
    }


@pytest.mark.parametrize("survivors", ["", SURVIVORS])
def test_the_fast_form_is_the_plain_one(survivors):
    torch.manual_seed(0)
    net = DotsNet(3, survivors, channels=4, cells=3).double()
    net.temperature = 5000.0
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    found = []
    for plain in (True, False):
        weights = random_weights(net)
        with plain_form(net, plain=plain):
            out = net(x, weights)
            found.append((out, *torch.autograd.grad(out.square().sum(), list(weights.values()))))
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-8, atol=1e-10)


def test_a_decided_second_supernet_computes_what_is_decoded():
    net, generator = second_stage(affine=True), torch.Generator().manual_seed(3)
    table = table_of_stage(SURVIVORS)
    weights = {}
    for name, mask in net.masks.items():
        chosen = (torch.rand(mask.shape, generator=generator) * mask).argmax(-1)
        if not name.endswith("_pairs"):  # of an edge with `none`, the other one
            other = torch.tensor(["none" in edge.operations for edge in table[name]])
            chosen = torch.where(other, 1, chosen)
        weights[name] = torch.nn.functional.one_hot(chosen, mask.shape[-1]).double()
    genotype = discretize_stage(weights, table)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    options = net.option_weights(weights)
    for kind in TYPES:
        kept = {(e.source, e.target): e.operations[0] for e in genotype.table()[kind]}
        for edge, row in zip(table[kind], options[kind], strict=True):
            assert row.tolist() == [float(kept.get((edge.source, edge.target)) == name) for name in edge.operations]
    assert net(x, weights).isfinite().all()


# ---- what is left


def test_groups_come_in_the_order_of_the_table():
    assert {edge.operations for kind in TYPES for edge in TABLES["darts"][kind]} == {FREE + PARAMETRIC}


def test_survivors_are_the_strongest_of_each_group_and_ties_are_the_first():
    generator = torch.Generator().manual_seed(4)
    weights = {kind: torch.rand(14, 2, 4, generator=generator) for kind in TYPES}
    table = survivors_table(survivors_of(weights))
    for kind, (i, edge) in itertools.product(TYPES, enumerate(PAIRS)):
        assert (table[kind][i].source, table[kind][i].target) == edge
        best = weights[kind][i].argmax(-1).tolist()
        assert table[kind][i].operations == (FREE[best[0]], PARAMETRIC[best[1]])
    zeros = {kind: torch.zeros(14, 2, 4) for kind in TYPES}
    assert {e.operations for e in survivors_table(survivors_of(zeros))["reduce"]} == {(FREE[0], PARAMETRIC[0])}


def test_the_strongest_pair_stays_with_the_stronger_operation_of_its_edges_but_none():
    table = table_of_stage(SURVIVORS)
    net = second_stage()
    weights = {name: w.detach() for name, w in random_weights(net, 5).items()}
    found = discretize_stage(weights, table)
    for kind, node in itertools.product(TYPES, range(NODES)):
        best = int(weights[f"{kind}_pairs"][node].argmax())
        choices = getattr(found, kind)[node]
        assert tuple(source for _, source in choices) == pairs(INPUTS + node)[best]
        for name, source in choices:
            place = PAIRS.index((source, INPUTS + node))
            offered = table[kind][place].operations
            rest = [w for w, n in zip(weights[kind][place].tolist(), offered, strict=True) if n != "none"]
            assert weights[kind][place][offered.index(name)] == max(rest)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("none:sep_conv_3x3", "expected 28 pairs of operations, found 1"),
        (SURVIVORS.replace("none:sep_conv_3x3", "none:sep_conv"), "'none:sep_conv'; expected one of none, max_pool"),
    ],
)
def test_what_is_no_line_of_survivors_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        create_model("dots", num_classes=2, survivors=text)


@pytest.mark.parametrize(
    "given",
    [
        {"method": "pc-darts"},
        {"method": "darts-pt"},
        {"method": "random-ws"},
        {"method": "fair-darts"},
        {"method": "single-stage"},
        {"method": "r-darts-l2"},
        {"method": "darts-es"},
    ],
)
def test_methods_that_choose_otherwise_are_refused(given):
    with pytest.raises(ValueError, match=r"space 'dots'.* method 'darts'"):
        cell_config(given["method"], data="", out="", space="dots")


def test_other_networks_have_no_survivors():
    assert isinstance(create_model("darts", num_classes=2, channels=4, cells=3).net, DartsNet)
    with pytest.raises(ValueError, match="survivors and epochs_before are of space 'dots'"):
        cell_config("darts", data="", out="", survivors=SURVIVORS)
