"""How decided an architecture is: closed forms, and what does not depend on how options are labelled."""

import math

import pytest
import torch

from wholenet.diagnostics.entropy import (
    distance_to_uniform,
    entropy_history,
    entropy_per_phase,
    most_decided,
    movement,
)
from wholenet.spaces.catalog import create_model
from wholenet.spaces.links import masks


def record(epoch, phase, value):
    return {"epoch": epoch, "phase": phase, "entropy": {"alpha": value, "beta": value / 2}}


RECORDS = [
    record(0, "warm-up", 1.0),
    record(1, "search", 0.8),
    record(2, "search", 0.6),
    record(3, "fine-tune", 0.6),
]


def test_a_phase_starts_where_the_one_before_ended():
    phases = entropy_per_phase(RECORDS)
    assert [(p.phase, p.first, p.end) for p in phases] == [("warm-up", 0, 1), ("search", 1, 3), ("fine-tune", 3, 4)]
    assert [(p.before.alpha, p.after.alpha) for p in phases] == [(1.0, 1.0), (1.0, 0.6), (0.6, 0.6)]
    assert phases[1].after.beta == 0.3


def test_there_is_an_entropy_for_each_record():
    assert [entropy.alpha for entropy in entropy_history(RECORDS)] == [1.0, 0.8, 0.6, 0.6]
    assert entropy_history([]) == entropy_per_phase([]) == []


@pytest.mark.parametrize("options", [2, 3, 7])
def test_uniform_is_0_and_one_hot_1_for_any_number_of_options_and_halfway_is_a_half(options):
    mask = torch.ones(options + 2, dtype=torch.bool)
    mask[options:] = False
    uniform = mask / options
    for k in range(options):
        one_hot = torch.zeros(options + 2)
        one_hot[k] = 1
        assert distance_to_uniform(uniform, mask).item() == pytest.approx(0, abs=1e-6)
        assert distance_to_uniform(one_hot, mask).item() == pytest.approx(1)
        assert distance_to_uniform((one_hot + uniform) / 2, mask).item() == pytest.approx(0.5)


def test_the_distance_does_not_depend_on_the_order_of_options():
    weights = torch.rand(5, 4, 3, generator=torch.Generator().manual_seed(0)).softmax(-1)
    mask = torch.ones(5, 4, 3, dtype=torch.bool)
    torch.testing.assert_close(distance_to_uniform(weights, mask), distance_to_uniform(weights.flip(-1), mask))


def test_a_group_of_one_option_has_not_moved():
    assert distance_to_uniform(torch.tensor([1.0, 0.0]), torch.tensor([True, False])).item() == 0


def test_the_share_that_decided_counts_groups_that_gained_five_points():
    strongest = torch.tensor([0.5, 0.5499, 0.55, 1.0])
    weights = torch.stack([strongest, 1 - strongest], -1)[None]
    found = movement(weights, torch.ones(1, 4, 2, dtype=torch.bool))
    assert found.decided == 0.5
    assert found.max == 1.0
    assert found.mean == pytest.approx((0 + 0.0998 + 0.1 + 1) / 4, abs=1e-6)
    assert found.groups == [pytest.approx([0, 0.0998, 0.1, 1], abs=1e-6)]


def test_what_was_decided_most_is_named():
    model = create_model("grid-nano", num_classes=2)
    model.arch.set_uniform()
    model.arch.logits["beta"].data[1, 2, 0] = math.log(8)  # 8 / 10 among three
    model.arch.logits["alpha"].data[2, 0, 1] = math.log(3)  # 3 / 4 among two
    first, second, third = most_decided(model.arch(), masks(3), count=3)
    assert (first.parameter, first.layer, first.stride, first.option) == ("beta", 2, 16, "stride 8")
    assert (first.weight, first.options, first.movement) == (pytest.approx(0.8), 3, pytest.approx(0.7))
    assert (second.parameter, second.layer, second.stride, second.option) == ("alpha", 3, 4, "5x5")
    assert (second.weight, second.movement) == (pytest.approx(0.75), pytest.approx(0.5))
    assert third.movement == pytest.approx(0, abs=1e-6)
