"""What several budgets buy: mIoU against multiply-adds, as a picture, a table, a page and a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from wholenet.file_keys import check_keys
from wholenet.files import read_json, write_whole
from wholenet.report.html import paragraph, picture_file, table, write_page
from wholenet.report.run_page import percent
from wholenet.report.style import BLUE, INK, MUTED, ORANGE, saved_figure
from wholenet.search.read_run import read_run
from wholenet.spaces.grid_costs import macs_in_words

PICTURE, PAGE, VALUES = "frontier.png", "frontier.html", "frontier.json"
WIDE = 4.0
"""Where the largest network costs more than so many times the smallest, the axis is logarithmic."""


@dataclass(frozen=True)
class Point:
    """What the run with one budget came to."""

    budget: str
    run: str
    """Its folder, in that of the frontier."""
    macs: int
    """Multiply-adds of an image, of the network it ended with."""
    ms: float | None
    """Of a budget that is a time: what that network takes, by the table of times."""
    miou: float
    """On the images held out, in [0, 1]."""
    control_miou: float | None
    """Of its frozen-uniform control; None without one."""
    epochs: int
    seconds: float
    """Of training."""
    by: str | None = None
    """How the budget was met; None of a frontier from before 2026-11-30."""


def point_of(out: Path, name: str, budget: str) -> Point:
    """What the finished run ``name`` in the folder ``out`` came to.

    Raises:
        ValueError: if there is none, or its files are damaged.
    """
    found = read_run(out / name)
    own = found.results[0]
    control = next((row["miou"] for row in found.results if row["part"] == "control"), None)
    ms = found.records[-1].get("ms")
    return Point(
        budget, name, own["macs"], ms, own["miou"], control, own["epochs"], own["seconds"], found.config["budget_by"]
    )


def as_cells(points: Sequence[Point], whole: int) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table, the smallest network first; ``whole``: multiply-adds of the whole network."""
    controls = any(point.control_miou is not None for point in points)
    timed = any(point.ms is not None for point in points)
    head = ["budget", "multiply-adds", "of the whole", *(["ms"] if timed else []), "mIoU, %"]
    head += ["frozen-uniform, %"] if controls else []
    ways = len({point.by for point in points}) > 1
    head += ["by"] if ways else []
    rows = []
    for point in points:
        row = [point.budget, macs_in_words(point.macs), f"{point.macs / whole:.0%}"]
        row += ([f"{point.ms:.1f}" if point.ms else "-"] if timed else []) + [percent(point.miou)]
        row += ([percent(point.control_miou)] if controls else []) + ([point.by or "-"] if ways else [])
        rows.append([*row, point.run])
    return [*head, "run"], rows


def frontier_lines(points: Sequence[Point], whole: int) -> list[str]:
    """The table for the terminal."""
    head, rows = as_cells(points, whole)
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]


def write_frontier(out: Path, points: Sequence[Point], whole: int, runs: int) -> None:
    """Write what there is so far, of so many ``runs`` in all: values, picture and page."""
    values = {"whole_macs": whole, "runs": runs, "points": [asdict(point) for point in points]}
    write_whole(out / VALUES, json.dumps(values, indent=2) + "\n")
    if not points:
        return
    draw_frontier(out / PICTURE, points, whole)
    note = "mIoU is that of the images held out, of the network that each run ended with. All runs have the same "
    alone = len({point.by for point in points}) == 1
    note += f"settings and length; they differ in their budgets{' alone' if alone else ', and in how these were met'}."
    if any(point.control_miou is not None for point in points):
        note += " Frozen-uniform is the same network, trained for as long, whose architecture never moves."
    so_far = "" if len(points) == runs else f"{len(points)} of {runs} runs are finished."
    body = paragraph(so_far) if so_far else ""
    body += picture_file(out / PICTURE, "mIoU against multiply-adds") + table(*as_cells(points, whole))
    write_page(out / PAGE, f"{runs} budgets", body + paragraph(note, "muted"))


def read_points(out: Path) -> list[Point]:
    """The points that were written to the folder ``out``, of runs that are still there; none where there is no file.

    Raises:
        ValueError: if the file holds something else.
    """
    path = out / VALUES
    if not path.is_file():
        return []
    found = read_json(path)
    check_keys(found, {"points": list}, str(path))
    kinds = {"budget": str, "run": str, "macs": int, "miou": float, "epochs": int, "seconds": float}
    kinds |= {"ms": float | None, "control_miou": float | None}
    for one in found["points"]:
        check_keys(one, kinds, f"{path}, a point")
        with_way = {"by": None, **one}  # which points of before 2026-11-30 lack
        check_keys(with_way, {**kinds, "by": str | None}, f"{path}, a point", only=True)
    return [Point(**one) for one in found["points"] if (out / one["run"] / "config.yaml").is_file()]


def draw_frontier(path: Path, points: Sequence[Point], whole: int) -> None:
    """mIoU against multiply-adds, each point with its budget; beside it that of the controls."""
    macs = [point.macs / 1e6 for point in points]
    with saved_figure(path, 6.4, 4.0) as figure:
        ax = figure.subplots()
        ours = [100 * point.miou for point in points]
        ax.plot(macs, ours, "o-", ms=5, color=BLUE, label="learned")
        for point, x, y in zip(points, macs, ours, strict=True):
            ax.annotate(point.budget, (x, y), (-4, 6), textcoords="offset points", ha="right", color=INK, fontsize=8.5)
        controls = [(x, 100 * p.control_miou) for x, p in zip(macs, points, strict=True) if p.control_miou is not None]
        if controls:
            ax.plot(*zip(*controls, strict=True), "s--", ms=4, lw=1.3, color=ORANGE, label="frozen-uniform control")
            ax.legend(loc="lower right", labelcolor=MUTED)
        if max(macs) > WIDE * min(macs):
            _logarithmic(ax)
        ax.margins(x=0.08, y=0.15)
        ax.set_title("What a budget buys")
        ax.set_xlabel(f"multiply-adds of an image, millions (the whole network: {whole / 1e6:,.3g})")
        ax.set_ylabel("mIoU, %")
        figure.tight_layout()


def _logarithmic(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
