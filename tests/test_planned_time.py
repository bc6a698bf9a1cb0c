"""All of a run lies within the minutes it was given: real runs on a machine whose clock is pretended."""

import json
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

import wholenet.planning.plan as plan_module
import wholenet.planning.timing as timing_module
import wholenet.run as run_module
import wholenet.search.keeper as keeper_module
from run_files import records
from wholenet.control import fit_with_control
from wholenet.jobs.segmentation import MaskData
from wholenet.planning.length import DRAWN_SECONDS, END_SECONDS, Cost, Length
from wholenet.planning.plan import plan_run
from wholenet.planning.timing import Measured
from wholenet.search.config import fit_config
from wholenet.spaces.catalog import create_from
from wholenet.spaces.count import macs_as_run

pytestmark = pytest.mark.usefixtures("sliver")

QUIET = Console(quiet=True)
SCORED, PAGED, PREPARED = 0.2, 0.3, 0.5
"""Seconds of an image in a validation, and for the page; of looking at the data."""


class Machine:
    """Its steps take two seconds for the whole network, of which 0.6 are the same for all; scoring is likewise.
    Searching takes half as much again."""

    def __init__(self):
        self.now = 0.0
        self._macs = {}

    def of(self, model):
        """The share of the whole network's time that ``model`` takes."""
        key = json.dumps(model.spec.to_dict(), sort_keys=True)
        if key not in self._macs:
            state = torch.get_rng_state()
            self._macs[key] = macs_as_run(create_from(model.spec).eval(), 32, 32)
            torch.set_rng_state(state)
        return 0.3 + 0.7 * self._macs[key] / max(self._macs.values())

    def slow(self, train_epoch):
        def steps(state, phase, *arguments):
            for step in train_epoch(state, phase, *arguments):
                self.now += self.of(state.model) * (3.0 if phase.moves_architecture else 2.0)
                yield step

        return steps


@pytest.fixture
def machine(monkeypatch):
    found = Machine()
    clock = SimpleNamespace(perf_counter=lambda: found.now, monotonic=lambda: found.now)
    for module in (keeper_module, plan_module):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(timing_module, "_now", lambda _: found.now)
    for module in (run_module, timing_module):
        monkeypatch.setattr(module, "train_epoch", found.slow(module.train_epoch))
    score, prepare = MaskData.score, plan_module.prepare

    def scored(self, model, device):
        found.now += SCORED * found.of(model) * len(self.prepared.val)
        return score(self, model, device)

    def prepared(*arguments):
        found.now += PREPARED
        return prepare(*arguments)

    def paged(_predict, data, *_):
        found.now += PAGED * len(data)

    monkeypatch.setattr(MaskData, "score", scored)
    monkeypatch.setattr(plan_module, "prepare", prepared)
    monkeypatch.setattr(timing_module, "measure_masks", paged)
    monkeypatch.setattr(timing_module, "_check_memory", lambda *_: None)
    return found


KINDS = {
    "plain": {},
    "control": {"control": True, "arch_update": "alternating"},
    "two stages": {"protocol": "two-stage"},
    "two stages, control": {"protocol": "two-stage", "control": True},
    "narrower": {"budget": "45%", "budget_by": "narrower"},
    "shallower": {"budget": "45%", "budget_by": "shallower"},
    "budget": {"budget": "45%"},
    "gradual budget": {"budget": "45%", "budget_over": 1.0, "budget_units": "edge,operation,channels,bottleneck,width"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_within_the_minutes_and_fills_nine_tenths_of_them(kind, discs, tmp_path, machine):
    minutes = 2.0 if "control" in kind else 1.2
    given = {"data": str(discs), "size": "nano", "crop": "32x32", "batch": 2, "device": "cpu", **KINDS[kind]}
    given["recalibrate"] = 0  # batches that only pass take no time here
    plan = plan_run(given, minutes, QUIET)
    fit_with_control(plan.config(out=str(tmp_path / "run")), QUIET)
    drawn = DRAWN_SECONDS * (("control" in given) + ("protocol" in given))
    spent = machine.now + PREPARED + drawn + END_SECONDS + PAGED * 2  # what a test does not do
    # Units of a grid this small are so large that it is ahead of the straight line to its budget.
    assert (0.8 if kind == "gradual budget" else 0.9) * 60 * minutes < spent <= 60 * minutes
    if kind.endswith("budget"):
        macs = [record["macs"] for record in records(tmp_path / "run")]
        assert macs[-1] <= 0.45 * macs[0]


def test_a_network_that_gets_smaller_or_is_cut_gets_the_steps_that_this_saves():
    found = Measured(1.0, 1.0, 0.0, 1, later_step=0.5, later_scored=0.0)
    whole = Cost(fit_config(data="", out=""), found, 1).fitting(600)
    given = {"data": "", "out": "", "budget": "50%", "budget_by": "random"}
    budget = Cost(fit_config(**given, budget_over=1.0), found, 1).fitting(600)
    # 5 % of the steps are whole, 35 % lose linearly, 60 % take half the time.
    assert budget == pytest.approx(whole / (0.05 + 0.35 * 0.75 + 0.6 * 0.5), rel=0.03)
    at_once = Cost(fit_config(**given, budget_over=0.0), found, 1).fitting(600)
    assert at_once > budget
    assert at_once == pytest.approx(whole / (0.05 + 0.95 * 0.5), rel=0.05)
    two = Cost(fit_config(data="", out="", protocol="two-stage"), found, 1)
    length = two.length(whole, 600)
    assert length.retrain_epochs == 2 * (length.epochs - two.first_stage(length))
    fine_tuning = length.steps * (length.epochs - two.first_stage(length)) * 1.0
    assert two.parts(length)["second stage"] == fine_tuning + DRAWN_SECONDS


def test_the_parts_of_a_run_are_all_its_seconds():
    config = fit_config(data="", out="", control=True, recalibrate=2)
    cost = Cost(config, Measured(1.0, 2.0, 0.5, 1, passed_batch=0.25, paged_image=0.75), 4)
    length = Length(epochs=10, steps=3, every=5)  # 1 of warm-up, 3 of search, 6 of fine-tuning
    parts = cost.parts(length)
    assert parts["training"] == 3 * (7 * 1.0 + 3 * 2.0)
    assert parts["validations"] == 2 * (4 * 0.5 + 2 * 0.25)
    assert parts["control"] == 13 * 3 * 1.0 + 3 * (4 * 0.5 + 2 * 0.25) + DRAWN_SECONDS
    assert parts["the end"] == 4 * 0.75 + END_SECONDS
    assert cost.seconds(length) == sum(parts.values())
