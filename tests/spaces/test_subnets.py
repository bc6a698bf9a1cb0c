"""What holds of every space that something can be removed from: whatever it is, a budget is met, and what is left is a
network like any other."""

import copy
import json
import random

import pytest
import torch

from wholenet.search.config import fit_config
from wholenet.search.phases import Phase
from wholenet.search.removal import Removal, goal_of
from wholenet.search.scores import SCORES
from wholenet.search.start import state_of
from wholenet.search.steps import Batch, weight_step
from wholenet.spaces.catalog import SPACES, create_from, create_model, left_of, shrink, subnets
from wholenet.spaces.space import spec_from_dict
from wholenet.tasks.segmentation import SegmentationLoss

SMALL = {
    "grid": {"size": "nano", "layers": 2, "filters": 4},
    "dense-grid": {"size": "nano", "layers": 2, "filters": 4, "tied": True},
    "autodeeplab": {"size": "tiny", "layers": 3, "filters": 2, "blocks": 1},
}
"""Settings of each, that its networks are small."""
WITHOUT = {"darts", "s1", "s2", "s3", "s4", "nb201", "dots", "autodispnet", "recurrent"}
"""Spaces of labelled images, of texts and of pairs: their runs have no budget yet."""
SIZE = (64, 64)


def model_of(space):
    torch.manual_seed(0)
    own = dict(SMALL[space])
    return create_model(f"{space}-{own.pop('size')}", num_classes=3, **own)


def cases():
    return [pytest.param(name, id=name) for name in SMALL]


def test_every_space_is_looked_at():
    there = {name for name, space in SPACES.items() if space.subnets is not None}
    assert there == set(SMALL)
    assert set(SPACES) == there | WITHOUT


def removal(space, by, budget, **more):
    config = fit_config(data="d", out="o", space=space, crop="64x64", **SMALL[space])
    state = state_of(config, model_of(space).spec, torch.device("cpu"))
    goal = goal_of(state.model.spec, budget, SIZE)
    search = Phase("search", 0, 1, moves_architecture=True)
    return Removal(state, goal, search, by=by, floor=0.0, seed=0, say=lambda _: None, **more)


def scores(space):
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
    assert found.state.model(torch.zeros(2, 3, *SIZE)).isfinite().all()


@pytest.mark.parametrize("space", cases())
@pytest.mark.parametrize("by", ["saliency", "random"])
def test_gates_of_a_real_step_are_seen_and_its_weights_are_those_without_gates(space, by):
    found = removal(space, by, "60%")
    state = found.state
    plain = copy.deepcopy(state.model)
    plain.arch.gates = dict
    batch = Batch(torch.randn(2, 3, *SIZE), torch.randint(3, (2, *SIZE)))
    loss = SegmentationLoss()
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
    x = torch.randn(1, 3, *SIZE)
    torch.testing.assert_close(again.eval()(x), model.eval()(x))
