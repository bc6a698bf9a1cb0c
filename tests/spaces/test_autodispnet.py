"""The space of AutoDispNet: the counts of the released networks, the correlation layer, the cells in both forms, what
discretisation keeps, and what the networks refuse."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from wholenet.ops.forms import plain_form
from wholenet.ops.resize import resize
from wholenet.spaces.autodispnet.correlation import Correlation, normalised
from wholenet.spaces.autodispnet.genotype import (
    CHOSEN,
    DILATED,
    KINDS,
    OPERATIONS,
    PUBLISHED,
    DisparityGenotype,
    decode,
    genotype_from_dict,
    one_hot,
    random_cells,
    search_table,
)
from wholenet.spaces.autodispnet.net import warp
from wholenet.spaces.autodispnet.pair import Pair
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.option_costs import option_costs

SPACE = SPACES["autodispnet"]
CELLS = PUBLISHED["autodispnet"]


def made(size="full", genotype=None, **settings):
    return create_model(f"autodispnet-{size}", num_classes=1, genotype=genotype, **settings)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def pair(*shape, seed=0, dtype=torch.float64):
    source = torch.Generator().manual_seed(seed)
    return Pair(*(torch.randn(shape, generator=source, dtype=dtype) for _ in range(2)))


def with_all(operation):
    """The published cells' edges, all with one operation."""
    return DisparityGenotype(
        **{kind: tuple(tuple((operation, i) for _, i in node) for node in getattr(CELLS, kind)) for kind in KINDS}
    )


# ---- counts (AutoDispNet's released code)


def test_each_part_of_the_published_network_has_its_parameters():
    with torch.device("meta"):
        (net,) = made(genotype=CELLS, published=True).net.stages
    assert parameters(net) == 36_989_773
    assert parameters(net.stem) == 214_400
    assert [parameters(cell) for cell in net.features] == [220_080]
    assert [parameters(cell) for cell in net.encoder] == [99_372, 820_008, 650_832, 3_334_464, 2_571_744, 13_216_896]
    assert [parameters(cell) for cell in net.decoder.cells] == [6_708_912, 6_938_904, 1_740_732, 438_270]
    assert [parameters(layer) for layer in net.decoder.predictions] == [18_145, 9_073, 4_537, 2_269, 1_135]


C24, C18, C8 = {"width": 24}, {"width": 18, "stem_factor": 2.0}, {"width": 8, "stem_factor": 2.0}


@pytest.mark.parametrize(
    ("genotype", "settings", "expected"),
    [
        (CELLS, {"two_sided": False}, 36_989_773 - 10_080),
        (CELLS, C24, 12_183_101),
        (with_all("skip_connect"), C24, 13_058_525),
        (with_all("sep_conv_5x5"), C24, 10_198_685),
        (with_all("sep_conv_3x3"), C24, 9_903_773),
        (with_all("max_pool_3x3"), C24, 6_005_405),
        (CELLS, {**C8, "displacement": 12}, 1_413_029),
        (CELLS, {**C8, "displacement": 6}, 1_412_453),
    ],
)
def test_published_networks_have_their_parameters(genotype, settings, expected):
    with torch.device("meta"):
        assert parameters(made(genotype=genotype, published=True, **settings).net) == expected


@pytest.mark.parametrize(
    ("settings", "stages", "whole"),
    [
        ({}, [36_989_773, 37_109_249, 37_109_249], 111_208_271),
        (C18, [6_931_157, 6_961_973, 6_961_973], 20_855_103),
    ],
)
def test_stacks_have_the_parameters_of_their_stages(settings, stages, whole):
    with torch.device("meta"):
        net = made(genotype=CELLS, published=True, stages=3, **settings).net
    assert [parameters(stage) for stage in net.stages] == stages
    assert parameters(net) == whole


@pytest.mark.parametrize(
    ("size", "genotype", "settings", "expected"),
    [
        ("full", None, {}, 35_557_708),
        ("tiny", None, {}, 345_915),
        ("tiny", None, {"width": 4}, 114_879),
        ("tiny", CELLS, {"published": True}, 105_691),
        ("tiny", CELLS, {"two_sided": True}, 108_187),
    ],
)
def test_supernets_and_small_networks_have_their_parameters(size, genotype, settings, expected):
    with torch.device("meta"):
        assert parameters(made(size, genotype, **settings).net) == expected


def test_options_are_counted_with_and_without_dilated_convolutions_of_stride_2():
    with torch.device("meta"):
        assert sum(int(mask.sum()) for mask in made("tiny").net.masks.values()) == 264
        masks = made("tiny", published=True).net.masks
    assert sum(int(mask.sum()) for mask in masks.values()) == 252
    assert {name: tuple(mask.shape) for name, mask in masks.items()} == {
        "normal": (9, 8),
        "reduce": (9, 8),
        "upsample": (15, 8),
    }
    dilated = [OPERATIONS.index(name) for name in DILATED]
    rows = [edge.source >= 2 for edge in search_table(strided_dilation=False)["reduce"]]
    assert masks["reduce"][:, dilated].tolist() == [[row, row] for row in rows]


def test_what_options_cost_is_what_their_convolutions_multiply():
    costs = option_costs(made("tiny", width=2).spec, (32, 16))
    # Two reduction cells: 4 channels at 1/8, 8 at 1/16. An edge of stride 2, then one between nodes.
    c, pixels = torch.tensor([4, 8]), torch.tensor([4 * 2, 2 * 1])
    separable = {k: (pixels * (k**2 * c + c**2)).sum().item() for k in (3, 5)}
    full = (pixels * 9 * c**2).sum().item()
    two = {name: 2 * separable[k] for name, k in (("sep_conv_3x3", 3), ("sep_conv_5x5", 5))}
    one = {name: separable[k] for name, k in (("dil_conv_3x3", 3), ("dil_conv_5x5", 5))}
    for row, skip in ((0, full), (4, 0)):
        expected = {"skip_connect": skip, **two, **one}
        assert costs["reduce"][row].tolist() == [expected.get(name, 0) for name in OPERATIONS]


# ---- correlation


def test_correlation_of_a_line_of_numbers():
    left = torch.arange(12.0).view(1, 2, 1, 6)
    found = Correlation(2, normalised=False)(left, left**2 / 10)[0, :, 0]
    expected = [
        [10.8, 17.2, 26, 37.8, 53.2, 72.8],
        [0, 12.6, 19.7, 29.4, 42.3, 59],
        [0, 0, 14.4, 22.2, 32.8, 46.8],
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_features_that_are_shifted_are_found_where_they_went():
    left = torch.randn(1, 32, 6, 40, generator=torch.Generator().manual_seed(0))
    right = torch.zeros_like(left)
    right[..., :-5] = left[..., 5:]  # d = x_left - x_right
    for layer in (Correlation(8, normalised=False), Correlation(8)):
        assert (layer(left, right).argmax(1)[..., 8:] == 5).all()
    both = Correlation(8, two_sided=True)
    assert (both(right, left).argmax(1)[..., :-5] == both.shifts.index(-5)).all()


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("displacement", [0, 3, 9])
def test_correlation_is_the_mean_of_products_in_both_forms_and_of_every_order(displacement, two_sided):
    left, right = (x.requires_grad_() for x in pair(2, 3, 2, 5))
    layer = Correlation(displacement, two_sided=two_sided)
    fast = layer(left, right)
    with plain_form(layer):
        plain = layer(left, right)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-12)
    ours, theirs = normalised(left), normalised(right)
    for i, d in enumerate(layer.shifts):
        for x in range(5):
            product = ours[..., x] * theirs[..., x - d] if 0 <= x - d < 5 else torch.zeros(2, 3, 2)
            torch.testing.assert_close(fast[:, i, :, x], product.mean(1).to(fast.dtype))
    above = torch.randn_like(fast)
    for a, b in zip(*(torch.autograd.grad(out, (left, right), above) for out in (fast, plain)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_correlation_can_be_differentiated_twice():
    layer = Correlation(2)
    inputs = tuple(x.requires_grad_() for x in pair(1, 2, 1, 3))
    assert gradcheck(layer, inputs)
    assert gradgradcheck(layer, inputs)


def test_normalised_features_give_cosines_and_pixels_without_features_nothing():
    left, right = pair(2, 5, 4, 6)
    found = Correlation(0)(left, right)[:, 0]
    centred = [x - x.mean((2, 3), keepdim=True) for x in (left, right)]
    torch.testing.assert_close(found, F.cosine_similarity(*centred), rtol=0, atol=1e-5)
    assert (Correlation(2)(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)) == 0).all()


def test_an_exported_correlation_takes_any_height_and_width():
    dims = {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=4)}
    example = tuple(x.float() for x in pair(1, 2, 3, 9))
    program = torch.export.export(Correlation(2), example, dynamic_shapes=(dims, dims))
    other = tuple(x.float() for x in pair(1, 2, 5, 14))
    torch.testing.assert_close(program.module()(*other), Correlation(2)(*other))


# ---- networks


def test_predictions_of_a_pair_of_128_by_256_have_the_sizes_of_their_levels():
    out = made(genotype=CELLS, width=1)(Pair(torch.zeros(1, 3, 128, 256), torch.zeros(1, 3, 128, 256)))
    assert out.full.shape == (1, 128, 256)
    assert [tuple(level.shape) for level in out.levels] == [(1, 2**k, 2 ** (k + 1)) for k in (5, 4, 3, 2, 1)]


def test_the_whole_estimate_is_the_finest_level_enlarged_and_none_is_negative():
    torch.manual_seed(0)
    out = made("tiny", width=2)(pair(2, 3, 32, 64, dtype=torch.float32))
    assert [tuple(level.shape) for level in out.levels] == [(2, 8, 16), (2, 4, 8), (2, 2, 4)]
    torch.testing.assert_close(out.full, resize(out.levels[0][:, None], (32, 64))[:, 0])
    assert all((level >= 0).all() for level in out.levels)


@pytest.mark.parametrize("published", [False, True])
def test_a_supernet_computes_the_same_in_both_forms_with_the_same_gradients(published):
    torch.manual_seed(0)
    model = made("tiny", width=1, published=published).double().train()
    images, found = pair(2, 3, 16, 32), {}
    for plain in (False, True):
        with plain_form(model, plain=plain):
            out = model(images)
        loss = sum(level.square().mean() for level in out.levels)
        found[plain] = (out.full, *torch.autograd.grad(loss, [*model.net.parameters(), *model.arch.parameters()]))
    for fast, plain in zip(found[False], found[True], strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("settings", [{"published": True}, {"affine": True, "stages": 2}])
def test_one_hot_weights_are_the_discrete_network(settings):
    torch.manual_seed(0)
    supernet = made("tiny", width=1, **settings).double().train()
    discrete = made("tiny", CELLS, width=1, **settings).double().train()
    every = supernet.net.state_dict()
    discrete.net.load_state_dict({name: every[name] for name in discrete.net.state_dict()})
    images = pair(2, 3, 32, 32)
    weights = {name: x.double() for name, x in one_hot(CELLS).items()}
    ours, theirs = supernet.net(images, weights), discrete(images)
    assert ours.full.abs().max() > 0
    torch.testing.assert_close(ours.full, theirs.full, rtol=1e-9, atol=1e-10)


def test_products_with_the_hessian_in_all_weights_of_the_architecture_are_what_gradients_differ_by():
    torch.manual_seed(0)
    model = made("tiny", width=1).double().train()
    images, logits = pair(2, 3, 32, 32), list(model.arch.parameters())
    assert sum(x.numel() for x in logits) == 264
    vectors = [torch.randn_like(x) for x in logits]

    def gradients(step=0.0, **options):
        with torch.no_grad():
            for x, v in zip(logits, vectors, strict=True):
                x += step * v
        loss = sum((level - 3).abs().mean() for level in model(images).levels)
        found = torch.autograd.grad(loss, logits, **options)
        with torch.no_grad():
            for x, v in zip(logits, vectors, strict=True):
                x -= step * v
        return found

    along = sum((g * v).sum() for g, v in zip(gradients(create_graph=True), vectors, strict=True))
    product = torch.autograd.grad(along, logits)
    step = 1e-6
    for exact, above, below in zip(product, gradients(step), gradients(-step), strict=True):
        assert exact.isfinite().all()
        assert exact.abs().max() > 0
        torch.testing.assert_close(exact, (above - below) / (2 * step), rtol=1e-4, atol=1e-5)


def test_the_right_image_warped_by_the_true_disparity_is_the_left_one():
    right = pair(1, 2, 3, 10).right
    disparity = torch.full((1, 1, 3, 10), 2.0, dtype=right.dtype)
    torch.testing.assert_close(warp(right, disparity)[..., 2:], right[..., :-2])
    assert (warp(right, disparity)[..., :2] == 0).all()
    between = (right[..., :-3] + right[..., 1:-2]) / 2
    torch.testing.assert_close(warp(right, disparity + 0.5)[..., 3:], between)


def test_a_stage_that_adds_nothing_leaves_the_estimate_before_as_it_was():
    torch.manual_seed(0)
    model = made("tiny", CELLS, width=2, stages=2).double().eval()
    images = pair(1, 3, 32, 48)
    before = resize(model.net.stages[0](images, {})[-1], (32, 48))
    for layer in model.net.stages[1].decoder.predictions:
        torch.nn.init.zeros_(layer.convolution.weight)
    out = model(images)
    assert before.max() > 0
    for level in out.levels:
        torch.testing.assert_close(level, resize(before, level.shape[1:])[:, 0])


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([(1, 3, 32, 40)] * 2, r"a pair of 32x40: expected sides that are multiples of 16, .*resize it to 32x48"),
        ([(1, 3, 16, 16), (1, 3, 16, 32)], r"expected images of one shape"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(shapes, said):
    model = made("tiny", width=1)
    with pytest.raises(ValueError, match=said):
        model(Pair(*(torch.zeros(shape) for shape in shapes)))


def test_the_published_network_takes_multiples_of_64():
    with torch.device("meta"):
        model = made(genotype=CELLS, width=1)
    assert model.net.multiple == 64
    with pytest.raises(ValueError, match="multiples of 64"):
        model(Pair(*(torch.zeros(1, 3, 96, 64, device="meta") for _ in range(2))))


def test_a_decoder_has_no_more_cells_than_there_are_features():
    with pytest.raises(ValueError, match=r"decoder=3: size='tiny' .*give at most 2"):
        SPACE.settings_of({"size": "tiny", "decoder": 3})


# ---- genotypes


def test_the_published_cells_are_those_of_the_released_code():
    assert CELLS.to_dict() == {
        "normal": [
            [["skip_connect", 0], ["sep_conv_5x5", 1]],
            [["sep_conv_3x3", 2], ["skip_connect", 0]],
            [["dil_conv_3x3", 2], ["dil_conv_3x3", 0]],
        ],
        "reduce": [
            [["sep_conv_5x5", 1], ["sep_conv_3x3", 0]],
            [["sep_conv_5x5", 2], ["skip_connect", 0]],
            [["skip_connect", 1], ["sep_conv_5x5", 3]],
        ],
        "upsample": [
            [["sep_conv_3x3", 3], ["dil_conv_3x3", 2], ["sep_conv_3x3", 1], ["skip_connect", 0]],
            [["sep_conv_3x3", 3], ["sep_conv_3x3", 4]],
            [["sep_conv_3x3", 2], ["dil_conv_5x5", 4]],
        ],
    }


def test_the_edges_of_a_supernet_lead_from_each_node_to_each_later_one():
    edges = {
        kind: [(edge.source, edge.target) for edge in row] for kind, row in search_table(strided_dilation=True).items()
    }
    two = [(0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4), (1, 4), (2, 4), (3, 4)]
    assert edges == {
        "normal": two,
        "reduce": two,
        "upsample": [(i, 4) for i in range(4)] + [(i, 5) for i in range(5)] + [(i, 6) for i in range(6)],
    }


def strong(found, kind, source, target, operation, strength):
    row = [(e.source, e.target) for e in search_table(strided_dilation=True)[kind]].index((source, target))
    found[kind][row, OPERATIONS.index(operation)] = strength


def test_discretisation_keeps_two_edges_into_a_node_and_four_into_the_first_of_an_upsampling_cell():
    weights = {kind: torch.full((rows, 8), 0.1) for kind, rows in (("normal", 9), ("reduce", 9), ("upsample", 15))}
    strong(weights, "normal", 0, 4, "none", 9.0)  # never chosen
    strong(weights, "normal", 2, 4, "dil_conv_5x5", 0.3)
    strong(weights, "normal", 3, 4, "avg_pool_3x3", 0.4)
    strong(weights, "upsample", 2, 4, "skip_connect", 0.4)
    strong(weights, "upsample", 3, 4, "sep_conv_5x5", 0.2)
    strong(weights, "upsample", 5, 6, "sep_conv_3x3", 0.2)
    strong(weights, "reduce", 1, 2, "dil_conv_3x3", 0.9)
    found = decode(weights, search_table(strided_dilation=True))
    assert found.normal[2] == (("avg_pool_3x3", 3), ("dil_conv_5x5", 2))
    assert found.normal[0] == (("max_pool_3x3", 0), ("max_pool_3x3", 1))  # of equals the earlier
    assert found.upsample[0] == (("skip_connect", 2), ("sep_conv_5x5", 3), ("max_pool_3x3", 0), ("max_pool_3x3", 1))
    assert found.upsample[2] == (("sep_conv_3x3", 5), ("max_pool_3x3", 0))
    assert found.reduce[0] == (("dil_conv_3x3", 1), ("max_pool_3x3", 0))
    published = decode(weights, search_table(strided_dilation=False))
    assert published.reduce[0] == (("max_pool_3x3", 0), ("max_pool_3x3", 1))  # not offered there
    assert [len(node) for node in found.upsample] == [4, 2, 2]


@pytest.mark.parametrize("name", ["autodispnet", "random-autodispnet-0", "random-autodispnet-99"])
def test_what_is_cut_out_of_one_hot_weights_is_the_genotype_they_are_of(name):
    found = SPACE.decode(one_hot(PUBLISHED[name]), None, 0.0, SPACE.settings_of({}))

    def as_sets(genotype):
        return {kind: [set(node) for node in getattr(genotype, kind)] for kind in KINDS}

    assert as_sets(found) == as_sets(PUBLISHED[name])


def test_random_cells_are_of_the_published_space_and_miss_nothing_of_it():
    assert random_cells(3) == random_cells(3) == PUBLISHED["random-autodispnet-3"]
    assert len({str(random_cells(seed)) for seed in range(100)}) == 100
    edges = [(kind, edge) for seed in range(100) for kind, row in random_cells(seed).table().items() for edge in row]
    offered = {
        (kind, edge.source, edge.target, name)
        for kind, row in search_table(strided_dilation=False).items()
        for edge in row
        for name in edge.operations
        if name in CHOSEN
    }
    found = {(kind, edge.source, edge.target, *edge.operations) for kind, edge in edges}
    assert found <= offered
    assert len(found) > 0.9 * len(offered)
    assert all([len(node) for node in random_cells(seed).upsample] == [4, 2, 2] for seed in range(9))


def test_a_genotype_is_read_as_it_was_written_and_by_name(tmp_path):
    settings = SPACE.settings_of({"size": "tiny"})
    SPACE.write_genotype(CELLS, tmp_path / "g.yaml")
    assert SPACE.read_genotype(tmp_path / "g.yaml", settings) == CELLS == SPACE.read_genotype("autodispnet", settings)
    assert genotype_from_dict(CELLS.to_dict()) == CELLS


def changed(kind, node, place, value):
    values = CELLS.to_dict()
    values[kind][node][place] = value
    return values


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "the genotype is"),
        ({"normal": [], "reduce": []}, "has no 'upsample'"),
        ({**CELLS.to_dict(), "more": 1}, "unknown 'more'"),
        ({**CELLS.to_dict(), "reduce": []}, "the reduce cell has 0 nodes of its own; expected 3"),
        ({**CELLS.to_dict(), "normal": ["skip", [], []]}, "has the node 'skip'; expected a list"),
        (changed("normal", 0, 1, ["max_pool_3x3"]), r"expected \[operation, source\]"),
        (changed("normal", 0, 1, ["max_pool_3x3", True]), r"expected \[operation, source\]"),
        (changed("normal", 0, 1, ["max_pool_3x3", 2]), "node 2 reads 0, 2; expected some of 0 to 1"),
        (changed("normal", 0, 1, ["max_pool_3x3", 0]), "node 2 reads 0, 0; expected .* at most once"),
        (changed("upsample", 2, 0, ["none", 0]), "node 6 has the operation 'none'; expected one of max_pool_3x3"),
    ],
)
def test_values_that_are_no_genotype_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        genotype_from_dict(values)


def test_a_published_network_has_no_dilated_convolution_of_stride_2():
    strided = genotype_from_dict(changed("reduce", 0, 0, ["dil_conv_5x5", 1]))
    with torch.device("meta"):
        made("tiny", strided)
        with pytest.raises(ValueError, match=r"the reduce cell has dil_conv_5x5 from node 1 to 2, .*stride 2"):
            made("tiny", strided, published=True)
