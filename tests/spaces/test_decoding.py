"""Decodings against brute force over all paths, and the properties that every decoding has."""

import itertools
import math

import pytest
import torch

from wholenet.architecture import masked_softmax
from wholenet.spaces.decoding import DECODINGS, best_path, best_predecessors, decode, strongest, threshold
from wholenet.spaces.genotype import STRIDES
from wholenet.spaces.grid import DEFAULT
from wholenet.spaces.links import LEVELS, incoming, masks


def random_weights(seed, layers=4, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: masked_softmax(scale * torch.randn(mask.shape, generator=generator), mask)
        for name, mask in masks(layers).items()
    }


def paths(layers, end):
    """All walks of ``layers`` steps from a stem to level ``end``: the levels, the stem's first."""
    for walk in itertools.product(range(LEVELS), repeat=layers):
        walk = (*walk, end)
        if all(abs(a - b) <= 1 for a, b in itertools.pairwise(walk)):
            yield walk


def product(beta, walk):
    """Of the weights along a walk."""
    edges = enumerate(itertools.pairwise(walk))
    return math.prod(beta[layer, target, source - target + 1].item() for layer, (source, target) in edges)


def traced(slots, end):
    walk = [end]
    for layer in reversed(range(len(slots))):
        walk.append(walk[-1] + slots[layer, walk[-1]].item() - 1)
    return tuple(reversed(walk))


def edges(genotype):
    """(layer, source level, target level) of every edge, layers from 0."""
    return {
        (cell.layer - 1, STRIDES.index(stride), STRIDES.index(cell.stride))
        for cell in genotype.cells
        for stride in cell.inputs
    }


def cells(genotype):
    return {(cell.layer - 1, STRIDES.index(cell.stride)) for cell in genotype.cells}


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_path_to_each_output_is_that_of_brute_force_and_its_score_the_product_of_its_weights(layers, seed):
    beta = random_weights(seed, layers)["beta"].double()
    slots, score = best_predecessors(beta)
    for end in range(LEVELS):
        best = max(paths(layers, end), key=lambda walk: product(beta, walk))
        assert traced(slots, end) == best
        assert score[end].exp().item() == pytest.approx(product(beta, best), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_best_path_keeps_the_union_of_the_best_paths_and_nothing_else(seed):
    weights = random_weights(seed)
    walks = [max(paths(4, end), key=lambda walk: product(weights["beta"], walk)) for end in range(LEVELS)]
    expected = {(layer, s, t) for walk in walks for layer, (s, t) in enumerate(itertools.pairwise(walk))}
    assert edges(best_path(weights)) == expected


@pytest.mark.parametrize("seed", range(10))
def test_an_edge_of_weight_zero_is_on_no_best_path_where_another_path_has_none(seed):
    weights = random_weights(seed)
    generator = torch.Generator().manual_seed(seed)
    beta = weights["beta"] * (torch.rand(weights["beta"].shape, generator=generator) > 0.5)
    slots, score = best_predecessors(beta)
    ends = [end for end in range(LEVELS) if any(product(beta, walk) > 0 for walk in paths(4, end))]
    assert [end for end in range(LEVELS) if score[end] > -math.inf] == ends
    for end in ends:
        assert product(beta, traced(slots, end)) > 0


def test_a_path_much_too_improbable_for_a_product_is_still_compared():
    # exp(-80) to the power of 20 is no float64; its logarithm is.
    beta = masks(20)["beta"].double() * math.exp(-80)
    beta[:, 1, 1] *= 2
    slots, score = best_predecessors(beta)
    assert traced(slots, 1) == (1,) * 21
    assert score[1].item() == pytest.approx(20 * (math.log(2) - 80))


def test_at_uniform_weights_the_path_stays_at_the_border_where_cells_choose_among_two():
    beta = masks(6)["beta"].double()
    slots, score = best_predecessors(beta / beta.sum(-1, keepdim=True))
    assert traced(slots, 0) == (0,) * 7
    assert score[0].item() == pytest.approx(6 * math.log(1 / 2))


@pytest.mark.parametrize("seed", range(5))
def test_strongest_keeps_of_each_cell_that_stays_its_largest_weight(seed):
    weights = random_weights(seed)
    genotype = strongest(weights)
    for cell in genotype.cells:
        target = STRIDES.index(cell.stride)
        best = max(incoming(0, target), key=lambda e: weights["beta"][cell.layer - 1, target, e.slot].item())
        assert cell.inputs == {STRIDES[best.source]: 1.0}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.1, 0.5, 3.0, 30.0])
def test_strongest_does_not_depend_on_the_temperature_of_the_softmax(seed, temperature):
    assert strongest(random_weights(seed)) == strongest(random_weights(seed, scale=1 / temperature))


@pytest.mark.parametrize("seed", range(5))
def test_a_threshold_of_one_is_strongest_where_there_are_no_ties(seed):
    weights = random_weights(seed)
    assert threshold(weights, 1.0).cells == strongest(weights).cells


def test_a_threshold_of_one_keeps_equals():
    even = {name: mask / mask.sum(-1, keepdim=True) for name, mask in masks(3).items()}
    assert len(edges(threshold(even, 1.0))) == masks(3)["beta"].sum()


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_a_threshold_of_zero_keeps_every_edge_of_the_grid_with_its_weight_and_one_kernel_per_cell(scale):
    # At scale 20 some weights are far below 1e-6: kept all the same, and they can be written down.
    weights = random_weights(0, scale=scale)
    genotype = threshold(weights, 0.0)
    everything = masks(4)
    assert cells(genotype) == set(itertools.product(range(4), range(LEVELS)))
    assert torch.equal(genotype.masks()["beta"], everything["beta"])
    assert (genotype.weights()["alpha"].sum(-1) == 1).all()
    torch.testing.assert_close(genotype.weights()["beta"], weights["beta"], atol=0, rtol=1e-5)


@pytest.mark.parametrize("tau", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_threshold_keeps_of_each_cell_that_stays_the_edges_that_are_strong_enough_renormalised(seed, tau):
    weights = random_weights(seed)
    for cell in threshold(weights, tau).cells:
        target = STRIDES.index(cell.stride)
        row = {STRIDES[e.source]: weights["beta"][cell.layer - 1, target, e.slot].item() for e in incoming(0, target)}
        strong = {stride: weight for stride, weight in row.items() if weight >= tau * max(row.values())}
        total = sum(strong.values())
        assert cell.inputs == {stride: pytest.approx(weight / total, rel=1e-5) for stride, weight in strong.items()}


def test_a_higher_threshold_keeps_fewer_edges():
    weights = random_weights(1)
    kept = [edges(threshold(weights, tau / 10)) for tau in range(11)]
    assert all(more >= fewer for more, fewer in itertools.pairwise(kept))
    assert len(kept[0]) > len(kept[5]) > len(kept[10])


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("seed", range(6))
def test_every_cell_that_stays_lies_on_a_path_from_a_stem_to_the_decoder(decoding, scale, seed):
    genotype = decode(random_weights(seed, layers=5, scale=scale), decoding, 0.6)
    last = genotype.layers - 1
    from_stems, to_decoder = set(), {(last, level) for level in range(LEVELS)}
    for layer, source, target in sorted(edges(genotype)):
        if layer == 0 or (layer - 1, source) in from_stems:
            from_stems.add((layer, target))
    for layer, source, target in sorted(edges(genotype), reverse=True):
        if layer > 0 and (layer, target) in to_decoder:
            to_decoder.add((layer - 1, source))
    assert cells(genotype) == from_stems == to_decoder


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("seed", range(3))
def test_every_cell_that_stays_has_its_strongest_kernel(decoding, seed):
    weights = random_weights(seed)
    for cell in decode(weights, decoding).cells:
        alpha = weights["alpha"][cell.layer - 1, STRIDES.index(cell.stride)]
        assert cell.operation == DEFAULT[int(alpha.argmax())]


@pytest.mark.parametrize("decoding", DECODINGS)
def test_decoding_a_discrete_network_gives_it_back(decoding):
    genotype = strongest(random_weights(7))
    weights = genotype.weights()
    # Cells that are not there still need an edge for "strongest" to choose: the same level.
    weights["beta"][..., 1] += (weights["beta"].sum(-1) == 0).float()
    assert decode(weights, decoding).cells == genotype.cells


@pytest.mark.parametrize("decoding", DECODINGS)
def test_decoding_leaves_the_weights_and_their_gradients_alone(decoding):
    weights = {name: w.requires_grad_() for name, w in random_weights(0).items()}
    before = {name: w.detach().clone() for name, w in weights.items()}
    decode(weights, decoding)
    assert all(torch.equal(before[name], w) and w.grad is None for name, w in weights.items())


def test_an_unknown_decoding_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown decoding 'viterbi'; known: best-path, strongest, threshold"):
        decode(random_weights(0), "viterbi")


@pytest.mark.parametrize("tau", [-0.1, 1.5, math.nan])
def test_a_threshold_that_is_no_share_is_refused(tau):
    with pytest.raises(ValueError, match="expected a share of the strongest edge's weight"):
        decode(random_weights(0), "threshold", tau)
