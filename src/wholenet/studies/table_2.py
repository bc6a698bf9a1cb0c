"""Table 2 (Sec. 4.3): what an entropy penalty costs, by its magnitude and its schedule.

The paper: the higher the magnitude the lower the mIoU, and the linear schedule softens it. Its runs separate only
"high" from "none" (n = 3).
"""

from __future__ import annotations

from wholenet.studies.drawing import draw_arms
from wholenet.studies.magnitudes import end_entropy, penalized_arms
from wholenet.studies.outcomes import final_miou
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

PAPER: dict[tuple[str, str], tuple[float, float]] = {
    ("constant", "none"): (70.9, 1.1),
    ("constant", "low"): (70.2, 1.7),
    ("constant", "medium"): (69.6, 0.9),
    ("constant", "high"): (68.1, 1.2),
    ("linear", "none"): (70.9, 1.1),
    ("linear", "low"): (70.9, 0.4),
    ("linear", "medium"): (70.8, 0.7),
    ("linear", "high"): (68.8, 0.5),
}
"""Percent mIoU on the Cityscapes validation set, mean and standard deviation of three runs."""
FIGURE = "table-2.png"


def table_2(setting: Setting, pool: Pool) -> Result:
    """Train every schedule and magnitude with every seed."""
    magnitudes, arms = penalized_arms(setting, pool, PAPER)
    rows: list[list[str | Spread]] = []
    values, shown, paper_shown = {}, {}, {}
    for (schedule, name), runs in arms.items():
        miou = spread([final_miou(run) for run in runs])
        entropy = spread([end_entropy(run) for run in runs])
        paper = "{} ± {}".format(*PAPER[schedule, name])
        rows.append([schedule, name, f"{magnitudes.chosen[name]:g}", entropy.shown(digits=2), miou, paper])
        values[f"{schedule} {name}"] = {"c": magnitudes.chosen[name], "entropy": entropy, "miou": miou}
        label = "none" if name == "none" else f"{schedule}, {name}"
        shown[label], paper_shown[label] = [100 * final_miou(run) for run in runs], PAPER[schedule, name]
    draw_arms(setting.out / FIGURE, shown, paper_shown, quantity="mIoU, %", ours=f"here, {setting.counted_seeds}")
    return Result(
        title="Table 2: the price of an entropy penalty",
        source="Seed paper, Table 2 and Sec. 4.3",
        table=Table(["f(t)", "magnitude", "c", "end entropy", "mIoU, %", "paper: mIoU, %"], rows),
        values={"arms": values, "sweep": {str(c): entropy for c, entropy in magnitudes.swept.items()}},
        notes=[
            "End entropy is normalised (1 uniform, 0 one-hot), mean of operations and edges.",
            "Magnitudes were chosen by the end entropy of a sweep (constant, one seed): "
            + ", ".join(f"c = {c:g} ends at {entropy:.2f}" for c, entropy in magnitudes.swept.items())
            + ". The paper does not print its own.",
            f"{setting.how_shown} The paper: Cityscapes, 600 epochs, 3 seeds.",
        ],
        figure=FIGURE,
    )
