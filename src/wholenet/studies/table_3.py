"""Table 3 (Sec. 4.1): parameters and FLOPs of the sizes. Nothing is trained."""

from __future__ import annotations

from wholenet.spaces.count import count
from wholenet.studies.drawing import draw_arms
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Table
from wholenet.studies.setting import Setting

PAPER = {"small": (3.2, 57.7), "base": (10.7, 109.4), "medium": (22.3, 380.1), "large": (47.3, 558.0)}
"""Parameters (M) and FLOPs (G). The second row has no name in the paper."""
FIGURE = "table-3.png"


def table_3(setting: Setting, _pool: Pool) -> Result:
    """Count the four sizes at 1024 x 2048 with 19 classes."""
    counts = {size: count(f"grid-{size}") for size in PAPER}
    rows, ratios = [], {}
    for size, (parameters, flops) in PAPER.items():
        ours = counts[size]
        rows.append(
            [
                size,
                f"{ours.parameters / 1e6:.2f}",
                f"{parameters}",
                f"{ours.macs / 1e9:.1f}",
                f"{ours.flops / 1e9:.1f}",
                f"{flops}",
                f"{ours.macs_merged / 1e9:.1f}",
            ]
        )
        ratios[f"{size}, parameters"] = [ours.parameters / 1e6 / parameters]
        ratios[f"{size}, FLOPs"] = [ours.flops / 1e9 / flops]
    draw_arms(setting.out / FIGURE, ratios, {}, quantity="ours / the paper's", ours="counted")
    return Result(
        title="Table 3: parameters and FLOPs",
        source="Seed paper, Table 3",
        table=Table(
            [
                "size",
                "parameters, M",
                "paper",
                "multiply-adds, G",
                "FLOPs, G (2 per multiply-add)",
                "paper",
                "multiply-adds as run, G",
            ],
            rows,
        ),
        values={size: vars(c) for size, c in counts.items()},
        notes=[
            "1024x2048 pixels, 19 classes, convolutions only, plain form (every operation run); as run, kernels are "
            "mixed first. That the paper counts a multiply-add twice is inferred from its numbers.",
        ],
        figure=FIGURE,
    )
