"""Runs on the dense grid: what every space has of verbs, at a toy size."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import wholenet
from run_files import PICTURES, assert_equal, checkpoint, records, stop_after, untimed
from wholenet.deploy.fold import Folded
from wholenet.search import cost
from wholenet.search.config import fit_config
from wholenet.search.goals import goal_of
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import SPACES, left_of
from wholenet.spaces.count import count, macs_as_run, meta_flops
from wholenet.spaces.genotype_file import space_of_genotype
from wholenet.spaces.sizes import GRID_SIZES

SHORT: dict[str, Any] = {"epochs": 3, "batch": 4, "crop": "32x32", "lr": 0.02, "device": "cpu", "threads": 1}
OWN: dict[str, Any] = {"space": "dense-grid", "size": "nano", "layers": 2, "filters": 4}
PHASES: dict[str, Any] = {"warmup_share": 0.34, "search_share": 0.33}


@pytest.fixture(scope="module")
def run(discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("dense") / "run"
    with PICTURES:
        wholenet.fit(discs, out, **OWN, **SHORT, **PHASES, entropy_beta=0.1, sampled_links=2, tied=True)
    return out


def test_a_search_moves_both_kinds_of_logits_and_is_drawn(run):
    for name in ("alpha", "beta"):
        values = [np.array(record["logits"][name]) for record in records(run)]
        assert not np.array_equal(values[0], values[1])
        assert np.array_equal(values[1], values[2])
    assert (run / "architecture.png").stat().st_size > 5000
    loaded = wholenet.load(run, device="cpu")
    assert (loaded.network.spec.model_name, loaded.network.spec.settings["sampled_links"]) == ("dense-grid-nano", 2)
    assert isinstance(loaded.folded, Folded)


def test_a_search_with_drawn_links_goes_on_to_the_bit(run, discs, tmp_path):
    options = {"entropy_beta": 0.1, "sampled_links": 2, "tied": True, "checkpoint_minutes": 0}
    stop_after(2, lambda: wholenet.fit(discs, tmp_path / "run", **OWN, **SHORT, **PHASES, **options))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(run), checkpoint(tmp_path / "run"))
    assert untimed(records(run)) == untimed(records(tmp_path / "run"))


def test_what_a_run_with_drawn_links_costs_does_not_depend_on_chance(run):
    costs = set()
    for seed in range(2):
        torch.manual_seed(seed)
        cost._step_cost.cache_clear()
        costs.add(cost.run_macs(RunFolder(run)))
    assert len(costs) == 1
    assert costs.pop() > 0


def test_what_a_search_found_is_written_read_trained_and_diagnosed(run, discs, tmp_path):
    found = wholenet.decode(run, tmp_path / "g.yaml")
    assert found.decoding == "threshold 0.5 at most 3"
    space = SPACES["dense-grid"]
    settings = space.settings_of({name: value for name, value in OWN.items() if name != "space"})
    assert space.read_genotype(tmp_path / "g.yaml", settings) == found
    assert space_of_genotype(str(tmp_path / "g.yaml")) == "dense-grid"
    made = {name: value for name, value in OWN.items() if name != "space"}
    ended = wholenet.retrain(tmp_path / "g.yaml", discs, tmp_path / "again", **{**made, **SHORT, "epochs": 1})
    network = wholenet.load(ended.learned.run, device="cpu").network
    assert network.discrete
    assert len(network.net.cells) == len(found.cells)
    brief = wholenet.diagnose(run, out=tmp_path / "diagnosis", images=1, curvature=True)
    assert (set(brief.entropy), brief.retrained) == ({"alpha", "beta"}, None)
    assert brief.curvature.highest >= brief.curvature.lowest


def test_two_stages_decode_by_threshold_where_nothing_else_is_said(discs, tmp_path, capsys):
    with PICTURES:
        wholenet.fit(discs, tmp_path / "two", **OWN, **SHORT, **PHASES, protocol="two-stage", retrain_epochs=1)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("second stage")]
    assert len(told) == 1
    assert re.fullmatch(r"second stage: 1 epoch from .* cells, \d+ links \(threshold 0\.5 at most 3\)", told[0])
    content = yaml.safe_load((tmp_path / "two" / "genotype.yaml").read_text())
    assert (content["space"], content["genotype"]["decoding"]) == ("dense-grid", "threshold 0.5 at most 3")
    assert wholenet.load(tmp_path / "two", device="cpu").network.discrete
    assert (tmp_path / "two" / "architecture.png").stat().st_size > 5000
    brief = wholenet.diagnose(tmp_path / "two", images=1)
    assert brief.retrained == records(tmp_path / "two")[-1]["miou"]
    assert sum(line.endswith(" mIoU, trained from scratch") for line in brief.lines()) == 1


def test_the_usual_decoding_is_that_of_the_space():
    places = {"data": "d", "out": "o", "protocol": "two-stage"}
    assert fit_config(**places, space="dense-grid").decoding == "threshold"
    assert fit_config(**places, space="dense-grid", decoding="strongest").decoding == "strongest"
    assert fit_config(**places).decoding == fit_config(**places, space="autodeeplab").decoding == "best-path"
    assert fit_config(data="d", out="o", space="dense-grid").decoding == "best-path"


def test_what_is_counted_on_patches_is_what_is_counted_on_the_image():
    name, own = "dense-grid-nano", {"layers": 2, "filters": 4, "tied": True}
    model = wholenet.create_model(name, num_classes=19, **own).eval()
    counts = count(name, height=64, width=96, **own)
    assert (counts.flops, 2 * counts.macs_merged) == meta_flops(model, 64, 96)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reach_layers": 3}, "reach_layers=3: 2 layers reach back 2 at most"),
        ({"reach_levels": 4}, "reach_levels=4"),
        ({"filters": 3}, "filters=3 cannot be halved"),
        ({"stem": "timm/resnet18"}, "stem is of the space 'grid'"),
        ({"protocol": "two-stage", "decoding": "best-path"}, "are decoded by threshold or strongest"),
        ({"budget": "1%"}, "what cannot be removed costs"),
        ({"budget": "9GMACs"}, "no less than the"),
        ({"budget": "40%", "head": "dpc"}, "what it costs is not counted; leave it out"),
        ({"budget": "4ms"}, "units of space 'dense-grid' are not timed: give the budget in multiply-adds"),
        ({"budget": "40%", "budget_by": "shallower"}, "says how many layers there are, and so does layers"),
        ({"genotype": "GRID"}, "is a genotype of the space 'grid'; expected 'dense-grid'"),
        ({"genotype": "DEEP"}, "the genotype has 1 layers, the network 2"),
        ({"crop": "32x32", "batch": 1}, "leaves one value per channel"),
    ],
)
def test_what_the_space_cannot_have_is_said_before_anything_is_trained(options, said, discs, tmp_path):
    if options.get("genotype") == "GRID":
        (tmp_path / "g.yaml").write_text("format: 1\nspace: grid\nlayers: 3\ncells: []\n")
    if options.get("genotype") == "DEEP":
        cells = [{"cell": f"1/{4 * 2**i}", "operation": "conv_3x3", "inputs": {"0/8": 1.0}} for i in range(4)]
        own = {"layers": 1, "operations": ["conv_3x3", "conv_5x5"], "cells": cells, "decoding": "by hand"}
        (tmp_path / "g.yaml").write_text(yaml.safe_dump({"genotype": own, "space": "dense-grid"}))
    options = {**options, "genotype": str(tmp_path / "g.yaml")} if "genotype" in options else options
    phases = {} if "genotype" in options else PHASES
    with pytest.raises(ValueError, match=said):
        wholenet.fit(discs, tmp_path / "run", **{**OWN, **SHORT, **phases, **options})
    assert not (tmp_path / "run").exists()


LESS: dict[str, Any] = {"budget": "60%", "budget_by": "saliency-by-kind"}


@pytest.fixture(scope="module")
def smaller(discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("smaller") / "run"
    with PICTURES:
        wholenet.fit(discs, out, **OWN, **SHORT, **PHASES, **LESS, sampled_links=2, tied=True)
    return out


def test_a_budget_is_met_over_the_search(smaller):
    model = wholenet.load(smaller).network
    goal = goal_of(replace(model.spec, subnet=None), LESS["budget"], (32, 32))
    macs = macs_as_run(model.eval(), 32, 32)
    assert 0.5 * goal.whole < macs <= goal.most
    assert [record["macs"] for record in records(smaller)] == [goal.whole, goal.whole, macs]
    assert records(smaller)[-1]["subnet"] == model.spec.subnet
    assert (smaller / "architecture.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="met a budget"):
        wholenet.decode(smaller, smaller / "g.yaml")


def test_a_budget_is_met_to_the_bit_where_it_was_stopped(smaller, discs, tmp_path):
    options = {**LESS, "sampled_links": 2, "tied": True, "checkpoint_minutes": 0}
    stop_after(2, lambda: wholenet.fit(discs, tmp_path / "run", **OWN, **SHORT, **PHASES, **options))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(smaller), checkpoint(tmp_path / "run"))
    assert untimed(records(smaller)) == untimed(records(tmp_path / "run"))


def test_what_met_a_budget_is_made_smaller_still_and_diagnosed(smaller, tmp_path):
    wholenet.shrink(smaller, tmp_path / "run", budget="45%", epochs=1, budget_rounds=1)
    found = records(tmp_path / "run")
    model = wholenet.load(tmp_path / "run").network
    assert found[0]["subnet"] == records(smaller)[-1]["subnet"]
    assert found[-1]["macs"] == macs_as_run(model.eval(), 32, 32) <= 0.45 * records(smaller)[0]["macs"]
    brief = wholenet.diagnose(tmp_path / "run", images=1)
    assert set(brief.entropy) == {"alpha", "beta"}


@pytest.mark.parametrize("by", ["narrower", "shallower"])
def test_a_dense_grid_is_narrower_or_shallower_from_the_start(by, discs, tmp_path):
    own = {**OWN, "layers": None} if by == "shallower" else OWN
    own = {name: value for name, value in own.items() if value is not None}
    short = {**SHORT, **PHASES, "steps_per_epoch": 1}
    wholenet.fit(discs, tmp_path / "run", **own, **short, budget="60%", budget_by=by)
    model = wholenet.load(tmp_path / "run").network
    macs = macs_as_run(model.eval(), 32, 32)
    assert [record["macs"] for record in records(tmp_path / "run")] == [macs] * 3
    left, layers = left_of(model.spec), model.net.layers
    assert (
        RunFolder(tmp_path / "run").config.settings.get("layers")
        == layers
        < (3 if by == "narrower" else GRID_SIZES["nano"].layers)
    )
    assert len(left.cells) == 4 * layers
    wholenet.resume(tmp_path / "run")
    assert wholenet.load(tmp_path / "run").network.spec == model.spec


def test_a_dense_genotype_is_none_of_the_grid(run, discs, tmp_path):
    wholenet.decode(run, tmp_path / "g.yaml", "strongest")
    with pytest.raises(ValueError, match="of the space 'dense-grid'; expected one of 'grid'"):
        wholenet.fit(discs, tmp_path / "grid", size="nano", genotype=str(tmp_path / "g.yaml"), **SHORT)
    with pytest.raises(ValueError, match="decoded by threshold or strongest; give decoding='threshold'"):
        wholenet.decode(run, tmp_path / "h.yaml", "best-path")
