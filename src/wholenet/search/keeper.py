"""When a run's state is saved: every so many minutes, after each epoch, and when the run is asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from wholenet import parallel
from wholenet.search.checkpoint import check_room, saying_what_a_full_disk_needs
from wholenet.search.folder import CHECKPOINT, Folder
from wholenet.search.interruption import Interrupted, Interruption
from wholenet.search.records import Record, read_records
from wholenet.search.state import TrainState


class Keeper:
    """Keeps the ``state`` of a run in its folder.

    Args:
        run: the folder.
        state: what is saved.
        minutes: between two checkpoints, at most by a step; 0 saves after each.
        steps_per_epoch: to say where the run was stopped.
    """

    def __init__(self, run: Folder, state: TrainState, minutes: float, steps_per_epoch: int) -> None:
        self.run = run
        self.state = state
        self.seconds = 60 * minutes
        self.steps_per_epoch = steps_per_epoch
        self._saved = time.monotonic()
        self._since = time.perf_counter()
        self._interruption = Interruption()
        self._several = parallel.processes() > 1
        self._between: dict[str, Any] | None = None
        """The state after the last block of steps, until the next one begins."""

    def restore(self, device: torch.device, warn: Callable[[str], None]) -> bool:
        """Go on from the last checkpoint that is whole, without the records of what came after it.

        Args:
            device: for the tensors.
            warn: told of a damaged checkpoint.

        Returns:
            False if there is none yet.

        Raises:
            ValueError: if there are checkpoints, but none is whole.
        """
        saved = self.run.load_checkpoint(device, warn)
        if saved is not None:
            self.state.load_state_dict(saved)
        found = read_records(self.run.metrics)
        in_checkpoint = saved is None or "records" in saved
        if not in_checkpoint:
            self.state.records = [record for epoch, record in found.by_epoch.items() if epoch < self.state.epoch]
        for number, text in found.damaged.items():
            kept = "what it was is in the checkpoint" if in_checkpoint else "it is left out"
            warn(f"warning: {self.run.metrics}, line {number} is damaged ({kept}): {text}")
        if parallel.is_first():
            self.run.rewrite_records(self.state.records)
        return saved is not None

    def record(self, record: Record) -> None:
        """Keep the record of the epoch that ends."""
        self.state.records.append(record)
        if parallel.is_first():
            self.run.log(record)

    @contextmanager
    def watching(self, *, saves: bool = True) -> Iterator[None]:
        """Around all that a run does: asked to stop it is saved, and says how to go on.

        Args:
            saves: False around what the last checkpoint is enough for, and may change the state meanwhile.

        Raises:
            Interrupted: with that as its message.
            parallel.ProcessLost: likewise, where another process has ended.
            DiskFull: if there is no room for what has to be written, before or on the way.
        """
        if saves and parallel.is_first():
            check_room(self.run.path, self.state.state_dict(), self.run.written(), self.run.models)
        command = self.run.resume_command
        full_disk = saying_what_a_full_disk_needs(self.run.path, self.state.state_dict, command, self.run.models)
        lost = parallel.saying_how_to_go_on(command, self.run.path / CHECKPOINT)
        with self._interruption, full_disk, lost:
            try:
                with self._interruption.held(to_the_end=False) if self._several else nullcontext():
                    yield
            except Interrupted as stop:
                state = self.state
                kept = "at once; what came since the last checkpoint is lost" if saves else "after the last step"
                if saves and not stop.at_once:
                    with self._interruption.held(to_the_end=False):  # schedulers send SIGTERM more than once
                        self.save()
                        parallel.meet()  # a process that ends may take the others with it
                    place = f"in epoch {state.epoch + 1}, after step {state.tally.steps} of {self.steps_per_epoch}"
                    between = state.epoch and not state.tally.steps  # and perhaps there is no further one
                    kept = f"{f'after epoch {state.epoch}' if between else place}; saved"
                message = f"stopped {kept}. Continue with `{command}`"
                raise Interrupted(stop.number, at_once=stop.at_once, message=message) from None

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Around what must not be left half done: an epoch's steps, each of which ends with :meth:`step_done`, or what
        ends the epoch. Within it a first signal waits. Several processes must stop at the same place: there signals
        wait for the next step, or the end of such a block."""
        self._since = time.perf_counter()
        self._between = None
        with self._interruption.held(to_the_end=not self._several):
            yield
            # Scoring and curvature may draw random numbers, and are repeated: they must draw the same again.
            self._between = self.state.state_dict()
            if self._several:
                self._stop_if_asked()

    def step_done(self) -> None:
        """After a step: count its time, save if it is time to, stop if that was asked."""
        self.state.tally.took(time.perf_counter() - self._since)
        self._stop_if_asked()
        if time.monotonic() - self._saved >= self.seconds:
            self.save()
        self._since = time.perf_counter()

    def save(self) -> None:
        """Save now."""
        if parallel.is_first():  # all of them have the same
            self.run.save_checkpoint(self._between or self.state.state_dict())
        self._saved = time.monotonic()

    def _stop_if_asked(self) -> None:
        if asked := parallel.largest(self._interruption.asked or 0):
            raise Interrupted(asked)
