"""Other ways to run a network: they compute the same, or are not used, and say why."""

import copy
from types import SimpleNamespace

import pytest
import torch

import wholenet.ops.execution as module
from toy import shallow
from wholenet.jobs.kept import network_kept
from wholenet.ops.execution import MODES, Execution, compiled, execution, graphed, precision_for
from wholenet.search.config import FitConfig
from wholenet.search.steps import Batch, architecture_gradient, make_optimizers, weight_step
from wholenet.spaces.catalog import create_model
from wholenet.tasks.segmentation import SegmentationLoss

pytestmark = pytest.mark.usefixtures("shallow")

CPU = torch.device("cpu")
RATES = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "arch_lr": 0.01, "arch_weight_decay": 0.1}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("grid-nano", num_classes=3).placed(CPU).train()


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def weights(model):
    with torch.no_grad():
        return model.arch()


def test_the_default_is_the_network_itself(model, images):
    model.eval()
    assert torch.equal(model.execution(images, weights(model)), model(images))


def test_bfloat16_runs_convolutions_in_it_and_leaves_weights_statistics_and_loss_in_float32(model, images):
    seen = {}
    for name, layer in (("conv", model.net.transitions["0_0_0"].conv), ("cell", model.net.cells["0_0"])):
        layer.register_forward_hook(lambda *found, name=name: seen.update({name: found[-1].dtype}))
    model.execution = Execution(model.net, torch.bfloat16)
    optimizer, _ = make_optimizers(model, **RATES)
    value = weight_step(model, Batch(images, torch.zeros(2, 64, 64, dtype=torch.long)), SegmentationLoss(), optimizer)
    assert seen == {"conv": torch.bfloat16, "cell": torch.bfloat16}
    assert value.dtype == torch.float32
    assert {t.dtype for t in model.state_dict().values() if t.is_floating_point()} == {torch.float32}
    assert {w.dtype for w in model.arch().values()} == {torch.float32}


def test_bfloat16_gradients_point_where_float32_gradients_point(model, images):
    batch = Batch(images, torch.randint(3, (2, 64, 64), generator=torch.Generator().manual_seed(1)))

    def gradient(precision):
        model.execution = Execution(model.net, precision)
        weights = torch.cat([g.flatten() for g in architecture_gradient(model, batch, SegmentationLoss())[1]])
        return weights[weights != 0]

    exact, rounded = gradient(None), gradient(torch.bfloat16)
    assert torch.cosine_similarity(exact, rounded, dim=0) > 0.99


def test_precision_by_name():
    assert precision_for("float32", CPU) is None
    assert precision_for("auto", CPU) is None
    assert precision_for("bfloat16", CPU) is torch.bfloat16


def test_a_compiled_network_has_the_eager_outputs_and_gradients(images):
    torch.manual_seed(0)
    with shallow(layers=1):  # compiling takes its time for each
        model = create_model("grid-nano", num_classes=3).placed(CPU).train()
    eager = copy.deepcopy(model)
    fast = Execution(model.net, fast=compiled(model.net, backend="aot_eager"))
    plain = Execution(model.net)
    before = copy.deepcopy(model.net.state_dict())
    found = torch.autograd.grad(fast(images, weights(model)).square().mean(), list(model.net.parameters()))
    moved = copy.deepcopy(model.net.state_dict())
    model.net.load_state_dict(before)
    expected = torch.autograd.grad(plain(images, weights(model)).square().mean(), list(model.net.parameters()))
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e, atol=1e-4, rtol=1e-3)
    for name, value in model.net.state_dict().items():
        torch.testing.assert_close(moved[name], value, atol=1e-5, rtol=1e-4)
    copies_are_those_of_an_eager_network(model, fast, eager, images)


def copies_are_those_of_an_eager_network(model, fast, eager, images):
    """What a run with `--recalibrate` makes of a compiled network between its steps, which go on."""
    model.execution = fast
    eager.load_state_dict(model.state_dict())
    before = copy.deepcopy(model.state_dict())
    streams = SimpleNamespace(one=lambda _, number, epoch: Batch((number + 1) * images, None))
    config = FitConfig(data="x", out="y", size="nano", execution="compile", recalibrate=2)
    states = [
        SimpleNamespace(model=m, average=None, weight_optimizer=torch.optim.SGD(m.net.parameters(), lr=1.0))
        for m in (model, eager)
    ]
    found, expected = (network_kept(state, streams, config) for state in states)
    for name, value in found.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name]), name
        assert torch.equal(before[name], model.state_dict()[name]), name
    assert any(not torch.equal(value, before[name]) for name, value in found.state_dict().items())
    assert found.execution.fast is None
    torch.testing.assert_close(fast(images, weights(model)), eager.net(images, weights(eager)), atol=1e-4, rtol=1e-3)


def tried(monkeypatch, model, images, run):
    said = []
    monkeypatch.setattr(module, "compiled", lambda net: run)
    before = copy.deepcopy(model.net.state_dict())
    found = execution(model.net, "compile", None, images, weights(model), said.append)
    assert all(torch.equal(value, model.net.state_dict()[name]) for name, value in before.items())
    return found, said


def test_what_works_is_used_in_weight_steps_alone(monkeypatch, model, images):
    calls = []

    def run(x, weights):
        calls.append(1)
        return model.net(x, weights)

    model.execution, said = tried(monkeypatch, model, images, run)
    assert len(said) == 1
    assert "at " in said[0]
    assert "times the eager speed" in said[0]
    calls.clear()
    batch = Batch(images, torch.zeros(2, 64, 64, dtype=torch.long))
    architecture_gradient(model, batch, SegmentationLoss())
    model.eval()(images)
    assert not calls
    weight_step(model.train(), batch, SegmentationLoss(), make_optimizers(model, **RATES)[0])
    assert calls


def test_what_fails_is_left_with_the_reason(monkeypatch, model, images):
    def run(x, weights):
        raise RuntimeError("no compiler found\nand much more")

    found, said = tried(monkeypatch, model, images, run)
    assert found.fast is None
    assert said == [
        "--execution compile does not work here (no compiler found); training goes on with --execution eager"
    ]


def test_what_computes_something_else_is_left_too(monkeypatch, model, images):
    found, said = tried(monkeypatch, model, images, lambda x, w: 1.1 * model.net(x, w))
    assert found.fast is None
    assert "differ by 21 %" in said[0]


def test_a_kernel_that_is_wrong_for_one_parameter_is_caught(monkeypatch, model, images):
    """In float32, whatever the precision: bfloat16 alone would hide it."""

    def wrong_for_one(net):
        def run(x, weights):
            kernel = net.cells["0_3"].cell.depthwise.convs["k3"].weight
            kernel.register_hook(lambda g: 3 * g)
            return net(x, weights)

        return run

    monkeypatch.setattr(module, "on_kernels", wrong_for_one)
    problem = module._difference(Execution(model.net, torch.bfloat16), "kernels", images, weights(model))
    assert "gives a parameter a gradient that differs by" in problem
    monkeypatch.setattr(module, "on_kernels", lambda net: net)
    model.net.cells["0_3"].cell.depthwise.convs["k3"].weight._backward_hooks.clear()
    assert module._difference(Execution(model.net, torch.bfloat16), "kernels", images, weights(model)) is None


def test_steps_that_move_the_architecture_too_are_tried_as_well(monkeypatch, model, images):
    def run(x, weights):
        if any(w.requires_grad for w in weights.values()):
            raise RuntimeError("no derivative")
        return model.net(x, weights)

    found, said = tried(monkeypatch, model, images, run)
    assert found.fast is None
    assert "(no derivative)" in said[0]


def test_graphs_need_a_gpu(model, images):
    with pytest.raises(ValueError, match="need a GPU; the input is on cpu"):
        graphed(model.net, model.net, images, weights(model), None)
    for mode, reason in (("graph", "CUDA graphs need a GPU"), ("kernels", "the fused kernels need a GPU")):
        said = []
        assert execution(model.net, mode, None, images, weights(model), said.append).fast is None
        assert reason in said[0]


def test_recomputation_goes_with_eager_alone():
    for mode in MODES[1:]:
        with pytest.raises(ValueError, match="use execution='eager' with it"):
            FitConfig(data="x", out="y", recompute=True, execution=mode)
