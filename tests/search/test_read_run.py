"""Tables of a run say what its files say."""

import json
import shutil

import pytest

import wholenet
from old_folders import FIXTURES
from run_files import records
from wholenet.jobs.catalog import task_config
from wholenet.search.run_folder import RunFolder


def parts(run):
    return [row["part"] for row in wholenet.read_run(run).results]


def test_records_are_those_of_the_file_flat_and_in_order():
    found = wholenet.read_run(FIXTURES / "single-stage")
    for row, record in zip(found.records, records(FIXTURES / "single-stage"), strict=True):
        assert row["entropy.alpha"] == record["entropy"]["alpha"]
        assert not any(isinstance(value, dict) for value in row.values())
        rest = {key: value for key, value in record.items() if not isinstance(value, dict)}
        assert row.items() >= rest.items()


def test_results_have_a_row_for_each_run_in_the_folder():
    assert parts(FIXTURES / "single-stage") == ["run", "control"]
    assert parts(FIXTURES / "two-stage") == ["run", "first stage"]
    assert parts(FIXTURES / "best-of") == ["run", "search 1", "search 1, trained"]
    for name, task in (("single-stage", "segmentation"), ("retrain", "classification"), ("search", "classification")):
        found = wholenet.read_run(FIXTURES / name)
        assert found.task == task
        assert found.config["seed"] == 0
        lines = records(FIXTURES / name)
        assert found.results[0]["epochs"] == len(lines)
        assert found.results[0]["seconds"] == pytest.approx(sum(record["seconds"] for record in lines))


def test_scores_are_the_last_ones_and_none_before_there_is_one(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(FIXTURES / "single-stage", run)
    lines = records(run)
    scored = next(line["miou"] for line in reversed(lines) if line["miou"] is not None)
    (row, _) = wholenet.read_run(run).results
    assert row["miou"] == scored
    pixels = json.loads((run / "environment.json").read_text())["val"]["class_pixels"]
    assert row["constant_miou"] == pytest.approx(max(pixels) / sum(pixels) / 2)
    (run / "metrics.jsonl").unlink()
    (run / "environment.json").unlink()
    (row, _) = wholenet.read_run(run).results
    assert (row["miou"], row["constant_miou"], row["epochs"]) == (None, None, 0)


@pytest.mark.parametrize(("keep", "epe"), [("best", 1.0), ("last", 2.0)])
def test_scores_are_those_of_the_network_that_is_kept(tmp_path, keep, epe):
    run = RunFolder.create(task_config("stereo", data="x", out=str(tmp_path / "run"), epochs=3, keep=keep))
    for epoch, value in enumerate((3.0, 1.0, 2.0)):
        run.log({"epoch": epoch, "epe": value, "loss": 1.0, "seconds": 1.0})
    (row,) = wholenet.read_run(run.path).results
    assert row["epe"] == epe


def test_what_is_no_run_or_no_table_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="holds no run"):
        wholenet.read_run(tmp_path)
    found = wholenet.read_run(FIXTURES / "single-stage")
    with pytest.raises(ValueError, match="no table 'epochs'; expected records or results"):
        found.frame("epochs")
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ValueError, match="a frame needs pandas"):
        found.frame()
