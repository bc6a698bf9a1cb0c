"""The discrete network on its own against the supernet that is given the same weights."""

import numpy as np
import pytest
import torch

from wholenet.architecture import drop_weakest, masked_softmax, uniform_weights
from wholenet.data.sample import Classes
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.ops.bottleneck import CELLS
from wholenet.spaces.catalog import create_model, discrete_from
from wholenet.spaces.decoding import DECODINGS, decode
from wholenet.spaces.genotype import STRIDES
from wholenet.spaces.grid import Grid
from wholenet.spaces.links import LEVELS, masks
from wholenet.spaces.sizes import GridSize
from wholenet.spaces.supernet import with_weights


def random_weights(layers=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: masked_softmax(torch.randn(mask.shape, generator=generator, dtype=torch.float64), mask)
        for name, mask in masks(layers).items()
    }


def stir(net, seed=0):
    """Statistics and affine maps as after some training: a fresh network's are the same in every layer."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if (name.endswith(("running_mean", "running_var")) or ".norm." in name) and value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator, dtype=value.dtype) + 0.5)
    return net


def pair(cell, sampling, genotype):
    """A supernet in float64, and the part of it that the genotype keeps."""
    size = GridSize(layers=3, filters=8, expansion=2, sampling=sampling, head=8)
    torch.manual_seed(0)
    whole = stir(Grid(size, 3, cell=cell).double())
    alone = Grid(size, 3, cell=cell, kept=genotype.masks()).double()
    state = whole.state_dict()
    alone.load_state_dict({name: state[name].clone() for name in alone.state_dict()})
    return whole, alone


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sampling", [1, 4])
@pytest.mark.parametrize(("mode", "shape"), [("train", (33, 47)), ("eval", (64, 64))])
def test_the_discrete_network_alone_is_the_supernet_with_its_weights(decoding, cell, sampling, mode, shape):
    genotype = decode(random_weights(), decoding, 0.7)
    whole, alone = (net.train(mode == "train") for net in pair(cell, sampling, genotype))
    weights = {name: w.double() for name, w in genotype.weights().items()}
    x = torch.randn(2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    answers = [net(x, weights) for net in (whole, alone)]
    torch.testing.assert_close(answers[1], answers[0], atol=1e-12, rtol=1e-12)

    for answer in answers:
        answer.square().mean().backward()
    shared = dict(whole.named_parameters())
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(parameter.grad, shared[name].grad, atol=1e-12, rtol=1e-10)
    # What is left out learns nothing in the supernet either.
    left_out = [p.grad for name, p in shared.items() if name not in dict(alone.named_parameters())]
    assert left_out
    assert all(grad is None or (grad == 0).all() for grad in left_out)

    statistics = whole.state_dict()
    for name, value in alone.named_buffers():
        torch.testing.assert_close(value, statistics[name], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_discrete_network_has_the_layers_of_its_genotype_and_no_others(decoding, cell):
    genotype = decode(random_weights(seed=3), decoding, 0.9)
    whole, alone = pair(cell, 1, genotype)
    places = {f"{c.layer - 1}_{STRIDES.index(c.stride)}": c for c in genotype.cells}
    assert set(alone.cells) == set(places)
    assert set(alone.transitions) == {
        f"{c.layer - 1}_{STRIDES.index(s)}_{STRIDES.index(c.stride)}" for c in genotype.cells for s in c.inputs
    }
    assert set(alone.stems) == {str(STRIDES.index(s)) for c in genotype.cells if c.layer == 1 for s in c.inputs}
    for place, c in places.items():
        depthwise = [m.kernel_size for m in alone.cells[place].modules() if getattr(m, "groups", 1) > 1]
        assert [kernel for kernel in depthwise if isinstance(kernel, tuple)] == [2 * (int(c.operation[-1]),)]
    assert set(alone.state_dict()) < set(whole.state_dict())
    assert set(dict(alone.named_modules())) < set(dict(whole.named_modules()))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_network_cut_out_of_a_model_answers_as_the_model_with_its_weights(mode):
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3)
    stir(model.net)
    model.train(mode == "train")
    genotype = decode(random_weights(), "best-path")
    alone = discrete_from(model, genotype)
    assert alone.training == alone.net.training == (mode == "train")
    x = torch.randn(2, 3, 65, 95)
    torch.testing.assert_close(alone(x), model.net(x, genotype.weights()), atol=1e-5, rtol=1e-5)


def test_a_network_cut_out_in_float64_stays_in_float64():
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3).double().eval()
    for parameter in model.parameters():
        parameter.data += 1e-9 * torch.randn(parameter.shape)
    genotype = decode(random_weights(), "threshold", 0.7)
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    weights = {name: w.double() for name, w in genotype.weights().items()}
    torch.testing.assert_close(discrete_from(model, genotype)(x), model.net(x, weights), atol=1e-12, rtol=1e-12)


def test_a_network_cut_out_of_a_model_shares_nothing_with_it():
    model = create_model("grid-nano", num_classes=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    alone = discrete_from(model, decode(random_weights(), "best-path"))
    for value in alone.state_dict().values():
        value.zero_()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_discrete_model_is_cut_further_but_not_back():
    model = create_model("grid-nano", num_classes=3)
    every, path = (decode(random_weights(), name, 0.0) for name in ("threshold", "best-path"))
    smaller = discrete_from(discrete_from(model, every), path)
    assert smaller.spec.genotype == path.to_dict()
    with pytest.raises(ValueError, match=r"the model does not have net|the model does not have \w+.* more that"):
        discrete_from(smaller, every)


def test_the_architecture_of_a_discrete_model_is_its_genotype_and_never_learns():
    genotype = decode(random_weights(), "threshold", 0.5)
    model = create_model("grid-nano", num_classes=2, genotype=genotype)
    assert not any(logits.requires_grad for logits in model.arch.parameters())
    for name, weights in model.arch().items():
        assert torch.equal(weights, genotype.weights()[name])


@pytest.mark.parametrize("decoding", DECODINGS)
def test_a_discrete_model_is_cheaper_in_parameters_than_its_supernet(decoding):
    genotype = decode(random_weights(), decoding, 1.0)
    with torch.device("meta"):
        whole = create_model("grid-nano", num_classes=2)
        alone = create_model("grid-nano", num_classes=2, genotype=genotype)
    assert sum(p.numel() for p in alone.net.parameters()) < sum(p.numel() for p in whole.net.parameters())


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_saved_discrete_model_is_loaded_and_predicts_the_same(decoding, cell, tmp_path):
    torch.manual_seed(0)
    genotype = decode(random_weights(), decoding, 0.5)
    model = create_model("grid-nano", num_classes=2, cell=cell, genotype=genotype)
    stir(model.net)
    save_model(
        tmp_path / "model",
        "segmentation",
        model,
        segmentation_answer(Classes(("a", "b"), ((0, 0, 0), (255, 255, 255)))),
        {},
    )
    loaded = load_model(tmp_path / "model")
    assert loaded.network.spec == model.spec
    state = model.state_dict()
    assert loaded.network.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in loaded.network.state_dict().items())
    x = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(x), model.eval()(x))
    assert loaded.predict(np.zeros((37, 50, 3), np.uint8)).shape == (37, 50)


def test_a_model_with_other_weights_shares_the_network_and_leaves_the_architecture_alone():
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=2).eval()
    learned = {name: w.detach().clone() for name, w in model.arch().items()}
    pruned = learned | {"beta": drop_weakest(learned["beta"], model.net.masks["beta"], 0.5)}
    other = with_weights(model, pruned)
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(other(x), model.net(x, pruned))
    assert not torch.equal(other(x), model(x))
    assert other.net is model.net
    for name, w in model.arch().items():
        assert torch.equal(w, learned[name])
    assert all(logits.requires_grad for logits in model.arch.parameters())


def test_a_part_of_the_grid_that_leads_nowhere_is_refused():
    size = GridSize(layers=2, filters=4, expansion=1)
    kept = masks(2)
    kept["beta"][0, 2] = False
    with pytest.raises(ValueError, match=r"layer 2, stride 8 reads the cell at layer 1, stride 16, which is not there"):
        Grid(size, 2, kept=kept)
    kept = masks(2)
    kept["beta"][1, LEVELS - 1] = False
    with pytest.raises(ValueError, match=r"the decoder reads the cell at layer 2, stride 32, which is not there"):
        Grid(size, 2, kept=kept)


def test_a_model_with_weights_of_its_own_is_saved_and_loaded_with_them(tmp_path):
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3).eval()
    pruned = drop_weakest(torch.rand(3, 4, 3), model.net.masks["beta"], 0.5)
    own = with_weights(model, {"alpha": model.arch()["alpha"].detach(), "beta": pruned})
    classes = Classes(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    save_model(tmp_path / "model", "segmentation", own, segmentation_answer(classes), {})
    loaded = load_model(tmp_path / "model").network
    assert torch.equal(loaded.arch()["beta"], own.arch()["beta"])
    x = torch.randn(1, 3, 40, 50)
    torch.testing.assert_close(loaded(x), own(x), atol=1e-6, rtol=1e-6)


def test_fixed_weights_cannot_be_set_uniform_by_their_logits():
    model = create_model("grid-nano", num_classes=3)
    with pytest.raises(ValueError, match="these architecture weights are fixed"):
        with_weights(model, model.arch()).arch.set_uniform()


def test_uniform_weights_are_those_of_logits_that_are_all_equal():
    model = create_model("grid-nano", num_classes=3)
    model.arch.set_uniform()
    for name, weights in uniform_weights(model.net.masks).items():
        torch.testing.assert_close(weights, model.arch()[name], atol=1e-7, rtol=0)
