"""Random search with weight sharing: what is drawn, what the supernet makes of it, and what is taken."""

from collections import Counter

import pytest
import torch

from wholenet.search.random_search import ROUND_TWO, best_of_random, random_genotype, weights_of
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_tables import INPUTS, NODES, TABLES, TYPES
from wholenet.spaces.darts_genotype import check_in_space, discretize

LIKE = torch.zeros((), dtype=torch.float64)


def drawn(space, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [random_genotype(TABLES[space], generator) for _ in range(count)]


@pytest.mark.parametrize("space", TABLES)
def test_what_is_drawn_lies_in_its_space_and_each_node_reads_two(space):
    for genotype in drawn(space, 50):
        check_in_space(genotype, space)
        for kind in TYPES:
            for node in getattr(genotype, kind):
                assert len({source for _, source in node}) == len(node) == 2


@pytest.mark.parametrize("space", ["s1", "s3", "s4", "darts"])
def test_all_edges_and_all_their_operations_are_drawn_equally_often(space):
    """Within five standard deviations; ``none`` and ``noise`` among them."""
    draws = 600
    found = Counter(
        (kind, edge.source, edge.target, edge.operations[0])
        for genotype in drawn(space, draws)
        for kind in TYPES
        for edge in genotype.table()[kind]
    )
    offered = [(kind, e.source, e.target, name) for kind in TYPES for e in TABLES[space][kind] for name in e.operations]
    for kind, source, target, name in offered:
        options = next(e.operations for e in TABLES[space][kind] if (e.source, e.target) == (source, target))
        share = 2 / target / len(options)
        count = found[kind, source, target, name]
        assert abs(count - share * draws) < 5 * (draws * share * (1 - share)) ** 0.5
    assert set(found) == set(offered)


def test_the_generator_decides_what_is_drawn():
    assert drawn("darts", 3) == drawn("darts", 3)
    assert drawn("darts", 3) != drawn("darts", 3, seed=1)
    assert drawn("s2", 1)[0].normal != drawn("s2", 1)[0].reduce


@pytest.mark.parametrize("space", TABLES)
def test_weights_are_one_where_the_genotype_has_an_operation_and_zero_elsewhere(space):
    for genotype in drawn(space, 10):
        weights = weights_of(genotype, TABLES[space], LIKE)
        assert weights.keys() == set(TYPES)
        for kind, w in weights.items():
            assert w.dtype == LIKE.dtype
            assert set(w.unique().tolist()) == {0.0, 1.0}
            ones = [
                (edge.operations[j], edge.source, edge.target)
                for i, edge in enumerate(TABLES[space][kind])
                for j in w[i].nonzero().flatten().tolist()
            ]
            chosen = enumerate(getattr(genotype, kind), INPUTS)
            assert sorted(ones) == sorted((name, source, target) for target, node in chosen for name, source in node)
            assert (w.sum(-1) <= 1).all()


@pytest.mark.parametrize("space", ["s1", "s2", "s4"])
def test_discretizing_these_weights_gives_the_genotype_back(space):
    for genotype in drawn(space, 10):
        found = discretize(weights_of(genotype, TABLES[space], LIKE), TABLES[space])
        for kind in TYPES:
            assert [set(node) for node in getattr(found, kind)] == [set(node) for node in getattr(genotype, kind)]


def test_the_supernet_at_these_weights_is_the_discrete_network():
    torch.manual_seed(0)
    supernet = create_model("s2", num_classes=3, channels=4, cells=4).double().eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    outputs = []
    for genotype in drawn("s2", 3):
        discrete = create_model("s2", num_classes=3, channels=4, cells=4, genotype=genotype).double().eval()
        found = discrete.net.load_state_dict(supernet.net.state_dict(), strict=False)
        assert all(key.endswith(("weight", "bias")) for key in found.missing_keys)  # affine maps: one and zero
        with torch.no_grad():
            outputs.append(supernet.net(x, weights_of(genotype, TABLES["s2"], x)))
            torch.testing.assert_close(outputs[-1], discrete(x))
    assert not torch.allclose(outputs[0], outputs[1])


def test_the_best_by_the_full_score_of_the_ten_best_by_the_quick_one_is_taken():
    samples = 60
    for seed in range(5):
        genotypes = drawn("darts", samples, seed)
        scores = torch.rand(2, samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        quick, full = (dict(zip(genotypes, row.tolist(), strict=True)) for row in scores)
        asked = []

        def full_score(genotype, asked=asked, full=full):
            asked.append(genotype)
            return full[genotype]

        best, value = best_of_random(TABLES["darts"], samples, quick.__getitem__, full_score, seed)
        ten = sorted(genotypes, key=lambda g: quick[g])[-ROUND_TWO:]
        assert len(asked) == ROUND_TWO == 10
        assert set(asked) == set(ten)
        assert value == full[best] == max(full[g] for g in ten)


def test_fewer_samples_than_ten_are_all_scored_again():
    scores = {genotype: float(i) for i, genotype in enumerate(drawn("s2", 4, seed=7))}
    best, value = best_of_random(TABLES["s2"], 4, lambda g: -scores[g], scores.__getitem__, 7)
    assert (scores[best], value) == (3.0, 3.0)
    assert len(best.normal) == NODES
