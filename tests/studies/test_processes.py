"""Commands side by side: what fails, what was done before, and how all end when the one that started them does."""

import signal
import subprocess
import sys
import time

import pytest

from wholenet.studies.processes import last_line, log_of, run_each

WRITES = "import sys; print('hello'); print('  the end  '); print(); sys.exit(int(sys.argv[1]))"
WAITS = """
import pathlib, signal, sys, time
here = pathlib.Path(sys.argv[1])
def saved(*_):
    here.with_suffix(".saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, saved)
here.with_suffix(".began").touch()
time.sleep(600)
"""
RUNS = """
import pathlib, signal, sys
from wholenet.studies.processes import run_each
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell takes from what it starts in the background
waits, folder = sys.argv[1], pathlib.Path(sys.argv[2])
work = {folder / name: (lambda name=name: [sys.executable, "-c", waits, str(folder / name)]) for name in "ab"}
run_each(work, 2, str, print)
"""


def ending(status):
    return lambda: [sys.executable, "-S", "-c", WRITES, str(status)]


@pytest.fixture
def folders(tmp_path):
    paths = {name: tmp_path / name for name in ("good", "bad", "later")}
    for path in paths.values():
        path.mkdir()
    return paths


def test_a_failure_ends_all_where_nobody_is_told_of_it(folders):
    with pytest.raises(ValueError, match=r"(?s)bad\.log ends so:.*the end"):
        run_each({folders["bad"]: ending(2), folders["later"]: ending(0)}, 1, str, lambda _: None)
    assert not (folders["later"] / "done").exists()


def test_a_failure_is_told_and_the_others_go_on_and_are_not_done_twice(folders):
    lines, failed = [], []
    work = {folders["good"]: ending(0), folders["bad"]: ending(2), folders["later"]: ending(0)}
    run_each(work, 1, lambda path: f"scored {path.name}", lines.append, failed=failed.append)
    assert failed == [folders["bad"]]
    assert lines[2].startswith("2/3 bad: failed after")
    assert lines[2].endswith(": the end")
    assert lines[3].startswith("3/3 later: scored later after")
    assert last_line(log_of(folders["bad"])) == "the end"
    lines.clear()
    run_each(work, 2, str, lines.append, failed=failed.append)
    assert lines[0] == "3 runs, 2 done before; 1 at a time"
    assert failed == [folders["bad"]] * 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_stopped_stops_its_children_and_waits_until_they_have_saved(number, tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", RUNS, WAITS, str(tmp_path)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while len(list(tmp_path.glob("*.began"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    parent.send_signal(number)
    parent.wait(240)
    assert {path.name for path in tmp_path.glob("*.saved")} == {"a.saved", "b.saved"}
    assert not list(tmp_path.glob("*/done"))
