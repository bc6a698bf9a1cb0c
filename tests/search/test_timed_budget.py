"""A run with a budget in milliseconds: it ends with a network that takes no longer by its table, which is a part of the
run folder; stopped anywhere, it comes to the same; what it is asked that cannot be is refused before it begins."""

import json
from dataclasses import replace

import pytest

import wholenet
from made_table import made_table
from run_files import assert_equal, checkpoint, records, stopped_looking, untimed
from toy import shallow
from wholenet.cli import main
from wholenet.jobs import times
from wholenet.search.budget_config import TIMED
from wholenet.search.goals import goal_of
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import create_model, grid_subnets, left_of, subnets
from wholenet.spaces.device_table import read_table, write_table

pytestmark = pytest.mark.usefixtures("shallow")

SMALL = {"size": "nano", "epochs": 4, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "threads": 1}
SMALL |= {"warmup_share": 0.25, "search_share": 0.5, "steps_per_epoch": 2, "val_every": 3}
LARGEST = (48, 64)
"""Of the images that are held out."""
with shallow():
    SPEC = create_model("grid-nano", num_classes=2).spec
    TABLE = made_table(SPEC, LARGEST)


def share(of):
    """So much of what the whole network takes by the table, as a budget."""
    known = grid_subnets(SPEC)
    return f"{of * known.cost(known.whole(), known.times(TABLE)) / 1e6:.4f}ms"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "t.json"
    write_table(TABLE, path)
    return path


@pytest.fixture(scope="module")
def run(discs, file, tmp_path_factory):
    out = tmp_path_factory.mktemp("timed") / "run"
    wholenet.fit(discs, out, budget=share(0.5), device_table=str(file), **SMALL)
    return out


def test_the_model_takes_no_longer_by_the_table_in_its_folder(run):
    spec = wholenet.load(run).network.spec
    goal = goal_of(SPEC, share(0.5), LARGEST, table=read_table(run / "device-table.json"))
    taken = subnets(spec).cost(left_of(spec), goal.cost)
    assert 0.95 * goal.most < taken <= goal.most < 0.5001 * goal.whole
    found = records(run)
    assert found[0]["ms"] == goal.whole / 1e6
    assert found[-1]["ms"] == taken / 1e6
    assert found[-1]["macs"] == subnets(spec).macs(left_of(spec), *LARGEST)
    assert RunFolder(run).fit_config.budget_at == "48x64"  # the largest image held out, not the crop


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_stopped_anywhere_it_comes_to_the_same_with_the_table_it_measured(
    run, discs, tmp_path, monkeypatch, stop, capsys
):
    monkeypatch.setattr(times, "measure_table", lambda *_, **__: TABLE)
    with stopped_looking(stop):
        wholenet.fit(discs, tmp_path / "run", budget=share(0.5), **SMALL, checkpoint_minutes=0)
    assert "measuring how long the network's units take, for an image of 48x64" in capsys.readouterr().out
    if stop > 2:  # measured again, times would be others
        other = made_table(SPEC, LARGEST, seed=1)
        monkeypatch.setattr(times, "measure_table", lambda *_, **__: other)
    else:  # stopped before the table was written
        (tmp_path / "run" / "device-table.json").unlink()
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(tmp_path / "run"), checkpoint(run))
    assert untimed(records(tmp_path / "run")) == untimed(records(run))
    weights = "model/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (run / weights).read_bytes()


def test_units_are_chosen_by_the_time_that_they_save(run, discs, tmp_path):
    """With a table in which one level takes all the time, that level's cells go."""
    slow = {name: ms * (50 if name.startswith("bottleneck 4 ") else 1) for name, ms in TABLE.units.items()}
    write_table(replace(TABLE, units=slow), tmp_path / "t.json")
    known = grid_subnets(SPEC)
    table = read_table(tmp_path / "t.json")
    ms = 0.7 * known.cost(known.whole(), known.times(table)) / 1e6
    given = {**SMALL, "budget_units": ",".join(TIMED), "budget_over": 1.0}
    wholenet.fit(discs, tmp_path / "run", budget=f"{ms:.4f}ms", device_table=str(tmp_path / "t.json"), **given)

    def share_of_fine(of):
        """Channel groups that are left in a cell of the finest level, per one in a cell of the others."""
        cells = records(of)[-1]["subnet"]["cells"]
        fine, others = ([len(c["groups"]) for c in cells if (c["stride"] == 4) == is_fine] for is_fine in (True, False))
        return sum(fine) / len(fine) / (sum(others) / len(others))

    assert share_of_fine(tmp_path / "run") < min(1, share_of_fine(run))


@pytest.mark.parametrize(
    ("given", "change", "told"),
    [
        ({"budget": "30 seconds"}, {}, "a time for one image in milliseconds, such as 30ms"),
        ({"budget": "0ms"}, {}, "a time for one image in milliseconds"),
        (
            {"budget": "0.1ms"},
            {},
            r"is 0.1 ms for an image of 48x64; what cannot be removed costs .* ms, \d+\.\d% of the whole",
        ),
        ({"budget": "900ms"}, {}, "is no less than the .* ms of the whole network for an image of 48x64"),
        ({}, {"device": "Abacus"}, "measured on 'Abacus', and this machine is"),
        ({}, {"height": 96}, "is of images of 96x64, and the budget is of 48x64; give budget_at=96x64"),
        ({"budget_at": "32x32"}, {}, "is of images of 48x64, and the budget is of 32x32"),
        ({"activation": "relu"}, {}, "with activation='hardswish', and this run's has 'relu'"),
        ({"size": "tiny"}, {}, "with size='nano', and this run's has 'tiny'"),
        ({}, {"outputs": 19}, "with classes=19, and this run's has 2"),
        ({"operations": "conv_3x3,conv_7x7"}, {}, "lacks 4 of the 32 units .* 'bottleneck 4 7x7 4'"),
        ({"budget": "40%"}, {}, "has times, and budget='40%' is of multiply-adds"),
        ({"budget_units": "edge,width"}, {}, "what narrower levels take is not measured"),
        ({"budget_units": "edge", "budget": "0.5ms"}, {}, "what cannot be removed costs"),
        ({"budget_at": "large"}, {}, "is not a size"),
        ({"cell": "separate"}, {}, "bottleneck per operation"),
        ({"device_table": "nowhere.json"}, {}, "nowhere.json"),
        ({"architecture": "uniform"}, {}, "a search is what removes units"),
        ({"budget": None}, {}, "is about a budget, and there is none"),
    ],
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(discs, tmp_path, given, change, told):
    write_table(replace(TABLE, **change), tmp_path / "t.json")
    options = {**SMALL, "budget": share(0.5), "device_table": str(tmp_path / "t.json"), **given}
    with pytest.raises((ValueError, OSError), match=told):
        wholenet.fit(discs, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_no_plan_is_made_for_a_time(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "scenes", "--budget", "30ms", "--plan-only"])
    assert "say what a plan would choose, --epochs first" in capsys.readouterr().err


def test_a_budget_is_of_the_size_that_is_named():
    whole = goal_of(SPEC, "50%", (64, 64)).whole
    assert goal_of(SPEC, "50%", (128, 128)).whole == pytest.approx(4 * whole, rel=0.01)
    with pytest.raises(ValueError, match="is a time, and there is no table of times"):
        goal_of(SPEC, "30ms", (64, 64))


def test_the_command_measures_a_table_that_a_run_takes(discs, tmp_path, monkeypatch, capsys):
    asked = []

    def measure(spec, size, **options):
        asked.append((spec, size, options))
        return made_table(spec, size)

    monkeypatch.setattr("wholenet.deploy.device_times.measure_table", measure)
    out = tmp_path / "new" / "t.json"
    main(["device-table", str(discs), "--size", "nano", "--out", str(out), "--threads", "2"])
    assert asked[0][0].outputs == 2
    assert asked[0][1:] == (LARGEST, {"threads": 2, "seconds": 20.0})
    assert f"wrote {out}: 54 units" in capsys.readouterr().out
    assert json.loads(out.read_text())["height"] == 48
    main(["device-table", "tiny", "--classes", "7", "--at", "64x96", "--operations", "conv_3x3", "--out", str(out)])
    assert (asked[1][0].outputs, asked[1][0].settings["size"], asked[1][1]) == (7, "tiny", (64, 96))
    for wrong, told in (
        (["tiny", "--size", "nano"], "'tiny' is a size, and --size nano another"),
        ([str(discs), "--classes", "3"], "are what data says"),
        (["tiny", "--at", "big"], "is not a size"),
    ):
        with pytest.raises(SystemExit):
            main(["device-table", *wrong])
        assert told in capsys.readouterr().err
