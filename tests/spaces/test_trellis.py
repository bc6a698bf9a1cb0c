"""The trellis of Auto-DeepLab: its table, Viterbi against all paths, and what is decoded. Numbers: computed by an
independent implementation from the logits that are written here."""

import math
from itertools import pairwise, product

import pytest
import torch

from wholenet.architecture import masked_softmax
from wholenet.spaces.autodeeplab.genotype import (
    OPERATIONS,
    PUBLISHED,
    PathGenotype,
    decode,
    decoded_cell,
    edges,
    genotype_from_dict,
)
from wholenet.spaces.autodeeplab.trellis import (
    LEVELS,
    Move,
    all_moves,
    best_path,
    best_paths,
    beta_mask,
    levels,
    packed,
    unpacked,
)
from wholenet.spaces.decoding import best_predecessors

FOUR = range(LEVELS)
"""Stems of the grid."""


def logits(layers=12):
    return torch.tensor(
        [[[math.sin(1 + 12 * i + 3 * s + k) for k in range(3)] for s in FOUR] for i in range(layers)]
    ).double()


def weights_of(transitions, stems=(0,), layers=12):
    mask = beta_mask(layers, transitions, stems)
    there = mask | ~mask.any(-1, keepdim=True)
    return masked_softmax(logits(layers), there) * mask


def every_path(layers, stems=(0,)):
    return (
        path
        for path in product(FOUR, repeat=layers + 1)
        if path[0] in stems and all(abs(a - b) <= 1 for a, b in pairwise(path))
    )


def count_paths(layers, stems):
    """How many lead to each level of the last layer."""
    counts = [int(level in stems) for level in FOUR]
    for _ in range(layers):
        counts = [sum(counts[s] for s in FOUR if abs(s - t) <= 1) for t in FOUR]
    return counts


def score_of(path, beta, transitions):
    steps = enumerate(pairwise(path), 1)
    return sum(math.log(float(beta[Move(layer, a, b).place(transitions)])) for layer, (a, b) in steps)


def test_a_node_is_there_where_a_path_from_the_stem_leads():
    assert sum(len(levels(layer)) for layer in range(1, 13)) == 45
    assert [int(beta_mask(12)[i].sum()) for i in range(12)] == [2, 5, 8, *[10] * 9]
    assert [int(beta_mask(12, "incoming")[i].sum()) for i in range(12)] == [2, 5, 8, *[10] * 9]
    assert len(all_moves(12)) == 105


@pytest.mark.parametrize("transitions", ["outgoing", "incoming"])
def test_packed_rows_are_unpacked_to_where_they_were(transitions):
    beta = weights_of(transitions)
    rows = packed(beta, transitions)
    assert rows.any(-1).all()
    assert torch.equal(unpacked(rows, 12, transitions), beta)


@pytest.mark.parametrize(
    ("layers", "stems", "counts"),
    [
        (12, (0,), [14_445, 23_256, 23_112, 14_212]),
        (12, FOUR, [75_025, 121_393, 121_393, 75_025]),
        (10, FOUR, [10_946, 17_711, 17_711, 10_946]),
    ],
)
def test_paths_are_as_many_as_they_should_be(layers, stems, counts):
    assert count_paths(layers, stems) == counts
    assert sum(count_paths(11, (0,))) == 28_657  # the paper's 2.9e4: twelve layers, the first at level 0
    ways = [[level] for level in stems]  # by the table
    for layer in range(1, 4):
        ways = [
            [*way, m.target]
            for way in ways
            for m in all_moves(layer, stems)
            if m.layer == layer == len(way) and m.source == way[-1]
        ]
    assert [sum(way[-1] == level for way in ways) for level in FOUR] == count_paths(3, stems)


@pytest.mark.parametrize("transitions", ["outgoing", "incoming"])
@pytest.mark.parametrize("stems", [(0,), FOUR])
def test_viterbi_finds_what_trying_all_paths_finds(transitions, stems):
    torch.manual_seed(0)
    mask = beta_mask(6, transitions, stems)
    beta = masked_softmax(torch.randn(6, LEVELS, 3).double(), mask | ~mask.any(-1, keepdim=True)) * mask
    best = {}
    for path in every_path(6, stems):
        best[path[-1]] = max(best.get(path[-1], (-math.inf, ())), (score_of(path, beta, transitions), path))
    paths, scores = best_paths(beta, transitions, stems)
    assert paths == [best[end][1] for end in FOUR]
    assert scores.tolist() == pytest.approx([best[end][0] for end in FOUR], abs=1e-12)


@pytest.mark.parametrize("transitions", ["outgoing", "incoming"])
def test_weights_are_probabilities_of_paths(transitions):
    """Out of the stem they sum to one over all; into each end likewise, where what competes is what comes in."""
    beta = weights_of(transitions, layers=6)
    sums = dict.fromkeys(FOUR, 0.0)
    for path in every_path(6):
        sums[path[-1]] += math.exp(score_of(path, beta, transitions))
    if transitions == "outgoing":
        assert sum(sums.values()) == pytest.approx(1, abs=1e-12)
    else:
        assert list(sums.values()) == pytest.approx([1] * 4, abs=1e-12)


def digits(text):
    return tuple(map(int, text.split(",")))


def test_the_best_path_out_of_known_logits():
    beta = weights_of("outgoing")
    paths, scores = best_paths(beta)
    assert scores.tolist() == pytest.approx([-6.495590, -7.224202, -6.855317, -7.553926], abs=1e-6)
    assert best_path(beta) == digits("0,0,1,0,1,0,0,0,0,0,0,0")
    greedy, level = [], 0
    for layer in range(12):
        level += int(beta[layer, level].argmax()) - 1
        greedy.append(level)
    assert tuple(greedy) == digits("0,0,1,0,1,0,1,2,1,2,1,2") != best_path(beta)
    assert score_of((0, *greedy), beta, "outgoing") == pytest.approx(-6.855317, abs=1e-6)
    assert paths[2][1:] == tuple(greedy)


def test_weights_need_not_sum_to_one():
    """As public code scales them, borders by two thirds."""
    beta = weights_of("outgoing")
    two = (beta > 0).sum(-1, keepdim=True) == 2
    scaled = torch.where(two, beta * 2 / 3, beta)
    assert best_path(scaled) == digits("0,1,0,1,0,1,1,2,1,2,1,2")
    assert best_paths(scaled)[1].max().item() == pytest.approx(-8.803578, abs=1e-6)
    mask = beta_mask(12)
    thirds = mask / 3.0
    assert best_paths(thirds.double())[1].tolist() == pytest.approx([-12 * math.log(3)] * 4, abs=1e-6)


def test_the_best_paths_into_known_logits():
    beta = weights_of("incoming", FOUR)
    paths, scores = best_paths(beta, "incoming", FOUR)
    assert scores.tolist() == pytest.approx([-6.092043, -7.004934, -6.991693, -6.464471], abs=1e-6)
    assert paths[0] == (0, *digits("0,0,0,1,0,1,0,0,0,0,0,0"))
    assert paths[3] == (2, *digits("3,2,3,2,3,3,3,3,3,3,3,3"))
    torch.testing.assert_close(best_predecessors(beta)[1], scores)  # the grid's decoding

    alone = weights_of("incoming")
    assert best_paths(alone, "incoming")[1].tolist() == pytest.approx(
        [-5.183196, -5.770090, -5.227083, -4.699860], abs=1e-6
    )
    assert best_path(alone, "incoming") == digits("1,2,3,2,3,3,3,3,3,3,3,3")


def test_of_equally_good_paths_the_lower_level_is_taken():
    mask = beta_mask(12)
    uniform = mask.double() / mask.sum(-1, keepdim=True).clamp_min(1)
    assert best_path(uniform) == (0,) * 12
    scores = best_paths(uniform)[1]
    assert scores[:2].tolist() == pytest.approx([-12 * math.log(2)] * 2, abs=1e-12)


def test_the_cell_of_known_logits():
    alpha = torch.tensor([[math.sin(8 * e + o) for o in range(8)] for e in range(20)]).double().softmax(-1)
    avg, atrous, sep, skip = "avg_pool_3x3", "atrous_conv_3x3", "sep_conv_3x3", "skip_connect"
    assert decoded_cell(alpha) == (
        ((0, avg), (1, atrous)),
        ((0, sep), (1, skip)),
        ((1, sep), (2, avg)),
        ((1, skip), (4, sep)),
        ((0, skip), (3, sep)),
    )


def test_none_never_wins_an_edge():
    alpha = torch.full((2, 8), 0.01)
    alpha[:, 0] = 0.9
    alpha[:, 5] = 0.03
    assert decoded_cell(alpha) == (((0, "sep_conv_5x5"), (1, "sep_conv_5x5")),)


def test_a_cell_has_as_many_edges_as_it_should():
    assert [len(edges(blocks)) for blocks in (1, 2, 5)] == [2, 5, 20]
    assert OPERATIONS[0] == "none"
    assert len(OPERATIONS) == 8


def test_a_genotype_is_read_as_it_was_written():
    beta, alpha = weights_of("incoming"), torch.randn(20, 8).softmax(-1)
    for genotype in (
        PUBLISHED["autodeeplab"],
        decode({"alpha": alpha, "beta": packed(beta, "incoming")}, "best-path", 0.5, 12, "incoming"),
    ):
        assert genotype_from_dict(genotype.to_dict()) == genotype
    assert PUBLISHED["autodeeplab"].to_dict()["cell"][2] == "sep_conv_3x3(H-2) + sep_conv_3x3(block2)"


GOOD = {"path": "0 1", "cell": ["sep_conv_3x3(H-2) + skip_connect(H-1)"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "0 2"}, "from level 0 to 2 in layer 2"),
        ({"path": "1 2 3 4"}, "from level 3 to 4"),
        ({"path": "2"}, "the stem has level 0"),
        ({"path": [0, 1]}, "expected levels such as 0 0 1"),
        ({"path": ""}, "expected levels such as"),
        ({"cell": "skip_connect(H-1)"}, "expected a list of blocks"),
        ({"cell": []}, "0 blocks"),
        ({"cell": ["skip_connect(H-3)"]}, "an operation and what it reads"),
        ({"cell": ["skip_connect(block1)"]}, "block1 reads block1; expected some of H-2, H-1"),
        ({"cell": ["skip_connect(H-1) + skip_connect(H-1)"]}, "each at most once"),
        ({"cell": ["none(H-1)"]}, "operation 'none'; known: max_pool_3x3"),
        ({"more": 1}, "expected path, cell and decoding"),
        ({"decoding": 3}, "expected a text of up to 100 characters"),
    ],
)
def test_what_is_no_genotype_is_said(change, said):
    with pytest.raises(ValueError, match=said):
        genotype_from_dict({**GOOD, **change})


def test_other_things_are_refused():
    with pytest.raises(ValueError, match="no `path` and `cell`"):
        genotype_from_dict({"cells": []})
    with pytest.raises(ValueError, match="expected 1 to 100"):
        PathGenotype((0,) * 101, (((0, "skip_connect"),),))
