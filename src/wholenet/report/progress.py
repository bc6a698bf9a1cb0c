"""The state of a run while it runs: a bar on a terminal, one plain line per epoch anywhere else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from wholenet import parallel
from wholenet.report.panels import Phase
from wholenet.search.records import Record
from wholenet.tasks.pace import IMAGES, Pace
from wholenet.tasks.score import MIOU, Score

Clock = Callable[[], float]
"""Seconds since some fixed moment, like ``time.monotonic``."""


class TrainingProgress(Protocol):
    """What the training loop tells."""

    def step(self, *, epoch: int, step: int, phase: str, loss: float, lr: float, images: int) -> None:
        """A step has ended: number ``step`` (from 0) of ``epoch`` (from 0), over ``images`` images."""
        ...

    def epoch(self, record: Record) -> None:
        """An epoch has ended; ``record`` is its line in ``metrics.jsonl``."""
        ...


@contextmanager
def training_progress(
    *,
    total_epochs: int,
    steps_per_epoch: int,
    first_epoch: int = 0,
    phases: Sequence[Phase] = (),
    console: Console | None = None,
    clock: Clock = time.monotonic,
    score: Score = MIOU,
    pace: Pace = IMAGES,
) -> Iterator[TrainingProgress]:
    """Show how a run proceeds: on a terminal with a bar, elsewhere with exactly one line per epoch.

    Args:
        total_epochs: of the whole run.
        steps_per_epoch: weight steps in an epoch.
        first_epoch: the epoch to come, counted from 0; above 0 in a continued run.
        phases: all that is planned. A search epoch costs more than a warm-up epoch: with phases the time left is right.
        console: where to write; a new one on standard output by default.
        clock: what tells the time.
        score: which number of the records is shown.
        pace: what is counted in a second.

    Raises:
        ValueError: if ``phases`` does not cover epochs 0 to ``total_epochs`` without gap.
    """
    console = console or Console()
    time_left = TimeLeft(phases or [("", 0, total_epochs)], total_epochs, clock)
    if not console.is_interactive:
        yield _Lines(console, total_epochs, time_left, score, pace)
        return
    with _Bar(console, total_epochs, steps_per_epoch, first_epoch, time_left, clock, score, pace) as bar:
        yield bar


# ---- time left


class TimeLeft:
    """Estimates the seconds left of the run, from the measured seconds per epoch of each phase.

    The clock runs from one finished epoch to the next, so validation, checkpoints and plots are in it.
    """

    def __init__(self, phases: Sequence[Phase], total_epochs: int, clock: Clock) -> None:
        borders = [0, *(end for _, _, end in phases)]
        if (
            [first for _, first, _ in phases] != borders[:-1]
            or borders[-1] != total_epochs
            or borders != sorted(borders)
        ):
            raise ValueError(
                f"phases={list(phases)} do not cover epochs 0 to {total_epochs}: "
                "each must begin where the one before ends, and the last must end with the run."
            )
        self._spans = [(first, end) for _, first, end in phases]
        self._measured: list[list[float]] = [[] for _ in phases]
        self._clock = clock
        self._epoch_began = clock()

    def epoch_done(self, epoch: int) -> None:
        """``epoch`` has ended just now."""
        now = self._clock()
        self._measured[self._phase(epoch)].append(now - self._epoch_began)
        self._epoch_began = now

    def seconds(self, epoch: int, share: float) -> float | None:
        """Seconds left when the share ``share`` (0 to 1) of ``epoch`` is done; None while nothing is measured.

        A phase costs the mean of its measured epochs. In the first epoch of a phase the part that is done tells its
        cost; a phase that has not begun is taken to cost the mean of everything measured.
        """
        costs = [_mean(seconds) for seconds in self._measured]
        now_in = self._phase(epoch)
        if costs[now_in] is None and share > 0:
            costs[now_in] = (self._clock() - self._epoch_began) / share
        anything = _mean([seconds for phase in self._measured for seconds in phase] or [c for c in costs if c])
        if anything is None:
            return None
        known = [anything if cost is None else cost for cost in costs]
        to_come = [max(0, end - max(first, epoch)) for first, end in self._spans]
        total = sum(n * cost for n, cost in zip(to_come, known, strict=True)) - share * known[now_in]
        return max(total, 0.0)

    def _phase(self, epoch: int) -> int:
        """The phase of ``epoch``; the last one also for what comes after the end."""
        return next((i for i, (_, end) in enumerate(self._spans) if epoch < end), len(self._spans) - 1)


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def duration(seconds: float) -> str:
    """Two units are enough.

    >>> [duration(s) for s in (7.2, 432, 3900, 200_000)]
    ['7s', '7m12s', '1h05m', '2d07h']
    """
    s = round(max(seconds, 0.0))
    if s < 60:
        return f"{s}s"
    if s < 3600:
        return f"{s // 60}m{s % 60:02d}s"
    if s < 86400:
        return f"{s // 3600}h{s % 3600 // 60:02d}m"
    return f"{s // 86400}d{s % 86400 // 3600:02d}h"


# ---- the two displays


def epoch_line(
    record: Record, total_epochs: int, seconds_left: float | None, score: Score = MIOU, pace: Pace = IMAGES
) -> str:
    """One finished epoch in ASCII, columns aligned; what the record lacks leaves its column blank.

    >>> record = {"epoch": 11, "phase": "search", "loss": 0.812, "lr": 0.0421, "miou": 0.483, "images_per_second": 36.1}
    >>> epoch_line(record | {"arch_loss": 0.79}, 40, 432)
    'epoch 12/40  search     loss 0.812  arch 0.790  lr 0.0421    mIoU 48.3 %  36.1 img/s  left 7m12s'
    >>> epoch_line(record | {"miou": None}, 40, None)
    'epoch 12/40  search     loss 0.812              lr 0.0421                 36.1 img/s'

    Where the record has it, the share of the time that was spent waiting for data:

    >>> epoch_line(record | {"seconds": 20.0, "data_seconds": 0.61}, 40, None)[-23:]
    '36.1 img/s  data  3.0 %'
    """
    arch_loss, eigenvalue, value = record.get("arch_loss"), record.get("eigenvalue"), record.get(score.name)
    number = "" if value is None else f"{100 * value:4.1f} %" if score.percent else f"{value:6.4g}"
    columns = (
        f"epoch {record['epoch'] + 1:{len(str(total_epochs))}d}/{total_epochs}",
        f"{record['phase']:<9}",
        f"loss {record['loss']:5.3f}",
        " " * 10 if arch_loss is None else f"arch {arch_loss:5.3f}",
        f"lr {record['lr']:<8.3g}",
        f"{score.label} {number}" if number else " " * (len(score.label) + 7),
        *([] if "eigenvalue" not in record else [" " * 10 if eigenvalue is None else f"eig {eigenvalue:6.3f}"]),
        pace.say(record["images_per_second"]),
        *([f"data {100 * record['data_seconds'] / record['seconds']:4.1f} %"] if "data_seconds" in record else []),
        "" if seconds_left is None else f"left {duration(seconds_left)}",
    )
    return "  ".join(columns).rstrip()


class _Lines:
    """One plain line per epoch: for log files, schedulers and pipes."""

    def __init__(self, console: Console, total_epochs: int, time_left: TimeLeft, score: Score, pace: Pace) -> None:
        self._console, self._total_epochs, self._time_left = console, total_epochs, time_left
        self._score, self._pace = score, pace

    def step(self, *, epoch: int, step: int, phase: str, loss: float, lr: float, images: int) -> None:
        """Nothing: a log is read by epochs."""

    def epoch(self, record: Record) -> None:
        """Write the line."""
        self._time_left.epoch_done(record["epoch"])
        left = self._time_left.seconds(record["epoch"] + 1, share=0.0)
        _print_plain(self._console, epoch_line(record, self._total_epochs, left, self._score, self._pace))


def own_console() -> Console:
    """A console on standard output; where several processes train, only the first one's speaks."""
    return Console(quiet=not parallel.is_first())


def plain(console: Console) -> Callable[[str], None]:
    """What writes a line on ``console`` as it is: not wrapped, not coloured, and at once."""
    return partial(_print_plain, console)


def _print_plain(console: Console, line: str) -> None:
    """As it is: not wrapped, not coloured, and at once, so that ``tail -f`` shows it."""
    console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
    console.file.flush()


class _Bar:
    """A bar over all steps of the run, at the bottom of the terminal; the epochs' lines scroll above it."""

    def __init__(
        self,
        console: Console,
        total_epochs: int,
        steps_per_epoch: int,
        first_epoch: int,
        time_left: TimeLeft,
        clock: Clock,
        score: Score,
        pace: Pace,
    ) -> None:
        self._lines, self._pace = _Lines(console, total_epochs, time_left, score, pace), pace
        self._total_epochs, self._steps_per_epoch = total_epochs, steps_per_epoch
        self._time_left, self._clock = time_left, clock
        self._recent: deque[tuple[float, int]] = deque(maxlen=20)
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=console,
            expand=True,
        )
        self._task = self._progress.add_task(
            f"epoch {min(first_epoch + 1, total_epochs)}/{total_epochs}",
            total=total_epochs * steps_per_epoch,
            completed=first_epoch * steps_per_epoch,
            numbers="",
        )

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, *, epoch: int, step: int, phase: str, loss: float, lr: float, images: int) -> None:
        """Move the bar and renew the numbers."""
        self._recent.append((self._clock(), images))
        left = self._time_left.seconds(epoch, share=(step + 1) / self._steps_per_epoch)
        numbers = (
            f"loss {loss:5.3f}",
            f"lr {lr:.3g}",
            self._pace.say(self._images_per_second()).strip(),
            "" if left is None else f"left {duration(left)}",
        )
        self._progress.update(
            self._task,
            completed=epoch * self._steps_per_epoch + step + 1,
            description=f"epoch {epoch + 1}/{self._total_epochs}  {phase}",
            numbers="  ".join(numbers),
        )

    def epoch(self, record: Record) -> None:
        """Write the epoch's line above the bar."""
        self._lines.epoch(record)
        self._recent.clear()  # validation lies between the epochs: it would count as a slow step

    def _images_per_second(self) -> float:
        """Over the last steps; the first of them only starts the clock."""
        seconds = self._recent[-1][0] - self._recent[0][0]
        return sum(images for _, images in list(self._recent)[1:]) / seconds if seconds > 0 else 0.0


# ---- long checks


def counted(console: Console, label: str) -> Callable[[int, int], None]:
    """A callable(done, total) for long loops: a bar on a terminal; elsewhere one line when all is done.

    The bar is redrawn in place, without rich's live display: that hides the cursor until it is told that the loop has
    ended, and a check that raises tells nobody.
    """
    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        finished = done >= total
        if not console.is_interactive:
            if finished:
                _print_plain(console, f"{label}: {done}/{total}")
            return
        filled = 30 if finished else 30 * done // total
        percent = 100 if finished else 100 * done // total
        if percent != shown:  # a hundred times is enough for a million files
            shown = percent
            full, empty = "#-" if console.options.ascii_only else "━━"
            count = f"{label}  {done:{len(str(total))}d}/{total}  "
            bar = Text.assemble(count, (full * filled, "green"), (empty * (30 - filled), "dim"))
            console.print(bar, end="\n" if finished else "\r", no_wrap=True, overflow="crop", highlight=False)

    return show
