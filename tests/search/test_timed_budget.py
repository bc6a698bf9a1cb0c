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
from wholenet.search.removal import goal_of
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
    wholenet.fit(discs, tmp_path / "run", budget=f"{ms:.4f}ms", device_table=str(tmp_path / "t.json"), **SMALL)

    def share_of_fine(of):
        """Channel groups that are left in a cell of the finest level, per one in a cell of the others."""
        cells = records(of)[-1]["subnet"]["cells"]
        fine, others = ([len(c["groups"]) for c in cells if (c["stride"] == 4) == is_fine] for is_fine in (True, False))
        return sum(fine) / len(fine) / (sum(others) / len(others))

    assert share_of_fine(tmp_path / "run") < min(1, share_of_fine(run))
