"""Table 1 (Sec. 4.2): the average entropy of the architecture, before and after the search.

The paper reads values that hardly change as a risk of discretization error. They say as much that the search decided
next to nothing. Its "average entropy" is the mean of -p ln p over every entry of the stored tensor, padding included
(the constants are in tests/test_architecture.py), so it cannot be compared between spaces; normalised entropy can.
"""

from __future__ import annotations

from wholenet.report.style import saved_figure
from wholenet.studies.drawing import draw_start_end
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
    with saved_figure(setting.out / FIGURE, 8.0, 3.0) as figure:
        axes = figure.subplots(1, 2)
        for ax, which, title in zip(
            axes, ("entropy_paper", "entropy"), ("average entropy, the paper's", "normalised entropy"), strict=True
        ):
            pairs = {what: (value["start"][which].mean, value["end"][which].mean) for what, value in values.items()}
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
            "The paper's rows for Auto-DeepLab and DARTS are of spaces that wholenet does not have yet.",
            f"{setting.seeds} seeds.",
        ],
        figure=FIGURE,
    )
