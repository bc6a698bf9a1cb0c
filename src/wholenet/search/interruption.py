"""SIGTERM and Ctrl-C while a run trains: the step is finished and saved first. Imports no torch: the command line reads
it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop.

    Args:
        number: of the signal.
        at_once: in the middle of a step, so that what moves in one may have moved by half.
        message: what was saved, and how to go on.
    """

    def __init__(self, number: int, *, at_once: bool = False, message: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.at_once = at_once
        self.message = message

    @property
    def status(self) -> int:
        """What a shell expects the process to exit with."""
        return 128 + self.number


class Interruption:
    """While it is entered, a first signal inside :meth:`held` waits there to be seen in ``asked``; a second Ctrl-C, or
    any signal elsewhere, raises :class:`Interrupted` at once.

    In threads other than the main one nothing is changed: signals do not reach them.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        """The signal that waits."""
        self._holding = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self, *, to_the_end: bool = True) -> Iterator[None]:
        """Within the block a first signal waits: until somebody looks at ``asked``, or until the end of the block, if
        ``to_the_end`` is not to be gone beyond."""
        before, self._holding = self._holding, True
        try:
            yield
        finally:
            self._holding = before
        if to_the_end and self.asked is not None:
            raise Interrupted(self.asked)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # Schedulers send SIGTERM more than once.
        if self._holding and (self.asked is None or number == signal.SIGTERM):
            self.asked = self.asked or number
            return
        self.asked = self.asked or number
        raise Interrupted(number, at_once=self._holding)
