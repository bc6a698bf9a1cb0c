"""The control's length where something else took the machine for a while."""

from dataclasses import asdict

import pytest

from wholenet.search.equal_time import equal_time, equal_time_epochs
from wholenet.search.state import Step, Tally


def epoch(searches: bool, seconds: list[float], resumed_after: int | None = None) -> dict:
    """The record of an epoch whose steps took so long; saved and taken up again after so many of them."""
    tally = Tally()
    for place, took in enumerate(seconds):
        tally.add(Step(place, 0.1, 1.0, 1.0 if searches else None, 0.0))
        tally.took(took)
        if place == resumed_after:
            tally = Tally(**asdict(tally))
    return tally.record(batch=8)


def without_steady(record: dict) -> dict:
    return {name: value for name, value in record.items() if name != "steady_seconds"}


def test_a_stall_in_the_only_epoch_of_search_gives_the_control_no_epochs():
    plain = [epoch(False, [1.0] * 4)] * 4
    quiet, stalled = epoch(True, [2.0] * 4), epoch(True, [2.0, 2.0, 42.0, 2.0])
    assert equal_time_epochs([*plain, quiet]) == equal_time_epochs([*plain, stalled]) == 6
    assert equal_time_epochs([*plain, without_steady(stalled)]) == 16
    assert stalled["seconds"] == 48.0


def test_a_stall_in_the_only_epoch_without_search_takes_none_from_it():
    assert equal_time([epoch(False, [1.0, 31.0, 1.0]), *[epoch(True, [2.0] * 3)] * 3]) == 7.0


def test_records_with_and_without_the_median_of_steps_go_together():
    plain, searched = epoch(False, [1.0] * 4), epoch(True, [2.0] * 4)
    assert equal_time([without_steady(plain), plain, without_steady(searched), searched]) == 6.0


@pytest.mark.parametrize("place", range(4))
def test_an_epoch_that_was_taken_up_again_has_the_same_median(place):
    seconds = [5.0, 1.0, 2.0, 3.0]
    assert epoch(True, seconds, place) == epoch(True, seconds)
    assert epoch(True, seconds)["steady_seconds"] == 4 * 2.5


def test_an_epoch_of_an_older_checkpoint_has_the_median_of_the_steps_since():
    old = {name: value for name, value in asdict(Tally(steps=3, seconds=30.0)).items() if name != "each"}
    whole = Tally(**old)
    assert whole.record(batch=1)["steady_seconds"] == 30.0
    whole.add(Step(3, 0.1, 1.0, None, 0.0))
    whole.took(2.0)
    assert whole.record(batch=1)["steady_seconds"] == 8.0
