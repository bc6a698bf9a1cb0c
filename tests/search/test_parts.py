"""Parts of methods from outside: what they are asked, that what they give is checked, and that names are theirs."""

from dataclasses import replace
from importlib import import_module

import pytest
import torch

import wholenet
from run_files import records
from wholenet.cells.selection import discretized
from wholenet.registry import later
from wholenet.search.cell_config import cell_config
from wholenet.search.gradients import first_order
from wholenet.search.parts import (
    EARLY_STOPPING,
    GRADIENTS,
    PERTURBATIONS,
    SELECTIONS,
    UPDATES,
    EarlyStopping,
    Gradient,
    Perturbation,
    Selection,
    Update,
)
from wholenet.search.updates import architecture_first, move_architecture
from wholenet.spaces.catalog import create_model

REGISTRIES = (GRADIENTS, UPDATES, PERTURBATIONS, EARLY_STOPPING, SELECTIONS)
SMALL = {"space": "s2", "channels": 4, "cells": 3, "epochs": 2, "batch": 8, "side": 8, "shift": 1, "images": 16}
SMALL |= {"device": "cpu", "threads": 1, "gradient": "first-order", "eigenvalue_every": 0}


@pytest.fixture
def register():
    """Registers for one test."""
    before = [set(registry) for registry in REGISTRIES]
    yield wholenet.register
    for registry, known in zip(REGISTRIES, before, strict=True):
        for name in set(registry) - known:
            registry.remove(name)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_a_name_is_taken_once_and_every_function_of_ours_is_there(registry):
    for name, part in registry.items():
        assert part.name == name
        with pytest.raises(ValueError, match=f"there is a {registry.kind} {name!r} already"):
            wholenet.register(replace(part))
        wholenet.register(part)  # the very same thing again


def test_what_is_imported_when_it_is_called_is_there_and_in_the_same_room():
    values = [value for registry in REGISTRIES for part in registry.values() for value in vars(part).values()]
    places = [value.args[0] for value in values if getattr(value, "func", None) is later("math:sqrt").func]
    assert len(places) == len(GRADIENTS) + 3 + 2 + 1
    for place in places:
        module, name = place.split(":")
        assert module.startswith("wholenet.search.")
        assert callable(getattr(import_module(module), name))


def trained(patches, tmp_path, **options):
    return wholenet.fit(patches, tmp_path / "run", **{**SMALL, **options})


def test_a_gradient_of_other_shapes_is_refused_by_its_name(register, patches, tmp_path):
    def short(at):
        value, gradient = first_order(at)
        return value, gradient[:1]

    register(Gradient("short", short, ahead=False))
    with pytest.raises(ValueError, match=r"gradient 'short' has the shapes \[\(14, 2\)\]; expected one for each"):
        trained(patches, tmp_path, gradient="short")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda turn: (move_architecture(turn), None), "moved the weights 0 and the architecture 1 times"),
        (lambda turn: (architecture_first(turn), architecture_first(turn))[1], "moved the weights 2 and the arch"),
    ],
)
def test_an_update_that_would_not_be_continued_as_it_was_is_refused(step, said, register, patches, tmp_path):
    register(Update("strange", step, ahead=True))
    with pytest.raises(ValueError, match=f"update 'strange' {said}"):
        trained(patches, tmp_path, arch_update="strange")


def test_a_perturbation_is_told_how_far_and_what_it_gives_is_taken(register, patches, tmp_path):
    reaches = []

    def first_alone(model, batch, loss, reach):
        reaches.append(reach)
        assert loss(model.net(batch.images, model.arch()), batch.targets).isfinite()
        return {name: torch.eye(w.shape[1])[0].expand_as(w) for name, w in model.arch().items()}

    register(Perturbation("first", first_alone))
    register(Perturbation("nothing", lambda model, *_: dict(list(model.arch().items())[:1])))
    trained(patches, tmp_path, perturbation="first", perturbation_end=0.5)
    assert reaches[0] == 0.05
    assert reaches == sorted(reaches)
    with pytest.raises(ValueError, match=r"perturbation 'nothing' gave weights of the shapes .*; expected"):
        trained(patches, tmp_path / "other", perturbation="nothing")


def test_a_rule_that_names_no_epoch_is_refused(register, patches, tmp_path):
    register(EarlyStopping("never-was", lambda records: len(records) + 3))
    with pytest.raises(ValueError, match=r"early stopping by 'never-was' names epoch 4; expected one that is over"):
        trained(patches, tmp_path, stopping="never-was")


def test_a_rule_can_go_back_and_regularise(register, patches, tmp_path):
    register(EarlyStopping("once", lambda records: 0 if len(records) == 2 else None))
    trained(patches, tmp_path, epochs=4, stopping="once", after_stopping="regularize", weight_decay=3e-3)
    found = records(tmp_path / "run")
    assert [record["epoch"] for record in found] == [0, 1, 2, 3]
    assert [record["weight_decay"] for record in found] == pytest.approx([3e-3, 3e-2, 3e-2, 3e-2])


def test_a_selection_names_the_genotype_of_each_epoch_and_looks_at_the_supernet_in_the_end(register, patches, tmp_path):
    def weakest(weights, table, family):
        return family.discretize({name: -w for name, w in weights.items()}, table)

    config = cell_config(data="", out="", **SMALL)
    torch.manual_seed(0)
    weights = create_model("s2", num_classes=2, channels=4, cells=3).arch()
    register(Selection("weakest", weakest))
    assert discretized(weights, replace(config, selection="weakest")) != discretized(weights, config)
    register(Selection("nothing", lambda *_: 3))
    with pytest.raises(ValueError, match="selection 'nothing' gave 3; expected a genotype"):
        trained(patches, tmp_path, selection="nothing")
    assert not list((tmp_path / "run").iterdir())
    seen = []

    def looking(ended):
        ended.tune(lambda weights: weights)
        seen.append(ended.accuracy(lambda weights: {name: w.flip(-1) for name, w in weights.items()}))
        return weakest(ended.weights(), ended.table, ended.family)

    register(Selection("looking", weakest, looking))
    found = trained(patches, tmp_path, selection="looking", tune_epochs=1)
    assert len(seen) == 1
    assert 0 <= seen[0] <= 1
    assert found.genotype.to_dict() == records(tmp_path / "run")[-1]["genotype"]
