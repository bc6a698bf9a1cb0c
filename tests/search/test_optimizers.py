"""The optimisers of the weights by name: what each step is, and that a run with either goes on to the bit."""

import copy

import pytest
import torch

from wholenet.search.checkpoint import read_checkpoint, room_needed, state_bytes, write_checkpoint
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.state import TrainState
from wholenet.search.steps import OPTIMIZERS, Batch, make_optimizers, set_rate, weight_step
from wholenet.search.unrolled import VirtualStep
from wholenet.spaces.catalog import create_model
from wholenet.tasks.segmentation import SegmentationLoss

RATES = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1, "arch_lr": 0.01, "arch_weight_decay": 0.1}
CPU = torch.device("cpu")


def test_adamw_is_its_formula_with_the_decay_beside_the_gradient():
    weight, (lr, beta, decay) = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64)), (0.1, 0.8, 0.5)
    optimizer = OPTIMIZERS["adamw"]([weight], lr, beta, decay)
    expected, first, second = 2.0, 0.0, 0.0
    for t, gradient in enumerate([3.0, -1.0, 0.5], start=1):
        first, second = beta * first + (1 - beta) * gradient, 0.999 * second + 0.001 * gradient**2
        expected -= lr * decay * expected
        expected -= lr * (first / (1 - beta**t)) / ((second / (1 - 0.999**t)) ** 0.5 + 1e-8)
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        assert weight.item() == pytest.approx(expected, rel=1e-12)


def test_without_a_gradient_sgd_of_the_same_decay_moves_a_weight_by_another_way():
    moved = {}
    for name, make in OPTIMIZERS.items():
        weight = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        optimizer = make([weight], 0.1, 0.9, 0.5)
        for _ in range(2):
            weight.grad = torch.zeros((), dtype=torch.float64)
            optimizer.step()
        moved[name] = weight.item()
    assert moved["adamw"] == pytest.approx(2 * (1 - 0.1 * 0.5) ** 2)
    buffer = 0.5 * 2.0  # SGD's decay gathers in its momentum
    after = 2.0 - 0.1 * buffer
    assert moved["sgd"] == pytest.approx(after - 0.1 * (0.9 * buffer + 0.5 * after))


def made(optimizer, seed=0):
    torch.manual_seed(seed)
    model = create_model("grid-nano", num_classes=3).train()
    return TrainState(model, *make_optimizers(model, **RATES, optimizer=optimizer))


def steps(state, numbers):
    for k in numbers:
        generator = torch.Generator().manual_seed(k)
        images = torch.randn(2, 3, 33, 40, generator=generator)
        targets = torch.randint(3, (2, 33, 40), generator=generator)
        set_rate(state.weight_optimizer, 0.01 / (1 + k))
        weight_step(state.model, Batch(images, targets), SegmentationLoss(), state.weight_optimizer)


def test_a_checkpoint_of_adamw_goes_on_to_the_bit_and_its_room_was_known(tmp_path):
    state = made("adamw")
    room = room_needed(state.state_dict())
    steps(state, range(2))
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, state.state_dict())
    assert room >= 3 * state_bytes(state.state_dict())
    steps(state, range(2, 4))
    other = made("adamw", seed=1)
    other.load_state_dict(read_checkpoint(path, CPU))
    steps(other, range(2, 4))
    expected, found = state.state_dict(), other.state_dict()
    for name, value in expected["model"].items():
        assert torch.equal(value, found["model"][name]), name
    for number, moments in expected["weight_optimizer"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(value, found["weight_optimizer"]["state"][number][name])


def test_by_default_it_is_sgd_and_its_moments_are_no_adamws():
    rates = copy.copy(RATES)
    model = create_model("grid-nano", num_classes=3)
    assert type(make_optimizers(model, **rates)[0]) is torch.optim.SGD
    assert FitConfig(data="x", out="y").optimizer == "sgd"


def test_a_virtual_step_is_sgds_alone():
    with pytest.raises(ValueError, match="looks through a step of SGD"):
        fit_config("darts", data="x", out="y", gradient="second-order", optimizer="adamw")
    with pytest.raises(TypeError, match="moved by AdamW"):
        VirtualStep.of(made("adamw").weight_optimizer)
