"""One epoch on a cell space: who moves in which order, for every method, and what moves with the epochs."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch

from wholenet.cells.start import initial_search
from wholenet.search import updates
from wholenet.search.cell_config import cell_config
from wholenet.search.cell_parts import parts_of, schedule_of
from wholenet.search.config import FitConfig
from wholenet.search.loop import train_epoch
from wholenet.search.methods import METHODS
from wholenet.search.parts import UPDATES
from wholenet.search.phases import Phase
from wholenet.spaces.catalog import create_model
from wholenet.spaces.option_costs import with_costs
from wholenet.tasks.classification import ClassificationLoss

CPU = torch.device("cpu")
STEPS = 2


def config_of(method="darts", **given):
    return cell_config(method, data="", out="", **{"space": "s2", "channels": 8, "cells": 3, "batch": 2, **given})


def batches(seed):
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(2, 3, 8, 8, generator=generator), torch.randint(3, (2,), generator=generator)


def phase(*, moves):
    return Phase("some", 0, 4, moves_architecture=moves)


class Epoch:
    """An epoch of ``config`` that is ready to be run."""

    def __init__(self, config, *, moves=True, epoch=1, steps=STEPS):
        torch.manual_seed(0)
        self.state = initial_search(config, 3, CPU)
        self.state.epoch = epoch
        if config.regularizer == "cost":
            with_costs(self.state.model, (8, 8))
        self.parts = parts_of(config, self.state.model)
        self.schedule = replace(schedule_of(config, steps), epochs=4)
        self.phase = phase(moves=moves and config.moves_architecture)
        self.weight_batches, self.arch_batches = batches(1), batches(2)
        self.loss = ClassificationLoss()

    def run(self):
        state, parts, schedule = self.state, self.parts, self.schedule
        streams = self.weight_batches, self.arch_batches
        steps = list(train_epoch(state, self.phase, schedule, parts, self.loss, *streams, CPU))
        state.end_epoch()
        return steps


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_in_every_method_weights_move_and_logits_do_if_and_only_if_they_may(method, moves):
    config = config_of(method)
    epoch = Epoch(config, moves=moves, steps=1)
    model, moves = epoch.state.model, epoch.phase.moves_architecture
    if not (moves and config.takes_validation_batches):
        epoch.arch_batches = iter(())  # nothing may be asked of it
    before = copy.deepcopy(model)
    steps = epoch.run()
    for old, new in zip(before.arch.parameters(), model.arch.parameters(), strict=True):
        assert torch.equal(old, new) != moves
    for (name, old), new in zip(before.net.named_parameters(), model.net.parameters(), strict=True):
        assert not torch.equal(old, new), name
    assert (epoch.state.epoch, epoch.state.weight_steps) == (2, 1)
    assert epoch.state.arch_steps == int(moves)
    assert bool(epoch.state.arch_optimizer.state) == moves
    assert [step.step for step in steps] == [0]
    assert all((step.arch_loss is not None) == moves for step in steps)
    assert {step.lr for step in steps} == {epoch.schedule.rate(1)}
    assert not any(logits.requires_grad for logits in model.arch.parameters())


def test_methods_with_parts_of_their_own_have_them_and_only_these():
    model = create_model("s2", num_classes=3, channels=4, cells=3)
    found = {name: parts_of(config_of(name), model) for name in METHODS}
    penalised = {"beta-darts", "fair-darts", "drnas", "proxyless", "da2s", "gold-nas"}
    assert {name for name, p in found.items() if p.penalties} == penalised
    assert {name for name, p in found.items() if p.weights} == {"sdarts-rs", "sdarts-adv", "random-ws"}
    assert {name for name, p in found.items() if not p.own_batches} == {"one-level", "random-ws", "snas", "gold-nas"}


def test_random_search_draws_another_architecture_for_each_step(monkeypatch):
    taken = record(monkeypatch, "weight_step")
    Epoch(config_of("random-ws")).run()
    first, second = (call["weights"] for _, call in taken)
    for weights in (first, second):
        assert all(w.sum() == 8 and set(w.unique().tolist()) == {0, 1} for w in weights.values())
    assert any(not torch.equal(first[kind], second[kind]) for kind in first)


def record(monkeypatch, *names):
    """Calls of these functions in the loop, in their order: (name, arguments by keyword with the positional ones)."""
    calls = []

    def recorder(name, function):
        def recording(*arguments, **options):
            calls.append((name, {"arguments": arguments, **options}))
            return function(*arguments, **options)

        return recording

    for name in names:
        monkeypatch.setattr(updates, name, recorder(name, getattr(updates, name)))
    return calls


def test_an_architecture_step_comes_before_the_weight_step_and_looks_at_the_same_training_batch(monkeypatch):
    calls = record(monkeypatch, "architecture_step", "weight_step")
    epoch = Epoch(config_of("mixed-level"))
    gradient = epoch.parts.gradient

    def recording(at):
        calls.append(("gradient", {"at": at}))
        return gradient(at)

    epoch.parts = replace(epoch.parts, gradient=recording)
    epoch.run()
    assert [name for name, _ in calls] == ["gradient", "architecture_step", "weight_step"] * STEPS
    for i, (images, targets), (other, _) in zip(range(STEPS), batches(1), batches(2), strict=False):
        at, taken = calls[3 * i][1]["at"], calls[3 * i + 2][1]["arguments"][1]
        assert torch.equal(at.train.images, images)
        assert torch.equal(at.train.targets, targets)
        assert torch.equal(at.validation.images, other)
        assert taken is at.train


@pytest.mark.parametrize(
    ("arch_update", "order"),
    [
        ("alternating", ["weight_step", "architecture_step"]),
        ("architecture-first", ["architecture_step", "weight_step"]),
        ("simultaneous", ["simultaneous_step", "architecture_step"]),
    ],
)
def test_who_moves_first_is_as_the_config_says(arch_update, order, monkeypatch):
    """Alternating is the seed paper's Sec. 3.2, architecture-first DARTS' Alg. 1."""
    calls = record(monkeypatch, "weight_step", "architecture_step", "simultaneous_step")
    epoch = Epoch(config_of("single-stage"))
    epoch.parts = replace(epoch.parts, update=UPDATES[FitConfig(data="", out="", arch_update=arch_update).update])
    epoch.run()
    assert [name for name, _ in calls] == order * STEPS


def test_one_level_learns_both_from_the_batch_of_the_weights():
    epoch = Epoch(config_of("one-level"))
    seen = []
    gradient = epoch.parts.gradient
    epoch.parts = replace(epoch.parts, gradient=lambda at: (seen.append(at), gradient(at))[1])
    epoch.run()
    assert len(seen) == STEPS
    assert all(torch.equal(at.train.images, images) for at, (images, _) in zip(seen, batches(1), strict=False))
    assert all(at.validation is at.train for at in seen)


def test_penalties_are_told_the_epochs_that_went_by_and_perturbations_the_share_of_the_run():
    times, shares = [], []

    def penalty(arch, time):
        times.append(time)
        return next(arch.parameters()).sum() * 0

    def perturb(turn, _batch):
        shares.append(turn.now.progress)
        with torch.no_grad():
            return turn.state.model.arch()

    epoch = Epoch(config_of("beta-darts"), epoch=3)
    epoch.parts = replace(epoch.parts, penalties={"some": penalty}, weights=perturb)
    epoch.run()
    assert times == [3, 3.5]
    assert shares == [3 / 4, 3.5 / 4]


def test_weight_steps_are_taken_at_the_disturbed_weights_and_architecture_steps_at_those_of_the_model(monkeypatch):
    calls = record(monkeypatch, "weight_step")
    Epoch(config_of("sdarts-rs")).run()
    for _, call in calls:
        model, weights = call["arguments"][0], call["weights"]
        assert all(not torch.allclose(weights[name], w, atol=1e-3) for name, w in model.arch().items())
    calls.clear()
    Epoch(config_of("darts-pt")).run()
    assert [call["weights"] for _, call in calls] == [None] * STEPS


def test_a_perturbation_that_changes_nothing_is_first_order_darts():
    def weights_after(parts):
        epoch = Epoch(config_of("darts-pt"))
        epoch.parts = replace(epoch.parts, **parts)
        epoch.run()
        return epoch.state.model.state_dict()

    plain = weights_after({})
    disturbed = weights_after(
        {"weights": lambda turn, _: {name: w.detach() for name, w in turn.state.model.arch().items()}}
    )
    assert all(torch.equal(value, disturbed[name]) for name, value in plain.items())


def test_the_rate_is_a_cosine_of_one_value_per_epoch():
    """Values of RobustDARTS' logs for epochs 0, 1 and 49."""
    schedule = schedule_of(config_of(), 391)
    assert [schedule.rate(e) for e in (0, 1, 49)] == pytest.approx([0.025, 0.02497632, 0.001023679], rel=1e-6)
    assert schedule.rate(25) == pytest.approx(0.013)
    assert all(a > b for a, b in itertools.pairwise(map(schedule.rate, range(51))))
    assert {schedule.now(7, step).lr for step in range(391)} == {schedule.rate(7)}
    assert schedule_of(config_of(lr=0.1, lr_end=0.0), 391).rate(50) == pytest.approx(0, abs=1e-15)


def test_drop_path_rises_from_nothing_and_the_auxiliary_skip_fades_to_nothing():
    model = create_model("s2", num_classes=3, channels=4, cells=3, auxiliary_skip=True)
    config = config_of(drop_path=0.2)
    schedule, at = schedule_of(config, 391), parts_of(config, model).at
    found = []
    for epoch in range(50):
        at(schedule.now(epoch, 5))
        found.append((model.net.state.drop_path, model.net.state.auxiliary_skip))
    drops, skips = zip(*found, strict=True)
    assert (drops[0], drops[-1]) == (0, pytest.approx(0.2))
    assert (skips[0], skips[-1]) == (1, 0)
    assert drops[1] == pytest.approx(0.00408163, rel=1e-5)
    assert all(a - b == pytest.approx(1 / 49) for a, b in itertools.pairwise(skips))
    assert replace(schedule, epochs=1).now(0).rise == 0


def test_an_epoch_sets_the_rate_and_the_strengths():
    epoch = Epoch(config_of("darts-minus", drop_path=0.3), epoch=2)
    epoch.run()
    assert epoch.state.weight_optimizer.param_groups[0]["lr"] == epoch.schedule.rate(2)
    assert epoch.state.arch_optimizer.param_groups[0]["lr"] == 3e-4
    state = epoch.state.model.net.state
    assert (state.drop_path, state.auxiliary_skip) == (pytest.approx(0.2), pytest.approx(1 / 3))


def change(clip):
    epoch = Epoch(config_of("darts-pt", momentum=0.0, weight_decay=0.0, clip=clip), moves=False)
    epoch.schedule = replace(epoch.schedule, steps_per_epoch=1)
    before = copy.deepcopy(epoch.state.model)
    epoch.run()
    pairs = zip(before.net.parameters(), epoch.state.model.net.parameters(), strict=True)
    norm = torch.cat([(new - old).detach().double().flatten() for old, new in pairs]).norm()
    return norm.item() / epoch.schedule.rate(1)


def test_without_momentum_a_clipped_step_is_as_long_as_the_rate_times_the_clip():
    assert change(clip=0.01) == pytest.approx(0.01, rel=1e-2)
    free = change(clip=0.0)
    assert free > 0.1
    assert change(clip=10 * free) == pytest.approx(free)


@pytest.mark.parametrize("moves", [True, False])
def test_a_loss_that_is_no_number_ends_the_epoch_by_name(moves):
    epoch = Epoch(config_of("darts-pt"), moves=moves, epoch=3)
    epoch.weight_batches = iter([next(batches(1)), (torch.full((2, 3, 8, 8), torch.nan), torch.tensor([0, 1]))])
    with pytest.raises(FloatingPointError, match=r"the loss became nan in epoch 4, step 1 \(learning rate"):
        epoch.run()
    assert epoch.state.epoch == 3


def test_a_gradient_that_is_no_number_moves_nothing():
    """The square root is a number at 0, and its slope is none."""
    epoch = Epoch(config_of("darts-pt", clip=0.0), moves=False)
    epoch.loss = lambda out, _target: (out - out.detach()).square().sum().sqrt()
    before = copy.deepcopy(dict(epoch.state.model.named_parameters()))
    with pytest.raises(FloatingPointError, match=r"the gradient of stem\.0\.weight became nan in epoch 2, step 0"):
        epoch.run()
    assert all(torch.equal(value, before[name]) for name, value in epoch.state.model.named_parameters())


def test_weights_lost_in_the_last_step_end_the_epoch_too():
    epoch = Epoch(config_of("darts-pt"), moves=False)
    epoch.schedule = replace(epoch.schedule, steps_per_epoch=1, lr=1e38, lr_end=1e38)
    for group in epoch.state.weight_optimizer.param_groups:
        group["weight_decay"] = 1e38
    with pytest.raises(FloatingPointError, match=r"after epoch 2, net\..* not finite"):
        epoch.run()


def test_statistics_lost_on_the_way_end_the_epoch_too():
    """Training itself does not read them: its loss stays a number."""
    epoch = Epoch(config_of("darts-pt"), moves=False)
    next(value for name, value in epoch.state.model.named_buffers() if "running_var" in name).fill_(float("inf"))
    with pytest.raises(FloatingPointError, match=r"after epoch 2, net\..*running_var .* not finite"):
        epoch.run()


def test_the_model_is_put_into_training_mode():
    epoch = Epoch(config_of("darts-pt"))
    epoch.state.model.eval()
    epoch.run()
    assert all(module.training for module in epoch.state.model.modules())
