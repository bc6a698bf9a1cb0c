"""The runs of a sweep: each once, on this machine or as jobs, and the table of what they scored."""

import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest
import yaml

from wholenet.cli import main
from wholenet.search.cell_folder import CellFolder
from wholenet.sweeps.plan import read_sweep
from wholenet.sweeps.run import write_settings
from wholenet.sweeps.slurm import Job, executor, job
from wholenet.sweeps.sweep import submit, sweep

FAKE = """
import json, pathlib, sys
given = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
resumed = "resume" in given
run = pathlib.Path(given["resume" if resumed else "out"])
run.mkdir(parents=True, exist_ok=True)
with (run.parent.parent / "calls").open("a") as calls:
    calls.write(f"{'resume' if resumed else 'start'} {run.name}\\n")
if not resumed:
    (run / "lr").write_text(given["lr"])
if run.name == "lr0.2-seed1" and not resumed:
    (run / "config.yaml").write_text("data: scenes\\nout: x\\n")
    print("wholenet fit: the loss is not a number")
    sys.exit(2)
(run / "config.yaml").write_text("data: scenes\\nout: x\\n")
record = {"epoch": 0, "miou": float((run / "lr").read_text()) + int(run.name[-1]) / 10}
(run / "metrics.jsonl").write_text(json.dumps(record) + "\\n")
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """What `python -m wholenet` is for the runs: a program that scores lr + seed / 10; one run fails at first."""
    (tmp_path / "fake" / "wholenet").mkdir(parents=True)
    (tmp_path / "fake" / "wholenet" / "__main__.py").write_text(FAKE)
    (tmp_path / "fake" / "wholenet" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))


@pytest.fixture
def file(tmp_path):
    content = {
        "data": "scenes",
        "out": str(tmp_path / "out"),
        "options": {"size": "nano", "epochs": 1, "device": "cpu"},
        "grid": {"seed": [0, 1], "lr": [0.1, 0.2]},
    }
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def calls(tmp_path):
    file = tmp_path / "out" / "calls"
    found = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return sorted(found)


def test_runs_are_done_once_and_one_that_fails_is_told_and_continued(fake, file, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sweep", str(file), "--jobs", "4"])
    assert stop.value.code == 1
    names = [f"lr{lr}-seed{seed}" for lr in (0.1, 0.2) for seed in (0, 1)]
    assert calls(tmp_path) == [f"start {name}" for name in names]
    shown = capsys.readouterr().out
    assert "lr0.2-seed1: failed after" in shown
    assert "| lr0.1 | 2 of 2 | 10.0, 20.0 | 15.0 ± 7.1 |" in shown
    assert "| lr0.2 | 1 of 2 | 20.0 | 20.0 |" in shown
    log = tmp_path / "out" / "runs" / "lr0.2-seed1.log"
    assert f"- `lr0.2-seed1`: wholenet fit: the loss is not a number ({log})" in shown
    facts = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert facts["runs"]["lr0.2-seed1"]["state"] == "failed"
    assert facts["runs"]["lr0.1-seed1"]["scores"] == {"miou": pytest.approx(0.2)}
    assert "Failed" in (tmp_path / "out" / "sweep.md").read_text()

    main(["sweep", str(file)])
    assert calls(tmp_path) == ["resume lr0.2-seed1"]
    assert "| lr0.2 | 2 of 2 | 20.0, 30.0 | 25.0 ± 7.1 |" in capsys.readouterr().out
    main(["sweep", str(file)])
    assert calls(tmp_path) == []
    assert "Failed" not in (tmp_path / "out" / "sweep.md").read_text()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(file, tmp_path, capsys):
    main(["sweep", str(file), "--dry-run", "--set", "epochs=3"])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 4
    assert err.splitlines() == ["scenes is read as images with masks (segmentation): drawn, the built-in data"]
    assert lines[0].split()[:6] == ["lr0.1-seed0", "to", "be", "started", "wholenet", "fit"]
    assert "--epochs=3" in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_dry_run_lists_commands_that_can_be_pasted(tmp_path, capsys, monkeypatch):
    """Of a folder with a space in its name, and a dash at its beginning."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text("data: scenes\nout: -my runs\noptions: {size: nano}\n")
    main(["sweep", "s.yaml", "--dry-run"])
    words = shlex.split(capsys.readouterr().out)
    assert words[4:8] == ["wholenet", "fit", "scenes", "--out=-my runs/runs/run"]
    run = tmp_path / "-my runs" / "runs" / "run"
    run.mkdir(parents=True)
    for path in (run / "config.yaml", run.with_name("run.yaml")):
        path.write_text("data: scenes\nsize: nano\n")
    main(["sweep", "s.yaml", "--dry-run"])
    words = shlex.split(capsys.readouterr().out)
    assert words[4:] == ["wholenet", "fit", "--resume=-my runs/runs/run"]
    with pytest.raises(SystemExit):
        main(words[5:])
    assert "config.yaml" in capsys.readouterr().err  # it was found, and is none


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--set", "lr"], "--set lr: expected NAME=VALUE"),
        (["--set", "lr=1.0"], "the sweep varies lr itself"),
        (["--set", "epohcs=1"], "unknown option 'epohcs'; did you mean epochs"),
        (["--jobs", "2", "--slurm"], "--jobs is for runs on this machine"),
        (["--jobs", "-2"], "--jobs=-2: expected 0 or more"),
    ],
)
def test_what_cannot_be_done_is_refused(words, expected, file, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sweep", *([] if words[0][0] != "-" else [str(file)]), *words])
    assert stop.value.code == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---- as jobs


def with_slurm(file, **slurm):
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "slurm": {"time": 60, **slurm}}))
    return read_sweep(file)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Slurm's commands, of a cluster in which all jobs wait; what was submitted is in the folder."""
    commands = {
        "srun": "exit 1",
        "sbatch": f'cp "$1" {tmp_path}/$$.sh; echo Submitted batch job $$',
        "sacct": 'echo "JobID|State|NodeList"; for j in "$@"; do case $j in -*) ;; *) echo "$j|$STATE|";; esac; done',
    }
    (tmp_path / "bin").mkdir()
    for name, text in commands.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("STATE", "PENDING")


def test_each_run_is_a_job_and_only_those_that_have_ended_are_submitted_again(cluster, file, tmp_path, monkeypatch):
    plan = with_slurm(file, partition="gpu", gpus_per_node=2, mem_gb=8)
    assert len(submit(plan, say=lambda _: None)) == 4
    script = next(iter(tmp_path.glob("*.sh"))).read_text()
    for line in (
        "--partition=gpu",
        "--gpus-per-node=2",
        "--mem=8GB",
        "--time=60",
        "--job-name=lr0.",
        "--signal=USR2@150",
    ):
        assert line in script
    lines = []
    assert submit(plan, say=lines.append) == []
    assert all(line.endswith(", pending") for line in lines)
    with pytest.raises(ValueError, match=r"submitted to Slurm \(job .*\); go on with --slurm, or remove .*jobs.json"):
        sweep(plan)
    monkeypatch.setenv("STATE", "UNKNOWN")  # as if sacct had forgotten them
    lines.clear()
    assert submit(plan, say=lines.append) == []
    assert lines[0].endswith(f", unknown; remove its line from {tmp_path / 'out' / 'jobs.json'} if it has ended")
    monkeypatch.setenv("STATE", "FAILED")
    plan.runs[0].path.mkdir(parents=True)
    for name, text in (("config.yaml", "data: x"), ("metrics.jsonl", '{"epoch": 0, "miou": 0.5}\n'), ("done", "")):
        (plan.runs[0].path / name).write_text(text)
    assert len(submit(plan, say=lines.append)) == 3


@pytest.mark.parametrize(
    ("slurm", "expected"),
    [
        ({"partiton": "gpu"}, "unknown parameter partiton; did you mean partition"),
        ({"nodes": 2}, "one task on one node .* see the batch script in docs/clusters.md"),
        ({"time": "long"}, "give time, the minutes of a job"),
        ({"mem_gb": "much"}, 'slurm: .*"mem_gb"'),
    ],
)
def test_parameters_that_do_not_do_are_refused_before_a_job_is_submitted(cluster, slurm, expected, file, tmp_path):
    with pytest.raises(ValueError, match=expected):
        submit(with_slurm(file, **slurm))
    assert not list(tmp_path.glob("*.sh"))


def test_a_search_on_cells_takes_a_process_for_each_gpu(patches, file):
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "data": str(patches), "options": {"space": "s2"}}))
    start = job(read_sweep(file).runs[0], 2).start
    assert start[1:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    assert start[6:8] == ["wholenet", "fit"]


def test_without_slurm_or_submitit_it_is_said_what_to_do(file, tmp_path, monkeypatch, capsys):
    with_slurm(file)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["sweep", str(file), "--slurm"])
    assert "run the sweep here without --slurm" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ValueError, match=r"pip install 'wholenet\[slurm\]'"):
        executor(tmp_path, {"time": 1})


SMALL = {
    "space": "s2",
    "gradient": "first-order",
    "channels": 4,
    "cells": 3,
    "epochs": 1,
    "batch": 16,
    "eigenvalue_every": 0,
    "device": "cpu",
    "threads": 1,
}


def test_a_job_trains_its_run_for_true(patches, tmp_path):
    """A small search, continued as if a first job had been stopped right after its start."""
    content = {"data": str(patches), "out": str(tmp_path / "out"), "options": SMALL, "slurm": {"time": 5}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    (run,) = read_sweep(tmp_path / "s.yaml").runs
    CellFolder.create(run.config)
    write_settings(run)
    lines = []
    (job,) = submit(read_sweep(tmp_path / "s.yaml"), cluster="local", say=lines.append)
    assert lines == [f"run: job {job.job_id}, continued"]
    wait_for(run.path / "done", job)
    job._process.wait()
    assert submit(read_sweep(tmp_path / "s.yaml"), cluster="local") == []
    facts = json.loads((tmp_path / "out" / "sweep.json").read_text())
    error = json.loads((run.path / "result.json").read_text())["error"]
    assert facts["runs"]["run"]["scores"] == {"error": error}


STOPPED = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def saved(*_):
    (folder / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, saved)
(folder / "config.yaml").touch()
time.sleep(600)
"""
CONTINUED = "import pathlib, sys; folder = pathlib.Path(sys.argv[1]); (folder / 'saved').rename(folder / 'result')"


def test_a_job_whose_time_is_up_is_requeued_and_continues_its_run(tmp_path):
    """submitit's local jobs, and the signal that Slurm sends before a job's time is up."""
    run = tmp_path / "run"
    run.mkdir()
    commands = [[sys.executable, "-c", text, str(run)] for text in (STOPPED, CONTINUED)]
    job = executor(tmp_path / "log", {"time": 5}, "local").submit(Job(str(run), *commands))
    wait_for(run / "config.yaml", job)
    children = Path(f"/proc/{job.job_id}/task/{job.job_id}/children")  # of submitit's controller: the job
    os.kill(int(children.read_text().split()[0]), signal.SIGUSR2)
    wait_for(run / "done", job)
    job._process.wait()
    assert (run / "result").exists()
    assert "Calling checkpoint method" in job.paths.stdout.read_text()


def wait_for(path: Path, job, seconds=240):
    """Long enough for a machine that does much else: what hangs is ended, what is slow is not."""
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, job.paths.stderr.read_text()
        time.sleep(0.05)


def test_who_interrupts_a_sweep_is_told_how_to_go_on(file, monkeypatch, capsys):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("wholenet.sweeps.sweep.run_each", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["sweep", str(file)])
    assert stop.value.code == 130
    assert f"the same command goes on: `wholenet sweep {file}`" in capsys.readouterr().err
