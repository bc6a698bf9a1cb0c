"""The cell spaces: tables, counts to the last digit, and what the operations do."""

import itertools

import pytest
import torch

from wholenet.ops.candidates import CANDIDATES, FactorizedReduce, drop_path
from wholenet.spaces.darts import INPUTS, NODES, SPACES, CellEdge, DartsNet, masks, reductions
from wholenet.spaces.darts_genotype import PUBLISHED, CellGenotype, discretize
from wholenet.spaces.sizes import CELL_SPACES


def count(module):
    return sum(p.numel() for p in module.parameters())


def meta(*args, **options):
    with torch.device("meta"):
        return DartsNet(*args, **options)


# Trainable scalars of the authors' models, architecture parameters not included (code of RobustDARTS and DARTS).
@pytest.mark.parametrize(("classes", "parameters"), [(10, 1_930_618), (100, 1_953_748)])
def test_the_darts_supernet_has_the_parameters_of_the_original(classes, parameters):
    net = meta(SPACES["darts"], classes)
    assert count(net) == parameters
    assert [count(cell) for cell in net.cells] == [45888, 46144, 144000, 137856, 139904, 484608, 460032, 468224]
    assert (count(net.stem), count(net.classify)) == (1392, 257 * classes)


@pytest.mark.parametrize(
    ("name", "channels", "cells", "classes", "without", "with_it"),
    [
        ("darts-v1", 36, 20, 10, 3_169_414, 3_645_840),
        ("darts-v1", 36, 20, 100, 3_221_344, 3_766_980),
        ("darts-v2", 36, 20, 10, 3_349_342, 3_825_768),
        ("darts-v2", 36, 20, 100, 3_401_272, 3_946_908),
        ("darts-v1", 16, 8, 10, 232_890, 668_356),
        ("darts-v2", 16, 8, 10, 246_106, 681_572),
    ],
)
def test_the_published_networks_have_the_parameters_of_the_originals(name, channels, cells, classes, without, with_it):
    table = PUBLISHED[name].table()
    shape = {"channels": channels, "cells": cells, "search": False}
    assert count(meta(table, classes, **shape)) == without
    assert count(meta(table, classes, **shape, auxiliary=True)) == with_it


def test_the_command_line_knows_every_cell_space():
    assert tuple(SPACES) == CELL_SPACES


@pytest.mark.parametrize(("name", "options"), [("darts", 8), ("s1", 2), ("s2", 2), ("s3", 3), ("s4", 2)])
def test_every_space_chooses_on_fourteen_edges_of_both_cells(name, options):
    found = masks(SPACES[name])
    assert {kind: tuple(mask.shape) for kind, mask in found.items()} == {k: (14, options) for k in ("normal", "reduce")}
    assert all(mask.all() for mask in found.values())
    for edges in SPACES[name].values():
        pairs = [(edge.source, edge.target) for edge in edges]
        assert pairs == [(s, t) for t in range(INPUTS, INPUTS + NODES) for s in range(t)]
        assert all(operation in CANDIDATES for edge in edges for operation in edge.operations)


def test_s1_is_a_part_of_the_darts_space():
    whole = set(SPACES["darts"]["normal"][0].operations)
    assert all(set(edge.operations) < whole for edges in SPACES["s1"].values() for edge in edges)
    assert SPACES["s1"]["normal"][12].operations == ("dil_conv_3x3", "dil_conv_5x5")
    assert SPACES["s1"]["reduce"][6].operations == ("max_pool_3x3", "sep_conv_3x3")


def random_weights(space, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return {
        kind: torch.randn(mask.shape, generator=generator, dtype=dtype).softmax(-1)
        for kind, mask in masks(SPACES[space]).items()
    }


@pytest.mark.parametrize("name", SPACES)
def test_every_supernet_answers_and_gives_every_weight_that_counts_a_gradient(name):
    torch.manual_seed(0)
    net = DartsNet(SPACES[name], 5, channels=4, cells=3).double()
    weights = {kind: w.requires_grad_() for kind, w in random_weights(name).items()}
    out = net(torch.randn(3, 3, 16, 16, dtype=torch.float64), weights)
    assert out.shape == (3, 5)
    out.square().sum().backward()
    for kind, edges in SPACES[name].items():
        for edge, row in zip(edges, weights[kind].grad, strict=True):
            assert [g != 0 for g in row] == [operation != "none" for operation in edge.operations]


def test_reductions_halve_and_double():
    net = DartsNet(SPACES["s2"], 10, channels=4, cells=8)
    shapes = []
    for cell in net.cells:
        cell.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    net(torch.zeros(2, 3, 32, 32), random_weights("s2", dtype=torch.float32))
    channels = [16, 16, 32, 32, 32, 64, 64, 64]
    sides = [32, 32, 16, 16, 16, 8, 8, 8]
    assert shapes == [(c, s, s) for c, s in zip(channels, sides, strict=True)]
    assert (reductions(8), reductions(20)) == ((2, 5), (6, 13))
    with pytest.raises(ValueError, match="at least 3"):
        DartsNet(SPACES["s2"], 10, cells=2)


def test_batchnorm_has_an_affine_map_in_the_stem_and_in_discrete_networks_alone():
    norms = {name: m.affine for name, m in meta(SPACES["darts"], 10).named_modules() if hasattr(m, "affine")}
    assert {name for name, affine in norms.items() if affine} == {"stem.1"}
    discrete = meta(PUBLISHED["darts-v1"].table(), 10, search=False)
    assert all(m.affine for m in discrete.modules() if hasattr(m, "affine"))


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize(("stride", "search"), list(itertools.product((1, 2), (True, False))))
def test_operations_keep_channels_and_divide_the_size_by_their_stride(name, stride, search):
    operation = CANDIDATES[name](4, stride, search)
    assert operation(torch.randn(2, 4, 8, 6)).shape == (2, 4, 8 // stride, 6 // stride)


def test_pooling_leaves_out_what_lies_beside_the_image_and_is_normalised_in_the_search():
    x = torch.ones(1, 2, 4, 4)
    assert torch.equal(CANDIDATES["avg_pool_3x3"](2, 1, False)(x), x)
    search = CANDIDATES["max_pool_3x3"](2, 1, True)(torch.randn(8, 2, 6, 6))
    assert search.mean().abs() < 1e-6


def test_noise_ignores_its_input_and_zero_is_zero():
    x = torch.full((200, 4, 8, 8), 7.0)
    noise = CANDIDATES["noise"](4, 2, True).eval()
    first, second = noise(x), noise(x)
    assert not torch.equal(first, second)
    assert first.mean().abs() < 0.05
    assert abs(first.std() - 1) < 0.05
    assert not CANDIDATES["none"](4, 2, True)(x).any()


def test_a_factorized_reduction_looks_at_even_and_odd_pixels():
    reduce = FactorizedReduce(1, 2, affine=True).eval()
    for conv in (reduce.even, reduce.odd):
        torch.nn.init.ones_(conv.weight)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    out = reduce(x)[0] * (1 + reduce.norm.eps) ** 0.5
    torch.testing.assert_close(out[0], x[0, 0, ::2, ::2])
    torch.testing.assert_close(out[1], x[0, 0, 1::2, 1::2])


def test_paths_drop_by_sample_and_keep_the_mean():
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 3, 3)
    out = drop_path(x, 0.3)
    values = out.flatten(1)
    assert (values == values[:, :1]).all()
    torch.testing.assert_close(values[:, 0].unique(), torch.tensor([0.0, 1 / 0.7]))
    assert out.mean() == pytest.approx(1, abs=0.03)
    assert drop_path(x, 0) is x
    net = DartsNet(SPACES["s2"], 3, channels=4, cells=3).double()
    net.drop_path = 0.5
    batch, weights = torch.randn(4, 3, 16, 16, dtype=torch.float64), random_weights("s2")
    assert not torch.equal(net(batch, weights), net(batch, weights))
    assert torch.equal(net.eval()(batch, weights), net(batch, weights))


def test_one_hot_weights_are_the_operations_alone():
    torch.manual_seed(0)
    net = DartsNet(SPACES["s2"], 3, channels=4, cells=4).double().eval()
    convolutions = torch.tensor([[0.0, 1.0]], dtype=torch.float64).repeat(14, 1)
    convolutions[0] = torch.tensor([1.0, 0.0])  # node 0 to node 2: skip
    stem = net.stem(torch.randn(2, 3, 16, 16, dtype=torch.float64))
    cell = net.cells[0]
    first, second = cell.first(stem), cell.second(stem)
    node = first + cell.mixtures["1_2"].operations["sep_conv_3x3"](second)
    assert net.kinds == ["normal", "reduce", "reduce", "normal"]
    torch.testing.assert_close(cell(stem, stem, convolutions, 0.0)[:, :4], node)


def test_discretization_by_brute_force():
    """Every pair of edges and every operation tried: none is stronger than what the rule takes."""
    for seed in range(20):
        for space in ("darts", "s3", "s1"):
            weights = random_weights(space, seed)
            genotype = discretize(weights, SPACES[space])
            for kind, edges in SPACES[space].items():
                found = list(zip(getattr(genotype, kind), [2, 2, 3, 3, 4, 4, 5, 5], strict=True))
                for target in range(2, 6):
                    strength = {
                        (name, edge.source): weights[kind][i, j].item()
                        for i, edge in enumerate(edges)
                        if edge.target == target
                        for j, name in enumerate(edge.operations)
                        if name != "none"
                    }
                    best = max(
                        (pair for pair in itertools.combinations(strength, 2) if pair[0][1] != pair[1][1]),
                        key=lambda pair: sorted([strength[pair[0]], strength[pair[1]]], reverse=True),
                    )
                    chosen = [choice for choice, node in found if node == target]
                    assert set(chosen) == set(best)
                    assert strength[chosen[0]] >= strength[chosen[1]]


def test_discretization_never_takes_none_may_take_noise_and_prefers_the_earlier_of_equals():
    equal = {kind: torch.full((14, 3), 1 / 3) for kind in ("normal", "reduce")}
    genotype = discretize(equal, SPACES["s3"])
    assert genotype.normal == tuple(("skip_connect", source) for _ in range(4) for source in (0, 1))
    heavy = {kind: torch.tensor([[0.98, 0.01, 0.01]] * 14) for kind in ("normal", "reduce")}
    assert {name for name, _ in discretize(heavy, SPACES["s3"]).reduce} == {"skip_connect"}
    noisy = {kind: torch.tensor([[0.9, 0.1]] * 14) for kind in ("normal", "reduce")}
    assert {name for name, _ in discretize(noisy, SPACES["s4"]).normal} == {"noise"}


def test_what_is_no_cell_is_refused():
    good = PUBLISHED["darts-v2"]
    with pytest.raises(ValueError, match="normal cell has 7 edges"):
        CellGenotype(good.normal[:-1], good.reduce)
    with pytest.raises(ValueError, match="reduce cell's node 2 reads node 2; it can read 0 to 1"):
        CellGenotype(good.normal, (("skip_connect", 2), *good.reduce[1:]))
    assert good.table()["normal"][0] == CellEdge(0, 2, ("sep_conv_3x3",))
