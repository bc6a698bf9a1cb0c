from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from wholenet.report import panels as module
from wholenet.report.curves import draw_curves, draw_entropy

PHASES = [("warm-up", 0, 2), ("search", 2, 6), ("fine-tune", 6, 8)]


def record(epoch: int, **known: Any) -> dict[str, Any]:
    base = {
        "epoch": epoch,
        "phase": "search",
        "lr": 0.1,
        "loss": 2.0 / (epoch + 1),
        "arch_loss": None,
        "entropy": {"alpha": 1.0, "beta": 0.9},
        "entropy_paper": {"alpha": 0.34, "beta": 0.2},
        "miou": None,
        "pixel_accuracy": None,
        "seconds": 3.0,
        "images_per_second": 10.0,
    }
    return base | known


GOING = [record(e, miou=0.1 * e if e % 2 else None, arch_loss=1.0 if e >= 2 else None) for e in range(4)]
LONGER_THAN_PLANNED = [record(e) for e in range(12)]
DIVERGED = [record(0), record(1, loss=float("nan"), miou=float("nan"))]
SPARSE = [{"epoch": 0, "loss": 1.0}, {"epoch": 5, "loss": 0.5, "entropy": None}]
SMALLER = [record(e, macs=10**6 * (4 - e)) for e in range(3)]
ZERO = [record(0, lr=0.0, entropy_paper={"alpha": 0.0, "beta": 0.0})]
LONG = [("warm-up", 0, 0), ("search", 0, 600), ("fine-tune", 600, 600)]


@pytest.mark.parametrize(
    ("draw", "records", "phases"),
    [
        (draw_curves, [], []),
        (draw_curves, [record(0)], PHASES),
        (draw_curves, GOING, LONG),
        (draw_curves, DIVERGED, [("search", 0, 1)]),
        (draw_curves, [record(e) | {"eigenvalue": 0.1 * e if e else None} for e in range(4)], PHASES),
        (draw_curves, SMALLER, PHASES),
        (draw_curves, [one | {"eigenvalue": 0.1} for one in SMALLER], PHASES),
        (draw_curves, LONGER_THAN_PLANNED, PHASES),
        (draw_entropy, [], PHASES),
        (draw_entropy, GOING, PHASES),
        (draw_entropy, SPARSE, LONG),
        (draw_entropy, ZERO, []),
    ],
)
def test_every_state_of_a_run_can_be_drawn(tmp_path: Path, draw, records, phases) -> None:
    draw(tmp_path / "c.png", records, phases)
    with Image.open(tmp_path / "c.png") as image:
        image.load()
        assert image.format == "PNG"
        assert 1000 < image.width < 1600
        assert 600 < image.height < 1700


def test_a_curve_holds_only_what_is_known_and_counts_epochs_from_one() -> None:
    axes = Figure().subplots()
    assert module.curve(axes, GOING, lambda r: r["miou"], "mIoU", "blue") == pytest.approx([0.1, 0.3])
    [line] = axes.lines
    assert list(line.get_xdata()) == [2, 4]


def test_a_phase_keeps_its_colour_where_another_is_empty() -> None:
    def colors(phases: list[tuple[str, int, int]]) -> dict[str, Any]:
        figure = Figure()
        module.panels(figure, [], phases, heights=(1, 1))
        [legend] = figure.legends
        names = [text.get_text().split(" ")[0] for text in legend.get_texts()]
        return dict(zip(names, [patch.get_facecolor() for patch in legend.get_patches()], strict=True))

    full, without_warmup = colors(PHASES), colors([("warm-up", 0, 0), ("search", 0, 6), ("fine-tune", 6, 8)])
    assert list(without_warmup) == ["search", "fine-tune"]
    assert without_warmup.items() <= full.items()
