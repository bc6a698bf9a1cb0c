"""The kill test, short; `make soak` is the long one."""

import soak
from toy import shallow
from two_processes import command


def test_a_run_that_is_killed_again_and_again_ends_where_one_does_that_never_was(capsys):
    with shallow():
        soak.main(["--kills", "3"], forked=command)
    told = capsys.readouterr().out
    assert "3 kills in" in told
    assert "the same to the last bit" in told
