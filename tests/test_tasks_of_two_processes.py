"""Runs on texts and on stereo pairs in several processes: the same numbers as one, and one that writes."""

import pytest
from rich.console import Console

import toy_pairs
import wholenet
from run_files import assert_equal, checkpoint, records, untimed
from tasks_of_two_processes import CASES, both, came_to, write_data
from two_processes import assert_two_came_to, run_in_two

QUIET = Console(quiet=True)


@pytest.fixture(autouse=True, scope="module")
def toy():
    toy_pairs.register()
    yield
    toy_pairs.forget()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "root")


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    """The folder of the runs of two processes, and the folder of what each of the two found."""
    return run_in_two(both, data, tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize("name", CASES)
def test_two_processes_come_to_what_one_does(done, name, data, tmp_path):
    assert_two_came_to(came_to(name, data, tmp_path), done[1], name)


@pytest.mark.parametrize("task", ["language", "stereo"])
def test_processes_that_have_not_joined_are_refused_before_there_is_a_folder(task, data, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun started 2 processes, and this one has not joined them"):
        wholenet.fit(data, tmp_path / "run", task=task)
    assert not any(tmp_path.iterdir())


def test_a_search_stops_after_the_same_step_goes_on_to_the_bit_and_one_process_writes(done, data, tmp_path):
    out, found = done
    (first, *carried), (second, *written) = ((found / f"told-{rank}.txt").read_text().splitlines() for rank in (0, 1))
    assert first == second
    assert "stopped in epoch 1, after step 3 of" in first
    assert sorted(carried) == ["architecture (2, 6)", "weights (2, 6)"]  # of the columns of both
    assert_equal(checkpoint(out / "stopped"), checkpoint(out / "whole"))
    assert untimed(records(out / "stopped")) == untimed(records(out / "whole"))
    assert written == []
    with pytest.raises(ValueError, match="was begun with 2 processes and this is one of 1"):
        wholenet.resume(out / "whole")
    brief = wholenet.diagnose(out / "whole", out=tmp_path, curvature=True)
    assert brief.supernet == pytest.approx(records(out / "whole")[-1]["perplexity"])
    assert brief.curvature.images == 2  # of one column there would be no variance
    assert brief.curvature.highest >= brief.curvature.lowest
