"""Train the runs of a study, several at a time, each once: a finished run is used as it is, a stopped one continued.

A run's folder is named after what it is (a hash of its whole config), so studies that share a run share its folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from wholenet.search.config import FitConfig, write_config
from wholenet.search.run_folder import RunFolder

POLL_S = 0.5
Arm = TypeVar("Arm", bound=Hashable)
"""What a study calls one of the things that it compares."""


class Pool:
    """Trains runs below ``folder``, at most ``jobs`` at a time, each in a process of its own.

    Args:
        folder: where the run folders are.
        jobs: processes at the same time.
        console: where to say what is going on; one plain line per run.
    """

    def __init__(self, folder: Path, jobs: int, console: Console) -> None:
        self.folder = folder
        self.jobs = jobs
        self.console = console

    def path(self, config: FitConfig) -> Path:
        """The folder of the run that ``config`` describes, wherever its ``out`` points."""
        values = dataclasses.asdict(config) | {"out": ""}
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]
        return self.folder / f"{config.size}-{config.protocol}-seed{config.seed}-{digest}"

    def trained(self, configs: Sequence[FitConfig]) -> list[RunFolder]:
        """The finished runs of ``configs``, in their order; trains those that are not there.

        Raises:
            ValueError: if a run fails; the message holds the end of its log. The others are stopped and can be
                continued by the same call.
        """
        wanted = list(dict.fromkeys(self.path(config) for config in configs))
        by_path = {self.path(config): config for config in configs}
        waiting = [path for path in wanted if not (path / "done").exists()]
        done = len(wanted) - len(waiting)
        if waiting:
            self._say(f"{len(wanted)} runs, {done} done before; {min(self.jobs, len(waiting))} at a time")
        self.folder.mkdir(parents=True, exist_ok=True)
        working: dict[Path, subprocess.Popen[bytes]] = {}
        started: dict[Path, float] = {}
        try:
            while waiting or working:
                while waiting and len(working) < self.jobs:
                    path = waiting.pop(0)
                    working[path], started[path] = self._start(path, by_path[path]), time.monotonic()
                time.sleep(POLL_S)
                for path, process in list(working.items()):
                    if process.poll() is None:
                        continue
                    del working[path]
                    if process.returncode:
                        raise ValueError(f"a run of the study failed; {_log(path)} ends so:\n{_tail(_log(path))}")
                    (path / "done").touch()
                    done += 1
                    miou = 100 * final_miou(RunFolder(path))
                    seconds = time.monotonic() - started[path]
                    self._say(f"{done}/{len(wanted)} {path.name}: {miou:.1f} % mIoU after {seconds:.0f} s")
        finally:
            for process in working.values():
                process.terminate()
                process.wait()
        return [RunFolder(self.path(config)) for config in configs]

    def trained_arms(self, arms: Mapping[Arm, Sequence[FitConfig]]) -> dict[Arm, list[RunFolder]]:
        """:meth:`trained`, all arms of a study at once, by name."""
        self.trained([config for configs in arms.values() for config in configs])
        return {name: self.trained(configs) for name, configs in arms.items()}

    def _start(self, path: Path, config: FitConfig) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "wholenet", "fit"]
        if (path / "config.yaml").exists():
            words += ["--resume", str(path)]
        else:
            settings = self.folder / f"{path.name}.yaml"
            write_config(replace(config, out=str(path)), settings)
            words += [config.data, f"--out={path}", f"--config={settings}"]
        with _log(path).open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def final_miou(run: RunFolder) -> float:
    """Validation mIoU at the end of a finished run, in [0, 1]."""
    return run.records()[-1]["miou"]


def seconds(run: RunFolder) -> float:
    """Time that training took, first stage included if there are two; validation is not counted."""
    first_stage = RunFolder(run.search).training_seconds() if run.config.protocol == "two-stage" else 0
    return run.training_seconds() + first_stage


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}.log")


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
