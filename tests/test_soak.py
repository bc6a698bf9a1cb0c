"""The kill test, short; `make soak` is the long one."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("soak.py")


def test_a_run_that_is_killed_again_and_again_ends_where_one_does_that_never_was():
    command = [sys.executable, SCRIPT, "--kills", "3", "--forked"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills in" in done.stdout
    assert "the same to the last bit" in done.stdout
