"""Processes that read batches ahead, where they are not forked: each imports the script that is run."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import wholenet
from wholenet import api
from wholenet.data.stream import UNGUARDED, check_workers
from wholenet.search.config import FitConfig
from wholenet.search.config_files import write_config

SCRIPT = """
import multiprocessing
multiprocessing.set_start_method("spawn", force=True)
from wholenet.data.stream import check_workers
check_workers(1)
"""


def test_a_script_that_trains_when_it_is_imported_is_told_what_to_do(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    path = {**os.environ, "PYTHONPATH": str(Path(wholenet.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ValueError: {UNGUARDED}"
    assert done.stderr.count("Traceback") == 1


def test_whatever_trains_asks_first(patches, tmp_path, monkeypatch):
    def unguarded(workers):
        raise ValueError(f"{workers} workers")

    monkeypatch.setattr(api, "check_workers", unguarded)
    write_config(FitConfig(data="scenes", out="x", workers=4), tmp_path / "config.yaml")
    before = list(tmp_path.iterdir())
    for train, workers in (
        (partial(api.fit, "scenes", tmp_path / "run", workers=2), 2),
        (partial(api.resume, tmp_path), 4),
        (partial(api.resume, tmp_path, workers=3), 3),
        (partial(api.fit, patches, tmp_path / "run", task="classification", workers=2), 2),
        (partial(api.retrain, "darts-v2", patches, tmp_path / "run", workers=2), 2),
    ):
        with pytest.raises(ValueError, match=f"^{workers} workers$"):
            train()
    assert list(tmp_path.iterdir()) == before


def test_who_is_guarded_or_forks_or_has_no_workers_is_let_pass(monkeypatch):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda **_: "spawn")
    check_workers(1)  # of this process, which guards itself
    monkeypatch.setattr("multiprocessing.Process", None)
    check_workers(0)
    monkeypatch.setattr("multiprocessing.get_start_method", lambda **_: "fork")
    check_workers(3)
