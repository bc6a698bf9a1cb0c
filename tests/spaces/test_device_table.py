"""Times of a network, by a table of its units: the sum of what is left, the least that can be left, and what is no
table."""

import itertools
import json
import random
from dataclasses import replace

import numpy as np
import pytest

from made_table import made_table
from wholenet.machine import processor
from wholenet.ops.operations import operations_called
from wholenet.spaces.catalog import create_model, grid_subnets
from wholenet.spaces.device_table import check_table, read_table, times_by_width, write_table
from wholenet.spaces.grid_costs import GridTimes, all_merged, growing, merged_kernel
from wholenet.spaces.grid_subnets import GridSubnets
from wholenet.spaces.links import STRIDES, incoming
from wholenet.spaces.sizes import GridSize
from wholenet.spaces.space import Spec
from wholenet.spaces.subgrid import CellPart, Subgrid, channels_of, read_only
from wholenet.spaces.subnets import Unit

SIZE = (64, 96)


def spec(operations="conv_3x3,conv_5x5", **facts):
    settings = {"size": "nano", "cell": "mixture", "activation": "hardswish", "operations": operations}
    return Spec(**{"space": "grid", "settings": settings, "outputs": 5, "channels": 3, **facts})


def summed(table, known, part):
    """Milliseconds of a subnet, written out from its plain values."""
    units, cells = table.units, part.to_dict()["cells"]
    total = units["rest"] + units["decoder"]
    total += sum(units[f"stem {stride}"] for stride in {s for c in cells if c["layer"] == 1 for s in c["inputs"]})
    for cell in cells:
        stride = cell["stride"]
        total += sum(units[f"edge {source}>{stride}"] for source in cell["inputs"])
        total += units[f"addition {stride}"] * (len(cell["inputs"]) - 1)
        if not cell["groups"]:
            total += units[f"bare {stride}"]
            continue
        kernel = {"conv_3x3": "3x3", "conv_5x5": "5x5", "dil_conv_3x3": "3x3/2"}[cell["operations"][-1]]
        if {"conv_3x3", "dil_conv_3x3"} <= set(cell["operations"]):
            kernel = "5x5"
        points = times_by_width(table, f"bottleneck {stride} {kernel}")
        width = sum(len(channels_of(g, known.widths[STRIDES.index(stride)])) for g in cell["groups"])
        total += np.interp(width, list(points), list(points.values()))
    return total


@pytest.mark.parametrize("operations", ["conv_3x3,conv_5x5", "conv_3x3,dil_conv_3x3"])
def test_the_time_of_what_is_left_is_the_sum_over_its_parts(operations):
    of = spec(operations)
    known, table, draw = grid_subnets(of), made_table(of, SIZE), random.Random(0)
    cost, left = known.times(table), known.whole()
    assert (cost.name, cost.size, cost.in_words(31_234_567)) == ("ms", SIZE, "31.2 ms")
    cells = len(left.cells)
    while units := [unit for unit in known.units(left) if unit.kind != "width"]:
        # Each cell is rounded to a nanosecond below, at most.
        assert known.cost(left, cost) / 1e6 == pytest.approx(summed(table, known, left), abs=cells * 1e-6)
        unit = draw.choice(units)
        smaller = known.without(left, unit)
        if unit.kind != "operation":  # a larger kernel may be the faster one
            assert known.cost(smaller, cost) < known.cost(left, cost)
        left = smaller
    assert known.cost(left, cost) / 1e6 == pytest.approx(summed(table, known, left), abs=1e-6)
    assert known.least(known.whole(), cost) <= known.cost(left, cost)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("layers", [1, 2])
def test_the_least_is_the_fastest_of_all_ways(layers, seed):
    known = GridSubnets(GridSize(layers=layers, filters=8, expansion=2), operations_called(["conv_3x3"]), 5, 3)
    cost = GridTimes(
        made_table(spec("conv_3x3"), SIZE, seed), list(all_merged(known.kernels)), known.widths, known.features
    )
    places = [(layer, level) for layer in range(layers) for level in range(4)]
    sources = [[edge.source for edge in incoming(*place)] for place in places]
    ways = []
    for way in itertools.product(*sources):
        cells = {at: CellPart((source,), (), ()) for at, source in zip(places, way, strict=True)}
        ways.append(known.cost(read_only(Subgrid(layers, ("conv_3x3",), cells, known.whole().levels)), cost))
    assert known.least(known.whole(), cost) == min(ways)


def test_a_wider_bottleneck_takes_longer_whatever_was_measured():
    draw = random.Random(0)
    for _ in range(30):
        times = {width: draw.uniform(0, 3) + width / 10 for width in (2, 4, 8, 12, 16)}
        found, mean = growing(times), max(0.0, times[16] - times[2]) / 14
        steps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(found.items())]
        assert min(steps) >= 0.25 * mean - 1e-12
        assert sum(found.values()) == pytest.approx(sum(times.values()))

        def far(other, times=times):
            return sum((other[width] - ms) ** 2 for width, ms in times.items())

        for _ in range(30):  # others that grow so are no nearer
            other, ms = dict.fromkeys(times, 0.0), draw.uniform(0, 4)
            for before, width in itertools.pairwise((0, *times)):
                ms += (width - before) * 0.25 * mean + draw.choice([0, draw.uniform(0, 1)]) * (before > 0)
                other[width] = ms
            assert far(found) <= far(other)
    some = {width: 1.0 + width for width in (2, 4, 8)}
    assert growing(some) == pytest.approx(some)


def test_nothing_takes_less_than_a_bare_cell():
    of = spec("conv_3x3")
    table = made_table(of, SIZE)
    known = grid_subnets(of)
    cost = known.times(replace(table, units={**table.units, "bare 4": 9.0}))
    assert [cost.bottleneck(0, known.features, width, (3, 1)) for width in (1, 7, 16)] == [9_000_000] * 3


def test_every_kernel_that_operations_can_come_to_is_known():
    for kernels in ([(3, 1), (5, 1), (3, 2)], [(1, 1), (3, 2), (3, 3)], [(7, 1)]):
        some = [subset for n in range(1, 4) for subset in itertools.combinations(range(len(kernels)), n)]
        expected = {merged_kernel([kernels[place] for place in subset]) for subset in some}
        found = all_merged(kernels)
        assert set(found) == expected
        for kernel, places in found.items():
            assert merged_kernel([kernels[place] for place in places]) == kernel


def test_a_table_is_read_as_it_was_written(tmp_path):
    table = made_table(spec(), SIZE, checks=[{"share": 1.0, "table": 31.2, "measured": 30.1}])
    write_table(table, tmp_path / "new" / "t.json")
    assert read_table(tmp_path / "new" / "t.json") == table
    assert table.adds_up.startswith("the table adds up to 31.2 ms; measured 30.1 ms, 4% off")


def test_how_well_a_table_adds_up_is_said():
    whole = {"share": 1.0, "table": 30.0, "measured": 30.0}
    parts = [{"share": 0.7, "table": 21.0, "measured": 20.0}, {"share": 0.3, "table": 9.0, "measured": 10.0}]
    said = made_table(spec(), SIZE, checks=[whole, *parts]).adds_up
    assert said.endswith("2 random parts, 30% to 70% of it: 8% off in the mean, at most 10%")
    parts[0]["table"] = 23.0
    assert made_table(spec(), SIZE, checks=[whole, *parts]).adds_up.endswith("measure again when the machine is idle")
    assert made_table(spec(), SIZE).adds_up == "the table was compared with nothing"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"device": "Abacus"}, "was measured on 'Abacus', and this machine is"),
        ({"height": 32}, "is of images of 32x96, and the budget is of 64x96; give budget_at=32x96"),
        ({"space": "mine"}, "with space='mine', and this run's has 'grid'"),
        ({"settings": {"size": "tiny", "cell": "mixture", "activation": "hardswish"}}, "size='tiny', .* 'nano'"),
        ({"settings": {**spec().settings, "activation": "relu"}}, "activation='relu', .* 'hardswish'"),
        ({"settings": {**spec().settings, "filters": 4}}, "filters=4, .* None"),
        ({"outputs": 9}, "classes=9, .* has 5"),
        ({"channels": 1}, "channels=1, .* has 3"),
    ],
)
def test_a_table_of_something_else_is_refused_with_both(change, told):
    check_table(made_table(spec(), SIZE), spec(), SIZE, processor(), "t.json")
    check_table(made_table(spec("conv_3x3"), SIZE), spec(), SIZE, processor(), "t.json")  # asked for units later
    with pytest.raises(ValueError, match=f"t.json .*{told}"):
        check_table(made_table(spec(), SIZE, **change), spec(), SIZE, processor(), "t.json")


@pytest.mark.parametrize("lost", ["rest", "stem 32", "edge 4>8", "bottleneck 8 5x5 32"])
def test_a_unit_that_the_table_lacks_is_named(lost):
    table = made_table(spec(), SIZE)
    units = {name: ms for name, ms in table.units.items() if name != lost}
    with pytest.raises(ValueError, match=f"lacks 1 of the 32 units .* such as '{lost}'; measure one"):
        grid_subnets(spec()).times(replace(table, units=units))
    with pytest.raises(ValueError, match=r"lacks 4 of the 28 units .* such as 'bottleneck 4 7x7 16'"):
        grid_subnets(spec("conv_7x7")).times(table)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda d: d.pop("units"), "units missing"),
        (lambda d: d.update(more=1), "unknown field 'more'"),
        (lambda d: d.update(format=2), "format=2: expected one of 1"),
        (lambda d: d["units"].update(rest=-1.0), r"units\['rest'\]=-1.0: expected 0 or more"),
        (lambda d: d["units"].update(rest="fast"), r"units\['rest'\]='fast': expected"),
        (lambda d: d.update(units=[]), "units=.*: expected"),
        (lambda d: d.update(threads=0), "threads=0: expected at least 1"),
        (lambda d: d.update(height=1 << 40), "height=.*: expected at most"),
        (lambda d: d.update(device="a\x1b[2J"), "device=.*: expected a line"),
        (lambda d: d.update(date="x" * 999), "date=.*: expected a line"),
        (lambda d: d.update(clock="sun"), "clock='sun': expected one of"),
    ],
)
def test_what_is_no_table_is_refused(spoil, told, tmp_path):
    values = json.loads(json.dumps(made_table(spec(), SIZE).to_dict()))
    spoil(values)
    (tmp_path / "t.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=f"t.json is no table of times: .*{told}"):
        read_table(tmp_path / "t.json")
    (tmp_path / "t.json").write_text("[1, 2")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_table(tmp_path / "t.json")


def test_levels_that_were_narrowed_are_not_timed():
    known = grid_subnets(spec())
    narrow = known.without(known.whole(), Unit("width", (0, 3)))
    with pytest.raises(ValueError, match=r"levels of 7, 16, 32, 64 channels are not timed, only whole ones \(8, "):
        known.cost(narrow, known.times(made_table(spec(), SIZE)))


def test_another_space_has_no_times():
    with pytest.raises(ValueError, match="units of space 's2' are not timed"):
        grid_subnets(create_model("s2", num_classes=3, channels=4, cells=3).spec)


def test_a_table_that_is_not_there_is_refused_with_what_writes_one(tmp_path):
    with pytest.raises(ValueError, match=r"none\.json does not exist; expected .*wholenet device-table"):
        read_table(tmp_path / "none.json")
