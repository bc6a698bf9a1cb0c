"""Several budgets: a run for each, which is what that budget alone gives; what cannot be is refused before training."""

import json
import os
import signal
from dataclasses import asdict, replace

import pytest
import yaml

import wholenet
from run_files import records, untimed
from wholenet.cli import main
from wholenet.report.frontier import Point, draw_frontier, frontier_lines, read_points
from wholenet.search.budgets import folder_of, parse_budgets
from wholenet.search.config import fit_config
from wholenet.search.config_files import read_config
from wholenet.search.interruption import Interrupted
from wholenet.search.keeper import Keeper

pytestmark = pytest.mark.usefixtures("shallow", "controls_of_two_epochs")

SMALL = {"size": "nano", "epochs": 3, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "threads": 1}
SMALL |= {"steps_per_epoch": 2, "control": True}


@pytest.fixture(scope="module")
def controls_of_two_epochs():
    """How many take as long as the run is measured: tests/search/test_equal_time.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.control.equal_time_epochs", lambda *_: 2)
        yield


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0.5,1,2GMACs", ("0.5GMACs", "1GMACs", "2GMACs")),
        ("2G, 500M,1", None),
        ("50,15 %", ("15%", "50%")),
        ("500M,1,2G", ("500M", "1G", "2G")),
        ("9ms,7.5ms", ("7.5ms", "9ms")),
    ],
)
def test_budgets_are_sorted_and_take_the_next_unit(text, found):
    if found is None:
        with pytest.raises(ValueError, match="budget='1'"):
            parse_budgets(text)
        return
    assert parse_budgets(text) == found
    assert parse_budgets(",".join(found)) == found
    assert len({folder_of(budget) for budget in found}) == len(found)
    assert not any(set(folder_of(budget)) & set("%/ ") for budget in found)


@pytest.fixture
def untrained(monkeypatch):
    def trained(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr("wholenet.frontier.fit_with_control", trained)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": "30%,30 %"}, "30% and 30% are the same"),
        ({"budget": "1G,1000M"}, "are the same"),
        ({"budget": "30%,1GMACs"}, "1GMACs is multiply-adds and 30% is a share"),
        ({"budget": "30ms,1GMACs"}, "30ms is a time"),
        ({"budget": "30%,"}, "nothing beside a comma"),
        ({"budget": "30%,lots%"}, "expected a share"),
        ({"budget": "10%,60%"}, "budget='10%': the narrowest grid with all cells"),
        ({"budget": "1%,60%"}, "what cannot be removed costs"),
        ({"budget": "60%,9GMACs"}, "one kind"),
        ({"budget": "70%,71%"}, "budgets 70% and 71% come to the same network"),
        ({"budget": "50%,60%", "budget_by": "random"}, "control=True and budget='50%': its controls are runs"),
        ({"budget": "50%,60%", "budget_by": "random", "control": False, "search_share": 0.0}, "over the epochs of the"),
        ({"budget": "50%,60%", "protocol": "shrink", "init": "runs/x", "epochs": 6, "control": False}, "one budget at"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(options, said, discs, tmp_path, untrained):
    with pytest.raises(ValueError, match=said):
        wholenet.fit(discs, tmp_path / "runs", **{**SMALL, **options})
    assert not (tmp_path / "runs").exists()


def test_one_run_has_one_budget():
    with pytest.raises(ValueError, match="several budgets are for `wholenet fit` alone"):
        fit_config(data="d", out="o", budget="50%,60%")


@pytest.fixture(scope="module")
def stopped(discs, controls_of_two_epochs, tmp_path_factory):
    """A frontier, stopped by a signal in the third step of its second run; what the command says."""
    out, steps, done = tmp_path_factory.mktemp("frontier") / "runs", [], Keeper.step_done

    def step_done(self):
        if self.run.path.name == "70-percent":
            steps.append(1)
            if len(steps) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
        done(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "step_done", step_done)
        with pytest.raises(Interrupted) as stop:
            wholenet.fit(discs, out, budget="70%,40%", **SMALL)
    return out, stop.value


def test_a_frontier_that_was_stopped_goes_on_and_each_run_is_that_of_its_budget(stopped, discs, tmp_path, capsys):
    out, stop = stopped
    assert stop.status == 128 + signal.SIGTERM
    assert f"saved. Continue with `wholenet fit --resume {out}`" in stop.message
    assert [point.budget for point in read_points(out)] == ["40%"]
    assert "1 of 2 runs are finished" in (out / "frontier.html").read_text()
    finished = {path: path.stat().st_mtime_ns for path in (out / "40-percent").rglob("*") if path.is_file()}
    capsys.readouterr()
    main(["fit", f"--resume={out}"])
    said = capsys.readouterr().out
    assert "40-percent is finished" in said
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    wholenet.fit(discs, tmp_path / "alone", budget="70%", **SMALL)
    for part in ("", "control"):
        assert untimed(records(out / "70-percent" / part)) == untimed(records(tmp_path / "alone" / part))
    points, values = read_points(out), json.loads((out / "frontier.json").read_text())
    assert [point.run for point in points] == ["40-percent", "70-percent"]
    for point, share in zip(points, (0.4, 0.7), strict=True):
        own, control = (records(out / point.run / part)[-1] for part in ("", "control"))
        assert (point.macs, point.miou, point.control_miou) == (own["macs"], own["miou"], control["miou"])
        assert 0.5 * share < point.macs / values["whole_macs"] <= share
    assert "\n".join(frontier_lines(points, values["whole_macs"])) in said
    assert (out / "frontier.png").is_file()
    assert "of 2 runs are finished" not in (out / "frontier.html").read_text()
    rows = wholenet.compare([out / point.run for point in points])
    assert [row["budget"] for row in rows] == ["40%", "70%"]
    with pytest.raises(ValueError, match="is not an empty folder"):
        wholenet.fit(discs, out, budget="70%,40%", **SMALL)
    with pytest.raises(ValueError, match="lr cannot be given with them"):
        wholenet.resume(out, lr=0.1)


def test_what_is_printed_as_a_file_has_all_budgets(capsys):
    main(["fit", "scenes", "--budget=50%,20%", "--epochs=3", "--print-config"])
    assert yaml.safe_load(capsys.readouterr().out)["budget"] == "50%,20%"


@pytest.mark.parametrize(("macs", "scale"), [((10, 30), "linear"), ((10, 90), "log")])
def test_the_axis_of_multiply_adds_is_logarithmic_where_they_are_far_apart(macs, scale, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("wholenet.report.style._write", lambda figure, _: seen.append(figure.axes[0]))
    points = [Point(f"{n}M", "x", n * 10**6, None, 0.3, 0.2, 3, 1.0) for n in macs]
    draw_frontier(tmp_path / "x.png", points, 10**9)
    (ax,) = seen
    assert ax.get_xscale() == scale
    for line, miou in zip(ax.lines, (30, 20), strict=True):
        assert list(line.get_xdata()) == list(macs)
        assert list(line.get_ydata()) == pytest.approx([miou, miou])


def test_runs_that_met_their_budgets_in_other_ways_are_told_apart(tmp_path):
    point = Point("20%", "x", 10, None, 0.3, None, 3, 1.0, "shallower")
    others = [point, replace(point, budget="60%", by="saliency-by-kind")]
    head, *rows = frontier_lines(others, 100)
    assert "by" in head.split()
    assert [row.split()[-2] for row in rows] == ["shallower", "saliency-by-kind"]
    assert "by" not in frontier_lines([point, replace(point, budget="60%")], 100)[0].split()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.yaml").touch()
    for by in ({"by": "shallower"}, {}):  # without, it is from before 2026-11-30
        values = {name: value for name, value in asdict(point).items() if name != "by"} | by
        (tmp_path / "frontier.json").write_text(json.dumps({"points": [values]}))
        assert read_points(tmp_path) == [replace(point, by=by.get("by"))]


def test_the_settings_of_all_runs_stay(stopped):
    out, _ = stopped
    config = read_config(out / "40-percent" / "config.yaml")
    shared = yaml.safe_load((out / "frontier.yaml").read_text())["shared"]
    assert (shared["epochs"], shared["batch"], shared["control"]) == (config.epochs, config.batch, config.control)
