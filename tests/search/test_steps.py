import copy

import pytest
import torch

from wholenet.ops.forms import plain_form
from wholenet.search.loop import train_epoch
from wholenet.search.penalties import EntropyPenalty
from wholenet.search.phases import single_stage
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import (
    Batch,
    NotFinite,
    architecture_gradient,
    architecture_step,
    make_optimizers,
    weight_step,
    with_penalties,
)
from wholenet.search.updates import Parts, weights_first
from wholenet.spaces.catalog import create_model
from wholenet.tasks.segmentation import SegmentationLoss

LOSS = SegmentationLoss()
RATES = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "arch_lr": 0.01, "arch_weight_decay": 0.1}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("grid-nano", num_classes=3).train()


def random_batches(seed=0):
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(2, 3, 64, 64, generator=generator), torch.randint(3, (2, 64, 64), generator=generator)


def batch(seed=0):
    return Batch(*next(random_batches(seed)))


def snapshot(module):
    return copy.deepcopy(module.state_dict())


def same(before, after):
    return {name: torch.equal(value, after[name]) for name, value in before.items()}


def test_a_weight_step_moves_the_weights_and_no_logit(model):
    weights, _ = make_optimizers(model, **RATES)
    arch, net = snapshot(model.arch), snapshot(model.net)
    weight_step(model, batch(), LOSS, weights)
    assert all(same(arch, model.arch.state_dict()).values())
    moved = same(net, model.net.state_dict())
    assert not any(moved[name] for name, _ in model.net.named_parameters())
    assert all(logits.grad is None for logits in model.arch.parameters())


def test_an_architecture_step_moves_the_logits_and_neither_weights_nor_statistics(model):
    _, optimizer = make_optimizers(model, **RATES)
    arch, net = snapshot(model.arch), snapshot(model.net)
    _, gradient = architecture_gradient(model, batch(), LOSS)
    architecture_step(model.arch, gradient, optimizer)
    assert all(same(net, model.net.state_dict()).values())
    assert not any(same(arch, model.arch.state_dict()).values())
    assert all(p.grad is None for p in model.parameters())


def test_statistics_move_in_an_architecture_step_only_if_asked_to(model):
    net = snapshot(model.net)
    architecture_gradient(model, batch(), LOSS, update_statistics=True)
    unchanged = same(net, model.net.state_dict())
    assert not any(unchanged[name] for name in net if name.endswith(("running_mean", "running_var")))
    assert all(unchanged[name] for name, _ in model.net.named_parameters())


def test_the_architecture_gradient_is_that_of_a_full_backward_pass(model):
    model.double()
    images, targets = batch()
    probe = Batch(images.double(), targets)
    penalty = EntropyPenalty({"alpha": 0.3, "beta": 0.2})
    _, gradient = architecture_gradient(model, probe, LOSS)
    gradient = with_penalties(model.arch, gradient, {"entropy penalty": penalty(model.arch, 1.0)})
    with plain_form(model, plain=False):
        (LOSS(model(probe.images), probe.targets) + penalty(model.arch, 1.0)).backward()
    for logits, g in zip(model.arch.parameters(), gradient, strict=True):
        torch.testing.assert_close(g, logits.grad, atol=1e-12, rtol=1e-9)


def test_a_penalty_that_has_not_started_adds_nothing(model):
    gradient = [torch.ones_like(logits) for logits in model.arch.parameters()]
    penalty = EntropyPenalty({"alpha": 1.0}, start=5.0, end=9.0)
    found = with_penalties(model.arch, gradient, {"entropy penalty": penalty(model.arch, 1.0)})
    assert all(map(torch.equal, found, gradient))
    with pytest.raises(NotFinite, match="entropy penalty"):
        with_penalties(model.arch, gradient, {"entropy penalty": torch.tensor(torch.nan)})


def test_edges_that_do_not_exist_never_get_a_gradient(model):
    _, gradient = architecture_gradient(model, batch(), LOSS)
    by_name = dict(zip(model.arch.logits, gradient, strict=True))
    mask = model.arch.mask("beta")
    assert (by_name["beta"][~mask] == 0).all()
    assert (by_name["beta"][mask] != 0).all()
    assert (by_name["alpha"] != 0).all()


def run_phase(model, state, phase, epochs=1):
    schedule = Schedule(epochs=10, steps_per_epoch=2, lr=RATES["lr"])
    parts = Parts(weights_first, penalties={"entropy penalty": EntropyPenalty({"alpha": 0.1, "beta": 0.1})})
    steps = []
    for _ in range(epochs):
        steps += train_epoch(
            state,
            phase,
            schedule,
            parts,
            LOSS,
            random_batches(1),
            random_batches(2),
            torch.device("cpu"),
        )
        state.end_epoch()
    return steps


def test_the_architecture_is_bit_identical_over_warm_up_and_fine_tune_and_moves_in_the_search(model):
    state = TrainState(model, *make_optimizers(model, **RATES))
    warmup, search, finetune = single_stage(3)
    start = snapshot(model.arch)
    steps = run_phase(model, state, warmup)
    assert all(same(start, model.arch.state_dict()).values())
    assert all(step.arch_loss is None for step in steps)

    steps = run_phase(model, state, search)
    found = snapshot(model.arch)
    assert not any(same(start, found).values())
    assert all(step.arch_loss is not None for step in steps)

    # Adam has weight decay and momenta by now; neither may leak into the fine-tuning.
    run_phase(model, state, finetune)
    assert all(same(found, model.arch.state_dict()).values())


def test_counters_say_which_batch_comes_next(model):
    state = TrainState(model, *make_optimizers(model, **RATES))
    warmup, search, _ = single_stage(3)
    run_phase(model, state, warmup)
    run_phase(model, state, search)
    assert (state.epoch, state.weight_steps, state.arch_steps) == (2, 4, 2)


def test_a_loss_that_is_not_finite_stops_the_run(model):
    state = TrainState(model, *make_optimizers(model, **RATES))
    next(model.net.parameters()).data.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match=r"the loss became nan in epoch 1, step 0 .*on batch 0 of the weights"):
        run_phase(model, state, single_stage(3)[0])


def test_training_learns_what_can_be_learned(model):
    weights, _ = make_optimizers(model, **RATES)
    images, targets = batch()
    targets[..., :32], targets[..., 32:] = 0, 1
    images[..., 32:] += 1
    losses = [weight_step(model, Batch(images, targets), LOSS, weights).item() for _ in range(15)]
    assert losses[-1] < 0.3 * losses[0]
