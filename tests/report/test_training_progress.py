import io
from typing import Any

import pytest
from rich.console import Console

from wholenet.report.progress import TimeLeft, counted, training_progress

PHASES = [("warm-up", 0, 2), ("search", 2, 6), ("fine-tune", 6, 8)]


class FakeClock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def phase_of(epoch: int) -> str:
    return next(name for name, _, end in PHASES if epoch < end)


def record(epoch: int, **known: Any) -> dict[str, Any]:
    base = {"epoch": epoch, "phase": phase_of(epoch), "loss": 0.8, "arch_loss": None, "lr": 0.04, "miou": None}
    return base | {"images_per_second": 36.1} | known


def run(console: Console, clock: FakeClock, first_epoch: int = 0) -> None:
    """A run of 8 epochs with 4 steps; a search epoch takes 20 s, any other 10 s."""
    with training_progress(
        total_epochs=8, steps_per_epoch=4, first_epoch=first_epoch, phases=PHASES, console=console, clock=clock
    ) as progress:
        for epoch in range(first_epoch, 8):
            phase = phase_of(epoch)
            for step in range(4):
                clock.now += 5.0 if phase == "search" else 2.5
                progress.step(epoch=epoch, step=step, phase=phase, loss=0.8, lr=0.04, images=16)
            progress.epoch(record(epoch))


# ---- without a terminal


def test_without_a_terminal_each_epoch_is_one_plain_line() -> None:
    console = Console(file=io.StringIO(), width=20)  # narrower than the lines: they must not wrap
    run(console, FakeClock())
    text = console.file.getvalue()
    assert text.isascii()
    assert "\r" not in text
    assert "\x1b" not in text
    lines = text.splitlines()
    assert [line.split()[1] for line in lines] == [f"{i}/8" for i in range(1, 9)]
    assert lines[2] == "epoch 3/8  search     loss 0.800              lr 0.04                   36.1 img/s  left 1m27s"
    assert lines[-1].endswith("left 0s")


def test_every_line_is_flushed_at_once() -> None:
    class File(io.StringIO):
        unflushed = False

        def write(self, text: str) -> int:
            self.unflushed = True
            return super().write(text)

        def flush(self) -> None:
            self.unflushed = False

    console = Console(file=File())
    with training_progress(total_epochs=2, steps_per_epoch=1, console=console) as progress:
        progress.epoch(record(0))
        assert console.file.getvalue().count("\n") == 1
        assert not console.file.unflushed


def test_numbers_in_brackets_and_colons_are_printed_as_they_are() -> None:
    console = Console(file=io.StringIO())
    with training_progress(total_epochs=1, steps_per_epoch=1, console=console) as progress:
        progress.epoch(record(0, phase="[red]:smile:"))
    assert "[red]:smile:" in console.file.getvalue()


# ---- on a terminal


def test_on_a_terminal_the_bar_says_it_all_and_the_lines_scroll_above() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None, _environ={})
    run(console, FakeClock(), first_epoch=5)
    text = console.file.getvalue()
    for epoch in (6, 7, 8):
        assert text.count(f"epoch {epoch}/8  {phase_of(epoch - 1):<9}  loss 0.800    ") == 1
    last_bar = text.rsplit("epoch 8/8", 1)[1]
    for word in ("fine-tune", "loss 0.800", "lr 0.04", "6.4 img/s", "left 0s"):
        assert word in last_bar


def test_the_cursor_comes_back_when_training_is_interrupted() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={})
    with pytest.raises(KeyboardInterrupt), training_progress(total_epochs=1, steps_per_epoch=1, console=console):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in console.file.getvalue().rsplit("\x1b[?25l", 1)[1]


# ---- time left


def test_nothing_is_known_before_the_first_step() -> None:
    assert TimeLeft(PHASES, 8, FakeClock()).seconds(0, share=0.0) is None


def test_measured_phases_cost_what_they_cost_and_the_others_the_mean_so_far() -> None:
    clock = FakeClock()
    left = TimeLeft(PHASES, 8, clock)
    for epoch, seconds in enumerate((8, 12, 40)):  # warm-up 10 on average, search 40, all 20
        clock.now += seconds
        left.epoch_done(epoch)
    assert left.seconds(3, share=0.0) == pytest.approx(3 * 40 + 2 * 20)
    assert left.seconds(3, share=0.25) == pytest.approx(2.75 * 40 + 2 * 20)


def test_the_first_epoch_of_a_phase_is_judged_by_its_own_pace() -> None:
    clock = FakeClock()
    left = TimeLeft(PHASES, 8, clock)
    for epoch in range(2):
        clock.now += 10
        left.epoch_done(epoch)
    assert left.seconds(2, share=0.0) == pytest.approx(6 * 10)
    clock.now += 15  # half an epoch: 30 s each
    assert left.seconds(2, share=0.5) == pytest.approx(3.5 * 30 + 2 * 10)


def test_the_very_first_epoch_speaks_for_all() -> None:
    clock = FakeClock()
    left = TimeLeft(PHASES, 8, clock)
    clock.now += 5
    assert left.seconds(0, share=0.5) == pytest.approx(7.5 * 10)


def test_a_continued_run_counts_only_what_is_to_come() -> None:
    clock = FakeClock()
    left = TimeLeft(PHASES, 8, clock)
    clock.now += 10
    left.epoch_done(6)
    assert left.seconds(7, share=0.0) == pytest.approx(10)
    assert left.seconds(8, share=0.0) == 0


@pytest.mark.parametrize(
    "phases", [[("search", 0, 7)], [("search", 1, 8)], [("a", 0, 3), ("b", 4, 8)], [("a", 0, 9), ("b", 9, 8)]]
)
def test_phases_with_gaps_are_refused(phases: list[tuple[str, int, int]]) -> None:
    with (
        pytest.raises(ValueError, match="do not cover epochs 0 to 8"),
        training_progress(total_epochs=8, steps_per_epoch=1, phases=phases, console=Console(file=io.StringIO())),
    ):
        pass


# ---- long checks


def test_a_count_is_one_line_without_a_terminal() -> None:
    console = Console(file=io.StringIO())
    show = counted(console, "masks")
    for done in range(1, 4):
        show(done, 3)
    assert console.file.getvalue() == "masks: 3/3\n"


def test_a_count_stays_on_one_line_of_a_terminal_and_is_drawn_a_hundred_times_at_most() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=40, color_system=None, _environ={})
    show = counted(console, "masks with a long name")
    for done in range(1, 5001):
        show(done, 5000)
    text = console.file.getvalue()
    assert text.count("\n") == 1
    assert 50 <= text.count("\r") <= 101
    assert all(len(line) <= 40 for line in text.rstrip("\n").split("\r"))
    assert "masks with a long name  2500/5000 " in text


@pytest.mark.parametrize("terminal", [True, False])
def test_a_count_of_nothing_ends_at_once(terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80, _environ={})
    counted(console, "masks")(0, 0)
    assert console.file.getvalue().count("\n") == 1
