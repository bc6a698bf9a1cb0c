"""Selection by what a removal costs, on toy scores whose best answer is known."""

import itertools

import pytest
import torch

from wholenet.search.perturbation_selection import Left, select
from wholenet.spaces.cell_tables import INPUTS, NODES, PAIRS, TABLES, TYPES, edges
from wholenet.spaces.darts import masks

NOTHING = {"tune": lambda _left: None}


def utilities(table, seed):
    generator = torch.Generator().manual_seed(seed)
    return {kind: torch.randn(mask.shape, generator=generator) for kind, mask in masks(table).items()}


def additive(utility):
    """The sum of the utilities of what is left."""
    return lambda left: sum(utility[kind][mask].sum().item() for kind, mask in left.options.items())


@pytest.mark.parametrize("space", ["s1", "s2", "s3", "darts"])
def test_with_additive_utilities_it_finds_the_best_of_all_pairs_of_edges_and_operations(space):
    table = TABLES[space]
    for seed in range(3):
        utility = utilities(table, seed)
        genotype = select(table, additive(utility), seed=seed, **NOTHING)
        for kind, target in itertools.product(TYPES, range(INPUTS, INPUTS + NODES)):
            into = [
                (utility[kind][i, j].item(), (name, edge.source))
                for i, edge in enumerate(table[kind])
                if edge.target == target
                for j, name in enumerate(edge.operations)
                if name != "none"
            ]
            pairs = [pair for pair in itertools.combinations(into, 2) if pair[0][1][1] != pair[1][1][1]]
            best = max(pairs, key=lambda pair: pair[0][0] + pair[1][0])
            assert set(getattr(genotype, kind)[target - INPUTS]) == {choice for _, choice in best}


@pytest.mark.parametrize("useful", [3, 4, 7])
def test_the_only_useful_operation_is_taken_whatever_the_weights_say(useful):
    """The supernet counts what its useful operation gets, and its weights favour another."""
    table = TABLES["darts"]
    weights = {kind: torch.full((14, 8), 0.01).index_fill(1, torch.tensor([1]), 0.93) for kind in TYPES}

    def score(left):
        return sum(w[:, useful].sum().item() for w in left.weights(weights).values())

    genotype = select(table, score, seed=0, **NOTHING)
    name = table["normal"][0].operations[useful]
    assert [dict(genotype.operations(kind)) for kind in TYPES] == [{name: 8}, {name: 8}]


def test_none_is_never_left_to_be_selected():
    table = TABLES["s3"]
    utility = {kind: u.index_fill(1, torch.tensor([0]), 100.0) for kind, u in utilities(table, 0).items()}
    seen = []

    def score(left):
        seen.append(any(mask[:, 0].any() for mask in left.options.values()))
        return additive(utility)(left)

    genotype = select(table, score, seed=0, **NOTHING)
    assert not any(seen)
    assert all("none" not in genotype.operations(kind) for kind in TYPES)


def mixed_table():
    """Every third edge has a choice; of one other, ``none`` is the alternative."""
    offered = [("skip_connect", "sep_conv_3x3") if i % 3 == 0 else ("none", "skip_connect") for i in range(len(PAIRS))]
    return {kind: edges(offered) for kind in TYPES}


def test_the_supernet_is_tuned_once_after_each_edge_that_had_a_choice():
    table, tuned, shown = mixed_table(), [], []

    def tune(left):
        tuned.append(left)

    select(table, additive(utilities(table, 0)), tune, 0, lambda done, total: shown.append((done, total)))
    choices = {(kind, i) for kind in TYPES for i in range(0, 14, 3)}
    assert len(tuned) == len(choices)
    assert shown == [(i + 1, 28) for i in range(28)]
    decided = [{(kind, i) for kind in TYPES for i in left.decided[kind].nonzero().flatten().tolist()} for left in tuned]
    assert all(len((now - before) & choices) == 1 for before, now in itertools.pairwise([set(), *decided]))
    for left, done in zip(tuned, decided, strict=True):
        assert all(left.options[kind][i].sum() == 1 for kind, i in done)
        assert all(left.options[kind][i].sum() == 2 for kind, i in choices - done)


def order_of(seed):
    decided = [set()]

    def tune(left):
        decided.append({(kind, i) for kind in TYPES for i in left.decided[kind].nonzero().flatten().tolist()})

    table = TABLES["s2"]
    select(table, additive(utilities(table, 0)), tune, seed)
    steps = [now - before for before, now in itertools.pairwise(decided)]
    assert all(len(step) == 1 for step in steps)
    return [next(iter(step)) for step in steps]


def test_the_order_of_the_edges_is_that_of_the_seed():
    first = order_of(0)
    assert sorted(first) == [(kind, i) for kind in TYPES for i in range(14)]
    assert order_of(0) == first
    assert order_of(1) != first


def test_edges_go_one_after_the_other_so_that_a_redundant_one_counts_once_its_twin_is_gone():
    """Into node 4, nodes 0 and 1 give the same; node 2 gives more than either, node 3 nothing."""
    table = TABLES["s2"]
    i0, i1, i2 = (PAIRS.index((source, 4)) for source in (0, 1, 2))

    def score(left):
        there = left.options["normal"].any(-1)
        return 5.0 * bool(there[i0] or there[i1]) + 6.0 * bool(there[i2])

    genotype = select(table, score, seed=0, **NOTHING)
    sources = {source for _, source in genotype.normal[2]}
    assert 2 in sources
    assert len(sources & {0, 1}) == 1


def test_weights_are_not_renormalised_where_an_option_is_gone_and_one_where_it_is_decided():
    table = TABLES["s3"]
    weights = {kind: torch.tensor([[0.5, 0.2, 0.3]]).repeat(14, 1) for kind in TYPES}
    weights["normal_edges"] = torch.rand(4, 5)
    left = Left.all_of(table)
    assert left.weights(weights)["normal"][0].tolist() == pytest.approx([0, 0.2, 0.3])
    left = left.without("normal", 3, 2).with_decided("normal", 5, 1).without("reduce", 7)
    found = left.weights(weights)
    assert found["normal"][3].tolist() == pytest.approx([0, 0.2, 0])
    assert found["normal"][5].tolist() == [0, 1, 0]
    assert found["reduce"][7].tolist() == [0, 0, 0]
    assert found["reduce"][5].tolist() == pytest.approx([0, 0.2, 0.3])
    assert found["normal_edges"] is weights["normal_edges"]
    assert not left.with_decided("reduce", 2, 1).without("reduce", 2).weights(weights)["reduce"][2].any()
    assert weights["normal"][3].tolist() == pytest.approx([0.5, 0.2, 0.3])


def test_what_is_left_does_not_change_under_those_who_hold_it():
    left = Left.all_of(TABLES["s2"])
    left.without("normal", 0, 0).with_decided("normal", 1, 1).without("reduce", 2)
    assert all(mask.all() for mask in left.options.values())
    assert not any(decided.any() for decided in left.decided.values())
