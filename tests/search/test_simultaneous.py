"""Both gradients out of one backward pass: the same as the two steps would have found on that batch."""

import copy

import pytest
import torch

from wholenet.architecture import Architecture
from wholenet.search.config import FitConfig
from wholenet.search.loop import train_epoch
from wholenet.search.penalties import EntropyPenalty
from wholenet.search.phases import single_stage
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import (
    Batch,
    architecture_gradient,
    architecture_step,
    make_optimizers,
    simultaneous_step,
    weight_step,
    with_penalties,
)
from wholenet.search.updates import Parts, together, weights_first
from wholenet.spaces.catalog import create_model
from wholenet.tasks.segmentation import SegmentationLoss

LOSS = SegmentationLoss()
RATES = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "arch_lr": 0.01, "arch_weight_decay": 0.1}
PENALTY = EntropyPenalty({"alpha": 0.3, "beta": 0.2})


def penalty_at_one(arch: Architecture):
    return {"entropy penalty": PENALTY(arch, 1.0)}


def random_batches(seed=0):
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(2, 3, 48, 64, generator=generator), torch.randint(3, (2, 48, 64), generator=generator)


def made(cell="mixture"):
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3, cell=cell).train()
    for logits in model.arch.parameters():
        logits.data.mul_(500)
    return model


def same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("cell", ["mixture", "separate"])
@pytest.mark.parametrize("penalty", [None, penalty_at_one])
def test_its_logit_gradient_is_the_architecture_gradient_on_the_same_batch_before_the_weights_move(cell, penalty):
    model = made(cell).double()
    images, targets = next(random_batches())
    batch = Batch(images.double(), targets)
    expected_loss, expected = architecture_gradient(model, batch, LOSS)
    expected = with_penalties(model.arch, expected, penalty(model.arch) if penalty else {})
    value, gradient = simultaneous_step(model, batch, LOSS, make_optimizers(model, **RATES)[0], penalty)
    torch.testing.assert_close(value, expected_loss, atol=1e-12, rtol=1e-12)
    for found, g in zip(gradient, expected, strict=True):
        torch.testing.assert_close(found, g, atol=1e-10, rtol=1e-10)
    assert all((g[model.arch.mask(name)] != 0).all() for name, g in zip(model.arch.logits, gradient, strict=True))


@pytest.mark.parametrize("penalty", [None, penalty_at_one])
def test_its_weight_update_is_that_of_a_weight_step_bit_for_bit(penalty):
    model, other = made(), made()
    batches = random_batches()
    both, alone = make_optimizers(model, **RATES)[0], make_optimizers(other, **RATES)[0]
    for _ in range(3):
        batch = Batch(*next(batches))
        value, _ = simultaneous_step(model, batch, LOSS, both, penalty)
        assert torch.equal(value, weight_step(other, batch, LOSS, alone))
        assert same(model.net.state_dict(), other.net.state_dict())


def test_it_leaves_the_logits_where_they_are_and_no_gradient_behind():
    model = made()
    before = copy.deepcopy(model.arch.state_dict())
    weights, logits = make_optimizers(model, **RATES)
    _, gradient = simultaneous_step(model, Batch(*next(random_batches())), LOSS, weights, penalty_at_one)
    assert same(before, model.arch.state_dict())
    assert all(parameter.grad is None for parameter in model.arch.parameters())
    moved_by_it = {id(p) for group in weights.param_groups for p in group["params"]}
    assert moved_by_it.isdisjoint(map(id, model.arch.parameters()))
    architecture_step(model.arch, gradient, logits)
    assert not any(torch.equal(value, before[name]) for name, value in model.arch.state_dict().items())


def test_the_penalty_does_not_count_as_loss():
    model = made()
    value, _ = simultaneous_step(
        model, Batch(*next(random_batches())), LOSS, make_optimizers(model, **RATES)[0], penalty_at_one
    )
    plain, _ = simultaneous_step(
        made(), Batch(*next(random_batches())), LOSS, make_optimizers(made(), **RATES)[0], None
    )
    assert torch.equal(value, plain)


def epoch(model, phase, weight_batches, arch_batches, simultaneous=True):
    state = TrainState(model, *make_optimizers(model, **RATES), epoch=phase.first)
    schedule, device = Schedule(epochs=3, steps_per_epoch=3, lr=RATES["lr"]), torch.device("cpu")
    parts = Parts(together if simultaneous else weights_first, penalties={"entropy penalty": PENALTY})
    steps = list(train_epoch(state, phase, schedule, parts, LOSS, weight_batches, arch_batches, device))
    state.end_epoch()
    return state, steps


def nothing():
    raise AssertionError("a batch of the architecture's stream was asked for")
    yield


def test_an_epoch_of_search_takes_no_batch_of_the_architectures_stream_and_moves_both():
    model = made()
    before = copy.deepcopy(model.state_dict())
    state, steps = epoch(model, single_stage(3)[1], random_batches(), nothing())
    assert (state.epoch, state.weight_steps, state.arch_steps) == (2, 3, 3)
    assert all(step.arch_loss == step.loss for step in steps)
    assert not any(torch.equal(before[name], value) for name, value in model.named_parameters())
    with pytest.raises(AssertionError, match="was asked for"):
        epoch(made(), single_stage(3)[1], random_batches(), nothing(), simultaneous=False)


@pytest.mark.parametrize("phase", [0, 2])
def test_outside_the_search_it_changes_nothing(phase):
    model, other = made(), made()
    state, steps = epoch(model, single_stage(3)[phase], random_batches(), nothing())
    epoch(other, single_stage(3)[phase], random_batches(), nothing(), simultaneous=False)
    assert same(model.state_dict(), other.state_dict())
    assert state.arch_steps == 0
    assert all(step.arch_loss is None for step in steps)


@pytest.mark.parametrize("data", [{"split": "disjoint"}, {"arch_annotations": "coarse"}])
def test_one_batch_for_both_is_refused_where_they_learn_from_different_data(data):
    with pytest.raises(ValueError, match=r"one batch, but .* different data; use arch_update='alternating'"):
        FitConfig(data="x", out="y", arch_update="simultaneous", **data)
    assert not FitConfig(data="x", out="y", **data).simultaneous


def test_it_is_the_default_where_nothing_speaks_against_it():
    assert FitConfig(data="x", out="y").simultaneous
    assert FitConfig(data="x", out="y", weights_annotations="coarse", arch_annotations="coarse").simultaneous
    assert not FitConfig(data="x", out="y", arch_update="alternating").simultaneous
    updated = {"data": "x", "out": "y", "arch_batchnorm": "updated"}
    assert not FitConfig(**updated).simultaneous
    with pytest.raises(ValueError, match=r"architecture steps of their own, which arch_update='simultaneous' does not"):
        FitConfig(**updated, arch_update="simultaneous")
