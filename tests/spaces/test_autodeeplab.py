"""The networks of Auto-DeepLab: their counts, which are published or were taken from public code, and their forms."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from wholenet.ops.forms import plain_form
from wholenet.ops.resize import resize
from wholenet.spaces.autodeeplab.final import FinalNet
from wholenet.spaces.autodeeplab.genotype import OPERATIONS, PUBLISHED, PathGenotype, edges
from wholenet.spaces.autodeeplab.images import level_sizes
from wholenet.spaces.autodeeplab.supernet import Trellis
from wholenet.spaces.autodeeplab.trellis import Move, levels, packed, unpacked

DOUBLE = torch.float64


def on_meta(layers=12, filters=8, **options):
    with torch.device("meta"):
        return Trellis(layers, filters, 5, 19, **options)


def parameters(*parts):
    return sum(p.numel() for part in parts for p in part.parameters())


@pytest.fixture(scope="module")
def full():
    return on_meta()


@pytest.fixture(scope="module")
def separable():
    """Of five layers: the seven that follow are as the fifth."""
    return on_meta(5, separable_atrous=True)


def of_layer(net, layer):
    return [parameters(net.cells[f"{layer}_{level}"]) for level in levels(layer)]


def test_the_published_searchs_network_has_as_many_parameters_as_it_should(full, separable):
    heads = [23_480, 91_760, 362_720, 1_442_240]
    assert len(full.cells) == 45
    for net in (full, separable):
        assert parameters(net.stem) == 11_500
        assert [parameters(head) for head in net.heads.values()] == heads
    assert parameters(full.cells) == 42_958_240
    assert parameters(full) == 44_889_940
    cells = parameters(separable.cells) + 7 * sum(of_layer(separable, 5))
    assert cells == 9_638_800
    assert cells + 11_500 + sum(heads) == 11_570_500  # and 80 of biases in the stem of public code: 11,570,580
    assert all(of_layer(full, layer) == of_layer(full, 5) for layer in range(6, 13))


def test_each_cell_has_as_many_as_it_should(separable):
    assert of_layer(separable, 1) == [18_320, 48_160]
    assert of_layer(separable, 2) == [25_280, 49_440, 143_680]
    assert of_layer(separable, 5) == [25_280, 69_120, 211_200, 673_280]


def test_a_mixed_edge_costs_its_formula(full, separable):
    for net, squares, lines in ((separable, 6, 102), (full, 38, 68)):
        for level, f in enumerate((8, 16, 32, 64)):
            assert parameters(net.cells[f"5_{level}"].edges["0_2"]) == squares * f**2 + lines * f


def test_there_is_as_much_to_choose_as_there_should_be(full):
    assert full.masks["alpha"].shape == (20, 8)
    assert full.masks["beta"].shape == (42, 3)
    assert full.masks["beta"].sum() == 105


@pytest.mark.parametrize(
    ("filters", "backbone", "pyramid", "decoder", "total"),
    [
        (20, 7_030_832, 1_815_552, 1_301_043, 10_147_427),
        (32, 17_612_096, 2_706_432, 1_303_923, 21_622_451),
        (48, 39_222_656, 3_894_272, 1_307_763, 44_424_691),
    ],
)
def test_the_published_network_has_as_many_parameters_as_was_published(filters, backbone, pyramid, decoder, total):
    """10.15, 21.62 and 44.42 millions."""
    with torch.device("meta"):
        net = FinalNet(PUBLISHED["autodeeplab"], filters, 256, 19)
    assert parameters(net.stem, net.cells) == backbone
    assert parameters(net.pyramid) == pyramid
    assert parameters(net.low, net.decoder, net.classify) == decoder == 240 * filters + 1_296_243
    assert parameters(net) == total
    assert parameters(net.stem) == 112_832
    if filters == 20:
        cells = [38_240, 38_960, 38_400, 135_200, 512_000, 151_200, 536_000, 536_000, 2_038_400, 2_102_400, 616_000]
        assert [parameters(cell) for cell in net.cells] == [*cells, 175_200]


def test_separable_atrous_convolutions_do_not_give_the_published_count():
    with torch.device("meta"):
        net = FinalNet(PUBLISHED["autodeeplab"], 20, 256, 19, separable_atrous=True)
    assert round(parameters(net) / 1e6, 2) == 5.56  # not 10.15


def count_convolutions(monkeypatch, net, x, weights):
    """Multiply-adds of the convolutions of a forward pass; where ``x`` has no memory, outputs are only shapes."""
    found = []
    original = nn.Conv2d._conv_forward

    def counted(conv, x, weight, bias):
        if x.is_meta:
            beyond = [conv.dilation[0] * (conv.kernel_size[0] - 1) - 2 * conv.padding[0]] * 2
            sides = [(n - more - 1) // conv.stride[0] + 1 for n, more in zip(x.shape[2:], beyond, strict=True)]
            out = x.new_empty(len(x), conv.out_channels, *sides)
        else:
            out = original(conv, x, weight, bias)
        found.append(out[0].numel() * weight[0].numel())
        return out

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(nn.Conv2d, "_conv_forward", counted)
        net.eval()(x, weights)
    return sum(found)


@pytest.mark.parametrize(
    ("filters", "counts"),
    [
        (20, (317_541_632_000, 320_450_382_392, 90_768_026_168)),
        (32, (434_985_058_304, 439_922_432_384, 124_819_036_544)),
        (48, (653_584_883_712, 662_424_364_896, 188_262_688_608)),
    ],
)
def test_the_published_network_costs_what_it_should(filters, counts, monkeypatch):
    with torch.device("meta"):
        net = FinalNet(PUBLISHED["autodeeplab"], filters, 256, 19)
        for size, count in zip(((1024, 2048), (1025, 2049), (769, 769)), counts, strict=True):
            assert count_convolutions(monkeypatch, net, torch.empty(1, 3, *size), {}) == count
    papers = {20: 333.25e9, 32: 460.93e9, 48: 695.03e9}[filters]
    assert 0.95 * papers < counts[1] < papers


@pytest.mark.parametrize(("layers", "count"), [(4, 23_000_540), (5, 31_143_220)])
def test_a_small_supernet_costs_what_public_code_does(layers, count, monkeypatch):
    net = Trellis(layers, 2, 5, 19, separable_atrous=True, resize_first=True)
    weights = {name: mask.float() for name, mask in net.masks.items()}
    with plain_form(net):
        assert count_convolutions(monkeypatch, net, torch.zeros(1, 3, 65, 65), weights) == count


def made(layers=4, filters=2, blocks=2, **options):
    """A supernet in float64 whose statistics are not those of a fresh one, and its architecture's weights."""
    torch.manual_seed(0)
    net = Trellis(layers, filters, blocks, 3, **options).double()
    with torch.no_grad():
        for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            if norm.affine:
                norm.weight.normal_(1, 0.3)
                norm.bias.normal_()
    weights = {}
    for name, mask in net.masks.items():
        relaxed = torch.randn(mask.shape, dtype=DOUBLE).masked_fill(~mask, -torch.inf).softmax(-1)
        weights[name] = relaxed.requires_grad_()
    return net, weights


@pytest.mark.parametrize(
    "options",
    [{}, {"separable_atrous": True, "affine": True}, {"resize_first": True, "transitions": "incoming"}],
    ids=["paper", "separable", "public"],
)
@pytest.mark.parametrize("training", [True, False])
def test_both_forms_compute_the_same_and_leave_the_same_behind(options, training):
    net, weights = made(layers=3, **options)
    net.train(training)
    x = torch.randn(2, 3, 40, 33, dtype=DOUBLE)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    found = []
    for plain in (False, True):
        for name, buffer in net.named_buffers():
            buffer.copy_(before[name])
        with plain_form(net, plain=plain):
            out = net(x, weights)
            gradients = torch.autograd.grad(out.square().mean(), [*weights.values(), *net.parameters()])
        found.append((out.detach(), gradients, {name: buffer.clone() for name, buffer in net.named_buffers()}))
    for fast, plain, within in zip(*found, (1e-12, 1e-10, 1e-12), strict=True):
        torch.testing.assert_close(fast, plain, atol=within, rtol=within)
    if training:
        assert net.cells["3_1"].edges["0_2"]["sep_conv_3x3"][3].num_batches_tracked == 3  # once per predecessor


def test_each_move_has_a_slope_and_no_other_entry():
    net, weights = made(layers=5)
    out = net(torch.randn(2, 3, 33, 33, dtype=DOUBLE), weights)
    (slope,) = torch.autograd.grad(out.square().mean(), weights["beta"])
    assert torch.equal(slope != 0, net.masks["beta"])
    assert (unpacked(slope, 5, "outgoing") != 0).sum((1, 2)).tolist() == [2, 5, 8, 10, 10]


def one_hot(net, genotype):
    """The weights of a genotype."""
    alpha = torch.zeros(net.masks["alpha"].shape, dtype=DOUBLE)
    beta = torch.zeros(net.layers, 4, 3, dtype=DOUBLE)
    rows = {edge: row for row, edge in enumerate(edges(len(genotype.cell)))}
    for block, choices in enumerate(genotype.cell, 2):
        for i, name in choices:
            alpha[rows[i, block], OPERATIONS.index(name)] = 1
    for layer, (a, b) in enumerate(pairwise((0, *genotype.path)), 1):
        beta[Move(layer, a, b).place(net.transitions)] = 1
    return {"alpha": alpha, "beta": packed(beta, net.transitions)}


CELL = (((0, "sep_conv_3x3"), (1, "atrous_conv_3x3")), ((1, "max_pool_3x3"), (2, "sep_conv_5x5")))
PATH = (0, 1, 1, 1)


def along_the_path(net, genotype, x, *, own_level):
    """The same operations along the path alone, each by itself. A cell reads H-2 at its own level, which off the
    path is zero; or else (``own_level`` False) the path's own, as the discrete network does."""
    stem = net.stem(x)
    found = [(0, stem)]
    sizes = level_sizes(stem)
    for layer, level in enumerate(genotype.path, 1):
        cell = net.cells[f"{layer}_{level}"]
        source, one = found[-1]
        states = {1: cell.before[str(source)](one, sizes[level], level - source)}
        if cell.two_back is not None:
            earlier, two = found[-2]
            if earlier != level:
                channels = cell.two_back.conv.in_channels
                there = torch.zeros(len(x), channels, *sizes[level], dtype=DOUBLE)
                two = there if own_level else resize(two.repeat(1, 2, 1, 1)[:, :channels], sizes[level], corners=True)
            states[0] = cell.two_back(two, sizes[level], 0)
        for block, choices in enumerate(genotype.cell, 2):
            read = [cell.edges[f"{i}_{block}"][name](states[i]) for i, name in choices if i in states]
            states[block] = sum(read)
        found.append((level, torch.cat([states[block] for block in range(2, 2 + len(genotype.cell))], dim=1)))
    return found[-1][1]


@pytest.mark.parametrize("transitions", ["outgoing", "incoming"])
def test_at_one_hot_weights_the_supernet_is_the_path_by_its_own_rule(transitions):
    """And not the discrete network, whose cells read the path's own H-2 (trap)."""
    net, _ = made(transitions=transitions)
    net.eval()
    genotype = PathGenotype(PATH, CELL)
    x = torch.randn(2, 3, 40, 33, dtype=DOUBLE)
    with torch.no_grad():
        last = net.features(x, one_hot(net, genotype))
        assert all(not last[level].any() for level in (0, 2, 3))  # off the path: exactly zero
        torch.testing.assert_close(last[1], along_the_path(net, genotype, x, own_level=True), atol=1e-12, rtol=1e-12)
        assert (last[1] - along_the_path(net, genotype, x, own_level=False)).abs().max() > 1e-5


def test_the_discrete_network_has_weights_for_the_paths_own_h_2():
    """Which has the channels of another level where the path has moved; the supernet's has those of its own."""
    final, (net, _) = FinalNet(PathGenotype((0, 0, 1, 2), CELL), 2, 16, 3), made()
    assert final.cells[3].two_back[1].in_channels == 2 * 2
    assert net.cells["4_2"].two_back.conv.in_channels == 2 * 8
    assert net.cells["2_1"].two_back is None


def test_drop_path_rises_with_depth_and_time():
    with torch.device("meta"):
        net = FinalNet(PUBLISHED["autodeeplab"], 2, 16, 3, path_keep=0.8)
    for cell, time, kept in ((1, 0, 1), (1, 1, 1 - 0.2 / 12), (12, 0.5, 0.9), (12, 1, 0.8), (12, 2, 0.8)):
        net.time = time
        assert net.keep(cell) == pytest.approx(kept)


def test_dropped_operations_are_dropped_by_sample_and_in_training_alone():
    torch.manual_seed(0)
    net = FinalNet(PathGenotype((0, 1), CELL), 2, 16, 3, path_keep=0.5)
    x = torch.randn(2, 3, 33, 33)
    net.time = 1.0
    first = net.eval()(x, {})
    assert torch.equal(first, net(x, {}))
    operation, map_ = net.cells[1].operations["1_2"], torch.randn(64, 4, 5, 5)
    out = operation.eval()(map_, 0.5)
    whole = operation(map_, 0.0)
    zero = out.flatten(1).abs().sum(1) == 0
    assert 10 < zero.sum() < 54
    torch.testing.assert_close(out[~zero], 2 * whole[~zero])


@pytest.mark.parametrize("path", [(0, 0), (1, 2, 3, 3), (0, 1, 0)])
@pytest.mark.parametrize("size", [(33, 47), (64, 32)])
def test_any_path_and_size_comes_to_logits_of_the_images_size(path, size):
    cell = (((0, "avg_pool_3x3"), (1, "skip_connect")), ((0, "skip_connect"), (1, "atrous_conv_5x5")))
    net = FinalNet(PathGenotype(path, cell), 2, 16, 3, separable_atrous=True)
    assert net(torch.randn(2, 3, *size), {}).shape == (2, 3, *size)
    supernet, weights = made(layers=2)
    assert supernet(torch.randn(2, 3, *size, dtype=DOUBLE), weights).shape == (2, 3, *size)


def seeing_pixels_alone():
    """Functions of an image whose cells and heads see nothing but their own pixels: skips, and 1 x 1 convolutions."""
    net, weights = made()
    weights["alpha"] = torch.eye(len(OPERATIONS), dtype=DOUBLE)[OPERATIONS.index("skip_connect")].expand(5, -1)
    for level, channels in enumerate((4, 8, 16, 32)):
        net.heads[str(level)] = nn.Conv2d(channels, 3, 1).double()
    yield lambda x: net.eval()(x, weights)
    skips = ((0, "skip_connect"), (1, "skip_connect"))
    for path in ((0, 1, 2, 3), (1, 2, 1, 0), (1, 2, 3, 2)):
        final = FinalNet(PathGenotype(path, (skips, skips)), 2, 16, 3).double().eval()
        final.pyramid = nn.Conv2d(4 * 2 ** path[-1], 16, 1).double()
        yield lambda x, final=final: final(x, {})


@pytest.mark.parametrize("size", [(155, 158), (156, 129), (176, 145)])
def test_what_is_far_from_the_ends_is_answered_alike_whatever_the_size_of_the_image(size):
    """Aligned corners stretch maps, the further from the first pixel the more, where a side is not 32 k + 1."""
    x = torch.randn(1, 3, 193, 193, dtype=DOUBLE)
    near = (..., slice(size[0] - 96), slice(size[1] - 96))  # of stride 32 a pixel is made of these
    with torch.no_grad():
        for answer in seeing_pixels_alone():
            whole = answer(x)[near]
            assert whole.std() > 0
            torch.testing.assert_close(answer(x[..., : size[0], : size[1]])[near], whole)


def test_what_the_space_cannot_have_is_said():
    with pytest.raises(ValueError, match=r"filters=3 and blocks=5: .* even number of filters"):
        Trellis(3, 3, 5, 2)
    net, weights = made(2)
    with pytest.raises(ValueError, match=r"images of 16x40 pixels .* at least 17"):
        net(torch.zeros(2, 3, 16, 40, dtype=DOUBLE), weights)
    with pytest.raises(ValueError, match=r"batch of one image.*--batch 2"):
        net(torch.zeros(1, 3, 33, 33, dtype=DOUBLE), weights)
    final = FinalNet(PathGenotype(PATH, CELL), 2, 16, 3)
    with pytest.raises(ValueError, match="images of 33x8 pixels"):
        final.eval()(torch.zeros(1, 3, 33, 8), {})
