"""The dense grid: table and counts in closed form, the grid as its smallest reach, tied and drawn links, decoding."""

import itertools
import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from wholenet.architecture import masked_softmax, one_hot
from wholenet.deploy.folds import fold
from wholenet.ops.forms import plain_form
from wholenet.spaces.catalog import SPACES, create_model, discrete_from
from wholenet.spaces.dense_decoding import decode_dense, kept_links
from wholenet.spaces.dense_genotype import dense_genotype_from_dict
from wholenet.spaces.links import LEVELS, NEAR, Reach, incoming, masks
from wholenet.spaces.sampled_links import drawn, inclusion, weighed
from wholenet.spaces.supernet import with_weights

OWN = {"layers": 3, "filters": 4}


def dense(seed=0, classes=3, **settings):
    torch.manual_seed(seed)
    return create_model("dense-grid-nano", num_classes=classes, **{**OWN, **settings}).double()


def random_weights(net, seed=0, sharpness=1.0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: masked_softmax(sharpness * torch.randn(mask.shape, generator=generator, dtype=torch.float64), mask)
        for name, mask in net.masks.items()
    }


def image(batch=2, size=(33, 47)):
    return torch.randn(batch, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("layers", "links", "without_stems", "near"), [(10, 880, 720, 100), (14, 1680, 1456, 140)])
def test_the_numbers_of_links_are_those_of_the_closed_form(layers, links, without_stems, near):
    full = Reach(layers, 3)
    edges = [edge for layer in range(layers) for level in range(LEVELS) for edge in incoming(layer, level, full)]
    assert len(edges) == links == int(masks(layers, 2, full)["beta"].sum())
    assert sum(edge.back <= edge.layer for edge in edges) == without_stems
    assert int(masks(layers, 2)["beta"].sum()) == near
    assert len({edge.key for edge in edges}) == links
    for layer, level in itertools.product(range(layers), range(LEVELS)):
        slots = [edge.slot for edge in incoming(layer, level, full)]
        assert slots == sorted(set(slots))
        assert len(slots) == LEVELS * (layer + 1)


@pytest.mark.parametrize(
    ("layers", "filters", "reach", "tied", "weights"),
    [
        (14, 16, {}, False, 6_048_000),
        (14, 64, {}, False, 96_768_000),
        (14, 64, {}, True, 12_902_400),
        (14, 16, {}, True, 806_400),
        (14, 64, {"reach_layers": 1, "reach_levels": 1}, False, 9_691_136),
        (14, 16, {"reach_layers": 1, "reach_levels": 1}, False, 605_696),
        (10, 16, {}, False, 55 * 225 * 16**2),
        (10, 16, {}, True, 10 * 225 * 16**2),
    ],
)
def test_the_weights_of_the_links_are_those_of_the_closed_form(layers, filters, reach, tied, weights):
    with torch.device("meta"):
        net = create_model("dense-grid-nano", num_classes=19, layers=layers, filters=filters, tied=tied, **reach).net
    assert sum(transition.conv.weight.numel() for transition in net.transitions.values()) == weights


@pytest.mark.parametrize(("plain", "of_a_pair"), [(False, 8.25), (True, 28.125)])
@pytest.mark.parametrize(("tied", "pairs"), [(False, 3), (True, 2)])
def test_links_cost_the_closed_form(tied, pairs, plain, of_a_pair):
    """Multiply-adds of the links from one layer to another at 1024x2048, in 131,072 F^2: where 1x1 convolutions run at
    the smaller size, and where they run behind the resize. Of two layers and the stems there are three pairs."""
    with torch.device("meta"):
        net = create_model("dense-grid-nano", num_classes=19, layers=2, filters=4, tied=tied).net.eval()
        weights = {name: mask.float() for name, mask in net.masks.items()}
        with plain_form(net, plain=plain), FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.empty(1, 3, 1024, 2048), weights)
    found = counter.get_flop_counts()
    of_links = sum(sum(found[f"Grid.transitions.{name}"].values()) for name in net.transitions)
    assert of_links == 2 * pairs * of_a_pair * 131_072 * 4**2


@pytest.mark.parametrize("reach", [NEAR, Reach(14, 3), Reach(2, 1)])
def test_the_numbers_of_paths_from_the_stems(reach):
    paths = {(-1, level): 1 for level in range(LEVELS)}
    for layer in range(14):
        for level in range(LEVELS):
            paths[layer, level] = sum(paths[layer - e.back, e.source] for e in incoming(layer, level, reach))
    if reach == Reach(14, 3):
        for layer in range(14):
            assert [paths[layer, level] for level in range(LEVELS)] == [4 * 5**layer] * LEVELS
        assert paths[13, 0] == 4_882_812_500
    elif reach == NEAR:
        assert [paths[9, level] for level in range(LEVELS)] == [10_946, 17_711, 17_711, 10_946]
        assert [paths[11, level] for level in range(LEVELS)] == [75_025, 121_393, 121_393, 75_025]
    else:
        assert paths[1, 0] == 2 + 2 + 3 + 2 - 2  # of layer 0: stems 2 and 3 at levels 0 and 1; two stems themselves
    assert all(count > 0 for count in paths.values())


@pytest.mark.parametrize("options", [{}, {"tied": True, "sampled_links": 3}])
def test_reach_one_is_the_grid_to_the_bit(options):
    torch.manual_seed(0)
    grid = create_model("grid-nano", num_classes=3)
    torch.manual_seed(0)
    near = create_model("dense-grid-nano", num_classes=3, reach_layers=1, reach_levels=1, **options)
    assert list(grid.state_dict()) == list(near.state_dict())
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(near.parameters(), grid.parameters(), strict=True))
    assert all(torch.equal(near.net.masks[name], mask) for name, mask in grid.net.masks.items())
    x = image().float()
    ours, theirs = near.train()(x), grid.train()(x)
    assert torch.equal(ours, theirs)
    for net, out in ((near, ours), (grid, theirs)):
        out.square().mean().backward()
        assert all(p.grad is not None for p in net.parameters())
    for own, other in zip(near.parameters(), grid.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, atol=0, rtol=0)
    assert all(torch.equal(a, b) for a, b in zip(near.buffers(), grid.buffers(), strict=True))


def reference(net, x, weights):
    """The sum over all links, written down without a table: cell (l, s) reads every (l', t) before it."""
    stems, sizes, _ = net._stem(x)
    outputs = {(-1, level): stems[level] for level in range(LEVELS)}
    for layer in range(net.layers):
        for level in range(LEVELS):
            mixed = 0
            for before, source in itertools.product(range(-1, layer), range(LEVELS)):
                back = layer - before
                slot = (back - 1) * 7 + source - level + 3
                name = f"{layer}_{source}_{level}" + (f"_{back}" if back > 1 else "")
                if net.tied:
                    name = f"{before + 1}_{source}_{level}"
                one = torch.ones((), dtype=x.dtype)
                mixed = mixed + weights["beta"][layer, level, slot] * net.transitions[name](
                    outputs[before, source], sizes[level], one
                )
            outputs[layer, level] = net.cells[f"{layer}_{level}"](mixed, weights["alpha"][layer, level])
    logits = net.decoder([outputs[net.layers - 1, level] for level in range(LEVELS)])
    whole = torch.nn.functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
    return whole[..., : x.shape[-2], : x.shape[-1]]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("sampling", [1, 2])
def test_the_network_is_the_sum_over_all_links_and_its_forms_agree(tied, sampling):
    net = dense(tied=tied, channel_sampling=sampling).net.eval()
    weights = {name: w.requires_grad_() for name, w in random_weights(net).items()}
    x = image()
    inputs = [*weights.values(), *net.parameters()]
    out = net(x, weights)
    gradients = torch.autograd.grad(out.square().mean(), inputs)
    with plain_form(net):
        plain = net(x, weights)
        plain_gradients = torch.autograd.grad(plain.square().mean(), inputs)
        torch.testing.assert_close(plain, reference(net, x, weights), atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(out, plain, atol=1e-12, rtol=1e-12)
    for ours, theirs in zip(gradients, plain_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)
    # Nothing else has a slope: only links that exist, and all of them.
    assert torch.equal(gradients[1] != 0, net.masks["beta"])


def test_tied_transitions_give_the_same_as_others_with_equal_weights():
    tied, free = dense(tied=True).net.eval(), dense(1).net.eval()
    for row in free.edges:
        for edge in itertools.chain(*row):
            own = free.transitions[free.transition_of(edge)]
            own.load_state_dict(tied.transitions[tied.transition_of(edge)].state_dict())
    rest = {name: value for name, value in tied.state_dict().items() if not name.startswith("transitions")}
    free.load_state_dict(rest, strict=False)
    weights = random_weights(free)
    torch.testing.assert_close(free(image(), weights), tied(image(), weights), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"reach_layers": 2, "reach_levels": 1, "cell": "separate"}])
def test_folding_changes_nothing(options):
    model = dense(**options).train()
    model(image())
    weights = random_weights(model.net)
    weights["beta"][2, 1] *= torch.arange(weights["beta"].shape[-1]) % 2
    weights["beta"][1, 0] = 0
    whole = with_weights(model.eval(), weights)
    flat = fold(whole)
    torch.testing.assert_close(flat(image()), whole(image()), atol=1e-12, rtol=1e-12)


P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
X = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)


def draws_of(weights, k):
    """Ordered draws and their probabilities."""
    for order in itertools.permutations(range(len(weights)), k):
        likely, left = 1.0, float(weights.sum())
        for i in order:
            likely *= float(weights[i]) / left
            left -= float(weights[i])
        yield order, likely


def test_probabilities_of_being_drawn_and_what_is_expected():
    assert inclusion(P, 2).tolist() == pytest.approx([0.839286, 0.675, 0.485714], abs=1e-6)
    renormalised = unbiased = 0.0
    for order, likely in draws_of(P, 2):
        chosen = sorted(order)
        plain, over = weighed(P, chosen), weighed(P, chosen, unbiased=True)
        assert float(sum(plain)) == pytest.approx(1)
        renormalised += likely * sum(float(w * X[i]) for w, i in zip(plain, chosen, strict=True))
        unbiased += likely * sum(float(w * X[i]) for w, i in zip(over, chosen, strict=True))
    assert float(P @ X) == pytest.approx(1.9)
    assert renormalised == pytest.approx(1.760714, abs=1e-6)
    assert unbiased == pytest.approx(1.9)


@pytest.mark.parametrize(("n", "k"), [(5, 1), (5, 2), (5, 3), (6, 3), (3, 3)])
def test_probabilities_of_being_drawn_are_the_sums_over_ordered_draws(n, k):
    weights = torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(n)).softmax(0)
    expected = torch.zeros(n, dtype=torch.float64)
    for order, likely in draws_of(weights, k):
        expected[list(order)] += likely
    torch.testing.assert_close(inclusion(weights, k), expected)
    assert float(inclusion(weights, k).sum()) == pytest.approx(k)


def test_links_are_drawn_as_often_as_their_probabilities_say():
    torch.manual_seed(0)
    counts = torch.zeros(3, dtype=torch.float64)
    times = 4000
    for _ in range(times):
        counts[drawn(P, 2)] += 1
    spread = 4 * math.sqrt(0.25 / times)
    torch.testing.assert_close(counts / times, inclusion(P, 2), atol=spread, rtol=0)


def test_a_pass_in_training_takes_the_drawn_links_alone_and_evaluation_takes_all():
    model = dense(sampled_links=2).train()
    whole = dense()
    whole.load_state_dict(model.state_dict())
    model(image()).square().mean().backward()
    for layer, level in itertools.product(range(3), range(LEVELS)):
        edges = model.net.edges[layer][level]
        taken = [model.net.transitions[edge.key].conv.weight.grad is not None for edge in edges]
        assert sum(taken) in ([2] if layer == 2 else [0, 2])  # 0: no drawn link reads the cell
    model.load_state_dict(whole.state_dict())
    assert torch.equal(model.eval()(image()), whole.eval()(image()))
    every = dense(sampled_links=LEVELS * 3).train()
    assert torch.equal(every(image()), whole.train()(image()))


@pytest.mark.parametrize("seed", range(4))
def test_every_cell_that_is_decoded_lies_on_a_path_from_a_stem_to_the_head(seed):
    net = dense().net
    weights = random_weights(net, seed, sharpness=2.0)
    for tau, most in ((0.5, 3), (0.5, None), (0.0, 2), (1.0, None)):
        found = decode_dense(weights, "threshold", tau, net.reach, most, ("conv_3x3", "conv_5x5"))
        inputs = {cell.at: cell.inputs for cell in found.cells}
        read = {source for own in inputs.values() for source in own} | {(3, level) for level in range(LEVELS)}
        assert set(inputs) == {place for place in read if place[0]}
        for (layer, level), own in inputs.items():
            of = {
                (layer - e.back, e.source): float(weights["beta"][layer - 1, level, e.slot])
                for e in incoming(layer - 1, level, net.reach)
            }
            assert 1 <= len(own) <= (most or len(of))
            assert sum(own.values()) == pytest.approx(1, abs=1e-5)
            assert min(of[source] for source in own) >= tau * max(of.values())
            left_out = [weight for source, weight in of.items() if source not in own]
            assert not left_out or max(left_out) <= min(of[s] for s in own) or max(left_out) < tau * max(of.values())
            if most is None:
                assert all(weight < tau * max(of.values()) for weight in left_out)


def test_no_threshold_and_no_cap_is_the_supernet():
    model = dense().eval()
    weights = random_weights(model.net)
    weights["alpha"] = one_hot(weights["alpha"].argmax(-1), model.net.masks["alpha"]).double()
    found = decode_dense(weights, "threshold", 0.0, model.net.reach, None, ("conv_3x3", "conv_5x5"))
    assert found.links == int(model.net.masks["beta"].sum())
    expected = model.net(image(), weights)
    torch.testing.assert_close(discrete_from(model, found)(image()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_a_discrete_network_computes_what_the_supernet_does_at_its_weights(tied):
    model = dense(tied=tied).eval()
    found = SPACES["dense-grid"].decode(random_weights(model.net), "threshold", 0.5, settings_of(tied=tied))
    assert found == dense_genotype_from_dict(found.to_dict())
    weights = {name: w.double() for name, w in found.weights(model.net.reach).items()}
    own = discrete_from(model, found)
    torch.testing.assert_close(own(image()), model.net(image(), weights), atol=1e-12, rtol=1e-12)
    assert len(own.net.cells) == len(found.cells) <= 12
    torch.testing.assert_close(fold(own)(image()), own(image()), atol=1e-12, rtol=1e-12)


def settings_of(**values):
    return SPACES["dense-grid"].settings_of({"size": "nano", **OWN, **values})


def test_uniform_weights_keep_the_nearest_and_a_cell_without_weight_one_link():
    beta = torch.zeros(2, LEVELS, Reach(2, 1).slots)
    found = kept_links(beta, Reach(2, 1), 0.5, 3)
    assert found[2, 0] == {(1, 0): 1.0}
    even = masks(2, 2, Reach(2, 3))["beta"] / masks(2, 2, Reach(2, 3))["beta"].sum(-1, keepdim=True)
    assert list(kept_links(even, Reach(2, 3), 0.5, 3)[2, 3]) == [(1, 0), (1, 1), (1, 2)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"reach_layers": 4}, "reach_layers=4: 3 layers reach back 3 at most"),
        ({"reach_layers": 0}, "reach_layers=0"),
        ({"reach_levels": 4}, "reach_levels=4"),
        ({"layers": 0}, "layers=0"),
        ({"filters": 6, "channel_sampling": 2}, "use a multiple of 4"),
        ({"unbiased_links": True}, "unbiased_links is of sampled_links from 1 to 3, not 0"),
        ({"unbiased_links": True, "sampled_links": 4}, "not 4"),
        ({"operations": "conv_9x9"}, "conv_9x9"),
    ],
)
def test_what_a_dense_grid_cannot_have_is_said(settings, said):
    with pytest.raises(ValueError, match=said):
        settings_of(**settings)


GOOD = {
    "layers": 1,
    "operations": ["conv_3x3", "conv_5x5"],
    "cells": [{"cell": f"1/{4 * 2**i}", "operation": "conv_3x3", "inputs": {"0/32": 1.0}} for i in range(LEVELS)],
    "decoding": "by hand",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": 101}, "a grid has 1 to 100"),
        ({"layers": 2}, "the decoder reads the cell at layer 2, stride 4, which is not there"),
        ({"operations": ["conv_3x3", 5]}, "expected a list of names"),
        ({"cells": [*GOOD["cells"], GOOD["cells"][0]]}, "is there twice"),
        ({"first": {"cell": "1/5"}}, "expected LAYER/STRIDE"),
        ({"first": {"cell": "2/4"}}, "lies off the grid of 1 layers"),
        ({"first": {"operation": "none"}}, "has the operation 'none'"),
        ({"first": {"inputs": {}}}, "reads from nowhere"),
        ({"first": {"inputs": {"1/8": 1.0}}}, "it can read earlier layers alone"),
        ({"first": {"inputs": {"0/8": -1.0}}}, "expected a number above 0"),
        ({"first": {"inputs": {"0/8": "much"}}}, "expected a number above 0"),
        ({"space": "grid"}, "space"),
    ],
)
def test_a_genotype_that_is_none_is_refused(change, said):
    assert dense_genotype_from_dict(GOOD).links == LEVELS
    content = {**GOOD, **{name: value for name, value in change.items() if name != "first"}}
    if "first" in change:
        content["cells"] = [{**GOOD["cells"][0], **change["first"]}, *GOOD["cells"][1:]]
    with pytest.raises(ValueError, match=said):
        dense_genotype_from_dict(content)
