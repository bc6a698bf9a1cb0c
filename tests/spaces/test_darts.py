"""The cell spaces: counts to the last digit, and what the operations do; what the tables hold is in test_tables.py."""

import itertools

import pytest
import torch

from wholenet.ops.candidates import CANDIDATES, FactorizedReduce, drop_path
from wholenet.ops.layers import shuffle_channels
from wholenet.spaces.cell_space import CELL_SPACES
from wholenet.spaces.cell_tables import INPUTS, NODES, TABLES, CellEdge
from wholenet.spaces.darts import CellMixture, CellState, CellStyle, DartsNet, masks, option_weights, reductions
from wholenet.spaces.darts_genotype import (
    PUBLISHED,
    CellGenotype,
    discretize,
    discretize_gates,
    read_cell_genotype,
    write_cell_genotype,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


def meta(*args, **options):
    with torch.device("meta"):
        return DartsNet(*args, **options)


# Trainable scalars of the authors' models, architecture parameters not included (code of RobustDARTS and DARTS).
@pytest.mark.parametrize(("classes", "parameters"), [(10, 1_930_618), (100, 1_953_748)])
def test_the_darts_supernet_has_the_parameters_of_the_original(classes, parameters):
    net = meta(TABLES["darts"], classes)
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
    assert tuple(TABLES) == tuple(space.name for space in CELL_SPACES)


@pytest.mark.parametrize(("name", "options"), [("darts", 8), ("s1", 2), ("s2", 2), ("s3", 3), ("s4", 2)])
def test_every_space_chooses_on_fourteen_edges_of_both_cells(name, options):
    found = masks(TABLES[name])
    assert {kind: tuple(mask.shape) for kind, mask in found.items()} == {k: (14, options) for k in ("normal", "reduce")}
    assert all(mask.all() for mask in found.values())
    for edges in TABLES[name].values():
        pairs = [(edge.source, edge.target) for edge in edges]
        assert pairs == [(s, t) for t in range(INPUTS, INPUTS + NODES) for s in range(t)]
        assert all(operation in CANDIDATES for edge in edges for operation in edge.operations)


def random_weights(space, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return {
        kind: torch.randn(mask.shape, generator=generator, dtype=dtype).softmax(-1)
        for kind, mask in masks(TABLES[space]).items()
    }


@pytest.mark.parametrize("name", TABLES)
def test_every_supernet_answers_and_gives_every_weight_that_counts_a_gradient(name):
    torch.manual_seed(0)
    net = DartsNet(TABLES[name], 5, channels=4, cells=3).double()
    weights = {kind: w.requires_grad_() for kind, w in random_weights(name).items()}
    out = net(torch.randn(3, 3, 16, 16, dtype=torch.float64), weights)
    assert out.shape == (3, 5)
    out.square().sum().backward()
    for kind, edges in TABLES[name].items():
        for edge, row in zip(edges, weights[kind].grad, strict=True):
            assert [g != 0 for g in row] == [operation != "none" for operation in edge.operations]


def test_reductions_halve_and_double():
    net = DartsNet(TABLES["s2"], 10, channels=4, cells=8)
    shapes = []
    for cell in net.cells:
        cell.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    net(torch.zeros(2, 3, 32, 32), random_weights("s2", dtype=torch.float32))
    channels = [16, 16, 32, 32, 32, 64, 64, 64]
    sides = [32, 32, 16, 16, 16, 8, 8, 8]
    assert shapes == [(c, s, s) for c, s in zip(channels, sides, strict=True)]
    assert (reductions(8), reductions(20)) == ((2, 5), (6, 13))
    with pytest.raises(ValueError, match="at least 3"):
        DartsNet(TABLES["s2"], 10, cells=2)


def test_batchnorm_has_an_affine_map_in_the_stem_and_in_discrete_networks_alone():
    norms = {name: m.affine for name, m in meta(TABLES["darts"], 10).named_modules() if hasattr(m, "affine")}
    assert {name for name, affine in norms.items() if affine} == {"stem.1"}
    discrete = meta(PUBLISHED["darts-v1"].table(), 10, search=False)
    assert all(m.affine for m in discrete.modules() if hasattr(m, "affine"))


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize(("stride", "search"), list(itertools.product((1, 2), (True, False))))
def test_operations_keep_channels_and_divide_the_size_by_their_stride(name, stride, search):
    operation = CANDIDATES[name].make(4, stride, search, not search)
    assert operation(torch.randn(2, 4, 8, 6)).shape == (2, 4, 8 // stride, 6 // stride)


def test_pooling_leaves_out_what_lies_beside_the_image_and_is_normalised_in_the_search():
    x = torch.ones(1, 2, 4, 4)
    assert torch.equal(CANDIDATES["avg_pool_3x3"].make(2, 1, False, True)(x), x)
    search = CANDIDATES["max_pool_3x3"].make(2, 1, True, False)(torch.randn(8, 2, 6, 6))
    assert search.mean().abs() < 1e-6


def test_noise_ignores_its_input_and_zero_is_zero():
    x = torch.full((200, 4, 8, 8), 7.0)
    noise = CANDIDATES["noise"].make(4, 2, True, False).eval()
    first, second = noise(x), noise(x)
    assert not torch.equal(first, second)
    assert first.mean().abs() < 0.05
    assert abs(first.std() - 1) < 0.05
    assert not CANDIDATES["none"].make(4, 2, True, False)(x).any()


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
    net = DartsNet(TABLES["s2"], 3, channels=4, cells=3).double()
    net.state.drop_path = 0.5
    batch, weights = torch.randn(4, 3, 16, 16, dtype=torch.float64), random_weights("s2")
    assert not torch.equal(net(batch, weights), net(batch, weights))
    assert torch.equal(net.eval()(batch, weights), net(batch, weights))


def test_one_hot_weights_are_the_operations_alone():
    torch.manual_seed(0)
    net = DartsNet(TABLES["s2"], 3, channels=4, cells=4).double().eval()
    convolutions = torch.tensor([[0.0, 1.0]], dtype=torch.float64).repeat(14, 1)
    convolutions[0] = torch.tensor([1.0, 0.0])  # node 0 to node 2: skip
    stem = net.stem(torch.randn(2, 3, 16, 16, dtype=torch.float64))
    cell = net.cells[0]
    first, second = cell.first(stem), cell.second(stem)
    node = first + cell.mixtures["1_2"].operations["sep_conv_3x3"](second)
    assert net.kinds == ["normal", "reduce", "reduce", "normal"]
    torch.testing.assert_close(cell(stem, stem, convolutions, CellState())[:, :4], node)


def test_discretization_by_brute_force():
    """Every pair of edges and every operation tried: none is stronger than what the rule takes."""
    for seed in range(20):
        for space in ("darts", "s3", "s1"):
            weights = random_weights(space, seed)
            genotype = discretize(weights, TABLES[space])
            for kind, edges in TABLES[space].items():
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
                    chosen = getattr(genotype, kind)[target - INPUTS]
                    assert set(chosen) == set(best)
                    assert strength[chosen[0]] >= strength[chosen[1]]


def test_discretization_never_takes_none_may_take_noise_and_prefers_the_earlier_of_equals():
    equal = {kind: torch.full((14, 3), 1 / 3) for kind in ("normal", "reduce")}
    genotype = discretize(equal, TABLES["s3"])
    assert genotype.normal == ((("skip_connect", 0), ("skip_connect", 1)),) * 4
    heavy = {kind: torch.tensor([[0.98, 0.01, 0.01]] * 14) for kind in ("normal", "reduce")}
    assert set(discretize(heavy, TABLES["s3"]).operations("reduce")) == {"skip_connect"}
    noisy = {kind: torch.tensor([[0.9, 0.1]] * 14) for kind in ("normal", "reduce")}
    assert set(discretize(noisy, TABLES["s4"]).operations("normal")) == {"noise"}


def test_gates_above_the_threshold_stay_two_at_most_and_a_node_without_any_keeps_its_strongest():
    table = TABLES["s2"]
    gates = torch.full((14, 2), 0.5)
    gates[0, 1] = 0.9  # 0 -> 2
    gates[2:5, 0] = torch.tensor([0.86, 0.99, 0.87])  # all into 3
    gates[7, 0] = 0.85  # 2 -> 4: not above
    genotype = discretize_gates({"normal": gates, "reduce": gates}, table)
    assert genotype.normal[0] == (("sep_conv_3x3", 0),)
    assert genotype.normal[1] == (("skip_connect", 1), ("skip_connect", 2))
    assert genotype.normal[2] == (("skip_connect", 2),)
    assert genotype.normal[3] == (("skip_connect", 0),)
    net = DartsNet(genotype.table(), 3, channels=4, cells=3, search=False)
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 3)


def test_edge_weights_count_in_the_discretization_and_in_the_network():
    table = TABLES["s2"]
    found = masks(table, edge_weights=True)
    assert found["normal_edges"].sum(-1).tolist() == [2, 3, 4, 5]
    weights = {kind: torch.full((14, 2), 0.5) for kind in ("normal", "reduce")}
    edge_weights = {f"{kind}_edges": found[f"{kind}_edges"].double() for kind in ("normal", "reduce")}
    edge_weights["normal_edges"][3] = torch.tensor([0.1, 0.2, 0.3, 0.1, 0.3])
    rows = option_weights({**weights, **edge_weights}, "normal")
    assert rows[:9].eq(0.5).all()
    torch.testing.assert_close(rows[9:, 0], edge_weights["normal_edges"][3] / 2)
    genotype = discretize({**weights, **edge_weights}, table)
    assert [source for _, source in genotype.normal[3]] == [2, 4]
    assert [source for _, source in genotype.reduce[3]] == [0, 1]
    net = DartsNet(table, 3, channels=4, cells=3, edge_weights=True).double().eval()
    assert net.masks.keys() == found.keys()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    scaled = {kind: option_weights({**weights, **edge_weights}, kind).double() for kind in ("normal", "reduce")}
    torch.testing.assert_close(net(x, {**weights, **edge_weights}), net(x, scaled))


def test_partial_channels_of_a_cell_pass_by_what_does_not_go_through():
    torch.manual_seed(0)
    style = CellStyle(search=True, affine=False, groups=4)
    for stride in (1, 2):
        mixture = CellMixture(CellEdge(0, 2, ("skip_connect", "sep_conv_3x3")), 8, stride, style).double()
        x = torch.randn(2, 8, 6, 6, dtype=torch.float64)
        out = mixture(x, torch.tensor([0.4, 0.6], dtype=torch.float64), CellState())
        assert out.shape == (2, 8, 6 // stride, 6 // stride)
        unshuffled = shuffle_channels(out, 8 // 4)
        bypass = x[:, 2:] if stride == 1 else torch.nn.functional.max_pool2d(x[:, 2:], 2)
        torch.testing.assert_close(unshuffled[:, 2:], bypass)
    quarter, whole = (meta(TABLES["s2"], 3, channels=8, cells=3, groups=groups) for groups in (4, 1))
    assert count(quarter) < count(whole)
    with pytest.raises(ValueError, match="expected a multiple of 8"):
        DartsNet(TABLES["s2"], 3, channels=4, cells=3, groups=4)


def test_without_strength_the_auxiliary_skip_changes_nothing():
    torch.manual_seed(0)
    plain = DartsNet(TABLES["s3"], 3, channels=4, cells=3).double()
    helped = DartsNet(TABLES["s3"], 3, channels=4, cells=3, auxiliary_skip=True).double()
    helped.load_state_dict(plain.state_dict(), strict=False)
    x, weights = torch.randn(2, 3, 8, 8, dtype=torch.float64), random_weights("s3")
    torch.testing.assert_close(helped(x, weights), plain(x, weights), atol=1e-12, rtol=0)
    helped.state.auxiliary_skip = 0.5
    assert not torch.allclose(helped(x, weights), plain(x, weights))


def test_what_is_no_cell_is_refused():
    good = PUBLISHED["darts-v2"]
    with pytest.raises(ValueError, match="normal cell has 3 nodes"):
        CellGenotype(good.normal[:-1], good.reduce)
    with pytest.raises(ValueError, match="reduce cell's node 2 reads node 2; it can read 0 to 1"):
        CellGenotype(good.normal, ((("skip_connect", 2),), *good.reduce[1:]))
    with pytest.raises(ValueError, match=r"node 2 reads \[0, 0\]"):
        CellGenotype(good.normal, ((("skip_connect", 0), ("sep_conv_3x3", 0)), *good.reduce[1:]))
    with pytest.raises(ValueError, match=r"unknown cell operation 'conv'.*--import MODULE"):
        CellGenotype(good.normal, ((("conv", 0),), *good.reduce[1:]))
    assert good.table()["normal"][0] == CellEdge(0, 2, ("sep_conv_3x3",))


def test_a_genotype_file_says_what_it_holds(tmp_path):
    path = tmp_path / "genotype.yaml"
    for genotype in PUBLISHED.values():
        write_cell_genotype(genotype, path, "darts")
        assert read_cell_genotype(path) == read_cell_genotype(path, "darts") == genotype
    assert read_cell_genotype("darts-v1") == PUBLISHED["darts-v1"]


def test_a_genotype_file_that_was_cut_short_is_refused(tmp_path):
    path = tmp_path / "genotype.yaml"
    write_cell_genotype(PUBLISHED["darts-v2"], path)
    text = path.read_text()
    for end in range(len(text) - 1):  # without the last line's end it is whole
        path.write_text(text[:end])
        with pytest.raises(ValueError, match=str(path)):
            read_cell_genotype(path)
    *lines, last = text.splitlines()
    path.write_text("\n".join([last, *lines]))  # as they were written before, by their own hand too
    assert read_cell_genotype(path) == PUBLISHED["darts-v2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- 1", "this is no genotype"),
        ("{space: grid, cells: []}", "genotype of the space 'grid'"),
        ("{space: cells, normal: []}", "no reduce cell"),
        ("{format: 9, space: cells, normal: [], reduce: []}", "format 9"),
        ("{normal: [], reduce: []}", "0 nodes"),
        ("{normal: [1], reduce: []}", "list of nodes"),
        ("{", "cannot be read"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "genotype.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_cell_genotype(path)
    assert str(path) in str(error.value)


def test_a_genotype_of_another_space_is_refused():
    with pytest.raises(ValueError, match="dil_conv_3x3 from node 2 to 5, where s2 offers skip_connect, sep_conv_3x3"):
        read_cell_genotype("darts-v2", "s2")
    with pytest.raises(
        ValueError, match=r"no published genotype \(did you mean .*'darts-v2'.* known: darts-v1, darts-v2, .*\)"
    ):
        read_cell_genotype("darts-v3")
