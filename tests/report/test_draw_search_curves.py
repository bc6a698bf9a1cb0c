"""The curves of a cell search, in every state that a search can be in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from wholenet.report import search_curves as module
from wholenet.report.search_curves import draw_search


def record(epoch: int, **known: Any) -> dict[str, Any]:
    base = {
        "epoch": epoch,
        "phase": "search",
        "loss": 2.0 / (epoch + 1),
        "arch_loss": 1.0,
        "lr": 0.025,
        "eigenvalue": None if epoch % 2 else 0.1 * (epoch + 1),
        "error": 0.9 - 0.1 * epoch,
        "skips": {"normal": epoch, "reduce": 1},
        "entropy": {"normal": 1.0, "reduce": 0.9, "edge_normal": 0.5},
    }
    return base | known


UNKNOWN = dict.fromkeys(("arch_loss", "eigenvalue", "error", "skips", "entropy"))
WARM = [record(e, phase="warm-up", **UNKNOWN) for e in range(2)]


def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *given: Any) -> list[Axes]:
    """The panels of the picture: losses, eigenvalue, error, skips, entropy."""
    figures: list[Figure] = []
    real = module.panels
    monkeypatch.setattr(module, "panels", lambda figure, *a, **k: (figures.append(figure), real(figure, *a, **k))[1])
    draw_search(tmp_path / "s.png", *given)
    return figures[0].axes


def points(axes: Axes) -> list[list[tuple[float, float]]]:
    return [[(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)] for line in axes.lines]


@pytest.mark.parametrize(
    ("records", "stop_epoch"),
    [
        ([], None),
        ([], 3),
        ([record(0)], None),
        ([record(0)], 0),
        ([record(0, **UNKNOWN)], 0),
        (WARM + [record(e) for e in range(2, 8)], 4),
        ([{"epoch": 0, "loss": 1.0}, {"epoch": 5, "loss": float("nan"), "eigenvalue": float("inf")}], None),
        ([record(0, error=0.0, eigenvalue=-0.1)], None),
        ([record(e, skips={"normal": 8, "reduce": 0}) for e in range(600)], 300),
    ],
)
def test_every_state_of_a_search_can_be_drawn(tmp_path: Path, records, stop_epoch) -> None:
    draw_search(tmp_path / "s.png", records, stop_epoch)
    with Image.open(tmp_path / "s.png") as image:
        image.load()
        assert 1000 < image.width < 1600
        assert 1200 < image.height < 1800


def test_each_panel_holds_what_is_known_at_epochs_counted_from_one(tmp_path, monkeypatch) -> None:
    panels = drawn(monkeypatch, tmp_path, WARM + [record(e) for e in range(2, 5)])
    loss, eigenvalue, error, skips, entropy = (points(axes) for axes in panels)
    assert [x for x, _ in loss[0]] == [1, 2, 3, 4, 5]
    assert [x for x, _ in loss[1]] == [3, 4, 5]
    assert eigenvalue == [[(3, pytest.approx(0.3)), (5, pytest.approx(0.5))]]
    assert error == [[(3, pytest.approx(70)), (4, pytest.approx(60)), (5, pytest.approx(50))]]
    assert skips == [[(3, 2), (4, 3), (5, 4)], [(3, 1), (4, 1), (5, 1)]]
    assert entropy == [[(3, 1.0), (4, 1.0), (5, 1.0)], [(3, 0.9), (4, 0.9), (5, 0.9)]]


def test_the_early_stop_is_marked_where_the_epoch_is_drawn(tmp_path, monkeypatch) -> None:
    eigenvalue = drawn(monkeypatch, tmp_path, [record(e) for e in range(5)], 2)[1]
    curve, stop = eigenvalue.lines
    assert set(stop.get_xdata()) == {3.0} == {curve.get_xdata()[1]}
    assert stop.get_linestyle() == ":"
    assert [text.get_text() for text in eigenvalue.get_legend().get_texts()][1] == "early stop (epoch 3)"


def test_phases_are_those_of_the_records() -> None:
    assert module._phases(WARM + [record(2), record(3)]) == [("warm-up", 0, 2), ("search", 2, 4)]
    assert module._phases([]) == module._phases([{"epoch": 0}]) == []


def test_what_a_smaller_network_costs_has_a_panel(monkeypatch, tmp_path):
    records = [record(epoch, macs=10**6 * (4 - epoch)) for epoch in range(3)]
    axes = drawn(monkeypatch, tmp_path, records)
    assert points(axes[-1]) == [[(1.0, 4.0), (2.0, 3.0), (3.0, 2.0)]]
    assert len(axes) == 1 + len(drawn(monkeypatch, tmp_path, [one | {"macs": 10**6} for one in records]))
