"""What is measured of a network's units, by a clock that counts multiply-adds instead of time: then the table must say
of every part of the network what the closed form does."""

import random
from types import SimpleNamespace

import pytest
import torch

from wholenet.deploy import device_times
from wholenet.deploy.device_times import measure_table, probed, random_part
from wholenet.spaces.catalog import create_model, grid_subnets
from wholenet.spaces.grid_costs import all_merged

pytestmark = pytest.mark.usefixtures("shallow")

SIZE = (32, 64)


@pytest.fixture
def counted(monkeypatch):
    """Nanoseconds are multiply-adds of the convolutions that were run."""
    clock = [0]
    convolve = torch.nn.Conv2d.forward

    def forward(self, x):
        found = convolve(self, x)
        clock[0] += found.numel() * self.weight[0].numel()
        return found

    monkeypatch.setattr(torch.nn.Conv2d, "forward", forward)
    times = {name: lambda: clock[0] for name in ("thread_time_ns", "perf_counter_ns")}
    monkeypatch.setattr(device_times, "time", SimpleNamespace(**times))


@pytest.mark.parametrize(
    "settings", [{}, {"operations": "conv_3x3,dil_conv_3x3", "activation": "relu", "filters": 4}], ids=["", "others"]
)
def test_a_clock_that_counts_multiply_adds_measures_multiply_adds(counted, settings):
    spec = create_model("grid-nano", num_classes=3, **settings).spec
    before = torch.get_rng_state()
    table = measure_table(spec, SIZE, threads=1, seconds=0.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert (table.clock, table.threads, table.height, table.width) == ("cpu", 1, *SIZE)
    assert [table.units[name] for name in ("rest", "addition 4", "bare 4")] == [0.0] * 3
    known, draw = grid_subnets(spec), random.Random(0)
    cost, left = known.times(table), known.whole()
    while units := [unit for unit in known.units(left) if unit.kind != "width"]:
        # Between widths, a nanosecond is lost in each cell at most.
        assert 0 <= known.macs(left, *SIZE) - known.cost(left, cost) <= len(left.cells)
        left = known.without(left, draw.choice(units))
    assert known.cost(left, cost) == known.macs(left, *SIZE)
    assert table.checks[0]["share"] == 1
    for check in table.checks:
        assert check["table"] == pytest.approx(check["measured"], abs=1e-4)


def test_every_kernel_is_timed_at_every_width_and_so_is_every_other_unit():
    known = grid_subnets(create_model("grid-tiny", num_classes=3, operations="conv_3x3,conv_5x5,dil_conv_3x3").spec)
    cells = [(level, cell) for part in probed(known) for (_, level), cell in part.cells.items()]
    for level in range(4):
        found = {(cell.operations, len(cell.groups)) for at, cell in cells if at == level}
        kernels = all_merged(known.kernels).values()
        assert found == {((), 0), *((places, groups) for places in kernels for groups in (1, 2, 4, 6, 8))}


def test_random_parts_have_the_share_that_is_asked_for():
    known = grid_subnets(create_model("grid-tiny", num_classes=3).spec)
    whole = known.macs(known.whole(), *SIZE)
    for share in (0.7, 0.5, 0.3):
        part = random_part(known, share, SIZE, seed=0)
        assert 0.7 * share * whole < known.macs(part, *SIZE) <= share * whole
    assert random_part(known, 0.5, SIZE, 0) == random_part(known, 0.5, SIZE, 0) != random_part(known, 0.5, SIZE, 1)
