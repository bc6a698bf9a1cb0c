"""Table 1 (Sec. 4.2): the average entropy of the architecture, before and after the search.

The paper reads values that hardly change as a risk of discretization error. They say as much that the search decided
next to nothing. Its "average entropy" is the mean of -p ln p over every entry of the stored tensor, padding included
(the constants are in tests/test_architecture.py), so it cannot be compared between spaces; normalised entropy can.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wholenet.report.style import saved_figure
from wholenet.studies.drawing import StartEnd, draw_start_end
from wholenet.studies.entropies import DEPTHS, PRINTED, of_autodeeplab, of_darts, printing
from wholenet.studies.magnitudes import penalized
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

PAPER = {"edges": (0.128, 0.127), "operations": (0.346, 0.345)}
"""Start and end of the paper's own supernet."""
TENSORS = {"edges": "beta", "operations": "alpha"}
FIGURE = "table-1.png"


def table_1(setting: Setting, pool: Pool) -> Result:
    """Train the supernet without a penalty and read its first and last entropy."""
    runs = pool.trained(setting.over_seeds(penalized(setting, 0.0)))
    rows: list[list[str | Spread]] = []
    values = {}
    drawn: dict[str, tuple[StartEnd, StartEnd]] = {}
    for what, tensor in TENSORS.items():
        # The first record is from the end of the warm-up's first epoch: the architecture has not moved.
        found = [
            {which: [run.records()[i][which][tensor] for run in runs] for which in ("entropy_paper", "entropy")}
            for i in (0, -1)
        ]
        start, end = ({which: spread(of_runs) for which, of_runs in at.items()} for at in found)
        rows.append(
            [
                f"grid, {what}",
                f"{start['entropy_paper'].shown(digits=3)} → {end['entropy_paper'].shown(digits=3)}",
                "{} → {}".format(*PAPER[what]),
                f"{start['entropy'].shown(digits=3)} → {end['entropy'].shown(digits=3)}",
            ]
        )
        values[what] = {"start": start, "end": end}
        drawn[f"grid, {what}"] = (
            StartEnd(start["entropy_paper"].mean, found[1]["entropy_paper"], PAPER[what]),
            StartEnd(start["entropy"].mean, found[1]["entropy"]),
        )
    readings = [*of_autodeeplab(setting, pool), *of_darts(setting, pool)]
    for reading in readings:
        end = spread(reading.ends).shown(digits=3) if reading.ends else "-"
        paper = "{:.3f} → {:.3f}".format(*reading.paper) if reading.paper else "-"
        last = spread(reading.normalized).shown(digits=3) if reading.ends else "-"
        rows.append([reading.name, f"{reading.start:.3f} → {end}", paper, f"1.000 → {last}"])
        values[reading.name] = {
            "start": {"entropy_paper": reading.start},
            "end": {"entropy_paper": reading.ends, "entropy": reading.normalized},
        }
        average = StartEnd(reading.start, reading.ends, reading.paper)
        drawn[reading.name] = (average, StartEnd(1.0, reading.normalized))
    draw(setting.out / FIGURE, drawn)
    return Result(
        title="Table 1: entropy before and after the search",
        source="Seed paper, Table 1 and Sec. 4.2",
        table=Table(["space", "average entropy, start → end", "the paper", "normalised entropy, start → end"], rows),
        values=values,
        notes=[
            "Average entropy as the paper defines it, over padded tensors: do not compare rows by it. Normalised: "
            "1 is uniform, 0 one-hot.",
            "Starts are exact: all options equally strong. A row without an end is a reading that was tried.",
            f"Auto-DeepLab's edges: of L = {DEPTHS.start} to {DEPTHS.stop - 1}, each read in three ways, {PRINTED} is "
            f"printed by {'; '.join(printing(PRINTED))}. The paper's net has 12 layers, the seed's has 10.",
            "DARTS' pairs: 0.126 is not reproduced. What comes nearest is the marginals of the edges in [4, 8], which "
            "no tensor of the code holds. DARTS' operations start at ln 8 / 8, one softmax over all, not at the "
            "ln 4 / 4 of DOTS' two groups.",
            *(
                ["DARTS and DOTS were searched on labelled images, mean over normal and reduction cells."]
                if setting.labelled
                else ["DARTS' rows have no ends: its space classifies images; give --labelled CIFAR10 for them."]
            ),
            f"{setting.counted_seeds}.",
        ],
        figure=FIGURE,
    )


def draw(path: Path, rows: Mapping[str, tuple[StartEnd, StartEnd]]) -> None:
    """All rows of the table, in its order: average and normalised entropy."""
    with saved_figure(path, 10.5, 1.3 + 0.34 * len(rows)) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, which, title in zip(axes, (0, 1), ("average entropy, the paper's", "normalised entropy"), strict=True):
            draw_start_end(ax, {name: row[which] for name, row in rows.items()}, title)
        axes[0].set_xlim(left=0)
        axes[1].set_xlim(0, 1.05)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=4)
        figure.tight_layout(rect=(0, 0.07, 1, 1))
