"""NAS-Bench-201: its counts to the last digit, its strings, and its networks."""

import itertools

import pytest
import torch

from wholenet.ops.forms import plain_form
from wholenet.search.random_search import random_genotype, weights_of
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_family import NB201_CELLS, read_any_genotype
from wholenet.spaces.count import count, macs_as_run
from wholenet.spaces.darts_genotype import GATE
from wholenet.spaces.nb201.decoding import discretize, discretize_gates
from wholenet.spaces.nb201.genotype import (
    OPERATIONS,
    PAIRS,
    TABLE,
    Nb201Genotype,
    genotype_from_string,
    write_genotype,
)
from wholenet.spaces.nb201.network import Nb201Net, masks

LIKE = torch.zeros(1, dtype=torch.float64)
PLAIN = Nb201Genotype(("nor_conv_3x3",) * 6)
LEAST = Nb201Genotype(("none",) * 6)


def parameters(genotype, classes=10, **shape):
    with torch.device("meta"):
        net = Nb201Net(genotype.table(), classes, search=False, **shape)
    return sum(p.numel() for p in net.parameters())


# Millions as the benchmark prints them: its smallest and its largest network, on CIFAR-10 and CIFAR-100, and its best
# on CIFAR-10.
@pytest.mark.parametrize(
    ("genotype", "classes", "published"),
    [
        (LEAST, 10, 0.073306),
        (PLAIN, 10, 1.531546),
        (LEAST, 100, 0.079156),
        (PLAIN, 100, 1.537396),
        (
            genotype_from_string(
                "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
            ),
            10,
            1.073466,
        ),
    ],
)
def test_the_networks_have_the_parameters_that_the_benchmark_prints(genotype, classes, published):
    assert parameters(genotype, classes) == round(published * 1e6)


def test_parameters_are_a_sum_over_the_edges():
    taps = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}
    generator = torch.Generator().manual_seed(0)
    for c, n in ((16, 5), (4, 1), (6, 2)):
        genotype = random_genotype(TABLE, generator, NB201_CELLS)
        stem, last = 27 * c + 2 * c, 2 * 4 * c + 10 * 4 * c + 10
        between = sum(w * 2 * w * 9 + 4 * w * w * 9 + 8 * w + 2 * w * w for w in (c, 2 * c))
        convolutions = [taps[name] for name in genotype.edges if name in taps]
        cells = n * sum(of * w * w + 2 * w for of in convolutions for w in (c, 2 * c, 4 * c))
        assert parameters(genotype, channels=c, cells=3 * n) == stem + last + between + cells


def test_multiply_adds_are_those_that_the_benchmark_prints():
    for genotype, published in ((LEAST, 7.78305), (PLAIN, 220.11969)):
        model = create_model("nb201", num_classes=10, genotype=genotype).eval()
        assert macs_as_run(model, 32, 32) + 10 == round(published * 1e6)  # the biases of the classifier, in their count


def test_the_supernet_has_all_operations_and_no_affine_map_in_its_cells():
    counts = count("nb201", num_classes=10, height=32, width=32)
    convolutions = sum(15 // 3 * 6 * (9 + 1) * w * w for w in (16, 32, 64))
    assert (counts.parameters, counts.architecture_parameters) == (73_306 + convolutions, 30)


# ---- strings


def test_every_cell_has_a_string_of_its_own_that_reads_back():
    texts = set()
    for edges in itertools.product(OPERATIONS, repeat=6):
        genotype = Nb201Genotype(edges)
        text = str(genotype)
        assert genotype_from_string(text) == genotype
        texts.add(text)
    assert len(texts) == 5**6 == 15_625


def test_a_string_names_the_edges_node_by_node():
    text = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|none~2|"
    found = dict(zip(PAIRS, genotype_from_string(text).edges, strict=True))
    assert found[0, 1] == "nor_conv_3x3"
    assert found[0, 2] == "nor_conv_1x1"
    assert found[1, 3] == "avg_pool_3x3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("|nor_conv3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|", "'nor_conv3x3' of nb201; did you mean nor_conv_3x3"),
        ("|sep_conv~0|+|none~0|none~1|+|none~0|none~1|none~2|", "unknown operation 'sep_conv' .*Known: none, skip"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "node 2 has 'none~0'; expected an operation, ~ and 1"),
        ("|none~0|+|none~0|none~1|", "has 2 nodes joined by"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 is '|none~0|'; expected 2 of op~source"),
        ("|none~0|+|none~0||none~1|+|none~0|none~1|none~2|", "node 2 is"),
        ("|none~0|+|none~0|none~1+|none~0|none~1|none~2|", "node 2 is"),
    ],
)
def test_what_is_no_string_is_refused_in_words(text, said):
    with pytest.raises(ValueError, match=said.replace("|", r"\|")):
        genotype_from_string(text)


def test_files_and_strings_are_read_by_what_they_are(tmp_path):
    path = tmp_path / "genotype.yaml"
    write_genotype(PLAIN, path)
    assert read_any_genotype(path) == read_any_genotype(str(PLAIN)) == PLAIN
    for text, said in (("space: nb201\n", "has no 'arch'"), ("arch: 3\nspace: nb201\n", "arch=3: expected str")):
        path.write_text(text)
        with pytest.raises(ValueError, match=said):
            read_any_genotype(path)
    path.write_text("normal: []\nreduce: []\nspace: cells\n")
    with pytest.raises(ValueError, match="is a genotype of the space 'cells'; expected one of 'nb201'"):
        NB201_CELLS.read(path)


# ---- networks


def small(**options):
    torch.manual_seed(0)
    return Nb201Net(TABLE, 3, channels=4, cells=3, **options).double()


def test_a_one_hot_supernet_is_its_discrete_network():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    net = small(affine=True)
    for _ in range(3):
        genotype = random_genotype(TABLE, generator, NB201_CELLS)
        discrete = Nb201Net(genotype.table(), 3, channels=4, cells=3, search=False).double()
        own = net.state_dict()
        discrete.load_state_dict({name: own[name] for name in discrete.state_dict()})
        torch.testing.assert_close(net(x, weights_of(genotype, TABLE, LIKE)), discrete(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"groups": 2, "edge_weights": True}, {"auxiliary_skip": True, "affine": True}])
def test_what_edges_share_is_computed_once_with_the_same_numbers_and_gradients(options):
    net = small(**options)
    net.state.auxiliary_skip = 0.3
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=generator)
    edge_weights = options.get("edge_weights", False)
    outs = []
    for plain in (True, False):
        given = torch.Generator().manual_seed(3)
        weights = {
            name: torch.rand(mask.shape, dtype=torch.float64, generator=given).requires_grad_()
            for name, mask in masks(TABLE, edge_weights=edge_weights).items()
        }
        with plain_form(net, plain=plain):
            out = net(x, weights)
            wanted = [*weights.values(), *net.parameters()]
            outs.append((out, *torch.autograd.grad(out.square().sum(), wanted)))
    for first, second in zip(*outs, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-11)


def test_it_is_built_in_three_equal_stages():
    with pytest.raises(ValueError, match="cells=8: expected a multiple of 3"):
        create_model("nb201", num_classes=3, cells=8)
    shapes = []
    net = Nb201Net(PLAIN.table(), 3, channels=4, cells=6, search=False)
    for layer in net.layers:
        layer.register_forward_hook(lambda _m, _i, out: shapes.append((out.shape[1], out.shape[3])))
    net(torch.zeros(2, 3, 16, 8))
    assert shapes == [(4, 8)] * 2 + [(8, 4)] * 3 + [(16, 2)] * 3


# ---- what is kept


def test_each_edge_keeps_its_strongest_operation_none_included():
    weights = torch.rand(6, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = discretize({"cell": weights}, TABLE)
    assert [OPERATIONS.index(name) for name in found.edges] == weights.argmax(1).tolist()
    edges = {"cell_edges": torch.tensor([[1.0, 0, 0], [0.1, 0.9, 0], [0.2, 0.3, 0.5]])}
    assert discretize({"cell": weights, **edges}, TABLE) == found


def test_open_gates_are_kept_and_a_node_without_any_reads_its_strongest():
    gates = torch.full((6, 5), GATE - 0.2)
    gates[0, 3] = 0.9
    gates[2, 1] = GATE - 0.1  # the strongest into node 2
    gates[3, 0] = 0.99
    gates[4, 2] = 0.95
    kept = discretize_gates({"cell": gates}, TABLE)
    assert kept.edges == ("nor_conv_3x3", "none", "skip_connect", "none", "nor_conv_1x1", "none")


def test_random_cells_come_with_every_operation_on_every_edge_as_often():
    generator = torch.Generator().manual_seed(5)
    drawn = [random_genotype(TABLE, generator, NB201_CELLS).edges for _ in range(1500)]
    for edge, name in itertools.product(range(6), OPERATIONS):
        assert sum(edges[edge] == name for edges in drawn) == pytest.approx(300, abs=5 * (1500 * 0.2 * 0.8) ** 0.5)


def test_weights_of_a_cell_read_back_as_the_cell():
    generator = torch.Generator().manual_seed(6)
    for _ in range(20):
        genotype = random_genotype(TABLE, generator, NB201_CELLS)
        assert discretize(weights_of(genotype, TABLE, LIKE), TABLE) == genotype
