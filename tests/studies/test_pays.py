"""Budgets against each other at equal time: what equal time is, and how sure a difference is."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wholenet.search.budget_config import ROUNDS
from wholenet.search.config import FitConfig
from wholenet.spaces.catalog import create_model
from wholenet.spaces.space import Facts
from wholenet.studies import pays as study
from wholenet.studies import pays_further as further
from wholenet.studies.paired import T_975, paired
from wholenet.studies.pays import ARMS, BUDGETS, CHANCE, REMOVING, SMALLER, WHOLE, base_of, cost_of
from wholenet.studies.pool import folder_name
from wholenet.studies.setting import Setting
from wholenet.studies.step_times import _key, relative_times
from wholenet_scenes import draw_scene


@pytest.mark.parametrize("degrees", range(1, 10))
def test_the_table_is_students_t(degrees):
    """2.5 % of the density lie above the entry: by Simpson's rule from 0 to it."""
    scale = math.gamma((degrees + 1) / 2) / math.gamma(degrees / 2) / math.sqrt(degrees * math.pi)
    n, end = 2000, T_975[degrees - 1]
    density = [scale * (1 + (end * i / n) ** 2 / degrees) ** (-(degrees + 1) / 2) for i in range(n + 1)]
    area = end / n / 3 * (density[0] + density[-1] + 4 * sum(density[1:-1:2]) + 2 * sum(density[2:-1:2]))
    assert area == pytest.approx(0.475, abs=2e-5)


def test_an_interval_is_of_differences_seed_by_seed():
    found = paired([0.5, 0.6, 0.7], [0.4, 0.4, 0.4])
    assert found.mean == pytest.approx(0.2)
    half = 4.303 * 0.1 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert paired([0.5], [0.4]).shown() == "+10.0"
    with pytest.raises(ValueError, match="zip"):
        paired([0.5, 0.6], [0.4])


class _Run:
    def __init__(self, macs):
        self.macs = macs

    def records(self):
        return [{"macs": n} for n in self.macs]


def test_the_cost_of_a_run_goes_by_what_is_left_in_each_epoch():
    assert cost_of(_Run([100, 60, 20, 20]), 0.4) == pytest.approx(1 + 0.7 + 0.4 + 0.4)


def test_times_are_measured_once(tmp_path, monkeypatch):
    config = FitConfig(data="d", out="o", crop="32x32", batch=2)
    small, large = (create_model(f"grid-{size}", num_classes=3).spec for size in ("nano", "tiny"))
    clock = iter(range(10**6))
    monkeypatch.setattr("wholenet.studies.step_times.time.process_time", lambda: float(next(clock)))
    found = relative_times({"a": small}, large, config, tmp_path / "times.json")
    assert found == {"a": 1.0}  # every step takes one tick of this clock
    kept = json.loads((tmp_path / "times.json").read_text())
    (tmp_path / "times.json").write_text(json.dumps(dict.fromkeys(kept, 0.25)))
    assert relative_times({"b": small}, large, config, tmp_path / "times.json") == {"b": 0.25}
    assert relative_times({"b": small}, large, replace(config, batch=3), tmp_path / "times.json") == {"b": 1.0}


def test_steps_are_timed_on_as_many_threads_as_the_runs_have(tmp_path, monkeypatch):
    """On two, the CPU's time of half a network was 1.4 times that of the whole, where runs on one took 0.8."""
    config = FitConfig(data="d", out="o", crop="32x32", batch=2, threads=3)
    spec = create_model("grid-nano", num_classes=3).spec
    seen = []
    monkeypatch.setattr("wholenet.studies.step_times.weight_step", lambda *_: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    relative_times({"a": spec}, spec, config, tmp_path / "times.json")
    assert set(seen) == {3}
    assert torch.get_num_threads() == before


def test_layers_that_are_not_chosen_leave_what_was_measured_valid():
    config = FitConfig(data="d", out="o", crop="32x32", batch=2)
    spec = create_model("grid-nano", num_classes=3).spec
    old, new, other = (
        replace(spec, settings={**spec.settings, **more}) for more in ({}, {"layers": None}, {"layers": 2})
    )
    assert _key(old, old, config) == _key(new, old, config) != _key(other, old, config)


class _Pool:
    """Trains nothing: what it was asked for, and runs of a given score."""

    def __init__(self):
        self.asked = {}

    def trained_arms(self, arms):
        self.asked |= arms
        return {key: [_Trained(config) for config in configs] for key, configs in arms.items()}


class _Trained:
    def __init__(self, config):
        self.config = config

    def records(self):
        return [{"macs": 100, "subnet": None}, {"macs": 50, "subnet": None}]


def _without_training(monkeypatch, *modules):
    """Runs of ``_Pool`` stand for others. Returns what is timed."""
    timed = {}
    monkeypatch.setattr(study, "facts_of", lambda _: Facts(3))
    for module in (study, *modules):
        monkeypatch.setattr(module, "last_of", lambda _: create_model("grid-nano", num_classes=3).spec)
        monkeypatch.setattr(module, "final_miou", lambda run: 0.1 * (run.config.seed + 1))
        monkeypatch.setattr(module, "macs_of", lambda *_: 50)
        given = lambda specs, *_: timed.update(specs) or dict.fromkeys(specs, 0.5)  # noqa: E731
        monkeypatch.setattr(module, "relative_times", given)
    return timed


def test_the_controls_get_as_many_epochs_as_the_search_pays_for(tmp_path, monkeypatch):
    timed = _without_training(monkeypatch)
    pool = _Pool()
    result = study.pays(Setting(scale="cpu", data="d", out=tmp_path, seeds=2), pool)
    assert set(pool.asked) == {(budget, arm) for budget in BUDGETS for arm in ARMS}
    assert set(timed) == {f"{budget} {arm}" for budget in BUDGETS for arm in ARMS if arm != WHOLE}
    for (budget, arm), configs in pool.asked.items():
        assert [config.seed for config in configs] == [0, 1]
        assert {config.budget for config in configs} == {None if arm == WHOLE else budget}
        if arm in SMALLER:
            assert {(config.budget_by, config.architecture) for config in configs} == {(arm, "uniform")}
            assert configs[0].epochs == round(1.5 / 0.5)
    assert timed[f"30% {SMALLER[1]}"].settings["layers"] == 1
    assert len(result.table.rows) == len(BUDGETS) * len(ARMS)
    assert (tmp_path / study.FIGURE).is_file()


def test_attempts_cost_what_the_search_costs_and_chance_alone_draws_anew(tmp_path, monkeypatch):
    _without_training(monkeypatch, further)
    pool = _Pool()
    monkeypatch.setattr(further, "_shrunk", lambda run, budget, arm, epochs: replace(run.config, epochs=epochs))
    result = further.pays_further(Setting(scale="cpu", data="d", out=tmp_path, seeds=2), pool)
    arms = {arm for _, arm in pool.asked}
    assert arms >= {*ARMS, *further.ATTEMPTS, further.DRAWS}
    for budget in BUDGETS:
        draws = pool.asked[budget, further.DRAWS]
        own = pool.asked[budget, CHANCE][0]
        assert [replace(draw, budget_seed=None) for draw in draws] == [own] * len(draws)
        assert len({draw.budget_seed for draw in draws}) == len(draws)
        assert {config.budget_over for config in pool.asked[budget, further.LONGER]} == {1.0}
        for arm in further.DISTILL:
            (first,) = {config.epochs for config in pool.asked[budget, f"{further.WHOLE_FIRST}: {arm}"]}
            assert {config.epochs for config in pool.asked[budget, arm]} == {max(1, round(first / 4))}
    best = [row for row in result.table.rows if str(row[1]).endswith("(the best control)")]
    assert [row[-1] for row in best] == [""] * len(BUDGETS)
    assert (tmp_path / further.FIGURE).is_file()


@pytest.mark.parametrize("last", [0.3, 0.8])
@pytest.mark.parametrize("asks", [0.0, 1 / 3])
def test_a_network_that_is_shrunk_costs_as_much_as_one_that_is_searched(last, asks):
    """Within half an epoch of the whole network, and of what is left, to which lengths are rounded."""
    first, tuning = further.shrunk_epochs(45.0, last, asks)
    rounds = [1 - (1 - last) * done / ROUNDS for done in range(ROUNDS)]
    cost = first + sum(rounds) + last + tuning * last + asks * (ROUNDS + 1 + tuning)
    assert abs(cost - 45) <= (1 + last + asks) / 2


@pytest.mark.parametrize("last", [0.3, 0.8])
def test_a_longer_search_costs_as_much(last):
    epochs = further.longer_epochs(45.0, last, 0.05, 0.6)
    cost = epochs * (0.05 + 0.6 * (1 + last) / 2 + 0.35 * last)
    assert abs(cost - 45) <= 0.5


def test_names_of_runs_say_nothing_of_what_came_later():
    """A study that was begun goes on with its runs: their folders are called by these."""
    config = base_of(Setting(scale="cpu", data="camvid", out=Path("o")))
    named = replace(config, budget="30%", budget_by="random", **REMOVING)
    assert folder_name(named) == "tiny-single-stage-seed0-5537153181"
    assert folder_name(replace(named, budget_seed=1)) != folder_name(named) == folder_name(replace(named, out="x"))


def test_scenes_are_seen_as_large_as_other_images():
    base = base_of(Setting(scale="cpu", data="scenes", out=Path("o")))
    assert base.zoom == pytest.approx(math.sqrt(base.scale_min * base.scale_max), abs=0.005)
    height, width = draw_scene(0, 0, 192, 256)[1].shape
    assert round(height * base.scale_min) >= base.crop_size[0]
    assert round(width * base.scale_min) >= base.crop_size[1]
    chosen = base_of(Setting(scale="cpu", data="scenes", out=Path("o"), overrides=(("zoom", 1.0),)))
    assert chosen.zoom == 1
