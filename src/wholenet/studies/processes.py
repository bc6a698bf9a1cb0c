"""Work in processes of their own, several at a time, each once: what was finished before is not done again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.5
USER_ERROR = 2
"""Exit status of what has a message for its user."""
DIVERGED = "diverged: "
"""What the command line puts before the message of a run whose numbers stopped being finite."""
PATIENCE_S = 120
"""What a process that was asked to stop gets to save what it has: the end of a step, and a checkpoint."""


def run_each(
    work: Mapping[Path, Callable[[], list[str]]],
    jobs: int,
    outcome: Callable[[Path], str],
    say: Callable[[str], None],
    failed: Callable[[Path], None] | None = None,
    diverged: Callable[[Path, str], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command for each run folder that is not marked as done, at most ``jobs`` at a time.

    Whatever ends it early, Ctrl-C and SIGTERM too, the commands that run are asked to stop, and waited for.

    Args:
        work: run folder -> what makes its command, asked just before it starts.
        jobs: processes at the same time.
        outcome: run folder -> what to say of it when it is finished.
        say: for one plain line per run.
        failed: called with the run folder of a command that failed, and the others go on; None raises.
        diverged: called with the run folder of a command that ended because its numbers stopped being finite, and with
            what it said of that, and the others go on; None takes it for any other failure.
        environment: variables for the commands, beside this process's own.

    Raises:
        ValueError: if a command fails and ``failed`` is None; the message holds the end of its log. The others are
            stopped and can be continued by the same call.
        KeyboardInterrupt: for Ctrl-C, and for SIGTERM.
    """
    waiting = [path for path in work if not (path / "done").exists()]
    done = len(work) - len(waiting)
    if waiting:
        say(f"{len(work)} run{'s' * (len(work) > 1)}, {done} done before; {min(jobs, len(waiting))} at a time")
    working: dict[Path, subprocess.Popen[bytes]] = {}
    started: dict[Path, tuple[float, int]] = {}
    with _terminated_like_interrupted(), _stopped_at_the_end(working):
        while waiting or working:
            while waiting and len(working) < jobs:
                path = waiting.pop(0)
                path.parent.mkdir(parents=True, exist_ok=True)
                with log_of(path).open("ab") as log:
                    started[path] = time.monotonic(), log.tell()
                    working[path] = subprocess.Popen(
                        work[path](), stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
                    )
            time.sleep(POLL_S)
            for path, process in list(working.items()):
                if process.poll() is None:
                    continue
                del working[path]
                start, logged = started[path]
                lost = None if diverged is None else _divergence(process.returncode, log_of(path), logged)
                if process.returncode and failed is None and lost is None:
                    raise ValueError(
                        f"a run of the study failed; {log_of(path)} ends so:\n{_tail(log_of(path))}\n"
                        "What is done stays; the same `wholenet study` command goes on with all of it, this run too"
                    )
                done += 1
                took = f"after {time.monotonic() - start:.0f} s"
                if lost is not None and diverged is not None:
                    say(f"{done}/{len(work)} {path.name}: {DIVERGED}{lost} {took}")
                    diverged(path, lost)
                    continue
                if process.returncode and failed is not None:
                    say(f"{done}/{len(work)} {path.name}: failed {took}: {last_line(log_of(path))}")
                    failed(path)
                    continue
                (path / "done").touch()
                say(f"{done}/{len(work)} {path.name}: {outcome(path)} {took}")


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, which a scheduler sends, would otherwise end this process and leave its children to themselves."""

    def interrupt(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # it may come again, while the children save what they have
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _stopped_at_the_end(working: Mapping[Path, subprocess.Popen[bytes]]) -> Iterator[None]:
    try:
        yield
    finally:
        stop(working.values())


def stop(processes: Iterable[subprocess.Popen[bytes]], patience_s: float = PATIENCE_S) -> None:
    """Ask processes to stop, all before the first is waited for; who does not in ``patience_s``, or at a second
    Ctrl-C, is killed."""
    left = [process for process in processes if process.poll() is None]
    for process in left:
        process.terminate()
    until = time.monotonic() + patience_s
    try:
        for process in left:
            process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass
    finally:
        for process in left:
            if process.poll() is None:
                process.kill()
                process.wait()


def mark_diverged(path: Path, why: str) -> None:
    """Say in the run folder ``path`` that nothing more is to come of it."""
    (path / "diverged").write_text(f"{why}\n")


def why_diverged(path: Path) -> str | None:
    """What :func:`mark_diverged` said; None of any other run."""
    mark = path / "diverged"
    return mark.read_text().strip() if mark.exists() else None


def _divergence(status: int, log: Path, start: int) -> str | None:
    """What the process whose output begins at the byte ``start`` said of its divergence, if that is why it ended."""
    if status != USER_ERROR:
        return None
    text = log.read_bytes()[start:].decode(errors="replace")
    said = re.search(rf"^wholenet \w+: {DIVERGED}(.*)", text, re.MULTILINE)
    return said and re.split("; |[.] ", said[1])[0]  # without the advice


def log_of(path: Path) -> Path:
    """Where the output of the command for a run folder goes."""
    return path.with_name(f"{path.name}.log")


def last_line(path: Path) -> str:
    """The last line of a log that is not blank; in a process's last words stands what went wrong."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing in its log")


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
