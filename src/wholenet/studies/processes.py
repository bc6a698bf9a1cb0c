"""Work in processes of their own, several at a time, each once: what was finished before is not done again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

POLL_S = 0.5


def run_each(
    work: Mapping[Path, Callable[[], list[str]]],
    jobs: int,
    outcome: Callable[[Path], str],
    say: Callable[[str], None],
) -> None:
    """Run a command for each run folder that is not marked as done, at most ``jobs`` at a time.

    Args:
        work: run folder -> what makes its command, asked just before it starts.
        jobs: processes at the same time.
        outcome: run folder -> what to say of it when it is finished.
        say: for one plain line per run.

    Raises:
        ValueError: if a command fails; the message holds the end of its log. The others are stopped and can be
            continued by the same call.
    """
    waiting = [path for path in work if not (path / "done").exists()]
    done = len(work) - len(waiting)
    if waiting:
        say(f"{len(work)} runs, {done} done before; {min(jobs, len(waiting))} at a time")
    working: dict[Path, subprocess.Popen[bytes]] = {}
    started: dict[Path, float] = {}
    try:
        while waiting or working:
            while waiting and len(working) < jobs:
                path = waiting.pop(0)
                path.parent.mkdir(parents=True, exist_ok=True)
                with _log(path).open("ab") as log:
                    working[path] = subprocess.Popen(work[path](), stdout=log, stderr=subprocess.STDOUT)
                started[path] = time.monotonic()
            time.sleep(POLL_S)
            for path, process in list(working.items()):
                if process.poll() is None:
                    continue
                del working[path]
                if process.returncode:
                    raise ValueError(f"a run of the study failed; {_log(path)} ends so:\n{_tail(_log(path))}")
                (path / "done").touch()
                done += 1
                say(f"{done}/{len(work)} {path.name}: {outcome(path)} after {time.monotonic() - started[path]:.0f} s")
    finally:
        for process in working.values():
            process.terminate()
            process.wait()


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}.log")


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
