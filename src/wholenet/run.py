"""The training of a run, whatever its space, task and method: from where its folder stands to the end."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import torch
from rich.console import Console

from wholenet import parallel
from wholenet.ops.execution import tuned
from wholenet.report.progress import plain, training_progress
from wholenet.search.folder import Folder
from wholenet.search.keeper import Keeper
from wholenet.search.logs import Logs
from wholenet.search.loop import train_epoch
from wholenet.search.memory import TooLarge, ran_out_of_memory, reason_of
from wholenet.search.phases import Phase, phase_at
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import Loss
from wholenet.search.stopping import Stopping
from wholenet.search.updates import ADVICE, Batches, Diverged, Parts
from wholenet.search.watch import Watch
from wholenet.tasks.pace import IMAGES, Pace
from wholenet.tasks.score import Score

SCORINGS = 20
"""Scorings in a run, at most, unless its config says otherwise."""
DRAW_EVERY_S = 120.0
"""Least time between two sets of pictures; those of the last epoch are always drawn."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Scored:
    """How the network does on what is held out."""

    record: Mapping[str, float]
    """What the record of the epoch says of it."""
    per_class: Sequence[float | None] | None
    """In [0, 1]; None for a class that is not there, and where nothing is told apart."""
    scores: Any
    """As the task has them."""


class Streams(Protocol):
    """The data of a run, as its training sees it."""

    def epoch(self, state: TrainState, phase: Phase) -> tuple[Batches, Batches]:
        """The batches of the epoch to come: for the weights, and for the architecture."""
        ...

    def names(self, stream: str, number: int) -> list[str]:
        """What batch ``number`` of ``stream`` is made of, for people to find it; over all processes."""
        ...


@dataclass(frozen=True, kw_only=True)
class Job(Generic[Result]):
    """What a config and its data come to: all that the training of a run is told."""

    run: Folder
    state: TrainState
    """Before the first step."""
    streams: Streams
    loss: Loss
    phases: Sequence[Phase]
    schedule: Schedule
    parts: Parts
    device: torch.device
    images: int
    """In a step, over all processes."""
    checkpoint_minutes: float
    log: str
    """Loggers that get the records, too; see ``search/loggers.py``."""
    environment: Callable[[], dict[str, Any]]
    """Where and with what the run is made."""
    describe: Callable[[TrainState], dict[str, Any]]
    """What a record says of the architecture."""
    measured: Score
    """Which of the record's numbers people are told."""
    pace: Pace = IMAGES
    """And what is counted in a second."""
    score: Callable[[], Scored] | None
    """None: nothing was held out."""
    score_every: int
    """Epochs between two scorings; the last one always is."""
    also_scored: Collection[int] = ()
    """Epochs that are scored besides, from 0."""
    unscored: Mapping[str, None]
    """What the record of an epoch says that was not scored."""
    save: Callable[[Scored, int], None]
    """Write the model folder, after so many epochs."""
    draw: Callable[[int | None], object]
    """Draw the pictures; told the epoch that the run was stopped with, if it was."""
    conclude: Callable[[Scored | None, int | None], Result]
    """What the run comes to: its last scores, the epoch whose architecture it ends with if it was stopped."""
    watch: Watch
    stopping: Stopping | None = None
    """Looks at the eigenvalues after each epoch."""
    curvature: Callable[[TrainState], dict[str, float]] | None = None
    """The ends of the spectrum, after an epoch that is looked at."""
    curvature_every: int = 0
    """Epochs between two looks; 0 is never."""
    curvature_epochs: range = range(0)
    """Where it is looked at: after the first and the last of these, and between."""
    after_epoch: Callable[[], object] | None = None
    """After an epoch's record, before the next one: what changes the network itself."""
    begin: Callable[[], None] | None = None
    """Before the first step, once the state is restored."""
    too_large: Callable[[str], str]
    """What to do where a batch does not fit into memory, given torch's reason."""


def train(job: Job[Result], console: Console) -> Result:
    """Train from wherever the run's folder stands to the end.

    Raises:
        FloatingPointError: if the loss or a weight stops being a finite number.
        TooLarge: if a batch does not fit; it says what would.
    """
    try:
        return _train(job, console)
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
        reason = reason_of(error)
    # Here, after the handler, nothing refers to the failed step any more.
    gc.collect()
    raise TooLarge(job.too_large(reason))


def _train(job: Job[Result], console: Console) -> Result:
    state, run, schedule, say = job.state, job.run, job.schedule, plain(console)
    keeper = Keeper(run, state, job.checkpoint_minutes, schedule.steps_per_epoch)
    restored = keeper.restore(job.device, say)
    if parallel.is_first():
        run.ensure_environment(job.environment)
    if job.begin is not None:
        job.begin()
    epochs, scored, last_drawn = schedule.epochs, None, time.monotonic()
    stop = job.stopping.fired() if restored and job.stopping is not None else None
    with (
        Logs(run, job.log, say) as logs,
        training_progress(
            total_epochs=epochs,
            steps_per_epoch=schedule.steps_per_epoch,
            first_epoch=state.epoch,
            phases=[(p.name, p.first, p.end) for p in job.phases],
            console=console,
            score=job.measured,
            pace=job.pace,
        ) as progress,
        keeper.watching(saves=state.epoch < epochs and stop is None),
        _naming_data(job.streams),
    ):
        logs.send(state.records)
        while state.epoch < epochs and stop is None:
            epoch, phase = state.epoch, _phase(job)
            with keeper.steps(), tuned(job.device):
                batches = job.streams.epoch(state, phase)
                for step in train_epoch(state, phase, schedule, job.parts, job.loss, *batches, job.device):
                    progress.step(
                        epoch=epoch, step=step.step, phase=phase.name, loss=step.loss, lr=step.lr, images=job.images
                    )
                    keeper.step_done()
            finished = epoch + 1
            last = finished == epochs
            described = {"epoch": epoch, "phase": phase.name, **job.describe(state), **job.unscored}
            record = described | state.tally.record(job.images)
            scored = None
            if job.score is not None and (last or finished % job.score_every == 0 or epoch in job.also_scored):
                with _saying_how_to_go_on(finished):
                    scored = job.score()
                record |= scored.record
            if job.curvature is not None and _looks(job):
                record |= parallel.as_the_first(job.curvature(state))
            found = job.watch(state.records, record, None if scored is None else scored.per_class)
            for warning in found.values():
                say(f"warning: {warning}")
            if parallel.is_first() and scored is not None:
                job.save(scored, finished)
            keeper.record(record | {"warnings": list(found)})
            progress.epoch(record)
            with keeper.steps():
                if job.after_epoch is not None:
                    job.after_epoch()
                state.end_epoch()
                stop = None if job.stopping is None else job.stopping.after(record)
                keeper.save()
            logs.send(state.records)
            if parallel.is_first() and (last or stop is not None or time.monotonic() - last_drawn > DRAW_EVERY_S):
                job.draw(stop)
                last_drawn = time.monotonic()
    with keeper.watching(saves=False):
        if job.stopping is not None:
            job.stopping.forget()
        return job.conclude(scored if stop is None else None, stop)


def _phase(job: Job[Any]) -> Phase:
    """The phase of the epoch to come."""
    phase = phase_at(job.phases, job.state.epoch)
    if job.state.frozen_at is not None and phase.moves_architecture:
        return replace(phase, name="fine-tune", moves_architecture=False)
    return phase


def _looks(job: Job[Any]) -> bool:
    """Whether the curvature is looked at after the epoch under way."""
    epoch, epochs = job.state.epoch, job.curvature_epochs
    if not job.curvature_every or epoch not in epochs or job.state.frozen_at is not None:
        return False
    return epoch == epochs[-1] or (epoch - epochs[0]) % job.curvature_every == 0


def score_every(config_every: int, epochs: int) -> int:
    """Epochs between two scorings: as the config says, or so that a run has at most ``SCORINGS``."""
    return config_every or math.ceil(epochs / SCORINGS)


@contextmanager
def _saying_how_to_go_on(finished: int) -> Iterator[None]:
    """Within the block, the error of a network that answers with no numbers says after how many epochs, and what to
    do."""
    try:
        yield
    except FloatingPointError as error:
        raise FloatingPointError(
            f"after epoch {finished}, on what is held out: {error}; what was saved is from before. {ADVICE}"
        ) from error


@contextmanager
def _naming_data(streams: Streams) -> Iterator[None]:
    """Within the block, the error of a run that diverged says what the batch was made of."""
    try:
        yield
    except Diverged as error:
        names = ", ".join(streams.names(error.stream, error.batch))
        raise FloatingPointError(
            f"{error}: {names}. It has moved nothing, and what was saved before is whole. {ADVICE}"
        ) from error
