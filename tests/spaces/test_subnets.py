"""What holds of every space that something can be removed from: whatever it is, a budget is met, and what is left is a
network like any other."""

import copy
import json
import random

import pytest
import torch

from wholenet.search.goals import goal_of
from wholenet.search.phases import Phase
from wholenet.search.removal import Removal
from wholenet.search.scores import SCORES
from wholenet.search.state import TrainState
from wholenet.search.steps import Batch, make_optimizers, weight_step
from wholenet.spaces.autodispnet.pair import Disparities
from wholenet.spaces.catalog import SPACES, create_from, create_model, left_of, shrink, subnets
from wholenet.spaces.space import spec_from_dict

CELLS = ("darts", "s1", "s2", "s3")
SMALL = {
    "grid": {"size": "nano", "layers": 2, "filters": 4},
    "dense-grid": {"size": "nano", "layers": 2, "filters": 4, "tied": True},
    "autodeeplab": {"size": "tiny", "layers": 3, "filters": 2, "blocks": 1},
    **{name: {"channels": 4, "cells": 3, "affine": True} for name in ("nb201", *CELLS)},
    "autodispnet": {"size": "tiny"},
}
"""Settings of each, that its networks are small."""
FULL = "s4"
"""Whose edges have noise beside one operation."""
WITHOUT = {"dots", "recurrent"}
"""Whose options have no costs: pairs of edges run what single ones do, and a matrix serves all operations."""
SIZE = (64, 64)


def model_of(space):
    torch.manual_seed(0)
    own = dict(SMALL[space])
    size = own.pop("size", None)
    return create_model(space if size is None else f"{space}-{size}", num_classes=3, **own)


def images(space, count=2):
    x = torch.randn(count, 3, *SIZE)
    return x if SPACES[space].example is None else SPACES[space].example(x)


def batch_of(space):
    """What the network learns from, and its loss."""
    task = next(iter(SPACES[space].tasks), "segmentation")
    if task == "stereo":
        return Batch(images(space), torch.rand(2, *SIZE)), lambda found, target: (found.full - target).abs().mean()
    shape = (2,) if task == "classification" else (2, *SIZE)
    return Batch(images(space), torch.randint(3, shape)), torch.nn.functional.cross_entropy


def cases():
    return [pytest.param(name, id=name) for name in SMALL]


def test_every_space_is_looked_at():
    there = {name for name, space in SPACES.items() if space.subnets is not None}
    assert there == {*SMALL, FULL}
    assert set(SPACES) == there | WITHOUT


def test_where_each_edge_has_one_operation_that_reads_nothing_that_costs_can_go():
    model = create_model(FULL, num_classes=3, channels=4, cells=3)
    known = subnets(model.spec)
    cost = known.multiply_adds(*SIZE)
    assert known.least(known.whole(), cost) == known.cost(known.whole(), cost)
    with pytest.raises(ValueError, match=r"nothing that can be removed from this network saves anything of its"):
        goal_of(model.spec, "90%", SIZE)


def removal(space, by, budget, **more):
    model = model_of(space)
    rates = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4, "arch_lr": 0.1, "arch_weight_decay": 0.0}
    state = TrainState(model, *make_optimizers(model, **rates))
    goal = goal_of(model.spec, budget, SIZE)
    search = Phase("search", 0, 1, moves_architecture=True)
    return Removal(state, goal, search, by=by, floor=0.0, seed=0, say=lambda _: None, **more)


def answer(model, x):
    found = model(x)
    return found.full if isinstance(found, Disparities) else found


def scores(space):
    """Spaces of one table have one rule: of all but one of them a single score is looked at."""
    if space in CELLS:
        return ["saliency"]
    scaled = subnets(model_of(space).spec).scaled
    return [by for by in SCORES if scaled or not SCORES[by].factors]


@pytest.mark.parametrize(("space", "by"), [(space, by) for space in SMALL for by in scores(space)])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_budget_is_met_down_to_the_least_that_is_possible(space, by, share):
    known = subnets(model_of(space).spec)
    cost = known.multiply_adds(*SIZE)
    whole, least = known.cost(known.whole(), cost), known.least(known.whole(), cost)
    found = removal(space, by, f"{max(least, round(share * whole))}macs")
    torch.manual_seed(1)
    if SCORES[by].looks:
        found.state.gates = torch.rand(len(known.units(known.whole())))
    assert found.after_epoch()
    assert found.goal.most >= found.macs >= least
    left = left_of(found.state.model.spec)
    assert found.macs == known.macs(left, *SIZE)
    assert answer(found.state.model, images(space)).isfinite().all()


@pytest.mark.parametrize("by", ["saliency", "random"])
def test_what_need_not_have_gone_comes_back_where_a_large_unit_had_to_go(by):
    """Of six edges with a 3x3 and a 1x1 convolution each, four 3x3 and all 1x1 leave 41 % and a fifth 3x3 29 %: with
    that gone the 1x1 are paid for."""
    found = removal("nb201", by, "40%")
    found.state.gates = torch.ones(len(found.known.units(found.known.whole())))
    assert found.after_epoch()
    left = left_of(found.state.model.spec)
    operations = [name for edge in left.table["cell"] for name in edge.left]
    assert operations.count("nor_conv_3x3") == 1
    assert operations.count("nor_conv_1x1") == 6
    assert 0.9 * found.goal.most < found.macs <= found.goal.most


@pytest.mark.parametrize("space", cases())
@pytest.mark.parametrize("by", ["saliency", "random"])
def test_gates_of_a_real_step_are_seen_and_its_weights_are_those_without_gates(space, by):
    found = removal(space, by, "60%")
    state = found.state
    plain = copy.deepcopy(state.model)
    plain.arch.gates = dict
    batch, loss = batch_of(space)
    weight_step(state.model.train(), batch, loss, state.weight_optimizer)
    weight_step(plain.train(), batch, loss, torch.optim.SGD(plain.net.parameters(), **as_of(state)))
    for (name, one), two in zip(state.model.net.named_parameters(), plain.net.parameters(), strict=True):
        torch.testing.assert_close(one, two, msg=name)
    units = found.known.units(found.known.whole())
    if by == "random":
        assert state.gates is None
    else:
        assert state.gates.shape == (len(units),)
        assert {unit.kind for unit, gate in zip(units, state.gates, strict=True) if gate} == {u.kind for u in units}


def as_of(state):
    group = state.weight_optimizer.param_groups[0]
    return {name: group[name] for name in ("lr", "momentum", "weight_decay")}


@pytest.mark.parametrize("space", cases())
@pytest.mark.parametrize("seed", range(2))
def test_units_go_one_by_one_and_what_is_left_is_made_again_from_its_spec(space, seed):
    model, draw = model_of(space), random.Random(seed)
    known = subnets(model.spec)
    left, by = known.whole(), known.multiply_adds(*SIZE)
    masks = model.net.masks
    for _ in range(12):
        units = known.units(left)
        assert len(set(units)) == len(units)
        assert known.least(left, by) <= known.cost(left, by)
        unit = draw.choice(units)
        for name, at in known.choices(left, unit):
            assert left.masks()[name][at]
        after = known.without(left, unit)
        assert unit not in known.units(after)
        assert known.cost(after, by) <= known.cost(left, by)
        for name, mask in after.masks().items():
            assert not (mask & ~left.masks()[name]).any()
            assert mask.shape == masks[name].shape
        left = after
    assert known.from_dict(json.loads(json.dumps(left.to_dict()))) == left
    shrink(model, left)
    assert all(torch.equal(mask, left.masks()[name]) for name, mask in model.net.masks.items())
    again = create_from(spec_from_dict(json.loads(json.dumps(model.spec.to_dict()))))
    again.load_state_dict(model.state_dict())
    x = images(space)
    torch.testing.assert_close(answer(again.eval(), x), answer(model.eval(), x))
