"""Runs of a study that diverge: known from other failures, marked, not tried again, and no end of anything else."""

import os
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from wholenet.cli import main
from wholenet.search.config import FitConfig
from wholenet.search.run_folder import RunFolder
from wholenet.studies import processes
from wholenet.studies.pool import Pool
from wholenet.studies.processes import DIVERGED, mark_diverged, run_each, why_diverged

WHY = "the loss became nan in epoch 1, step 0 (learning rate 0.5)"
SAYS = f"echo 'wholenet fit: {DIVERGED}{WHY}; Lower --lr'; exit 2"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "POLL_S", 0.01)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.mkdir()
    return paths


def run(scripts, jobs=1, **hooks):
    """A shell script for each folder; returns the lines that were said."""
    lines = []
    work = {path: partial(list, ["sh", "-c", script]) for path, script in scripts.items()}
    run_each(work, jobs, lambda path: "fine", lines.append, **hooks)
    return lines


def test_a_run_that_diverges_is_told_of_and_the_others_go_on(folders):
    first, second, third = folders
    lines = run({first: "true", second: SAYS, third: "true"}, diverged=mark_diverged)
    assert [(path / "done").exists() for path in folders] == [True, False, True]
    assert [why_diverged(path) for path in folders] == [None, WHY, None]
    assert lines[2].startswith(f"2/3 b: diverged: {WHY} after")
    assert lines[3].startswith("3/3 c: fine after")


@pytest.mark.parametrize(
    "script",
    ["echo 'wholenet fit: no such folder'; exit 2", "echo killed; exit 137", SAYS.replace("exit 2", "exit 1")],
    ids=["another message", "killed", "another status"],
)
def test_any_other_failure_ends_the_study(folders, script):
    with pytest.raises(ValueError, match=r"(?s)a run of the study failed; .*a\.log ends so:\n.*(no such|killed|nan)"):
        run({folders[0]: script, folders[1]: "true"}, diverged=mark_diverged)
    assert not any((path / mark).exists() for path in folders for mark in ("done", "diverged"))


def test_the_runs_under_way_are_stopped_before_the_study_ends(folders):
    first, second, third = folders
    began = second / "pid"
    scripts = {
        first: f"while [ ! -s {began} ]; do sleep 0.01; done; exit 1",
        second: f"echo $$ > {began}; exec sleep 60",
    }
    with pytest.raises(ValueError, match="a run of the study failed"):
        run({**scripts, third: "true"}, jobs=2, diverged=mark_diverged)
    with pytest.raises(ProcessLookupError):
        os.kill(int(began.read_text()), 0)
    assert not (third / "done").exists()


def test_who_makes_no_difference_takes_it_for_a_failure(folders):
    failed = []
    run({folders[0]: SAYS}, failed=failed.append)
    assert failed == folders[:1]
    with pytest.raises(ValueError, match=f"(?s)failed.*{WHY[:15]}"):
        run({folders[0]: SAYS})


def test_an_earlier_try_that_diverged_does_not_speak_for_this_one(folders):
    folders[0].with_name("a.log").write_text(f"wholenet fit: {DIVERGED}{WHY}\n")
    with pytest.raises(ValueError, match="a run of the study failed"):
        run({folders[0]: "echo 'wholenet fit: the images have changed'; exit 2"}, diverged=mark_diverged)


def test_the_command_line_says_that_a_run_diverged_as_studies_look_for_it(monkeypatch, capsys, tmp_path):
    def diverging(*_, **__):
        raise FloatingPointError(f"{WHY}. Lower --lr")

    monkeypatch.setattr("wholenet.control.fit_with_control", diverging)
    with pytest.raises(SystemExit) as stop:
        main(["fit", "scenes", "--epochs", "1", "--out", str(tmp_path / "run")])
    log = tmp_path / "run.log"
    log.write_text(capsys.readouterr().err)
    assert processes._divergence(stop.value.code, log, 0) == WHY


def test_a_study_of_segmentation_cannot_do_without_a_run_and_does_not_try_it_again(tmp_path):
    pool = Pool(tmp_path, 1, Console(quiet=True))
    config = FitConfig(data="scenes", out="")
    RunFolder.create(replace(config, out=str(pool.path(config))))
    mark_diverged(pool.path(config), WHY)
    with pytest.raises(ValueError, match=r"1 of 1 runs .* diverged: .*seed0-.*: the loss became nan in epoch 1.*lower"):
        pool.trained([config])
