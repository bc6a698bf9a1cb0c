"""Budgets against each other at equal time: what equal time is, and how sure a difference is."""

import json
import math
from dataclasses import replace

import pytest

from wholenet.search.config import FitConfig
from wholenet.spaces.catalog import create_model
from wholenet.studies.paired import T_975, paired
from wholenet.studies.pays import _cost
from wholenet.studies.step_times import relative_times


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
    assert _cost(_Run([100, 60, 20, 20]), 0.4) == pytest.approx(1 + 0.7 + 0.4 + 0.4)


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
