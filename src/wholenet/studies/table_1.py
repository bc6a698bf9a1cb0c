"""Table 1 (Sec. 4.2): the average entropy of the architecture, before and after the search.

The paper reads values that hardly change as a risk of discretization error. They say as much that the search decided
next to nothing. Its "average entropy" is the mean of -p ln p over every entry of the stored tensor, padding included
(the constants are in tests/test_architecture.py), so it cannot be compared between spaces; normalised entropy can.
"""

from __future__ import annotations

import torch

from wholenet.architecture import mean_entry_entropy, uniform_weights
from wholenet.report.style import saved_figure
from wholenet.spaces.cell_tables import PAIRS, PUBLISHED
from wholenet.spaces.darts import masks as masks_of
from wholenet.spaces.dots.pairs import pair_mask
from wholenet.spaces.dots.survivors import GROUPS
from wholenet.studies.drawing import draw_start_end
from wholenet.studies.magnitudes import penalized
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

PAPER = {"edges": (0.128, 0.127), "operations": (0.346, 0.345)}
"""Start and end of the paper's own supernet."""
TENSORS = {"edges": "beta", "operations": "alpha"}
FIGURE = "table-1.png"
DARTS_ROWS = {
    "DARTS, operations": (0.260, 0.256),
    "DARTS, operations in two groups (DOTS)": None,
    "DARTS, pairs of edges (DOTS)": (0.126, 0.126),
}
"""Start and end of the paper's rows for DARTS with decoupled topology; None: it has none of these."""


def darts_starts() -> dict[str, float]:
    """The average entropy that a search on DARTS' space begins with, all options equally strong, by row."""
    masks = {
        "DARTS, operations": masks_of(PUBLISHED["darts"])["normal"],
        "DARTS, operations in two groups (DOTS)": torch.ones(len(PAIRS), len(GROUPS), len(GROUPS[0]), dtype=torch.bool),
        "DARTS, pairs of edges (DOTS)": pair_mask(),
    }
    uniform = uniform_weights(masks)
    return {row: mean_entry_entropy(uniform[row], mask).item() for row, mask in masks.items()}


def table_1(setting: Setting, pool: Pool) -> Result:
    """Train the supernet without a penalty and read its first and last entropy."""
    runs = pool.trained(setting.over_seeds(penalized(setting, 0.0)))
    rows: list[list[str | Spread]] = []
    values = {}
    for what, tensor in TENSORS.items():
        # The first record is from the end of the warm-up's first epoch: the architecture has not moved.
        start, end = (
            {which: spread([run.records()[i][which][tensor] for run in runs]) for which in ("entropy_paper", "entropy")}
            for i in (0, -1)
        )
        rows.append(
            [
                f"grid, {what}",
                f"{start['entropy_paper'].shown(digits=3)} → {end['entropy_paper'].shown(digits=3)}",
                "{} → {}".format(*PAPER[what]),
                f"{start['entropy'].shown(digits=3)} → {end['entropy'].shown(digits=3)}",
            ]
        )
        values[what] = {"start": start, "end": end}
    starts = darts_starts()
    for row, printed in DARTS_ROWS.items():
        paper = "-" if printed is None else "{:.3f} → {:.3f}".format(*printed)
        rows.append([row, f"{starts[row]:.3f} → -", paper, "1.000 → -"])
        values[row] = {"start": {"entropy_paper": starts[row]}}
    with saved_figure(setting.out / FIGURE, 8.0, 3.0) as figure:
        axes = figure.subplots(1, 2)
        for ax, which, title in zip(
            axes, ("entropy_paper", "entropy"), ("average entropy, the paper's", "normalised entropy"), strict=True
        ):
            trained = {what: values[what] for what in TENSORS}
            pairs = {what: (value["start"][which].mean, value["end"][which].mean) for what, value in trained.items()}
            draw_start_end(ax, pairs, title)
        axes[1].set_ylim(0, 1.15)
        axes[0].set_ylim(0, 0.42)
        axes[0].legend(loc="upper left")
        figure.tight_layout()
    return Result(
        title="Table 1: entropy before and after the search",
        source="Seed paper, Table 1 and Sec. 4.2",
        table=Table(["space", "average entropy, start → end", "the paper", "normalised entropy, start → end"], rows),
        values=values,
        notes=[
            "Average entropy as the paper defines it, over padded tensors: do not compare rows by it. Normalised: "
            "1 is uniform, 0 one-hot.",
            "DARTS' space classifies images: of it there is the start alone, which is exact; the end is in the records "
            "of `wholenet fit DATA --space dots`. 0.126 is not reproduced: uniform pairs in [4, 10] give 0.130. The "
            "paper's operations start at ln 8 / 8, one softmax over all, not at the ln 4 / 4 of DOTS' two groups.",
            f"{setting.seeds} seeds.",
        ],
        figure=FIGURE,
    )
