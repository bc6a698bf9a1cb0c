"""Table 7 (Sec. 4.5): which annotations weights and architecture learn from.

The paper: one set for both beats the usual halves by far. It does not say what it kept equal. Here every row takes as
many weight steps, but for one of ours: halves for as many epochs, which is half as many steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wholenet.data.detect import open_data
from wholenet.data.sample import DataError
from wholenet.search.config import FitConfig
from wholenet.studies.drawing import draw_arms
from wholenet.studies.magnitudes import end_entropy
from wholenet.studies.outcomes import final_miou
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

EQUAL_EPOCHS = "half / half, as many epochs"
ARMS: Mapping[str, tuple[Mapping[str, Any], float | None]] = {
    "half / half": ({"split": "disjoint"}, 69.9),
    EQUAL_EPOCHS: ({"split": "disjoint"}, None),
    "fine / fine": ({}, 75.3),
    "fine / coarse": ({"arch_annotations": "coarse"}, 74.6),
    "coarse / fine": ({"weights_annotations": "coarse"}, 61.8),
    "both, then fine / both": ({"weights_annotations": "both-then-fine", "arch_annotations": "both"}, 75.2),
}
"""Weights / architecture: what the run is told, and the paper's percent mIoU (large, one run) if it has the row."""
FIGURE = "table-7.png"


def table_7(setting: Setting, pool: Pool) -> Result:
    """Train every division of the annotations with every seed."""
    configs = arms(setting)
    trained = pool.trained_arms({name: setting.over_seeds(config) for name, config in configs.items()})
    rows: list[list[str | Spread]] = []
    values, shown = {}, {}
    for name, config in configs.items():
        runs = trained[name]
        paper = ARMS[name][1]
        miou, entropy = spread([final_miou(run) for run in runs]), spread([end_entropy(run) for run in runs])
        rows.append([name, f"{config.epochs}", entropy.shown(digits=3), miou, "-" if paper is None else f"{paper}"])
        values[name] = {"epochs": config.epochs, "end_entropy": entropy, "miou": miou}
        shown[name] = [100 * final_miou(run) for run in runs]
    paper = {name: (value, 0.0) for name, (_, value) in ARMS.items() if value is not None}
    draw_arms(setting.out / FIGURE, shown, paper, quantity="mIoU, %", ours=f"here, {setting.counted_seeds}")
    made = "made from the fine ones (docs/data.md)" if setting.make_coarse else "the data's own"
    return Result(
        title="Table 7: which annotations for weights, which for architecture",
        source="Seed paper, Table 7 and Sec. 4.5",
        table=Table(["weights / architecture", "epochs", "end entropy", "mIoU, %", "paper: mIoU, %"], rows),
        values=values,
        notes=[
            "Equal numbers of weight steps: an epoch over half the images counts half, over both sets the sum. Only "
            f"the row {EQUAL_EPOCHS!r} takes half of them.",
            f"Coarse annotations: {made}.",
            "The paper trained its large network once per row, on Cityscapes.",
            setting.how_shown,
        ],
        figure=FIGURE,
    )


def arms(setting: Setting) -> dict[str, FitConfig]:
    """The run of each row.

    Raises:
        DataError: if the data has no coarse annotations and none are to be made.
    """
    config = setting.config(**({"size": "large"} if setting.scale == "paper" else {}))
    splits = open_data(config.data, val_share=config.val_share, seed=config.data_seed).splits
    if "coarse" not in splits and not setting.make_coarse:
        raise DataError(
            f"{config.data} has no coarse annotations (splits: {', '.join(splits)}), which Table 7 is about; add "
            "--make-coarse to have them made out of the fine ones (docs/data.md says how), or give a Cityscapes tree "
            "with gtCoarse/"
        )
    fine, coarse = len(splits["train"]), len(splits["coarse" if "coarse" in splits else "train"])
    out = {}
    for name, (change, _) in ARMS.items():
        made = {"coarse": "made"} if setting.make_coarse and "annotations" in " ".join(change) else {}
        arm = setting.varied(config, **{**change, **made})
        seen = {"fine": fine, "coarse": coarse}.get(arm.weights_annotations, fine + coarse)
        seen = seen * config.weights_share if arm.split == "disjoint" else seen
        epochs = config.epochs if name == EQUAL_EPOCHS else config.epochs * fine / seen
        out[name] = replace(arm, epochs=max(3, round(epochs)))
    return out
