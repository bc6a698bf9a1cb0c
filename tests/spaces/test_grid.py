import math

import pytest
import torch

from wholenet.architecture import one_hot
from wholenet.ops.bottleneck import CELLS
from wholenet.ops.forms import plain_form
from wholenet.ops.operations import convolution
from wholenet.spaces.catalog import create_model
from wholenet.spaces.count import count, linear_flops, meta_flops
from wholenet.spaces.grid import Grid
from wholenet.spaces.links import LEVELS, incoming, masks
from wholenet.spaces.sizes import GRID_SIZES, GridSize, grid_size

TOY = GridSize(layers=2, filters=4, expansion=2, head=8)


def toy(cell="mixture", size=TOY, **options):
    torch.manual_seed(0)
    return Grid(size, num_classes=3, cell=cell, **options).double()


def random_weights(net, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(mask.shape, generator=generator, dtype=torch.float64)
        .masked_fill(~mask, -torch.inf)
        .softmax(-1)
        for name, mask in net.masks.items()
    }


def test_a_layer_has_ten_edges_between_neighbouring_levels():
    edges = [edge for level in range(LEVELS) for edge in incoming(0, level)]
    assert len(edges) == 10
    assert all(abs(edge.source - edge.target) <= 1 for edge in edges)
    assert masks(5)["beta"].sum().item() == 5 * 10


# Parameters, and FLOPs (2 per multiply-add, convolutions only, 1024 x 2048, 19 classes) of the layer-by-layer count
# by hand that reproduces the paper's Table 3 (docs/architecture.md); M and G.
DESIGN = {"small": (3.25, 53.3), "base": (10.8, 99.8), "medium": (22.35, 365.8), "large": (47.35, 538.7)}
PAPER_PARAMETERS = {"small": 3.2, "base": 10.7, "medium": 22.3, "large": 47.3}


@pytest.mark.parametrize("size", DESIGN)
def test_the_four_sizes_have_the_papers_parameters_and_flops(size):
    counts = count(f"grid-{size}")
    parameters, flops = DESIGN[size]
    assert counts.parameters == pytest.approx(parameters * 1e6, rel=0.02)
    assert counts.flops == pytest.approx(flops * 1e9, rel=0.03)
    assert counts.parameters == pytest.approx(PAPER_PARAMETERS[size] * 1e6, rel=0.05)
    assert counts.flops == 2 * counts.macs
    assert counts.macs_merged < counts.macs


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_counted_on_patches_is_what_is_counted_on_the_image(cell):
    model = create_model("grid-nano", num_classes=5, cell=cell).eval()
    assert linear_flops(model, 96, 160) == meta_flops(model, 96, 160)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 47), (64, 96), (65, 127)])
@pytest.mark.parametrize("cell", CELLS)
def test_logits_come_at_the_size_of_the_input(size, cell):
    net = toy(cell).eval()
    x = torch.zeros(2, 3, *size, dtype=torch.float64)
    assert net(x, random_weights(net)).shape == (2, 3, *size)


def test_any_number_of_classes_and_input_channels():
    for classes, channels in ((1, 1), (40, 5)):
        model = create_model("grid-nano", num_classes=classes, in_channels=channels).eval()
        assert model(torch.zeros(1, channels, 32, 32)).shape == (1, classes, 32, 32)


def assert_forms_agree(net, weights, x):
    """In the outputs, and in the gradients of every weight, architecture weights included."""
    inputs = [*weights.values(), *net.parameters()]

    def run(plain):
        with plain_form(net, plain=plain):
            out = net(x, weights)
        return out, torch.autograd.grad(out.square().mean(), inputs)

    (fast, fast_gradients), (plain, plain_gradients) = run(plain=False), run(plain=True)
    torch.testing.assert_close(fast, plain, atol=1e-12, rtol=1e-12)
    for f, p in zip(fast_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(f, p, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("shape", [(32, 64), (37, 51)])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sampling", [1, 2])
def test_plain_and_fast_forms_agree_in_outputs_and_every_gradient(mode, shape, cell, sampling):
    net = toy(cell, size=GridSize(layers=2, filters=4, expansion=2, sampling=sampling, head=8)).train(mode == "train")
    weights = {name: w.requires_grad_() for name, w in random_weights(net).items()}
    x = torch.randn(2, 3, *shape, dtype=torch.float64)
    assert_forms_agree(net, weights, x)


@pytest.mark.parametrize("seed", range(10))
def test_plain_and_fast_forms_agree_over_random_spaces(seed):
    generator = torch.Generator().manual_seed(seed)

    def pick(*options):
        return options[int(torch.randint(len(options), (), generator=generator))]

    size = GridSize(layers=pick(1, 2, 3), filters=pick(4, 8), expansion=pick(1, 2, 3), sampling=pick(1, 2), head=8)
    kernels = pick((3, 5), (5, 3), (3,), (1, 3, 7))
    operations = [convolution(kernel) for kernel in kernels]
    kept = masks(size.layers, len(kernels))
    # Some edges and kernels go, as in a discrete network; each cell keeps the same-resolution edge and one kernel.
    for mask, always in ((kept["beta"], 1), (kept["alpha"], 0)):
        gone = torch.rand(mask.shape, generator=generator) < 0.4
        gone[..., always] = False
        mask &= ~gone
    net = toy(pick(*CELLS), size, activation=pick("relu", "relu6", "hardswish"), operations=operations, kept=kept)
    net.train(pick(True, False))
    weights = {name: w.requires_grad_() for name, w in random_weights(net, seed).items()}
    shape = (pick(48, 65, 96), pick(64, 51))
    x = torch.randn(2, 3, *shape, dtype=torch.float64, generator=generator)
    assert_forms_agree(net, weights, x)


class Through(torch.nn.Module):
    """A cell that sees nothing but its own pixel."""

    def forward(self, x, _alpha):
        return x


@pytest.mark.parametrize("size", [(155, 158), (156, 129), (176, 145)])
def test_what_is_far_from_the_ends_is_answered_alike_whatever_the_size_of_the_image(size):
    """Sides that no stride divides moved all maps, the further from the first pixel the more: by 3 at the end."""
    net = toy().eval()
    for key in net.cells:
        net.cells[key] = Through()
    weights = random_weights(net)
    x = torch.randn(1, 3, 192, 192, dtype=torch.float64)
    near = (..., slice(size[0] - 96), slice(size[1] - 96))  # of stride 32 a pixel is made of these
    torch.testing.assert_close(net(x[..., : size[0], : size[1]], weights)[near], net(x, weights)[near])


def test_an_edge_of_weight_zero_contributes_nothing():
    net = toy().eval()
    weights = random_weights(net)
    weights["beta"][1, 2] = torch.tensor([0.0, 0.4, 0.6])
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    before = net(x, weights)
    net.transitions["1_1_2"].conv.weight.data += 1
    assert torch.equal(before, net(x, weights))
    net.transitions["1_2_2"].conv.weight.data += 1
    assert not torch.equal(before, net(x, weights))


def discrete_forward(net, x, kernels, sources):
    """The network that one-hot weights stand for, built by following only the chosen edges and kernels."""
    features = [stem(image) for stem, image in zip(net.stems.values(), halvings(x), strict=True)]
    sizes = [tuple(f.shape[-2:]) for f in features]
    for layer in range(net.layers):
        following = []
        for level in range(LEVELS):
            source = sources[layer][level]
            transition = net.transitions[f"{layer}_{source}_{level}"]
            h = transition(features[source], sizes[level], x.new_ones(()))
            cell = net.cells[f"{layer}_{level}"].cell
            conv = list(cell.depthwise.convs.values())[kernels[layer][level]]
            inner = cell.activation(cell.norm(conv(cell.expand(h))))
            following.append(h + cell.project(cell.gate(inner)))
        features = following
    logits = net.decoder(features)
    return torch.nn.functional.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)


def halvings(x):
    for _ in range(LEVELS):
        yield x
        x = torch.nn.functional.avg_pool2d(x, 2)


def test_one_hot_weights_are_the_discrete_network():
    net = toy().eval()
    generator = torch.Generator().manual_seed(5)
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator, dtype=torch.float64))
    kernels = torch.randint(2, (net.layers, LEVELS), generator=generator)
    slots = torch.tensor([[1, 0, 2, 1], [2, 1, 0, 0]])
    weights = {
        "alpha": one_hot(kernels, net.masks["alpha"]).double(),
        "beta": one_hot(slots, net.masks["beta"]).double(),
    }
    sources = slots + torch.arange(LEVELS) - 1
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(
        net(x, weights), discrete_forward(net, x, kernels.tolist(), sources.tolist()), atol=1e-5, rtol=1e-5
    )


def test_every_cell_and_edge_has_its_own_weights():
    net = toy()
    assert len(net.transitions) == 2 * 10
    assert len(net.cells) == 2 * LEVELS


def test_uniform_beta_weighs_by_the_number_of_existing_edges():
    model = create_model("grid-nano", num_classes=2)
    model.arch.set_uniform()
    beta = model.arch()["beta"][0]
    torch.testing.assert_close(beta[0], torch.tensor([0.0, 0.5, 0.5]))
    torch.testing.assert_close(beta[1], torch.full((3,), 1 / 3))
    assert model.arch.normalized_entropies()["beta"] == pytest.approx(1)
    assert math.isclose(model.arch.entropies()["beta"].item(), 3 * (2 * math.log(2) + 2 * math.log(3)), rel_tol=1e-5)


def test_names_and_options_that_do_not_exist_are_refused_with_those_that_do():
    with pytest.raises(ValueError, match="grid-small"):
        create_model("grid-huge", num_classes=2)
    with pytest.raises(ValueError, match="nano, tiny, small"):
        grid_size("huge")
    with pytest.raises(ValueError, match="'mixture', 'separate'"):
        create_model("grid-nano", num_classes=2, cell="dense")
    with pytest.raises(ValueError, match="softmax"):
        create_model("grid-nano", num_classes=2, relaxation="sparsemax")
    with pytest.raises(ValueError, match="num_classes=0"):
        create_model("grid-nano", num_classes=0)
    with pytest.raises(ValueError, match="multiple of 8"):
        GridSize(layers=1, filters=12, expansion=1, sampling=4)
    with pytest.raises(ValueError, match="layers=0"):
        GridSize(layers=0, filters=4, expansion=1)


@pytest.mark.parametrize("name", GRID_SIZES)
def test_every_size_can_be_built(name):
    with torch.device("meta"):
        assert create_model(f"grid-{name}", num_classes=2).spec.model_name == f"grid-{name}"
