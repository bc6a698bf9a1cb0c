"""Runs on labelled images in several processes: the same numbers as one, and one that writes."""

import pytest
import torch
from cells_of_two_processes import CASES, WHOLE, both, config_of, trained, whole_run
from rich.console import Console

from run_files import assert_equal, checkpoint, records, untimed
from two_processes import assert_two_came_to, run_in_two
from wholenet.cells.retrain import retrain
from wholenet.cells.search import resume_search, search

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def done(patches, tmp_path_factory):
    """The folder of the runs of two processes, and the folder of what each of the two found."""
    return run_in_two(both, patches, tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize("name", CASES)
def test_two_processes_come_to_what_one_does(done, name, patches, tmp_path):
    assert_two_came_to(trained(name, patches, tmp_path), done[1], name)


@pytest.mark.parametrize("name", WHOLE)
def test_two_processes_decide_what_one_does(done, name, patches, tmp_path):
    expected = whole_run(name, patches, tmp_path)
    first, second = (torch.load(done[1] / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys() == expected.keys()
    runs = {key.split("/")[0] for key in first if "/" in key}
    inside = {"two stages": {"retrained"}, "control": {"control"}, "several": {"0", "1", "retrained"}}
    inside |= {"pairs": {"topology"}}
    assert runs - {name} == inside.get(name, set()) - {name}
    for key, value in expected.items():
        if key == "results":
            assert first[key] == second[key] == value
        else:
            torch.testing.assert_close(first[key], value, rtol=1e-7, atol=1e-9, msg=lambda m, key=key: f"{key}: {m}")
            assert torch.equal(first[key], second[key]), key


def test_a_search_stops_after_the_same_step_goes_on_to_the_bit_and_one_process_writes(done, capsys):
    out, found = done
    (first, *_), (second, *written) = ((found / f"told-{rank}.txt").read_text().splitlines() for rank in (0, 1))
    command = f"torchrun --nproc-per-node 2 -m wholenet fit --resume {out / 'stopped'}"
    assert first == second == f"stopped in epoch 1, after step 1 of 2; saved. Continue with `{command}`"
    assert_equal(checkpoint(out / "stopped"), checkpoint(out / "whole"))
    assert untimed(records(out / "stopped")) == untimed(records(out / "whole"))
    assert (out / "stopped" / "result.json").read_text() == (out / "whole" / "result.json").read_text()
    assert written == []
    with pytest.raises(ValueError, match="was begun with 2 processes and this is one of 1"):
        resume_search(out / "whole", QUIET)


@pytest.mark.parametrize(("name", "start"), [("first-order", search), ("trained", retrain)])
def test_processes_that_have_not_joined_are_refused_before_there_is_a_folder(
    name, start, patches, tmp_path, monkeypatch
):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun started 2 processes, and this one has not joined them"):
        start(config_of(name, patches, tmp_path), QUIET)
    assert not any(tmp_path.iterdir())
