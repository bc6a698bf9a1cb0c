"""The tables of structure, held against a second copy: one mistyped word in either, and they differ.

The copies here were made from the original codes (RobustDARTS, DARTS) and the seed paper, not from ours, and are
written another way: by node, and by what a row of the paper says.
"""

import pytest
import torch
from torch import nn

from wholenet.ops.candidates import CANDIDATES, FactorizedReduce, Noise, Zero
from wholenet.spaces.cell_tables import TABLES
from wholenet.spaces.darts import DartsNet, reductions
from wholenet.spaces.darts_genotype import PUBLISHED, CellGenotype, check_in_space
from wholenet.spaces.grid import DEFAULT
from wholenet.spaces.links import LEVELS, STRIDES
from wholenet.spaces.sizes import GRID_SIZES
from wholenet.studies.table_3 import PAPER

ALL = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect")
ALL += ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
LONG = {"skip": "skip_connect", "max": "max_pool_3x3", "avg": "avg_pool_3x3", "noise": "noise"}
LONG |= {"sep3": "sep_conv_3x3", "dil3": "dil_conv_3x3", "dil5": "dil_conv_5x5"}

# RobustDARTS' S1: for each node, what it can do with each node before it.
S1 = {
    "normal": {
        2: ["skip/dil3", "skip/dil5"],
        3: ["skip/dil5", "skip/sep3", "skip/dil3"],
        4: ["max/skip", "skip/sep3", "skip/sep3", "skip/dil3"],
        5: ["skip/sep3", "max/skip", "skip/dil3", "dil3/dil5", "dil3/dil5"],
    },
    "reduce": {
        2: ["max/avg", "max/dil3"],
        3: ["max/avg", "max/avg", "skip/dil5"],
        4: ["max/avg", "max/sep3", "skip/dil3", "skip/dil5"],
        5: ["max/avg", "max/avg", "skip/dil5", "skip/dil5", "skip/dil5"],
    },
}
UNIFORM = {
    "darts": ALL,
    "s2": ("skip_connect", "sep_conv_3x3"),
    "s3": ("none", "skip_connect", "sep_conv_3x3"),
    "s4": ("noise", "sep_conv_3x3"),
}
GRIDS = {
    # L, F, E, 1 / S of the seed paper's Table 3, and the decoder's width that its parameters suggest.
    "small": (10, 16, 3, 1, 256),
    "base": (14, 16, 6, 1, 256),
    "medium": (14, 64, 6, 4, 256),
    "large": (10, 64, 3, 1, 256),
    # Ours.
    "nano": (3, 8, 2, 1, 64),
    "tiny": (4, 16, 3, 1, 64),
}


def of_space(name, kind):
    """(source, target, operations) of its fourteen edges."""
    for target in range(2, 6):
        for source in range(target):
            pair = tuple(LONG[word] for word in S1[kind][target][source].split("/")) if name == "s1" else UNIFORM[name]
            yield source, target, pair


def test_the_cell_spaces_offer_what_the_original_offers_in_the_original_s_order():
    assert set(TABLES) == {"s1", *UNIFORM}
    for name, table in TABLES.items():
        assert {kind: [(edge.source, edge.target, edge.left) for edge in edges] for kind, edges in table.items()} == {
            kind: list(of_space(name, kind)) for kind in ("normal", "reduce")
        }, name


def cell_parameters(name, kind, before, last, channels, after_reduction):
    """Of the supernet's cell by hand: no biases, no affine map; a 1 x 1 convolution to bring each input to C."""
    square = channels**2
    count = before * channels + last * channels
    if after_reduction:  # two halves
        count = 2 * before * (channels // 2) + last * channels
    for source, _, operations in of_space(name, kind):
        strided = kind == "reduce" and source < 2
        cost = {
            "sep_conv_3x3": 2 * (9 * channels + square),
            "sep_conv_5x5": 2 * (25 * channels + square),
            "dil_conv_3x3": 9 * channels + square,
            "dil_conv_5x5": 25 * channels + square,
            "skip_connect": square if strided else 0,
        }
        count += sum(cost.get(operation, 0) for operation in operations)
    return count


# Trainable scalars of the authors' supernets, C 16, 8 cells; those of S2 to S4 are not on record.
ORIGINAL = {("s1", 10): 405_146, ("s1", 100): 428_276, ("darts", 10): 1_930_618, ("darts", 100): 1_953_748}


@pytest.mark.parametrize("name", TABLES)
def test_the_supernets_have_the_parameters_of_the_originals_and_those_counted_by_hand(name):
    for classes in (10, 100):
        with torch.device("meta"):
            net = DartsNet(TABLES[name], classes)
        found = sum(parameter.numel() for parameter in net.parameters())
        by_hand, channels, before, last, after = 48 * 27 + 2 * 48, 16, 48, 48, False
        for i in range(8):
            kind = "reduce" if i in reductions(8) else "normal"
            channels *= 2 if kind == "reduce" else 1
            by_hand += cell_parameters(name, kind, before, last, channels, after)
            before, last, after = last, 4 * channels, kind == "reduce"
        by_hand += 256 * classes + classes
        assert found == by_hand
        assert found == ORIGINAL.get((name, classes), found)


def test_operations_are_what_their_names_say():
    assert set(CANDIDATES) == {*ALL, "sep_conv_7x7", "conv_7x1_1x7", "noise"}
    for name, operation in CANDIDATES.items():
        for stride in (1, 2):
            layers = list(operation.make(4, stride, True, False).modules())
            convs = [m for m in layers if isinstance(m, nn.Conv2d)]
            spatial = [(c.kernel_size[0], c.dilation[0], c.stride[0], c.padding[0]) for c in convs if c.groups > 1]
            kind, _, size = name.partition("_conv_")
            k = int(size[0]) if size else 0
            expected = {
                "sep": [(k, 1, stride, k // 2), (k, 1, 1, k // 2)],
                "dil": [(k, 2, stride, k - 1)],
            }.get(kind, [])
            assert spatial == expected, name
            pools = [m for m in layers if isinstance(m, nn.MaxPool2d | nn.AvgPool2d)]
            assert [type(m) for m in pools] == {
                "max_pool_3x3": [nn.MaxPool2d],
                "avg_pool_3x3": [nn.AvgPool2d],
            }.get(name, [])
            assert all((m.kernel_size, m.stride, m.padding) == (3, stride, 1) for m in pools)
            alone = {"none": Zero, "noise": Noise, "skip_connect": nn.Identity if stride == 1 else FactorizedReduce}
            assert name not in alone or isinstance(layers[0], alone[name])


def genotype(text):
    """ "sep3:1 sep3:0 | ...; ...": operation and source, node by node, the normal cell and the reduction cell."""
    normal, reduce = (
        tuple(
            tuple((LONG[op], int(source)) for op, source in (choice.split(":") for choice in node.split()))
            for node in cell.split("|")
        )
        for cell in text.split(";")
    )
    return CellGenotype(normal, reduce)


def test_the_published_genotypes_are_those_of_darts_code():
    assert {
        "darts-v1": genotype(
            "sep3:1 sep3:0 | skip:0 sep3:1 | skip:0 sep3:1 | sep3:0 skip:2;"
            "max:0 max:1 | skip:2 max:0 | max:0 skip:2 | skip:2 avg:0"
        ),
        "darts-v2": genotype(
            "sep3:0 sep3:1 | sep3:0 sep3:1 | sep3:1 skip:0 | skip:0 dil3:2;"
            "max:0 max:1 | skip:2 max:1 | max:0 skip:2 | skip:2 max:1"
        ),
    } == {name: PUBLISHED[name] for name in ("darts-v1", "darts-v2")}


# What RobustDARTS' own searches found (its logs and its list of genotypes); S1 with different regularisation, chosen so
# that every edge of the space is there and most of what it offers.
FOUND = {
    "s1": [
        "skip:1 dil3:0 | skip:2 skip:0 | skip:0 skip:2 | skip:2 skip:1;"
        "max:1 max:0 | skip:2 max:1 | skip:2 max:0 | max:0 max:1",
        "skip:0 skip:1 | skip:1 skip:2 | skip:2 skip:1 | skip:2 dil3:4;"
        "max:1 max:0 | skip:2 max:0 | skip:2 max:1 | max:0 skip:3",
        "skip:0 skip:1 | sep3:1 dil3:2 | sep3:2 sep3:1 | dil3:2 max:1;"
        "max:0 max:1 | max:1 max:0 | dil3:2 dil5:3 | max:1 dil5:2",
        "skip:1 skip:0 | sep3:1 dil5:0 | sep3:1 max:0 | max:1 dil3:4;"
        "max:0 max:1 | max:1 max:0 | dil5:3 max:1 | max:1 dil5:2",
        "dil3:0 dil5:1 | sep3:1 dil3:2 | max:0 sep3:2 | max:1 dil3:2;"
        "max:0 dil3:1 | max:1 max:0 | dil5:3 dil3:2 | dil5:4 dil5:3",
        "dil5:1 dil3:0 | skip:2 skip:1 | max:0 dil3:3 | max:1 dil5:3;"
        "max:1 max:0 | max:1 dil5:2 | max:1 dil5:3 | dil5:4 dil5:3",
        "dil5:1 skip:0 | skip:2 skip:1 | max:0 sep3:1 | max:1 sep3:0;"
        "max:1 max:0 | max:1 max:0 | max:1 dil5:3 | dil5:3 max:1",
        "skip:1 skip:0 | skip:1 skip:2 | skip:1 skip:3 | skip:2 dil3:3;"
        "max:1 max:0 | skip:2 max:0 | max:0 sep3:1 | max:0 skip:3",
        "skip:1 skip:0 | skip:1 dil3:2 | dil3:3 sep3:2 | dil3:2 sep3:0;"
        "max:0 max:1 | max:1 max:0 | max:0 dil5:3 | dil5:4 dil5:3",
        "skip:1 skip:0 | skip:1 skip:2 | skip:0 skip:1 | skip:2 skip:1;"
        "max:1 avg:0 | avg:1 dil5:2 | max:1 max:0 | dil5:3 dil5:4",
        "skip:0 skip:1 | skip:1 skip:0 | skip:0 skip:1 | skip:1 skip:2;"
        "max:1 avg:0 | dil5:2 avg:0 | dil3:2 dil5:3 | skip:2 avg:0",
    ],
    "s2": [
        "sep3:0 skip:1 | sep3:2 skip:1 | sep3:3 sep3:2 | sep3:4 sep3:3;"
        "sep3:0 sep3:1 | sep3:2 sep3:0 | sep3:3 sep3:1 | sep3:4 sep3:3",
    ],
    "s4": [
        "sep3:0 sep3:1 | sep3:0 noise:2 | noise:3 noise:1 | noise:4 noise:3;"
        "sep3:0 sep3:1 | sep3:0 sep3:2 | sep3:0 sep3:1 | sep3:0 sep3:1",
    ],
}


@pytest.mark.parametrize("space", FOUND)
def test_what_the_original_s_searches_found_is_of_the_space_and_nothing_else_is(space):
    for text in FOUND[space]:
        check_in_space(genotype(text), space)
    wrong = genotype(FOUND[space][0].replace("skip:0", "max:0").replace("sep3:0", "max:0"))
    with pytest.raises(ValueError, match=f"where {space} offers"):
        check_in_space(wrong, space)


def test_the_grids_have_the_sizes_of_the_paper_s_table():
    sizes = {name: (s.layers, s.filters, s.expansion, s.sampling, s.head) for name, s in GRID_SIZES.items()}
    assert sizes == GRIDS
    assert (DEFAULT, LEVELS, STRIDES) == (("conv_3x3", "conv_5x5"), 4, (4, 8, 16, 32))
    # Millions of parameters and billions of operations, as the paper prints them.
    assert PAPER == {"small": (3.2, 57.7), "base": (10.7, 109.4), "medium": (22.3, 380.1), "large": (47.3, 558)}
