"""Signals while something must not be left half done."""

import os
import signal
import threading

import pytest

from wholenet.search.interruption import SIGNALS, Interrupted, Interruption


def send(*numbers, reached=None):
    for number in numbers:
        os.kill(os.getpid(), number)
        if reached is not None:
            reached.append(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_within_the_block_and_is_raised_at_its_end(number):
    reached = []
    with Interruption() as interruption, pytest.raises(Interrupted) as stop, interruption.held():
        send(number, reached=reached)
    assert reached == [number]
    assert interruption.asked == number
    assert (stop.value.number, stop.value.at_once, stop.value.status) == (number, False, 128 + number)


def test_a_second_control_c_ends_it_at_once_a_second_sigterm_does_not():
    reached = []
    with Interruption() as interruption, pytest.raises(Interrupted) as stop, interruption.held():
        send(signal.SIGTERM, signal.SIGTERM, signal.SIGINT, reached=reached)
    assert reached == [signal.SIGTERM] * 2
    assert stop.value.at_once


def test_outside_of_the_block_a_signal_ends_it_at_once_and_nothing_is_half_done():
    with Interruption(), pytest.raises(Interrupted) as stop:
        send(signal.SIGTERM)
    assert not stop.value.at_once


def test_the_block_that_is_not_to_be_gone_beyond_leaves_the_signal_waiting():
    with Interruption() as interruption:
        with interruption.held(to_the_end=False):
            with interruption.held(to_the_end=False):
                send(signal.SIGINT)
            assert interruption.asked == signal.SIGINT
        assert interruption.asked == signal.SIGINT


def test_handlers_are_put_back_and_other_threads_left_alone():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before

    def inside():
        with Interruption():
            seen.append([signal.getsignal(number) for number in SIGNALS])

    seen = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]
